// The rows of the quarantine in gatepost.db and what may become of them. Knows no bodies: those are in the vault.
import { and, count, desc, eq, gt, inArray, isNotNull, isNull, lte, sql } from "drizzle-orm";
import type { Direction } from "../message/envelope.ts";
import type { DatabaseReader, DatabaseWriter, Statement } from "./database.ts";
import { deleteSlices, SLICE_ROWS } from "./delete-old.ts";
import { quarantine } from "./gatepost-schema.ts";
import type { RecipientState } from "./log-record.ts";
import type { QuarantinedSender, QuarantineFilter, QuarantineItem } from "./quarantine-item.ts";
import type { UndeliverableDetail } from "./spool-entry.ts";
import { sqlBuilder, sqlStatement, statement, typed } from "./statement.ts";

const MAX_ITEMS = 1000;
/** The indices of senders hold outgoing mail only; SQLite takes them when the statement says the same, word for word. */
const HAS_SENDER = sql`${quarantine.sender} <> ''`;
const IS_UNDELIVERABLE = sql`${quarantine.class} = 'undeliverable'`;
const DIRECTIONS: Readonly<Record<NonNullable<QuarantineFilter["direction"]>, readonly Direction[]>> = {
  incoming: ["inbound", "internal"],
  outgoing: ["outbound", "internal"],
};

const itemColumns = {
  id: quarantine.id,
  messageId: quarantine.messageId,
  n: quarantine.n,
  recipient: quarantine.recipient,
  reversePath: quarantine.reversePath,
  headerFrom: quarantine.headerFrom,
  subject: quarantine.subject,
  direction: quarantine.direction,
  sender: quarantine.sender,
  identity: quarantine.identity,
  senderDomain: quarantine.senderDomain,
  rule: quarantine.rule,
  words: quarantine.words,
  size: quarantine.size,
  receivedAt: quarantine.receivedAt,
  expiresAt: quarantine.expiresAt,
  state: quarantine.state,
  class: quarantine.class,
  server: quarantine.server,
  answer: quarantine.answer,
  failedAt: quarantine.failedAt,
  seenAt: quarantine.seenAt,
  writtenFor: quarantine.writtenFor,
};

/** A quarantined item and the hash of its body in the vault; null when it is no longer kept. */
export interface KeptItem {
  readonly item: QuarantineItem;
  readonly bodyHash: string | null;
  readonly releaseAskedBy: string | null;
}

/** An item as a rule puts it there. */
export type NewItem = Omit<
  QuarantineItem,
  "state" | "class" | "server" | "answer" | "failedAt" | "seenAt"
> & {
  /** When it was filed, milliseconds UTC; left out: not known. */
  readonly filedAt?: number;
};

/** Inserts an item; doing it twice keeps the first. `undeliverable`: why, when no rule put it there. */
export function quarantineInsert(
  item: NewItem,
  bodyHash: string,
  undeliverable?: UndeliverableDetail,
): Statement {
  const recipientDomain = item.recipient.slice(item.recipient.lastIndexOf("@") + 1).toLowerCase();
  const why: Partial<QuarantineItem> =
    undeliverable === undefined
      ? {}
      : {
          class: "undeliverable",
          server: undeliverable.server,
          answer: undeliverable.answer,
          failedAt: undeliverable.failedAt,
        };
  return statement(
    sqlBuilder
      .insert(quarantine)
      .values({ ...item, ...why, recipientDomain, state: "kept", bodyHash })
      .onConflictDoNothing(),
  );
}

/** Items newest first, at most 1,000. */
export function listQuarantine(
  reader: DatabaseReader,
  filter: QuarantineFilter,
): Promise<readonly QuarantineItem[]> {
  const { before } = filter;
  return typed(reader)
    .select(itemColumns)
    .from(quarantine)
    .where(
      and(
        filter.recipient === undefined ? undefined : eq(quarantine.recipient, filter.recipient),
        filter.domain === undefined ? undefined : eq(quarantine.recipientDomain, filter.domain.toLowerCase()),
        filter.direction === undefined
          ? undefined
          : inArray(quarantine.direction, DIRECTIONS[filter.direction]),
        filter.sender === undefined ? undefined : and(eq(quarantine.sender, filter.sender), HAS_SENDER),
        filter.senderDomain === undefined ? undefined : sentBy(filter.senderDomain),
        filter.rule === undefined ? undefined : eq(quarantine.rule, filter.rule),
        filter.state === undefined ? undefined : eq(quarantine.state, filter.state),
        filter.class === undefined ? undefined : ofClass(filter.class),
        before === undefined
          ? undefined
          : sql`(${quarantine.receivedAt}, ${quarantine.id}) < (${before.receivedAt}, ${before.id})`,
      ),
    )
    .orderBy(desc(quarantine.receivedAt), desc(quarantine.id))
    .limit(Math.min(Math.max(1, Math.floor(filter.limit)), MAX_ITEMS));
}

