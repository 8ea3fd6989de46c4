// Every write to spool.db as a statement. The queue puts statements together to units; nothing here runs one.
// Conditions on `state` are literals: SQLite uses a partial index only when it sees its condition in the text.
import { type SQL, sql } from "drizzle-orm";
import type { Outcome } from "../delivery/outcome.ts";
import type { Destination } from "../delivery/route.ts";
import type { Statement } from "./database.ts";
import {
  type ArchiveDetail,
  type EntryKey,
  NOT_DIALLED,
  type RecipientDetail,
  type SpooledMessage,
  type SpooledRecipient,
  type Taken,
  type UnreachableDestination,
  withoutLogin,
} from "./spool-entry.ts";
import { archiveCopy, message, outbox, recipient, released, unreachable } from "./spool-schema.ts";
import { prepare, sqlBuilder } from "./statement.ts";

const p = sql.placeholder;
/** Rows named by a JSON list of [seq, n]; one statement for any number of rows. */
export const namedRows = sql`("message_seq", "n") in (select json_extract(value, '$[0]'), json_extract(value, '$[1]') from json_each(${p("keys")}))`;

const insertMessageRow = prepare<{
  seq: number;
  id: string;
  receivedAt: number;
  size: number;
  envelope: string;
  bodyFile: string | null;
  body: Uint8Array | null;
  bodySum: number | null;
}>(
  sqlBuilder.insert(message).values({
    seq: p("seq"),
    id: p("id"),
    receivedAt: p("receivedAt"),
    size: p("size"),
    envelope: p("envelope"),
    bodyFile: p("bodyFile"),
    body: p("body"),
    bodySum: p("bodySum"),
  }),
);
const insertRecipientRow = prepare<{
  messageSeq: number;
  n: number;
  state: string;
  address: string;
  destinationKey: string;
  detail: string;
  nextAttemptAt: number;
  tries: number;
  deadlineAt: number;
  expiresAt: number;
  attemptStartedAt: number | null;
  lastOutcome: string | null;
  awaitsServer: number;
  share: string;
}>(
  sqlBuilder.insert(recipient).values({
    messageSeq: p("messageSeq"),
    n: p("n"),
    state: p("state"),
    address: p("address"),
    destinationKey: p("destinationKey"),
    detail: p("detail"),
    nextAttemptAt: p("nextAttemptAt"),
    tries: p("tries"),
    deadlineAt: p("deadlineAt"),
    expiresAt: p("expiresAt"),
    attemptStartedAt: p("attemptStartedAt"),
    lastOutcome: p("lastOutcome"),
    awaitsServer: p("awaitsServer"),
    share: p("share"),
  }),
);
const insertOutboxRow = prepare<{ seq: number; payload: string }>(
  sqlBuilder.insert(outbox).values({ seq: p("seq"), payload: p("payload") }),
);
const deleteOutboxRows = prepare<{ seq: number }>(sqlBuilder.delete(outbox).where(sql`"seq" <= ${p("seq")}`));
/** All the named rows or none: a scalar subquery is answered before the first row is changed. */
function seizing(states: SQL) {
  return prepare<{ keys: string; at: number; count: number }>(
    sqlBuilder
      .update(recipient)
      .set({ state: "active", attemptStartedAt: sql`case "state" when 'queued' then ${p("at")} end` })
      .where(
        sql`${namedRows} and (select count(*) from "recipient" where ${namedRows} and "state" in (${states})) = ${p("count")}`,
      ),
  );
}
const seizeQueued = seizing(sql`'queued'`);
const seizeWaiting = seizing(sql`'queued', 'held'`);
const seizeSettled = seizing(sql`'queued', 'held', 'quarantine'`);
const noteTakenRows = prepare<{ keys: string; at: number | null }>(
  sqlBuilder
    .update(recipient)
    .set({ attemptStartedAt: sql`${p("at")}` })
    .where(sql`${namedRows} and "state" = 'active'`),
);
const giveBackRows = prepare<{ keys: string }>(
  sqlBuilder
    .update(recipient)
    .set({ state: "queued", attemptStartedAt: sql`null` })
    .where(sql`${namedRows} and "state" = 'active'`),
);
const deleteRecipients = prepare<{ keys: string }>(sqlBuilder.delete(recipient).where(namedRows));
const deleteSettledMessages = prepare<{ seqs: string }>(
  sqlBuilder.delete(message).where(
    sql`"seq" in (select value from json_each(${p("seqs")}))
        and not exists (select 1 from "recipient" where "message_seq" = "message"."seq")
        and not exists (select 1 from "archive_copy" where "message_seq" = "message"."seq")
        and not exists (select 1 from "unreported" where "message_seq" = "message"."seq")`,
  ),
);
const insertArchiveCopyRow = prepare<{ seq: number; detail: string }>(
  sqlBuilder.insert(archiveCopy).values({ messageSeq: p("seq"), detail: p("detail") }),
);
const deleteArchiveCopies = prepare<{ seqs: string }>(
  sqlBuilder.delete(archiveCopy).where(sql`"message_seq" in (select value from json_each(${p("seqs")}))`),
);
const putBackRow = prepare<{
  seq: number;
  n: number;
  state: string;
  nextAttemptAt: number;
  tries: number;
  deadlineAt: number;
  expiresAt: number;
  lastOutcome: string | null;
  awaitsServer: number;
}>(
  sqlBuilder
    .update(recipient)
    .set({
      state: sql`${p("state")}`,
      nextAttemptAt: sql`${p("nextAttemptAt")}`,
      tries: sql`${p("tries")}`,
      deadlineAt: sql`max("deadline_at", ${p("deadlineAt")})`,
      expiresAt: sql`${p("expiresAt")}`,
      lastOutcome: sql`${p("lastOutcome")}`,
      awaitsServer: sql`${p("awaitsServer")}`,
      attemptStartedAt: sql`null`,
    })
    .where(sql`"message_seq" = ${p("seq")} and "n" = ${p("n")}`),
);
const redirectRow = prepare<{ seq: number; n: number; destinationKey: string; detail: string }>(
  sqlBuilder
    .update(recipient)
    .set({ destinationKey: sql`${p("destinationKey")}`, detail: sql`${p("detail")}` })
    .where(sql`"message_seq" = ${p("seq")} and "n" = ${p("n")}`),
);
const hurryRows = prepare<{ keys: string; at: number }>(
  sqlBuilder
    .update(recipient)
    .set({ nextAttemptAt: sql`${p("at")}` })
    .where(sql`${namedRows} and "state" = 'queued'`),
);
/** The index is read to its limit and no further: what was made due is not in it any more. */
const hurryAwaitingRows = prepare<{ key: string; limit: number }>(
  sqlBuilder
    .update(recipient)
    .set({
      nextAttemptAt: sql`(select "received_at" from "message" where "seq" = "message_seq")`,
      awaitsServer: sql`0`,
    })
    .where(
      sql`("message_seq", "n") in (select "message_seq", "n" from "recipient"
        where "state" = 'queued' and "awaits_server" = 1 and "destination_key" = ${p("key")}
        order by "message_seq", "n" limit ${p("limit")})`,
    ),
);
const putUnreachable = prepare<{ key: string; failures: number; nextProbeAt: number; outcome: string }>(
  sqlBuilder
    .insert(unreachable)
    .values({
      destinationKey: p("key"),
      failures: p("failures"),
      nextProbeAt: p("nextProbeAt"),
      outcome: p("outcome"),
    })
    .onConflictDoUpdate({
      target: unreachable.destinationKey,
      set: {
        failures: sql`excluded.failures`,
        nextProbeAt: sql`excluded.next_probe_at`,
        outcome: sql`excluded.outcome`,
      },
    }),
);
const deleteUnreachable = prepare<{ key: string }>(
  sqlBuilder.delete(unreachable).where(sql`"destination_key" = ${p("key")}`),
);
const setAsideRow = prepare<{
  seq: number;
  n: number;
  detail: string;
  tries: number;
  lastOutcome: string | null;
}>(
  sqlBuilder
    .update(recipient)
    .set({
      state: "quarantine",
      detail: sql`${p("detail")}`,
      tries: sql`${p("tries")}`,
      lastOutcome: sql`${p("lastOutcome")}`,
      attemptStartedAt: sql`null`,
    })
    .where(sql`"message_seq" = ${p("seq")} and "n" = ${p("n")}`),
);
const insertReleased = prepare<{ id: string; releasedAt: number }>(
  sqlBuilder.insert(released).values({ id: p("id"), releasedAt: p("releasedAt") }),
);
const deleteReleased = prepare<{ before: number }>(
  sqlBuilder.delete(released).where(sql`"released_at" < ${p("before")}`),
);

