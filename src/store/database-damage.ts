// Is a database damaged anywhere, not in its header alone? Reads all of it, while nobody has it open.
import type { Log } from "../observe/log.ts";
import { StoreError } from "./database.ts";
import { openReader } from "./open-database.ts";

/**
 * What is damaged in the database at `path`, in SQLite's words; null when nothing is. The usual look takes about the time of reading the
 * file; `thorough` compares the indexes with their tables as well. Rejects with StoreError when it cannot be told.
 * https://www.sqlite.org/pragma.html#pragma_quick_check
 */
export async function databaseDamage(
  path: string,
  { log, thorough }: { readonly log: Log; readonly thorough: boolean },
): Promise<string | null> {
  try {
    const reader = await openReader({ path, log });
    try {
      const check = thorough ? "integrity_check" : "quick_check";
      const [row] = await reader.query({ sql: `PRAGMA ${check}(1)`, params: [] });
      const words = String(row?.[0] ?? "ok");
      return words === "ok" ? null : words.split("\n").slice(0, 2).join(" ").replace(/\*+/g, "").trim();
    } finally {
      await reader.close();
    }
  } catch (error) {
    if (error instanceof StoreError && error.damage !== null) return error.damage;
    throw error;
  }
}