/** Kept outgoing mail by sender, the most first, at most `limit`. */
export function quarantinedSenders(
  reader: DatabaseReader,
  filter: { readonly senderDomain?: string; readonly limit: number },
): Promise<readonly QuarantinedSender[]> {
  const items = count();
  return typed(reader)
    .select({ sender: quarantine.sender, items, latestAt: sql<number>`max(${quarantine.receivedAt})` })
    .from(quarantine)
    .where(
      and(
        eq(quarantine.state, "kept"),
        HAS_SENDER,
        filter.senderDomain === undefined ? undefined : sentBy(filter.senderDomain),
      ),
    )
    .groupBy(quarantine.sender)
    .orderBy(desc(items), quarantine.sender)
    .limit(Math.min(Math.max(1, Math.floor(filter.limit)), MAX_ITEMS));
}

/** The indices of undeliverable mail are taken when the statement says the same, word for word. */
function ofClass(name: QuarantineItem["class"]) {
  return name === "undeliverable" ? IS_UNDELIVERABLE : eq(quarantine.class, name);
}

function sentBy(domain: string): ReturnType<typeof and> {
  return and(eq(quarantine.senderDomain, domain.toLowerCase()), sql`${quarantine.senderDomain} <> ''`);
}

/** One item, or null. */
export async function findQuarantined(reader: DatabaseReader, id: string): Promise<KeptItem | null> {
  return (await kept(reader, eq(quarantine.id, id), 1))[0] ?? null;
}

/** Who released the item, and when; null: it was not released. */
export async function releaseOf(
  reader: DatabaseReader,
  id: string,
): Promise<{ readonly by: string; readonly at: number } | null> {
  const [row] = await typed(reader)
    .select({ by: quarantine.releaseAskedBy, at: quarantine.releaseAskedAt })
    .from(quarantine)
    .where(and(eq(quarantine.id, id), eq(quarantine.state, "released")));
  return row === undefined || row.by === null || row.at === null ? null : { by: row.by, at: row.at };
}

/** Items whose release was begun and not finished. */
export function unfinishedReleases(reader: DatabaseReader): Promise<readonly KeptItem[]> {
  return kept(reader, and(eq(quarantine.state, "kept"), isNotNull(quarantine.releaseAskedAt)), MAX_ITEMS);
}

/** Kept items whose time is over, at most `limit`. */
export function dueForExpiry(
  reader: DatabaseReader,
  nowMs: number,
  limit: number,
): Promise<readonly KeptItem[]> {
  return kept(reader, stillMine(lte(quarantine.expiresAt, nowMs)), limit);
}

async function kept(
  reader: DatabaseReader,
  where: ReturnType<typeof and>,
  limit: number,
): Promise<readonly KeptItem[]> {
  const rows = await typed(reader)
    .select({
      ...itemColumns,
      bodyHash: quarantine.bodyHash,
      releaseAskedBy: quarantine.releaseAskedBy,
    })
    .from(quarantine)
    .where(where)
    .limit(limit);
  return rows.map(({ bodyHash, releaseAskedBy, ...item }) => ({ item, bodyHash, releaseAskedBy }));
}

/** Kept, and no release has been begun: only then may it be deleted or expire. */
function stillMine(also: ReturnType<typeof and>): ReturnType<typeof and> {
  return and(eq(quarantine.state, "kept"), isNull(quarantine.releaseAskedAt), also);
}

/** Writes down that a release begins, before the queue is asked. False: the item is not kept any more. */
export async function beginRelease(
  database: DatabaseWriter,
  id: string,
  ask: { readonly by: string; readonly at: number },
): Promise<boolean> {
  const [changed] = await database.commit([
    statement(
      sqlBuilder
        .update(quarantine)
        .set({ releaseAskedAt: ask.at, releaseAskedBy: ask.by })
        .where(and(eq(quarantine.id, id), eq(quarantine.state, "kept"))),
    ),
  ]);
  return changed === 1;
}

/** Takes the wish back when the queue refused: the item stays as it was. */
export async function cancelRelease(database: DatabaseWriter, id: string): Promise<void> {
  await database.commit([
    statement(
      sqlBuilder
        .update(quarantine)
        .set({ releaseAskedAt: null, releaseAskedBy: null })
        .where(and(eq(quarantine.id, id), eq(quarantine.state, "kept"))),
    ),
  ]);
}