export function keysJson(keys: readonly EntryKey[]): string {
  let json = "[";
  for (const [index, key] of keys.entries()) json += `${index === 0 ? "" : ","}[${key.seq},${key.n}]`;
  return `${json}]`;
}

/** The sum that stands beside a body in its row. Against a failing disk, not against people; a few µs for the largest. */
export function bodySum(body: Uint8Array): number {
  return Bun.hash.crc32(body);
}

/** `body` is null when it is in the file that `message.bodyFile` names. */
export function insertMessage(spooled: SpooledMessage, body: Uint8Array | null): Statement {
  return insertMessageRow({
    seq: spooled.seq,
    id: spooled.id,
    receivedAt: spooled.receivedAt,
    size: spooled.size,
    envelope: JSON.stringify(spooled.envelope),
    bodyFile: spooled.bodyFile,
    body,
    bodySum: body === null ? null : bodySum(body),
  });
}

/** `attemptStartedAt` for a recipient that is dialled right after the commit; its state is "active" then. */
export function insertRecipient(
  seq: number,
  entry: SpooledRecipient,
  attemptStartedAt: number | null,
): Statement {
  return insertRecipientRow({
    messageSeq: seq,
    n: entry.n,
    state: entry.state,
    address: entry.address,
    destinationKey: entry.detail.destination.key,
    detail: JSON.stringify(withoutLogin(entry.detail)),
    nextAttemptAt: entry.nextAttemptAt,
    tries: entry.tries,
    deadlineAt: entry.deadlineAt,
    expiresAt: entry.expiresAt,
    attemptStartedAt,
    lastOutcome: entry.lastOutcome === null ? null : JSON.stringify(entry.lastOutcome),
    awaitsServer: entry.awaitsServer === true ? 1 : 0,
    share: entry.share ?? "",
  });
}

