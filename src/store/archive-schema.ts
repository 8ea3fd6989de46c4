// The archive's table in gatepost.db as Drizzle sees it. `drizzle/gatepost/0005_archive.sql` makes it; a test compares the two.
import { customType, integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import type { Direction } from "../message/envelope.ts";

const caselessText = customType<{ data: string }>({ dataType: () => "text collate nocase" });

export const archive = sqliteTable("archive", {
  /** The message id: one copy per message. */
  id: text("id").primaryKey(),
  messageId: text("message_id").notNull(),
  domain: text("domain").notNull(),
  sender: caselessText("sender").notNull(),
  reversePath: text("reverse_path").notNull(),
  recipients: text("recipients", { mode: "json" }).$type<readonly string[]>().notNull(),
  subject: text("subject").notNull(),
  headerFrom: text("header_from").notNull(),
  direction: text("direction").$type<Direction>().notNull(),
  receivedAt: integer("received_at").notNull(),
  size: integer("size").notNull(),
  bodyHash: text("body_hash").notNull(),
});
