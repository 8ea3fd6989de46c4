// Mail the gateway writes itself, made ready for the queue: null reverse-path, one recipient, a record for the log. Pure.

import type { Destination, DestinationFor } from "../delivery/route.ts";
import type { MailAddress } from "../message/address.ts";
import { newMessageId } from "../message/message-id.ts";
import type { SignOrder } from "../message/sign-order.ts";
import { summarise } from "../message/summary.ts";
import type { Log } from "../observe/log.ts";
import type { LogEvent } from "../store/log-record.ts";
import type { OwnMail } from "./queue.ts";
import type { NewMail } from "./take-in.ts";

/** A mail of our own, ready to be taken in together with its event for the log. */
export interface PreparedOwnMail {
  readonly mail: NewMail;
  readonly event: LogEvent;
}

/** Where our own mail goes. A mistake in the policy must not cost it: its domain's own servers are a good guess. */
export function ownDestination(
  address: string,
  parts: { readonly destinationFor: DestinationFor; readonly log: Log },
): Destination {
  try {
    return parts.destinationFor(address, "to pass on");
  } catch (error) {
    const domain = address.slice(address.lastIndexOf("@") + 1);
    parts.log.error({ err: error, address }, "no route for a mail of our own; it goes by MX");
    return { kind: "mx", key: `mx:${domain}`, domain };
  }
}

/** An alert, a report, a one-time link: any mail of our own that is not about a message in the queue. */
export function prepareOwnMail(
  mail: OwnMail,
  about: {
    readonly now: number;
    readonly hostname: string;
    readonly destination: Destination;
    readonly sign: SignOrder | null;
  },
): PreparedOwnMail {
  return ownMail(mail, {
    ...about,
    id: newMessageId(about.now),
    headerMessageId: summarise(mail.message).messageId,
    reply: `250 2.0.0 Own mail: ${mail.words}`,
  });
}

/** The mail with the null reverse-path, never answered by notices, and its line in the log: from nobody's connection. */
export function ownMail(
  mail: Omit<OwnMail, "words">,
  about: {
    readonly id: string;
    /** Milliseconds UTC. */
    readonly now: number;
    readonly hostname: string;
    readonly destination: Destination;
    /** null: it leaves unsigned. */
    readonly sign: SignOrder | null;
    readonly headerMessageId: string;
    /** What stands where a client's answer would. */
    readonly reply: string;
  },
): PreparedOwnMail {
  const { id, now, hostname, destination, headerMessageId, reply } = about;
  const { to, message, smtpUtf8, eightBit, subject, headerFrom } = mail;
  const conditions = { smtpUtf8, requireTls: false, dsnRet: null, dsnEnvid: null } as const;
  const direction = destination.kind === "routes" ? ("internal" as const) : ("outbound" as const);
  const origin = { direction };
  const detail = {
    destination,
    edits: [],
    sign: about.sign,
    dsn: null,
    mayBounce: false,
    quarantine: null,
    origin,
  };
  return {
    mail: {
      id,
      receivedAt: now,
      envelope: { ...conditions, reversePath: "", eightBit },
      body: message,
      recipients: [{ n: 1, address: to, detail }],
      archive: null,
      share: "",
    },
    event: {
      kind: "message",
      record: {
        id,
        envelope: {
          ...conditions,
          id,
          listener: "",
          client: { ip: "", port: 0, helo: hostname, hostname: null, tls: null, login: null },
          reversePath: null,
          body: eightBit ? "8bitmime" : "7bit",
          receivedAt: now,
        },
        recipients: [
          {
            n: 1,
            address: to satisfies MailAddress,
            direction,
            grant: null,
            state: "queued",
            verdict: null,
            reply,
          },
        ],
        size: message.length,
        subject,
        headerFrom,
        headerMessageId,
        findings: [],
        reply,
        cause: null,
      },
    },
  };
}
