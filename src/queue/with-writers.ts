// Waiting mail that an older version took: whom its header names as writers, which that version did not keep. Read once for each message.
import { domainOf } from "../message/address.ts";
import { headOf } from "../message/body.ts";
import { summarise } from "../message/summary.ts";
import type { Log } from "../observe/log.ts";
import type { Statement } from "../store/database.ts";
import type { QuarantineItem } from "../store/quarantine-item.ts";
import type { Spool } from "../store/spool.ts";
import type { SpooledEntry, SpooledEnvelope } from "../store/spool-entry.ts";
import { changeEnvelope } from "../store/spool-envelope.ts";

/** The domains that a message's header names as writers: From, Sender, Resent-From, Resent-Sender. */
export function namedWriters(head: Uint8Array): readonly string[] {
  const { fromAddresses, senderAddresses } = summarise(head, { senders: true });
  return [...new Set([...fromAddresses, ...senderAddresses].map(domainOf))];
}

/** An older version put the outgoing mail into the quarantine: for whom it was written, its header tells. */
export function isUntold({
  direction,
  writtenFor,
}: Pick<QuarantineItem, "direction" | "writtenFor">): boolean {
  return direction !== "inbound" && (writtenFor === null || writtenFor === undefined);
}

/** Somebody of ours sent it, and it does not say for whom it was written. */
function isFromBefore({ message, recipient }: SpooledEntry): boolean {
  const { writtenFor, named } = message.envelope;
  const { origin } = recipient.detail;
  if (writtenFor !== undefined || named !== undefined || origin === undefined) return false;
  return origin.direction !== "inbound" && origin.sender !== undefined;
}

/** The same entries, where need be with what their header says; `found` gets the statements that keep it. */
export async function withWriters(
  entries: readonly SpooledEntry[],
  {
    spool,
    log,
    found,
  }: { readonly spool: Pick<Spool, "body">; readonly log: Log; readonly found: Statement[] },
): Promise<readonly SpooledEntry[]> {
  if (!entries.some(isFromBefore)) return entries;
  const known = new Map<number, SpooledEnvelope>();
  for (const entry of entries) {
    const { message } = entry;
    if (!isFromBefore(entry) || known.has(message.seq)) continue;
    try {
      const envelope = { ...message.envelope, named: namedWriters(headOf(await spool.body(message))) };
      known.set(message.seq, envelope);
      found.push(changeEnvelope(message.seq, envelope));
    } catch (error) {
      // The attempt will not be able to read it either, and says what becomes of it.
      log.warn({ err: error, id: message.id }, "the header of a waiting message cannot be read");
    }
  }
  return entries.map((entry) => {
    const envelope = known.get(entry.message.seq);
    return envelope === undefined ? entry : { ...entry, message: { ...entry.message, envelope } };
  });
}
