// The tables of outgoing control in gatepost.db for typed queries. drizzle/gatepost/0002_outgoing.sql makes them; a test keeps the two equal.
import { customType, integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";

const octets = customType<{ data: Uint8Array; driverData: Uint8Array }>({ dataType: () => "blob" });

export const outgoingIdentity = sqliteTable(
  "outgoing_identity",
  {
    sender: text("sender").notNull(),
    name: text("name").notNull(),
    domain: text("domain").notNull(),
    firstSeen: integer("first_seen").notNull(),
    lastSeen: integer("last_seen").notNull(),
    state: octets("state").notNull(),
  },
  (table) => [primaryKey({ columns: [table.sender, table.name] })],
);

export const outgoingDay = sqliteTable(
  "outgoing_day",
  {
    sender: text("sender").notNull(),
    name: text("name").notNull(),
    day: text("day").notNull(),
    messages: integer("messages").notNull(),
    recipients: integer("recipients").notNull(),
    spam: integer("spam").notNull(),
    refused: integer("refused").notNull(),
  },
  (table) => [primaryKey({ columns: [table.sender, table.name, table.day] })],
);

export const outgoingLock = sqliteTable(
  "outgoing_lock",
  {
    sender: text("sender").notNull(),
    name: text("name").notNull(),
    domain: text("domain").notNull(),
    since: integer("since").notNull(),
    until: integer("until"),
    timeouts: integer("timeouts").notNull(),
    words: text("words").notNull(),
    by: text("by_whom").notNull(),
    active: integer("active").notNull(),
  },
  (table) => [primaryKey({ columns: [table.sender, table.name] })],
);

export const outgoingLockEvent = sqliteTable("outgoing_lock_event", {
  id: integer("id").primaryKey(),
  sender: text("sender").notNull(),
  name: text("name").notNull(),
  domain: text("domain").notNull(),
  at: integer("at").notNull(),
  what: text("what").$type<"locked" | "unlocked" | "timed-out">().notNull(),
  by: text("by_whom").notNull(),
  words: text("words").notNull(),
  until: integer("until"),
});

export const outgoingCorrespondents = sqliteTable("outgoing_correspondents", {
  chunk: integer("chunk").primaryKey(),
  hashes: octets("hashes").notNull(),
});
