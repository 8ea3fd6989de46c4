// Locks of outgoing senders and identities in gatepost.db, and what happened to them. What locks is src/outgoing's business.
import { and, desc, eq, inArray, lt } from "drizzle-orm";
import type { AuditEntry } from "./accounts.ts";
import type { DatabaseReader, DatabaseWriter, Statement } from "./database.ts";
import { deleteSlices, SLICE_ROWS } from "./delete-old.ts";
import { outgoingLock, outgoingLockEvent } from "./outgoing-schema.ts";
import { auditInsert } from "./run-accounts.ts";
import { sqlBuilder, statement, typed } from "./statement.ts";

/** A lock, or with `active` false what is remembered of one that ended by time-out. `name` is "" for the sender itself. */
export interface LockRow {
  readonly sender: string;
  readonly name: string;
  readonly domain: string;
  readonly since: number;
  readonly until: number | null;
  readonly timeouts: number;
  readonly words: string;
  readonly by: string;
  readonly active: boolean;
}

export interface LockEventRow {
  readonly sender: string;
  readonly name: string;
  readonly domain: string;
  readonly at: number;
  readonly what: "locked" | "unlocked" | "timed-out";
  readonly by: string;
  readonly words: string;
  readonly until: number | null;
}

/** All locks and what is remembered of former ones. */
export async function loadLocks(reader: DatabaseReader): Promise<readonly LockRow[]> {
  const rows = await typed(reader).select().from(outgoingLock).orderBy(outgoingLock.since);
  return rows.map((row) => ({ ...row, active: row.active === 1 }));
}

/** Keeps the lock as it is now. */
export function lockUpsert(row: LockRow): Statement {
  const { sender, name, active, ...rest } = row;
  const fields = { ...rest, active: active ? 1 : 0 };
  return statement(
    sqlBuilder
      .insert(outgoingLock)
      .values({ sender, name, ...fields })
      .onConflictDoUpdate({ target: [outgoingLock.sender, outgoingLock.name], set: fields }),
  );
}

/** Forgets the lock and its count of time-outs. */
export function lockDelete({ sender, name }: Pick<LockRow, "sender" | "name">): Statement {
  return statement(
    sqlBuilder.delete(outgoingLock).where(and(eq(outgoingLock.sender, sender), eq(outgoingLock.name, name))),
  );
}

/** The event with its entry in the audit log. */
export function lockEventStatements(event: LockEventRow, audit: AuditEntry): Statement[] {
  return [statement(sqlBuilder.insert(outgoingLockEvent).values(event)), statement(auditInsert(audit))];
}

/** What happened to the lock of one identity, newest first. */
export function loadLockEvents(
  reader: DatabaseReader,
  { sender, name, limit }: { readonly sender: string; readonly name: string; readonly limit: number },
): Promise<LockEventRow[]> {
  const { id, ...columns } = {
    id: outgoingLockEvent.id,
    sender: outgoingLockEvent.sender,
    name: outgoingLockEvent.name,
    domain: outgoingLockEvent.domain,
    at: outgoingLockEvent.at,
    what: outgoingLockEvent.what,
    by: outgoingLockEvent.by,
    words: outgoingLockEvent.words,
    until: outgoingLockEvent.until,
  };
  return typed(reader)
    .select(columns)
    .from(outgoingLockEvent)
    .where(and(eq(outgoingLockEvent.sender, sender), eq(outgoingLockEvent.name, name)))
    .orderBy(desc(outgoingLockEvent.at), desc(id))
    .limit(limit);
}

/** Deletes events before `at`. */
export async function expireLockEvents(db: DatabaseWriter, at: number): Promise<void> {
  const { id } = outgoingLockEvent;
  const old = sqlBuilder
    .select({ id })
    .from(outgoingLockEvent)
    .where(lt(outgoingLockEvent.at, at))
    .limit(SLICE_ROWS);
  await deleteSlices(db, statement(sqlBuilder.delete(outgoingLockEvent).where(inArray(id, old))));
}