/** Ends a release that the queue has taken over. False: another call ended it first. */
export async function finishRelease(
  database: DatabaseWriter,
  item: QuarantineItem,
  release: { readonly by: string; readonly at: number },
): Promise<boolean> {
  return settle(database, item, {
    ...release,
    state: "released",
    logState: "released",
    action: "quarantine.release",
    words: `released from quarantine by ${release.by}`,
    where: and(eq(quarantine.id, item.id), eq(quarantine.state, "kept")),
  });
}

/** Deletes an item. False: it is not kept any more, or being released. */
export function deleteQuarantined(
  database: DatabaseWriter,
  item: QuarantineItem,
  deletion: { readonly by: string; readonly at: number },
): Promise<boolean> {
  return settle(database, item, {
    ...deletion,
    state: "deleted",
    logState: "dropped",
    action: "quarantine.delete",
    words: `deleted from quarantine by ${deletion.by}`,
    where: stillMine(eq(quarantine.id, item.id)),
  });
}

/** Expires an item. False: it is not kept any more, or being released. */
export function expireQuarantined(
  database: DatabaseWriter,
  item: QuarantineItem,
  at: number,
): Promise<boolean> {
  return settle(database, item, {
    by: "gatepost",
    at,
    state: "expired",
    logState: "dropped",
    action: "quarantine.expire",
    words: "removed from quarantine: its time was over",
    where: stillMine(eq(quarantine.id, item.id)),
  });
}

async function settle(
  database: DatabaseWriter,
  item: QuarantineItem,
  change: {
    readonly by: string;
    readonly at: number;
    readonly state: QuarantineItem["state"];
    readonly logState: RecipientState;
    readonly action: string;
    readonly words: string;
    readonly where: ReturnType<typeof and>;
  },
): Promise<boolean> {
  // Item, audit entry and message log change together or not at all: each statement acts only when the one before changed a row.
  const [changed] = await database.commit([
    statement(
      sqlBuilder
        .update(quarantine)
        .set({
          state: change.state,
          bodyHash: null,
          // Stays with what was released: who asked for it, and when.
          ...(change.state === "released" ? {} : { releaseAskedAt: null, releaseAskedBy: null }),
        })
        .where(change.where),
    ),
    sqlStatement(sql`insert into audit_log (at, actor, via, ip, action, subject, detail)
      select ${change.at}, ${change.by}, 'quarantine', null, ${change.action}, ${item.id},
        ${`to ${item.recipient} from ${item.reversePath || "<>"}`} where changes() = 1`),
    sqlStatement(sql`update message_recipient
      set state = ${change.logState}, state_at = ${change.at}, next_attempt_at = null, words = ${change.words}
      where message_id = ${item.messageId} and n = ${item.n} and state_at <= ${change.at} and changes() = 1`),
  ]);
  return changed === 1;
}

/** True when an item still needs the body. */
export async function refersToBody(reader: DatabaseReader, hash: string): Promise<boolean> {
  const rows = await typed(reader)
    .select({ id: quarantine.id })
    .from(quarantine)
    .where(eq(quarantine.bodyHash, hash))
    .limit(1);
  return rows.length > 0;
}

/** Hashes of bodies that are kept, above `after`, in their order, at most `limit`. */
export async function keptBodies(
  reader: DatabaseReader,
  { after, limit }: { readonly after: string; readonly limit: number },
): Promise<readonly string[]> {
  const rows = await typed(reader)
    .selectDistinct({ hash: quarantine.bodyHash })
    .from(quarantine)
    .where(and(gt(quarantine.bodyHash, after), eq(quarantine.state, "kept")))
    .orderBy(quarantine.bodyHash)
    .limit(limit);
  return rows.flatMap(({ hash }) => (hash === null ? [] : [hash]));
}

/** Forgets items that were settled and whose time was over before `beforeMs`. */
export async function forgetSettled(database: DatabaseWriter, beforeMs: number): Promise<void> {
  for (const state of ["released", "deleted", "expired"] as const) {
    const old = sqlBuilder
      .select({ id: quarantine.id })
      .from(quarantine)
      .where(and(eq(quarantine.state, state), lte(quarantine.expiresAt, beforeMs)))
      .limit(SLICE_ROWS);
    await deleteSlices(database, statement(sqlBuilder.delete(quarantine).where(inArray(quarantine.id, old))));
  }
}