/** `payload` is the JSON of the unit's events. */
export function insertOutbox(seq: number, payload: string): Statement {
  return insertOutboxRow({ seq, payload });
}

/** Forgets the events up to `seq`, which the message log has. */
export function forgetOutbox(seq: number): Statement {
  return deleteOutboxRows({ seq });
}

/** Which rows may be taken: for an attempt or the end of its time, for a change, to be dropped. */
export type SeizeFrom = "queued" | "queued or held" | "any waiting";

/**
 * Marks rows as taken by this process: "active", with the time of an attempt (recorded before dialling) or NOT_DIALLED.
 * Changes no row when somebody else took, held or settled one of them in the meantime.
 */
export function seize(keys: readonly EntryKey[], at: number, from: SeizeFrom): Statement {
  const values = { keys: keysJson(keys), at, count: keys.length };
  switch (from) {
    case "queued":
      return seizeQueued(values);
    case "queued or held":
      return seizeWaiting(values);
    case "any waiting":
      return seizeSettled(values);
  }
}

/** Changes what taken rows were taken for. */
export function noteTaken(keys: readonly EntryKey[], taken: Taken): Statement {
  const at = taken.for === "attempt" ? taken.at : taken.for === "change" ? NOT_DIALLED : null;
  return noteTakenRows({ keys: keysJson(keys), at });
}

