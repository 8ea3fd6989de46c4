// The outgoing quarantine of a domain since a time, for its scheduled report. Reads only.
import { and, count, desc, eq, inArray, ne } from "drizzle-orm";
import type { DatabaseReader } from "./database.ts";
import { filedWithin } from "./filed-range.ts";
import { quarantine } from "./gatepost-schema.ts";
import { typed } from "./statement.ts";

/** A quarantined message of one recipient, as the report shows it. */
export interface ReportedItem {
  readonly id: string;
  readonly receivedAt: number;
  /** The outgoing sender; the reverse-path where there is none. */
  readonly sender: string;
  readonly identity: string | null;
  readonly recipient: string;
  readonly subject: string;
  readonly words: string;
}

const MAX_ITEMS = 200;

/**
 * What is still kept of mail of the domain's senders that was filed after `since` and until `until`: the newest 200, oldest first,
 * and how many there are.
 */
export async function outgoingQuarantineSince(
  reader: DatabaseReader,
  domain: string,
  range: { readonly since: number; readonly until: number },
): Promise<{ readonly items: readonly ReportedItem[]; readonly total: number }> {
  const where = and(
    eq(quarantine.senderDomain, domain.toLowerCase()),
    // The index of sender domains holds outgoing mail only; the condition says so to SQLite.
    ne(quarantine.senderDomain, ""),
    filedWithin(quarantine.receivedAt, range),
    eq(quarantine.state, "kept"),
    // What could not be delivered has a list of its own.
    eq(quarantine.class, "rule"),
    inArray(quarantine.direction, ["outbound", "internal"]),
  );
  const [row] = await typed(reader).select({ total: count() }).from(quarantine).where(where);
  const total = row?.total ?? 0;
  if (total === 0) return { items: [], total };
  const rows = await typed(reader)
    .select({
      id: quarantine.id,
      receivedAt: quarantine.receivedAt,
      reversePath: quarantine.reversePath,
      recipient: quarantine.recipient,
      subject: quarantine.subject,
      words: quarantine.words,
      sender: quarantine.sender,
      identity: quarantine.identity,
    })
    .from(quarantine)
    .where(where)
    .orderBy(desc(quarantine.receivedAt), desc(quarantine.id))
    .limit(MAX_ITEMS);
  const items = rows.map(({ reversePath, sender, identity, ...item }) => ({
    ...item,
    sender: sender === "" ? reversePath : sender,
    identity: identity === "" ? null : identity,
  }));
  return { items: items.reverse(), total };
}
