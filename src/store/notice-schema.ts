// The tables of 0004_notices.sql for typed queries: one-time links and the memory of notices.
import { integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";
import type { LinkKind } from "./one-time-links.ts";

export const oneTimeLink = sqliteTable("one_time_link", {
  tokenHash: text("token_hash").primaryKey(),
  kind: text("kind").$type<LinkKind>().notNull(),
  subject: text("subject", { mode: "json" }).$type<Readonly<Record<string, string>>>().notNull(),
  createdAt: integer("created_at").notNull(),
  expiresAt: integer("expires_at").notNull(),
  usedAt: integer("used_at"),
});

export const noticeState = sqliteTable(
  "notice_state",
  {
    kind: text("kind").notNull(),
    key: text("key").notNull(),
    value: text("value", { mode: "json" }).$type<unknown>().notNull(),
  },
  (table) => [primaryKey({ columns: [table.kind, table.key] })],
);