/** Undoes `seize` for rows with which nothing was done. */
export function giveBack(keys: readonly EntryKey[]): Statement {
  return giveBackRows({ keys: keysJson(keys) });
}

/** Removes settled recipients. */
export function removeRecipients(keys: readonly EntryKey[]): Statement {
  return deleteRecipients({ keys: keysJson(keys) });
}

/** Wants a copy of the message filed in the archive; the message stays until that is done. */
export function insertArchiveCopy(seq: number, detail: ArchiveDetail): Statement {
  return insertArchiveCopyRow({ seq, detail: JSON.stringify(detail) });
}

/** The copies of these messages are filed. */
export function removeArchiveCopies(seqs: readonly number[]): Statement {
  return deleteArchiveCopies({ seqs: JSON.stringify(seqs) });
}

/** Removes those of the messages that have no recipient left, no copy to file and nothing that the sender is still to be told of. */
export function removeSettledMessages(seqs: readonly number[]): Statement {
  return deleteSettledMessages({ seqs: JSON.stringify(seqs) });
}

/** Writes a recipient back after an attempt: it waits, or is held. A later deadline stays: its delay was told meanwhile. */
export function putBack(seq: number, entry: SpooledRecipient): Statement {
  return putBackRow({
    seq,
    n: entry.n,
    state: entry.state,
    nextAttemptAt: entry.nextAttemptAt,
    tries: entry.tries,
    deadlineAt: entry.deadlineAt,
    expiresAt: entry.expiresAt,
    lastOutcome: entry.lastOutcome === null ? null : JSON.stringify(entry.lastOutcome),
    awaitsServer: entry.awaitsServer === true ? 1 : 0,
  });
}

/** A recipient that is taken goes to the quarantine, as its detail says: the filer does the rest. */
export function setAside(seq: number, entry: SpooledRecipient): Statement {
  return setAsideRow({
    seq,
    n: entry.n,
    detail: JSON.stringify(withoutLogin(entry.detail)),
    tries: entry.tries,
    lastOutcome: entry.lastOutcome === null ? null : JSON.stringify(entry.lastOutcome),
  });
}

/** Gives a waiting recipient another destination, after routes were changed. */
export function changeDestination(key: EntryKey, detail: RecipientDetail): Statement {
  return redirectRow({
    seq: key.seq,
    n: key.n,
    destinationKey: detail.destination.key,
    detail: JSON.stringify(withoutLogin(detail)),
  });
}

/** Makes waiting rows due at `at`. */
export function hurry(keys: readonly EntryKey[], at: number): Statement {
  return hurryRows({ keys: keysJson(keys), at });
}

/** Remembers that a destination backs off as a whole. */
export function rememberUnreachable(entry: UnreachableDestination): Statement {
  return putUnreachable({
    key: entry.key,
    failures: entry.failures,
    nextProbeAt: entry.nextProbeAt,
    outcome: JSON.stringify(entry.outcome satisfies Outcome),
  });
}

/** The destination answers again, or nothing waits for it any more. */
export function forgetUnreachable(key: Destination["key"]): Statement {
  return deleteUnreachable({ key });
}

/** Remembers a released quarantine item. Contradicts the data (StoreError "constraint") when it was released before. */
export function rememberReleased(id: string, releasedAt: number): Statement {
  return insertReleased({ id, releasedAt });
}

/** Forgets releases from before that time. */
export function forgetReleased(before: number): Statement {
  return deleteReleased({ before });
}

/** A destination answers again: what waits for its server is due, the oldest first, at most `limit` rows. */
export function hurryAwaiting(key: string, limit: number): Statement {
  return hurryAwaitingRows({ key, limit });
}
