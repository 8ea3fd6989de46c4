// Identities of outgoing mail and their volume by day in gatepost.db: what is read, and the statements that write it.
// What is in `state` is src/outgoing's business.
import { and, asc, count, desc, eq, gte, lt, ne, type SQL, sql } from "drizzle-orm";
import type { DatabaseReader, DatabaseWriter, Statement } from "./database.ts";
import { outgoingDay, outgoingIdentity, outgoingLock } from "./outgoing-schema.ts";
import { prepare, sqlBuilder, statement, typed } from "./statement.ts";

/** `name` is "" for the sender itself. Times in milliseconds UTC. */
export interface IdentityRow {
  readonly sender: string;
  readonly name: string;
  readonly domain: string;
  readonly firstSeen: number;
  readonly lastSeen: number;
  readonly state: Uint8Array;
}

/** Volume of an identity on a UTC day such as `2026-11-21`. */
export interface DayRow {
  readonly sender: string;
  readonly name: string;
  readonly day: string;
  readonly messages: number;
  readonly recipients: number;
  readonly spam: number;
  readonly refused: number;
}

/** Which identities a page asks for; left out: all. */
export interface IdentityFilter {
  readonly domain?: string;
  readonly sender?: string;
  /** Part of the sender or the identity, lower case. */
  readonly search?: string;
  readonly locked?: boolean;
  /** Leaves out the rows of the senders themselves. */
  readonly only?: "identities";
}

const STEP = 500;

const identityValues = {
  sender: sql.placeholder("sender"),
  name: sql.placeholder("name"),
  domain: sql.placeholder("domain"),
  firstSeen: sql.placeholder("firstSeen"),
  lastSeen: sql.placeholder("lastSeen"),
  state: sql.placeholder("state"),
};

const upsertIdentity = prepare<Readonly<Record<keyof IdentityRow, unknown>>>(
  sqlBuilder
    .insert(outgoingIdentity)
    .values(identityValues)
    .onConflictDoUpdate({
      target: [outgoingIdentity.sender, outgoingIdentity.name],
      set: {
        domain: sql`excluded.domain`,
        firstSeen: sql`min(first_seen, excluded.first_seen)`,
        lastSeen: sql`excluded.last_seen`,
        state: sql`excluded.state`,
      },
    }),
  { uncounted: true },
);

const addToDay = prepare<Readonly<Record<keyof DayRow, unknown>>>(
  sqlBuilder
    .insert(outgoingDay)
    .values({
      sender: sql.placeholder("sender"),
      name: sql.placeholder("name"),
      day: sql.placeholder("day"),
      messages: sql.placeholder("messages"),
      recipients: sql.placeholder("recipients"),
      spam: sql.placeholder("spam"),
      refused: sql.placeholder("refused"),
    })
    .onConflictDoUpdate({
      target: [outgoingDay.sender, outgoingDay.name, outgoingDay.day],
      set: {
        messages: sql`messages + excluded.messages`,
        recipients: sql`recipients + excluded.recipients`,
        spam: sql`spam + excluded.spam`,
        refused: sql`refused + excluded.refused`,
      },
    }),
  { uncounted: true },
);

/** Keeps the identity as it is now. */
export function identityUpsert(row: IdentityRow): Statement {
  return upsertIdentity({ ...row });
}

/** Adds to what the day has already. */
export function dayAddition(row: DayRow): Statement {
  return addToDay({ ...row });
}

/** Identities in the order in which they were last seen, newest first; those after `after` when it is given. */
export function loadIdentities(
  reader: DatabaseReader,
  { after, limit }: { readonly after: IdentityRow | null; readonly limit: number },
): Promise<IdentityRow[]> {
  const { lastSeen, sender, name } = outgoingIdentity;
  return typed(reader)
    .select()
    .from(outgoingIdentity)
    .where(
      after === null
        ? undefined
        : sql`(${lastSeen}, ${sender}, ${name}) < (${after.lastSeen}, ${after.sender}, ${after.name})`,
    )
    .orderBy(desc(lastSeen), desc(sender), desc(name))
    .limit(limit);
}

