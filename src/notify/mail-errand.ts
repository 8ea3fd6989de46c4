// Mail of our own on its way to the queue: composed when it is handed over, so that its date is right after a wait.
import { newMessageId } from "../message/message-id.ts";
import { TOLD_FOR_MS } from "../observe/alarms.ts";
import type { Clock } from "../observe/clock.ts";
import type { Courier, Errand } from "./courier.ts";
import { type ComposedMail, composeMail, type OwnMailDraft, type OwnMailStamp } from "./own-mail.ts";

/** The queue's `send`: resolves to the message id when the mail is kept. */
export type SendMail = (mail: ComposedMail) => Promise<string>;

/** Writes mail and brings it to the queue. */
export interface Mailer {
  /** Once, now. Resolves to the queue's id; rejects when it is not kept. */
  send(draft: OwnMailDraft): Promise<string>;
  /** Tried until it is kept, or given up with an alarm. `compose` runs at each try and may reject. */
  hand(words: string, compose: (stamp: OwnMailStamp) => ComposedMail | Promise<ComposedMail>): void;
}

/** The way of all mail, also the name of its alarm. */
const MAIL_WAY = "mail of notices";

/** A mailer over the queue. */
export function createMailer(parts: {
  readonly send: SendMail;
  readonly courier: Courier;
  readonly clock: Clock;
  readonly hostname: string;
}): Mailer {
  const { send, courier, clock, hostname } = parts;
  const stamp = (): OwnMailStamp => {
    const now = clock.now();
    return { hostname, id: newMessageId(now), now };
  };
  return {
    send: (draft) => send(composeMail(draft, stamp())),
    hand(words, compose) {
      const errand: Errand = {
        way: MAIL_WAY,
        words,
        // The next notice may be long in coming.
        end: { forMs: TOLD_FOR_MS },
        run: async () => ({ ok: true, words: `queued as ${await send(await compose(stamp()))}` }),
      };
      courier.hand(errand);
    },
  };
}
