// Every read of spool.db: named queries, and the way from rows to entries.
import { sql } from "drizzle-orm";
import { type DatabaseReader, type SqlRow, type SqlValue, StoreError } from "./database.ts";
import {
  type ArchiveEntry,
  NOT_DIALLED,
  type RecipientDetail,
  type SpooledEntry,
  type SpooledMessage,
  type SpooledState,
  type Taken,
  type UnreachableDestination,
} from "./spool-entry.ts";
import { archiveCopy, message, outbox, recipient, released, unreachable, waiting } from "./spool-schema.ts";
import { type ShareReader, shareReader } from "./spool-shares.ts";
import { bodySum } from "./spool-writing.ts";
import { prepare, sqlBuilder, sqlStatement, statement } from "./statement.ts";

const p = sql.placeholder;
export const messageColumns = {
  seq: message.seq,
  id: message.id,
  receivedAt: message.receivedAt,
  size: message.size,
  envelope: message.envelope,
  bodyFile: message.bodyFile,
} as const;
const entryColumns = {
  ...messageColumns,
  n: recipient.n,
  state: recipient.state,
  address: recipient.address,
  detail: recipient.detail,
  nextAttemptAt: recipient.nextAttemptAt,
  tries: recipient.tries,
  deadlineAt: recipient.deadlineAt,
  expiresAt: recipient.expiresAt,
  lastOutcome: recipient.lastOutcome,
  awaitsServer: recipient.awaitsServer,
  share: recipient.share,
} as const;
const ofMessage = sql`"message"."seq" = "recipient"."message_seq"`;

function entriesWhere(where: ReturnType<typeof sql>) {
  return sqlBuilder
    .select(entryColumns)
    .from(recipient)
    .innerJoin(message, ofMessage)
    .where(where)
    .$dynamic();
}

