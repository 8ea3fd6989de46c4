// The table of DKIM keys for typed queries; drizzle/gatepost/0003_dkim.sql makes it.
import { integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";
import type { DkimKeyRow } from "./dkim-rows.ts";

export const dkimKey = sqliteTable(
  "dkim_key",
  {
    domain: text("domain").notNull(),
    selector: text("selector").notNull(),
    algorithm: text("algorithm").$type<DkimKeyRow["algorithm"]>().notNull(),
    state: text("state").$type<DkimKeyRow["state"]>().notNull(),
    publicKey: text("public_key").notNull(),
    privateKey: text("private_key").notNull(),
    createdAt: integer("created_at").notNull(),
    activatedAt: integer("activated_at"),
    retireAt: integer("retire_at"),
    publicationState: text("publication_state").$type<DkimKeyRow["publicationState"]>().notNull(),
    publicationCheckedAt: integer("publication_checked_at"),
    publicationWords: text("publication_words").notNull(),
  },
  (table) => [primaryKey({ columns: [table.domain, table.selector] })],
);
