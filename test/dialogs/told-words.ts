// Of which recipients the sender of an accepted message is told, as a dialogue writes it.

import type { AcceptedRecipient } from "../../src/queue/queue.ts";
import type { MessageRecord, RecipientState } from "../../src/store/log-record.ts";

/** `address: why` when its sender is told that a rule stopped it. */
export function toldWords({ address, disposition }: AcceptedRecipient): readonly string[] {
  const tell = disposition.kind === "quarantine" ? disposition.tell : undefined;
  return tell === undefined ? [] : [`${address}: ${tell}`];
}

/** How many recipients of a record are in this state. */
export function statesOf(record: MessageRecord | undefined, state: RecipientState): number | undefined {
  return record?.recipients.filter((one) => one.state === state).length;
}