const dueEntries = prepare<{ key: string; limit: number; maxSize: number }>(
  entriesWhere(
    sql`"recipient"."state" = 'queued' and "recipient"."destination_key" = ${p("key")} and "message"."size" <= ${p("maxSize")}`,
  )
    .orderBy(sql`"recipient"."next_attempt_at"`)
    .limit(sql.placeholder("limit")),
);
const dueOfShare = prepare<{ key: string; share: string; limit: number; maxSize: number }>(
  entriesWhere(
    sql`"recipient"."state" = 'queued' and "recipient"."destination_key" = ${p("key")} and "recipient"."share" = ${p("share")} and "message"."size" <= ${p("maxSize")}`,
  )
    .orderBy(sql`"recipient"."next_attempt_at"`)
    .limit(sql.placeholder("limit")),
);
const deadlineEntries = prepare<{ until: number; limit: number }>(
  entriesWhere(sql`"recipient"."state" = 'queued' and "recipient"."deadline_at" <= ${p("until")}`)
    .orderBy(sql`"recipient"."deadline_at"`)
    .limit(sql.placeholder("limit")),
);
const quarantineEntries = prepare<{ after: number; limit: number }>(
  entriesWhere(sql`"recipient"."state" = 'quarantine' and "recipient"."message_seq" > ${p("after")}`)
    .orderBy(sql`"recipient"."message_seq"`)
    .limit(sql.placeholder("limit")),
);
const archiveEntries = prepare<{ after: number; limit: number }>(
  sqlBuilder
    .select({ ...messageColumns, detail: archiveCopy.detail })
    .from(archiveCopy)
    .innerJoin(message, sql`"message"."seq" = "archive_copy"."message_seq"`)
    .where(sql`"archive_copy"."message_seq" > ${p("after")}`)
    .orderBy(sql`"archive_copy"."message_seq"`)
    .limit(sql.placeholder("limit")),
);
const entriesOfMessage = prepare<{ id: string }>(
  entriesWhere(sql`"message"."id" = ${p("id")}`).orderBy(sql`"recipient"."message_seq", "recipient"."n"`),
);
const entriesAfter = prepare<{ seq: number; n: number; limit: number }>(
  entriesWhere(sql`("recipient"."message_seq", "recipient"."n") > (${p("seq")}, ${p("n")})`)
    .orderBy(sql`"recipient"."message_seq", "recipient"."n"`)
    .limit(sql.placeholder("limit")),
);
const entriesPage = prepare<{ limit: number; offset: number }>(
  entriesWhere(sql`true`)
    .orderBy(sql`"recipient"."message_seq", "recipient"."n"`)
    .limit(sql.placeholder("limit"))
    .offset(sql.placeholder("offset")),
);
const bodyOf = prepare<{ seq: number; maxBytes: number }>(
  sqlBuilder
    .select({
      body: sql`substr("body", 1, ${p("maxBytes")})`,
      length: sql`length("body")`,
      sum: message.bodySum,
    })
    .from(message)
    .where(sql`"seq" = ${p("seq")}`),
);
const waitingDestinations = statement(
  sqlBuilder
    .select({ key: recipient.destinationKey, next: sql`min("next_attempt_at")` })
    .from(recipient)
    .where(sql`"state" = 'queued'`)
    .groupBy(recipient.destinationKey),
);
const interrupted = statement(
  sqlBuilder
    .select({ ...entryColumns, attemptStartedAt: recipient.attemptStartedAt })
    .from(recipient)
    .innerJoin(message, ofMessage)
    .where(sql`"recipient"."state" = 'active'`),
);
const messageSeq = prepare<{ seq: number }>(
  sqlBuilder
    .select({ seq: message.seq })
    .from(message)
    .where(sql`"seq" = ${p("seq")}`),
);
const madeAt = sqlStatement(sql`select min("applied_at") from "migration"`);
const unreachableDestinations = statement(
  sqlBuilder
    .select({
      key: unreachable.destinationKey,
      failures: unreachable.failures,
      nextProbeAt: unreachable.nextProbeAt,
      outcome: unreachable.outcome,
    })
    .from(unreachable),
);
const outboxAfter = prepare<{ after: number; before: number; limit: number }>(
  sqlBuilder
    .select({ seq: outbox.seq, payload: outbox.payload })
    .from(outbox)
    .where(sql`"seq" > ${p("after")} and "seq" < ${p("before")}`)
    .orderBy(outbox.seq)
    .limit(sql.placeholder("limit")),
);
const outboxLengths = prepare<{ after: number; before: number; limit: number }>(
  sqlBuilder
    .select({ seq: outbox.seq, characters: sql`length("payload")` })
    .from(outbox)
    .where(sql`"seq" > ${p("after")} and "seq" < ${p("before")}`)
    .orderBy(outbox.seq)
    .limit(sql.placeholder("limit")),
);
const lastSeqs = statement(
  sqlBuilder
    .select({
      message: sql`(select max("seq") from "message")`,
      outbox: sql`(select max("seq") from "outbox")`,
    })
    .from(sql`(select 1)`),
);
const bodyFiles = statement(
  sqlBuilder.select({ file: message.bodyFile }).from(message).where(sql`"body_file" is not null`),
);
const waitingCounts = statement(
  sqlBuilder.select({ state: waiting.state, recipients: waiting.recipients }).from(waiting),
);
// The first that was taken in: no look at all of them.
const oldestMessage = statement(
  sqlBuilder.select({ receivedAt: message.receivedAt }).from(message).orderBy(message.seq).limit(1),
);
const releasedItem = prepare<{ id: string }>(
  sqlBuilder
    .select({ id: released.id })
    .from(released)
    .where(sql`"id" = ${p("id")}`),
);

