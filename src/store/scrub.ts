// What an earlier version kept in clear and this one does not: rows are mended by migrations, and here the pages in which they were.
// Once for each database, at its first start with a version that does this. Runs inside the Worker that owns the file.
import type { Client } from "@libsql/client/sqlite3";
import { classifyFailure } from "./sqlite-failure.ts";

/** In the header of a database that holds no remains: https://www.sqlite.org/pragma.html#pragma_user_version */
const SCRUBBED = 1;
/** The copy is made in memory; a database that holds more keeps what lies in its unused pages until they are used again. */
const MOST_BYTES = 64 * 1024 * 1024;

/** Is it still to be done? Also told of a new database, for which it is nothing. */
export async function mustScrub(connection: Client): Promise<boolean> {
  return (await numberOf(connection, "user_version")) < SCRUBBED;
}

/**
 * Writes the database anew, so that nothing of deleted and rewritten rows is left in its unused parts, and empties its log. To be called
 * with the log's mark cleared. A disk without room for it is no reason not to start: then the next start tries again.
 */
export async function scrub(connection: Client): Promise<void> {
  const pages = (await numberOf(connection, "page_count")) - (await numberOf(connection, "freelist_count"));
  try {
    if (pages * (await numberOf(connection, "page_size")) <= MOST_BYTES) await connection.execute("VACUUM");
    await connection.execute(`PRAGMA user_version=${SCRUBBED}`);
    await connection.execute("PRAGMA wal_checkpoint(TRUNCATE)");
  } catch (error) {
    if (classifyFailure(error) !== "disk-full") throw error;
  }
}

async function numberOf(connection: Client, pragma: string): Promise<number> {
  return Number((await connection.execute(`PRAGMA ${pragma}`)).rows[0]?.[0] ?? 0);
}
