// Recipients that are settled and of whom the sender is still to be told: every read and write of that table. Runs nothing itself.
import { sql } from "drizzle-orm";
import type { DatabaseReader, Statement } from "./database.ts";
import {
  type EntryKey,
  type PendingRecipient,
  type SpooledMessage,
  type UnreportedEntry,
  withoutLogin,
} from "./spool-entry.ts";
import { messageColumns, messageOf, text } from "./spool-reading.ts";
import { message, recipient, unreported } from "./spool-schema.ts";
import { keysJson, namedRows } from "./spool-writing.ts";
import { prepare, sqlBuilder, statement } from "./statement.ts";

const p = sql.placeholder;
const pendingOfMessage = prepare<{ seq: number }>(
  sqlBuilder
    .select({
      n: recipient.n,
      state: recipient.state,
      nextAttemptAt: recipient.nextAttemptAt,
      destinationKey: recipient.destinationKey,
    })
    .from(recipient)
    .where(sql`"message_seq" = ${p("seq")} and "state" in ('active', 'queued')`),
);
const unreportedOfMessage = prepare<{ seq: number }>(
  sqlBuilder
    .select({ failedAt: unreported.failedAt, entry: unreported.entry })
    .from(unreported)
    .where(sql`"message_seq" = ${p("seq")}`)
    .orderBy(unreported.n),
);
const unreportedMessages = statement(
  sqlBuilder
    .select({ ...messageColumns, failedAt: sql`min("unreported"."failed_at")` })
    .from(unreported)
    .innerJoin(message, sql`"message"."seq" = "unreported"."message_seq"`)
    .groupBy(message.seq),
);
const insertUnreportedRow = prepare<{ seq: number; n: number; failedAt: number; entry: string }>(
  sqlBuilder
    .insert(unreported)
    .values({ messageSeq: p("seq"), n: p("n"), failedAt: p("failedAt"), entry: p("entry") }),
);
const deleteUnreported = prepare<{ keys: string }>(sqlBuilder.delete(unreported).where(namedRows));

/** Reading them. */
export interface UnreportedReader {
  /** Recipients of a message that are being tried or wait for a try. */
  pendingOf(seq: number): Promise<readonly PendingRecipient[]>;
  /** Recipients of a message of whom its sender is still to be told. */
  unreportedOf(seq: number): Promise<readonly UnreportedEntry[]>;
  /** Messages with such recipients, and when the first of them failed. */
  unreported(): Promise<readonly { readonly message: SpooledMessage; readonly failedAt: number }[]>;
}

/** The reads over a database handle. */
export function unreportedReader(database: DatabaseReader): UnreportedReader {
  return {
    async pendingOf(seq) {
      const rows = await database.query(pendingOfMessage({ seq }));
      return rows.map((row) => ({
        n: Number(row[0]),
        state: row[1] === "active" ? "active" : "queued",
        nextAttemptAt: Number(row[2]),
        destinationKey: text(row[3]),
      }));
    },
    async unreportedOf(seq) {
      const rows = await database.query(unreportedOfMessage({ seq }));
      return rows.map((row) => ({ ...JSON.parse(text(row[1])), failedAt: Number(row[0]) }));
    },
    async unreported() {
      const rows = await database.query(unreportedMessages);
      return rows.map((row) => ({ message: messageOf(row), failedAt: Number(row[6]) }));
    },
  };
}

/** The sender is still to be told of a recipient that is settled. */
export function insertUnreported(
  seq: number,
  { recipient: entry, outcome, stopped, failedAt }: UnreportedEntry,
): Statement {
  return insertUnreportedRow({
    seq,
    n: entry.n,
    failedAt,
    entry: JSON.stringify({ recipient: { ...entry, detail: withoutLogin(entry.detail) }, outcome, stopped }),
  });
}

/** The sender was told of them. */
export function removeUnreported(keys: readonly EntryKey[]): Statement {
  return deleteUnreported({ keys: keysJson(keys) });
}