/** Reading the spool. Times are milliseconds UTC. */
export interface SpoolReader extends ShareReader {
  /** Waiting recipients of a destination, the earliest due first, also those that are not due yet; with `maxSize` of smaller messages only. */
  waiting(destinationKey: string, limit: number, maxSize?: number | null): Promise<readonly SpooledEntry[]>;
  /** As `waiting`, of one of those. */
  waitingOf(
    destinationKey: string,
    options: { readonly share: string; readonly limit: number; readonly maxSize: number | null },
  ): Promise<readonly SpooledEntry[]>;
  /** Waiting recipients whose delay notice or end of time is due. */
  pastDeadline(until: number, limit: number): Promise<readonly SpooledEntry[]>;
  /** Recipients that are to be filed in the quarantine, of messages after `afterSeq`. */
  toQuarantine(afterSeq: number, limit: number): Promise<readonly SpooledEntry[]>;
  /** Messages after `afterSeq` of which a copy is to be filed in the archive. */
  toArchive(afterSeq: number, limit: number): Promise<readonly ArchiveEntry[]>;
  /** All recipients of a message, in any state. */
  ofMessage(id: string): Promise<readonly SpooledEntry[]>;
  /** A walk over everything: the entries after that one. */
  after(key: { readonly seq: number; readonly n: number }, limit: number): Promise<readonly SpooledEntry[]>;
  page(options: { readonly limit: number; readonly offset: number }): Promise<readonly SpooledEntry[]>;
  /** Destinations with waiting mail and the earliest time something is due there. */
  waitingDestinations(): Promise<readonly { readonly key: string; readonly nextAttemptAt: number }[]>;
  /** Recipients taken by a process; at start these are the ones that a crash interrupted. */
  interrupted(): Promise<readonly TakenEntry[]>;
  unreachable(): Promise<readonly UnreachableDestination[]>;
  /** Events with `afterSeq` < seq < `beforeSeq`, in order; no more rows than `characters` allows, but at least one. */
  events(range: {
    readonly afterSeq: number;
    readonly beforeSeq: number;
    readonly limit: number;
    readonly characters?: number;
  }): Promise<readonly { readonly seq: number; readonly payload: string }[]>;
  /** Recipients that wait or are held, those taken by this process not among them; and when the first message was received. */
  counts(): Promise<{ readonly queued: number; readonly held: number; readonly oldest: number | null }>;
  wasReleased(id: string): Promise<boolean>;
}

/** A recipient marked "active", with what for. */
export interface TakenEntry {
  readonly entry: SpooledEntry;
  readonly taken: Taken;
}

/** The reads of the spool over a database handle. */
export function spoolReader(database: DatabaseReader): SpoolReader {
  const entries = async (query: Parameters<typeof database.query>[0]) =>
    (await database.query(query)).map(entryOf);
  return {
    waiting: (key, limit, maxSize = null) =>
      entries(dueEntries({ key, limit, maxSize: maxSize ?? Number.MAX_SAFE_INTEGER })),
    ...shareReader(database),
    waitingOf: (key, { share, limit, maxSize }) =>
      entries(dueOfShare({ key, share, limit, maxSize: maxSize ?? Number.MAX_SAFE_INTEGER })),
    pastDeadline: (until, limit) => entries(deadlineEntries({ until, limit })),
    toQuarantine: (after, limit) => entries(quarantineEntries({ after, limit })),
    async toArchive(after, limit) {
      const rows = await database.query(archiveEntries({ after, limit }));
      return rows.map((row) => ({ message: messageOf(row), detail: JSON.parse(text(row[6])) }));
    },
    ofMessage: (id) => entries(entriesOfMessage({ id })),
    after: ({ seq, n }, limit) => entries(entriesAfter({ seq, n, limit })),
    page: ({ limit, offset }) => entries(entriesPage({ limit, offset })),
    async waitingDestinations() {
      const rows = await database.query(waitingDestinations);
      return rows.map((row) => ({ key: text(row[0]), nextAttemptAt: Number(row[1]) }));
    },
    async interrupted() {
      const rows = await database.query(interrupted);
      return rows.map((row) => ({ entry: entryOf(row), taken: takenOf(row[17]) }));
    },
    async unreachable() {
      const rows = await database.query(unreachableDestinations);
      return rows.map((row) => ({
        key: text(row[0]),
        failures: Number(row[1]),
        nextProbeAt: Number(row[2]),
        outcome: JSON.parse(text(row[3])),
      }));
    },
    async events({ afterSeq, beforeSeq, limit, characters = Number.POSITIVE_INFINITY }) {
      const range = { after: afterSeq, before: beforeSeq, limit };
      const rows = await database.query(
        outboxAfter({ ...range, limit: fitting(await database.query(outboxLengths(range)), characters) }),
      );
      return rows.map((row) => ({ seq: Number(row[0]), payload: text(row[1]) }));
    },
    async counts() {
      const [states, oldest] = await Promise.all([
        database.query(waitingCounts),
        database.query(oldestMessage),
      ]);
      const byState = new Map(states.map((row) => [text(row[0]), Number(row[1])]));
      const receivedAt = oldest[0]?.[0];
      return {
        queued: byState.get("queued") ?? 0,
        held: byState.get("held") ?? 0,
        oldest: receivedAt === undefined ? null : Number(receivedAt),
      };
    },
    async wasReleased(id) {
      return (await database.query(releasedItem({ id }))).length > 0;
    },
  };
}

