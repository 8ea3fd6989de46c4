// The tables of spool.db as Drizzle sees them. `drizzle/spool/` holds the SQL that makes them; a test compares the two.
import { customType, integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";

// Drizzle's own blob column copies into a Buffer; bodies go to the Worker as they are.
const bytes = customType<{ data: Uint8Array; driverData: Uint8Array }>({ dataType: () => "blob" });

/** A message with at least one recipient that is not settled. `seq` is its place in this spool, `id` its public name. */
export const message = sqliteTable("message", {
  seq: integer("seq").primaryKey(),
  id: text("id").notNull(),
  receivedAt: integer("received_at").notNull(),
  size: integer("size").notNull(),
  /** JSON of `SpooledEnvelope`. */
  envelope: text("envelope").notNull(),
  /** Name of the file that holds the body, or null when it is in `body`. */
  bodyFile: text("body_file"),
  body: bytes("body"),
  /** CRC-32 of `body` as it was written; null: not known. */
  bodySum: integer("body_sum"),
});

/** One recipient that is not settled. */
export const recipient = sqliteTable(
  "recipient",
  {
    messageSeq: integer("message_seq").notNull(),
    n: integer("n").notNull(),
    state: text("state", { enum: ["queued", "active", "held", "quarantine"] }).notNull(),
    address: text("address").notNull(),
    destinationKey: text("destination_key").notNull(),
    /** JSON of `RecipientDetail`. */
    detail: text("detail").notNull(),
    nextAttemptAt: integer("next_attempt_at").notNull(),
    tries: integer("tries").notNull(),
    /** The delay notice is due then; equal to `expiresAt` when it was sent or none is wanted. */
    deadlineAt: integer("deadline_at").notNull(),
    expiresAt: integer("expires_at").notNull(),
    /** Of an active row, what it was taken for (`Taken`): when dialling began, 0 for a change without dialling, null for a hold. */
    attemptStartedAt: integer("attempt_started_at"),
    /** JSON of `Outcome`. */
    lastOutcome: text("last_outcome"),
    /** 1: it waits for its server (`SpooledRecipient.awaitsServer`). */
    awaitsServer: integer("awaits_server").notNull().default(0),
    /** For whom it counts where places are shared; empty: nobody in particular. */
    share: text("share").notNull().default(""),
  },
  (table) => [primaryKey({ columns: [table.messageSeq, table.n] })],
);

/** A message of which a copy is still to be filed in the archive; it stays as long as it stands here. */
export const archiveCopy = sqliteTable("archive_copy", {
  messageSeq: integer("message_seq").primaryKey(),
  /** JSON of `ArchiveDetail`. */
  detail: text("detail").notNull(),
});

/** A settled recipient of whom the sender is still to be told; its message stays as long as it stands here. */
export const unreported = sqliteTable(
  "unreported",
  {
    messageSeq: integer("message_seq").notNull(),
    n: integer("n").notNull(),
    failedAt: integer("failed_at").notNull(),
    /** JSON of `UnreportedDetail`. */
    entry: text("entry").notNull(),
  },
  (table) => [primaryKey({ columns: [table.messageSeq, table.n] })],
);

/** How many recipients wait in a state. Kept by triggers; nobody else writes it. */
export const waiting = sqliteTable("waiting", {
  state: text("state", { enum: ["queued", "held"] }).primaryKey(),
  recipients: integer("recipients").notNull(),
});

/** A destination that backs off as a whole. */
export const unreachable = sqliteTable("unreachable", {
  destinationKey: text("destination_key").primaryKey(),
  failures: integer("failures").notNull(),
  nextProbeAt: integer("next_probe_at").notNull(),
  /** JSON of `Outcome`. */
  outcome: text("outcome").notNull(),
});

/** A quarantine item that was taken back into the queue. */
export const released = sqliteTable("released", {
  id: text("id").primaryKey(),
  releasedAt: integer("released_at").notNull(),
});

/** Events for the message log. `payload` is the JSON of `LogEvent[]`. */
export const outbox = sqliteTable("outbox", {
  seq: integer("seq").primaryKey(),
  payload: text("payload").notNull(),
});
