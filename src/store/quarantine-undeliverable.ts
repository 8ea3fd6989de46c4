// What the quarantine keeps of mail that could not be delivered: how much of it nobody has looked at, what is new of it, for whom.
import { and, asc, count, desc, sql } from "drizzle-orm";
import type { DatabaseReader, DatabaseWriter } from "./database.ts";
import { filedWithin } from "./filed-range.ts";
import { quarantine } from "./gatepost-schema.ts";
import { sqlBuilder, statement, typed } from "./statement.ts";

const MAX_ITEMS = 200;
// Word for word as the partial indices have it.
const UNSEEN = sql`${quarantine.class} = 'undeliverable' and ${quarantine.state} = 'kept' and ${quarantine.seenAt} is null`;
const UNDELIVERABLE = sql`${quarantine.class} = 'undeliverable'`;

/** What nobody has looked at yet. */
export interface UnseenUndeliverable {
  readonly items: number;
  /** Of the first of them. */
  readonly first: {
    readonly recipient: string;
    readonly server: string;
    readonly answer: string;
    readonly failedAt: number;
  } | null;
}

/** How much is kept that nobody has looked at, and the oldest of it. */
export async function unseenUndeliverable(reader: DatabaseReader): Promise<UnseenUndeliverable> {
  const [row] = await typed(reader).select({ items: count() }).from(quarantine).where(UNSEEN);
  const items = row?.items ?? 0;
  if (items === 0) return { items, first: null };
  const [first] = await typed(reader)
    .select({
      recipient: quarantine.recipient,
      server: quarantine.server,
      answer: quarantine.answer,
      failedAt: quarantine.failedAt,
    })
    .from(quarantine)
    .where(UNSEEN)
    .orderBy(asc(quarantine.failedAt))
    .limit(1);
  return { items, first: first === undefined ? null : { ...first, failedAt: first.failedAt ?? 0 } };
}

/** How much undeliverable mail is kept. */
export async function keptUndeliverable(reader: DatabaseReader): Promise<number> {
  const [row] = await typed(reader)
    .select({ items: count() })
    .from(quarantine)
    .where(and(UNDELIVERABLE, sql`${quarantine.state} = 'kept'`));
  return row?.items ?? 0;
}

/** Notes that somebody has looked at the item. False: it was looked at before, or is not undeliverable mail that is kept. */
export async function markSeen(database: DatabaseWriter, id: string, at: number): Promise<boolean> {
  const [changed] = await database.commit([
    statement(
      sqlBuilder
        .update(quarantine)
        .set({ seenAt: at })
        .where(and(sql`${quarantine.id} = ${id}`, UNSEEN)),
    ),
  ]);
  return changed === 1;
}

/** The id of the newest item that stands after this one for the same message and recipient, or null (`MESSAGE_ID-N-ROUND`). */
export async function newerItem(reader: DatabaseReader, id: string): Promise<string | null> {
  const [, base, round] = /^([0-9a-z]+-\d+)(?:-(\d+))?$/.exec(id) ?? [];
  if (base === undefined) return null;
  const rows = await typed(reader)
    .select({ id: quarantine.id })
    .from(quarantine)
    // "." is the character after "-": the ids that begin with this one and a round.
    .where(sql`${quarantine.id} > ${`${base}-`} and ${quarantine.id} < ${`${base}.`}`);
  const roundOf = (one: string) => Number(one.slice(base.length + 1));
  const newest = rows.map((row) => row.id).sort((a, b) => roundOf(b) - roundOf(a))[0];
  return newest === undefined || roundOf(newest) <= Number(round ?? 0) ? null : newest;
}

/** How many items failed in a time, by whose they are. */
export interface UndeliverableCount {
  readonly recipientDomain: string;
  /** Empty for mail from outside. */
  readonly senderDomain: string;
  readonly items: number;
}

/** Milliseconds UTC: after `since`, until `until`. `kept`: only what is still kept, by when it was filed. */
export interface UndeliverableRange {
  readonly since: number;
  readonly until: number;
  readonly kept: boolean;
}

function within({ since, until, kept }: UndeliverableRange) {
  return and(
    UNDELIVERABLE,
    // A list follows the one before; a burst is looked for in what failed just now.
    kept
      ? filedWithin(quarantine.failedAt, { since, until })
      : sql`${quarantine.failedAt} > ${since} and ${quarantine.failedAt} <= ${until}`,
    kept ? sql`${quarantine.state} = 'kept'` : undefined,
  );
}

/** What failed in the range, counted by the domains of recipient and sender. */
export function undeliverableCounts(
  reader: DatabaseReader,
  range: UndeliverableRange,
): Promise<readonly UndeliverableCount[]> {
  return typed(reader)
    .select({
      recipientDomain: quarantine.recipientDomain,
      senderDomain: quarantine.senderDomain,
      items: count(),
    })
    .from(quarantine)
    .where(within(range))
    .groupBy(quarantine.recipientDomain, quarantine.senderDomain);
}

/** One of them, as notices show it. */
export interface UndeliverableItem {
  readonly id: string;
  readonly failedAt: number;
  readonly recipient: string;
  readonly reversePath: string;
  readonly subject: string;
  readonly server: string;
  readonly answer: string;
}

/** The newest of those between two domains, oldest first; at most 200. */
export async function undeliverableBetween(
  reader: DatabaseReader,
  { recipientDomain, senderDomain }: Omit<UndeliverableCount, "items">,
  range: UndeliverableRange,
): Promise<readonly UndeliverableItem[]> {
  const rows = await typed(reader)
    .select({
      id: quarantine.id,
      failedAt: quarantine.failedAt,
      recipient: quarantine.recipient,
      reversePath: quarantine.reversePath,
      subject: quarantine.subject,
      server: quarantine.server,
      answer: quarantine.answer,
    })
    .from(quarantine)
    .where(
      and(
        within(range),
        sql`${quarantine.recipientDomain} = ${recipientDomain} and ${quarantine.senderDomain} = ${senderDomain}`,
      ),
    )
    .orderBy(desc(quarantine.failedAt), desc(quarantine.id))
    .limit(MAX_ITEMS);
  return rows.map((row) => ({ ...row, failedAt: row.failedAt ?? 0 })).reverse();
}