/** The rows of the senders themselves: few, and always wanted. */
export function loadSenders(reader: DatabaseReader): Promise<IdentityRow[]> {
  return typed(reader).select().from(outgoingIdentity).where(eq(outgoingIdentity.name, ""));
}

/** One identity, or null. */
export async function loadIdentity(
  reader: DatabaseReader,
  key: Pick<IdentityRow, "sender" | "name">,
): Promise<IdentityRow | null> {
  const [row] = await typed(reader)
    .select()
    .from(outgoingIdentity)
    .where(and(eq(outgoingIdentity.sender, key.sender), eq(outgoingIdentity.name, key.name)));
  return row ?? null;
}

/** A page of identities, last seen first, and how many there are in all. */
export async function findIdentities(
  reader: DatabaseReader,
  filter: IdentityFilter & { readonly limit: number; readonly offset: number },
): Promise<{ readonly rows: readonly IdentityRow[]; readonly total: number }> {
  const { lastSeen, sender, name } = outgoingIdentity;
  const where = conditionOf(filter);
  const [rows, [counted]] = await Promise.all([
    typed(reader)
      .select()
      .from(outgoingIdentity)
      .where(where)
      .orderBy(desc(lastSeen), desc(sender), desc(name))
      .limit(filter.limit)
      .offset(filter.offset),
    typed(reader).select({ total: count() }).from(outgoingIdentity).where(where),
  ]);
  return { rows, total: counted?.total ?? 0 };
}

function conditionOf({ domain, sender, search, locked, only }: IdentityFilter): SQL | undefined {
  const table = outgoingIdentity;
  const isLocked = sql`exists (select 1 from ${outgoingLock} where ${outgoingLock.sender} = ${table.sender} and ${outgoingLock.name} = ${table.name} and ${outgoingLock.active} = 1)`;
  return and(
    only === undefined ? undefined : ne(table.name, ""),
    domain === undefined ? undefined : eq(table.domain, domain),
    sender === undefined ? undefined : eq(table.sender, sender),
    search === undefined || search === ""
      ? undefined
      : sql`(instr(${table.name}, ${search}) > 0 or instr(${table.sender}, ${search}) > 0)`,
    locked === undefined ? undefined : locked ? isLocked : sql`not ${isLocked}`,
  );
}

/** The days of an identity from `since` on, oldest first. */
export function loadDays(
  reader: DatabaseReader,
  { sender, name, since }: { readonly sender: string; readonly name: string; readonly since: string },
): Promise<DayRow[]> {
  return typed(reader)
    .select()
    .from(outgoingDay)
    .where(and(eq(outgoingDay.sender, sender), eq(outgoingDay.name, name), gte(outgoingDay.day, since)))
    .orderBy(asc(outgoingDay.day));
}

/**
 * Deletes what is past its time, in small steps so that no write waits long: days before `day`, identities not seen since `seen`,
 * and the longest unseen of those beyond `most`. Senders themselves stay.
 */
export async function expireIdentities(
  db: DatabaseWriter,
  { day, seen, most }: { readonly day: string; readonly seen: number; readonly most: number },
): Promise<void> {
  const [limit] = await typed(db)
    .select({ lastSeen: outgoingIdentity.lastSeen })
    .from(outgoingIdentity)
    .orderBy(desc(outgoingIdentity.lastSeen))
    .limit(1)
    .offset(most);
  const before = Math.max(seen, limit?.lastSeen ?? 0);
  const old = sqlBuilder
    .select({ id: sql`rowid` })
    .from(outgoingIdentity)
    .where(and(lt(outgoingIdentity.lastSeen, before), sql`${outgoingIdentity.name} <> ''`))
    .limit(STEP);
  const identities = statement(sqlBuilder.delete(outgoingIdentity).where(sql`rowid in ${old}`));
  const { sender, name, day: dayColumn } = outgoingDay;
  const oldDays = sqlBuilder
    .select({ sender, name, day: dayColumn })
    .from(outgoingDay)
    .where(lt(dayColumn, day))
    .limit(STEP);
  const days = statement(sqlBuilder.delete(outgoingDay).where(sql`(sender, name, day) in ${oldDays}`));
  for (const step of [identities, days]) {
    for (;;) {
      const [changed = 0] = await db.commit([step]);
      if (changed < STEP) break;
    }
  }
}
