// The tables of gatepost.db for typed queries. The SQL under drizzle/gatepost/ makes them, with indexes; a test keeps the two equal.
import { customType, integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";
import type { Outcome } from "../delivery/outcome.ts";
import type { Direction } from "../message/envelope.ts";
import type { Account } from "./accounts.ts";
import type { RecipientState } from "./log-record.ts";

/** Text that compares without regard to ASCII case: mail addresses and logins. */
const caselessText = customType<{ data: string; driverData: string }>({
  dataType: () => "text collate nocase",
});

export const policyItem = sqliteTable(
  "policy_item",
  {
    section: text("section").notNull(),
    key: text("key").notNull(),
    value: text("value", { mode: "json" }).$type<unknown>().notNull(),
    updatedAt: integer("updated_at").notNull(),
    updatedBy: text("updated_by").notNull(),
  },
  (table) => [primaryKey({ columns: [table.section, table.key] })],
);

export const account = sqliteTable("account", {
  id: text("id").primaryKey(),
  login: caselessText("login").notNull(),
  role: text("role").$type<Account["role"]>().notNull(),
  domains: text("domains", { mode: "json" }).$type<readonly string[]>().notNull(),
  passwordHash: text("password_hash").notNull(),
  createdAt: integer("created_at").notNull(),
});

export const consoleSession = sqliteTable("console_session", {
  tokenHash: text("token_hash").primaryKey(),
  accountId: text("account_id").notNull(),
  createdAt: integer("created_at").notNull(),
  expiresAt: integer("expires_at").notNull(),
  ip: text("ip").notNull(),
});

export const apiToken = sqliteTable("api_token", {
  tokenHash: text("token_hash").primaryKey(),
  name: text("name").notNull(),
  scope: text("scope").$type<"read" | "write">().notNull(),
  createdBy: text("created_by").notNull(),
  createdAt: integer("created_at").notNull(),
  /** Of the administrator it ends with. */
  accountId: text("account_id").notNull(),
  /** null: it does not end by itself. */
  expiresAt: integer("expires_at"),
});

export const auditLog = sqliteTable("audit_log", {
  id: integer("id").primaryKey(),
  at: integer("at").notNull(),
  actor: text("actor").notNull(),
  via: text("via").notNull(),
  ip: text("ip"),
  action: text("action").notNull(),
  subject: text("subject").notNull(),
  detail: text("detail").notNull(),
});

/** The narrow side of the message log. `sender` is the reverse-path, "" for `<>`; `header_address` only where it differs. */
export const message = sqliteTable("message", {
  id: text("id").primaryKey(),
  receivedAt: integer("received_at").notNull(),
  clientIp: text("client_ip").notNull(),
  sender: caselessText("sender").notNull(),
  senderDomain: text("sender_domain").notNull(),
  headerFrom: text("header_from").notNull(),
  headerAddress: caselessText("header_address"),
  subject: text("subject").notNull(),
  size: integer("size").notNull(),
  /** Our 4yz or 5yz to the transaction; null: it was taken, or it is older than this column. */
  refusal: text("refusal"),
  /** Of what was refused before any recipient; null: its recipients have states of their own. */
  state: text("state").$type<RecipientState>(),
  /** Why it was refused, where that is not what was answered; null: it is, or it is older than this column. */
  cause: text("cause"),
});

/** `record`: the JSON text of the message event, kept as it came from the outbox. */
export const messageDetail = sqliteTable("message_detail", {
  id: text("id").primaryKey(),
  record: text("record").notNull(),
});

export const messageRecipient = sqliteTable(
  "message_recipient",
  {
    messageId: text("message_id").notNull(),
    n: integer("n").notNull(),
    address: caselessText("address").notNull(),
    domain: text("domain").notNull(),
    rule: text("rule"),
    state: text("state").$type<RecipientState>().notNull(),
    stateAt: integer("state_at").notNull(),
    nextAttemptAt: integer("next_attempt_at"),
    words: text("words").notNull(),
  },
  (table) => [primaryKey({ columns: [table.messageId, table.n] })],
);

export const attempt = sqliteTable(
  "attempt",
  {
    messageId: text("message_id").notNull(),
    id: text("id").notNull(),
    startedAt: integer("started_at").notNull(),
    endedAt: integer("ended_at").notNull(),
    destination: text("destination").notNull(),
    outcomes: text("outcomes", { mode: "json" }).$type<readonly Outcome[]>().notNull(),
    /** The servers of the outcomes, each once; null: none was reached. */
    servers: text("servers"),
  },
  (table) => [primaryKey({ columns: [table.messageId, table.id] })],
);

export const quarantine = sqliteTable("quarantine", {
  id: text("id").primaryKey(),
  messageId: text("message_id").notNull(),
  n: integer("n").notNull(),
  recipient: caselessText("recipient").notNull(),
  recipientDomain: text("recipient_domain").notNull(),
  reversePath: text("reverse_path").notNull(),
  headerFrom: text("header_from").notNull(),
  subject: text("subject").notNull(),
  direction: text("direction").$type<Direction>().notNull(),
  rule: text("rule").notNull(),
  words: text("words").notNull(),
  size: integer("size").notNull(),
  receivedAt: integer("received_at").notNull(),
  expiresAt: integer("expires_at").notNull(),
  state: text("state").$type<"kept" | "released" | "deleted" | "expired">().notNull(),
  bodyHash: text("body_hash"),
  releaseAskedAt: integer("release_asked_at"),
  releaseAskedBy: text("release_asked_by"),
  sender: text("sender").notNull().default(""),
  identity: text("identity").notNull().default(""),
  senderDomain: text("sender_domain").notNull().default(""),
  class: text("class").$type<"rule" | "undeliverable">().notNull().default("rule"),
  server: text("server").notNull().default(""),
  answer: text("answer").notNull().default(""),
  failedAt: integer("failed_at"),
  seenAt: integer("seen_at"),
  writtenFor: text("written_for", { mode: "json" }).$type<readonly string[]>(),
  filedAt: integer("filed_at"),
});
