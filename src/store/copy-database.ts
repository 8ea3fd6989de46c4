// A consistent copy of a database in use, made by a Worker of its own: a long copy delays no write and no other reading.
import type { Log } from "../observe/log.ts";
import { openReader } from "./open-database.ts";

/**
 * Copies the database at `path`, as it stands, into a new file (`VACUUM INTO`). This process must have it open already.
 * Rejects with StoreError when the file exists or cannot be written.
 */
export async function copyDatabase(options: {
  readonly path: string;
  readonly file: string;
  readonly log: Log;
}): Promise<void> {
  const { path, file, log } = options;
  const reader = await openReader({ path, log });
  try {
    // SQLite counts the copy as writing. Nothing else is ever asked of this connection.
    await reader.query({ sql: "pragma query_only = off", params: [] });
    await reader.query({ sql: "vacuum into ?", params: [file] });
  } finally {
    await reader.close();
  }
}
