// A consistent copy of a database in use.
import type { DatabaseReader } from "./database.ts";

/** Copies the database as it stands into a new file (`VACUUM INTO`). Rejects with StoreError when the file exists or cannot be written. */
export async function copyDatabase(database: DatabaseReader, file: string): Promise<void> {
  await database.query({ sql: "vacuum into ?", params: [file] });
}
