// From what the queue is handed to what the spool stores: a client's message, or one taken back from the quarantine. Pure.

import { isAscii } from "node:buffer";
import type { Destination } from "../delivery/route.ts";
import type { Direction } from "../message/envelope.ts";
import type { MessageRecord } from "../store/log-record.ts";
import type { RecipientDetail } from "../store/spool-entry.ts";
import type { Acceptance, AcceptedRecipient } from "./queue.ts";
import type { NewMail } from "./take-in.ts";

const ASCII = /^[\x00-\x7f]*$/;

/** What of a quarantine item the queue needs to deliver it. */
export interface ReleasedItem {
  readonly id: string;
  readonly messageId: string;
  readonly n: number;
  readonly recipient: string;
  /** Empty string for the null reverse-path. */
  readonly reversePath: string;
  readonly direction: Direction;
  readonly receivedAt: number;
}

/** The message of a client. No recipients when it is discarded for all of them. */
export function mailOf({ envelope, recipients, message, record }: Acceptance): NewMail {
  const { id, receivedAt, reversePath, smtpUtf8, requireTls, dsnRet, dsnEnvid } = envelope;
  const eightBit = envelope.body === "8bitmime";
  return {
    id,
    receivedAt,
    envelope: { reversePath: reversePath ?? "", smtpUtf8, eightBit, requireTls, dsnRet, dsnEnvid },
    body: message,
    recipients: recipients.flatMap((recipient) => {
      const detail = detailOf(recipient, record);
      return detail === null ? [] : [{ n: recipient.n, address: recipient.address, detail }];
    }),
  };
}

function detailOf(
  { n, dsn, mayBounce, disposition }: AcceptedRecipient,
  record: MessageRecord,
): RecipientDetail | null {
  switch (disposition.kind) {
    case "deliver": {
      const { destination, edits } = disposition;
      return { destination, edits, dsn, mayBounce, quarantine: null };
    }
    case "quarantine": {
      const { destination, rule, words } = disposition;
      const direction = record.recipients.find((one) => one.n === n)?.direction ?? "inbound";
      const { headerFrom, subject } = record;
      const quarantine = { rule, words, direction, headerFrom, subject };
      return { destination, edits: [], dsn, mayBounce, quarantine };
    }
    case "discard":
      return null;
  }
}

/** A message from the quarantine, for the one recipient it was kept for. */
export function releasedMail(
  item: ReleasedItem,
  { message, destination }: { readonly message: Uint8Array; readonly destination: Destination },
): NewMail {
  const detail: RecipientDetail = {
    destination,
    edits: [],
    dsn: null,
    // An outsider's reverse-path proves nothing.
    mayBounce: item.direction !== "inbound",
    quarantine: null,
  };
  return {
    id: item.messageId,
    receivedAt: item.receivedAt,
    envelope: {
      reversePath: item.reversePath,
      smtpUtf8: !ASCII.test(item.reversePath) || !ASCII.test(item.recipient),
      eightBit: !isAscii(message),
      requireTls: false,
      dsnRet: null,
      dsnEnvid: null,
    },
    body: message,
    recipients: [{ n: item.n, address: item.recipient, detail }],
  };
}
