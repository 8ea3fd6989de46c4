// The table of confirmed recipients as Drizzle sees it.
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";

export const knownRecipient = sqliteTable("known_recipient", {
  /** As compared: see `addressKey`. `*@domain`: its server takes every address. */
  address: text("address").primaryKey(),
  /** When the mail server said so last. Milliseconds UTC. */
  seenAt: integer("seen_at").notNull(),
});
