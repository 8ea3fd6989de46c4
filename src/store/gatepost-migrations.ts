// The migrations of gatepost.db, embedded. A released file is never edited: a change is a new file.
import first from "../../drizzle/gatepost/0001_first.sql" with { type: "text" };
import type { Migration } from "./migration.ts";

export const gatepostMigrations: readonly Migration[] = [{ name: "0001_first", sql: first }];
