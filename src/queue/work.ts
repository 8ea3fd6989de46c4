// One piece of work in memory: recipients of one message that leave together in one attempt.
import type { Destination } from "../delivery/route.ts";
import type { MessageBody } from "../message/body.ts";
import type { HeaderEdit } from "../message/header-edit.ts";
import type { SignOrder } from "../message/sign-order.ts";
import type { EntryKey, SpooledEntry, SpooledMessage, SpooledRecipient } from "../store/spool-entry.ts";

/** What an administrator wants done with work that is in memory, should it not be delivered now. */
export type Intent =
  | { readonly kind: "deliver" }
  | { readonly kind: "hold" }
  | { readonly kind: "drop"; readonly by: string };

/** Recipients marked "active" in the spool: this process and nobody else may settle them. */
export interface Work {
  readonly message: SpooledMessage;
  readonly recipients: readonly SpooledRecipient[];
  /** For whom it counts where places are shared; empty: nobody in particular. */
  readonly share: string;
  readonly destination: Destination;
  readonly edits: readonly HeaderEdit[];
  /** With which key it is signed after the edits; null: not signed. */
  readonly sign: SignOrder | null;
  /** The body as stored when it is in memory anyway, else null: it is read when the attempt starts. */
  readonly body: MessageBody | null;
  intent: Intent;
  /** True while its body counts against the budget of bodies in memory. */
  paid: boolean;
}

/** Most servers take 100 recipients in one transaction (RFC 5321 §4.5.3.1.8). */
export const MAX_RECIPIENTS_PER_ATTEMPT = 100;

/** The rows of a piece of work. */
export function keysOf(work: Work): EntryKey[] {
  return work.recipients.map((recipient) => ({ seq: work.message.seq, n: recipient.n }));
}

/**
 * Puts entries together that may leave in one attempt: same message, destination, edits and signature. Order is kept. `way`: all of them
 * leave by it now, whatever their own destinations are called.
 */
export function groupWork(
  entries: readonly SpooledEntry[],
  body: MessageBody | null,
  way: Destination | null = null,
): Work[] {
  const groups = new Map<string, { work: Work; recipients: SpooledRecipient[] }>();
  const all: Work[] = [];
  for (const { message, recipient } of entries) {
    const { edits, sign } = recipient.detail;
    const destination = way ?? recipient.detail.destination;
    const key =
      edits.length === 0 && sign === null
        ? `${message.seq} ${destination.key}`
        : `${message.seq} ${destination.key} ${JSON.stringify([edits, sign?.domain, sign?.selector])}`;
    const group = groups.get(key);
    if (group !== undefined && group.recipients.length < MAX_RECIPIENTS_PER_ATTEMPT) {
      group.recipients.push(recipient);
      continue;
    }
    const recipients = [recipient];
    const work: Work = {
      message,
      recipients,
      share: recipient.share ?? "",
      destination,
      edits,
      sign,
      body,
      intent: { kind: "deliver" },
      paid: false,
    };
    groups.set(key, { work, recipients });
    all.push(work);
  }
  return all;
}