/**
 * The body in a message's row, at most its first `maxBytes`; null when the message is gone. Rejects with StoreError, kind "lost", when all of
 * it is asked for and is not what was written.
 */
export async function storedBody(
  database: DatabaseReader,
  seq: number,
  maxBytes: number,
): Promise<Uint8Array | null> {
  const row = (await database.query(bodyOf({ seq, maxBytes })))[0];
  if (row === undefined) return null;
  const [bytes, length, sum] = row;
  if (!(bytes instanceof Uint8Array)) return new Uint8Array(0);
  if (typeof sum !== "number" || bytes.length !== Number(length) || bodySum(bytes) === sum) return bytes;
  throw new StoreError(
    "lost",
    "the row of the message does not hold the body it was written with: spool.db is damaged",
  );
}

/** Is there such a message? */
export async function hasMessage(database: DatabaseReader, seq: number): Promise<boolean> {
  return (await database.query(messageSeq({ seq }))).length > 0;
}

/** The numbers in use, the body files that belong to a message, and when the database was made (milliseconds UTC). */
export async function spoolInventory(database: DatabaseReader): Promise<{
  readonly lastMessageSeq: number;
  readonly lastOutboxSeq: number;
  readonly bodyFiles: ReadonlySet<string>;
  readonly madeAt: number;
}> {
  const [seqs, files, made] = await Promise.all(
    [lastSeqs, bodyFiles, madeAt].map((query) => database.query(query)),
  );
  return {
    madeAt: Number(made?.[0]?.[0] ?? 0),
    lastMessageSeq: Number(seqs?.[0]?.[0] ?? 0),
    lastOutboxSeq: Number(seqs?.[0]?.[1] ?? 0),
    bodyFiles: new Set(files?.map((row) => text(row[0]))),
  };
}

export function messageOf(row: SqlRow): SpooledMessage {
  return {
    seq: Number(row[0]),
    id: text(row[1]),
    receivedAt: Number(row[2]),
    size: Number(row[3]),
    envelope: JSON.parse(text(row[4])),
    bodyFile: typeof row[5] === "string" ? row[5] : null,
  };
}

/** Rows of an older version have no sign order. */
function detailOf(json: string): RecipientDetail {
  const detail: Omit<RecipientDetail, "sign"> & Partial<RecipientDetail> = JSON.parse(json);
  return { ...detail, sign: detail.sign ?? null };
}

function entryOf(row: SqlRow): SpooledEntry {
  const lastOutcome = row[14];
  return {
    message: messageOf(row),
    recipient: {
      n: Number(row[6]),
      state: text(row[7]) as SpooledState,
      address: text(row[8]),
      detail: detailOf(text(row[9])),
      nextAttemptAt: Number(row[10]),
      tries: Number(row[11]),
      deadlineAt: Number(row[12]),
      expiresAt: Number(row[13]),
      lastOutcome: typeof lastOutcome === "string" ? JSON.parse(lastOutcome) : null,
      ...(Number(row[15]) === 1 ? { awaitsServer: true } : {}),
      ...(row[16] === "" ? {} : { share: text(row[16]) }),
    },
  };
}

/** How many of the rows [seq, characters] fit, at least one. */
function fitting(rows: readonly SqlRow[], characters: number): number {
  let total = 0;
  const tooMany = rows.findIndex((row, index) => {
    total += Number(row[1]);
    return index > 0 && total > characters;
  });
  return tooMany < 0 ? rows.length : tooMany;
}

function takenOf(startedAt: SqlValue | undefined): Taken {
  if (startedAt === null || startedAt === undefined) return { for: "hold" };
  const at = Number(startedAt);
  return at === NOT_DIALLED ? { for: "change" } : { for: "attempt", at };
}

export function text(value: SqlValue | undefined): string {
  return typeof value === "string" ? value : String(value ?? "");
}
