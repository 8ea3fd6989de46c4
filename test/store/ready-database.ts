// Databases of the tests that are not about migrations: migrated once in each process, by the real store; each test gets a copy of the
// file, which is opened as any database that is up to date.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { silentLog } from "../../src/observe/log.ts";
import type { Migration } from "../../src/store/migration.ts";
import { openDatabase } from "../../src/store/open-database.ts";

const files = new Map<readonly Migration[], Promise<Uint8Array>>();

/** Puts a database with these migrations at the path, unless one is there. Its id is that of every other one with them in this process. */
export async function readyDatabase(path: string, migrations: readonly Migration[]): Promise<void> {
  let file = files.get(migrations);
  if (file === undefined) {
    file = migrated(migrations);
    files.set(migrations, file);
  }
  const bytes = await file;
  // Where there is no folder the store itself says so.
  if (!existsSync(path) && existsSync(dirname(path))) writeFileSync(path, bytes);
}

async function migrated(migrations: readonly Migration[]): Promise<Uint8Array> {
  const directory = mkdtempSync(join(tmpdir(), "gatepost-ready-"));
  try {
    const path = join(directory, "ready.db");
    const database = await openDatabase({ path, migrations, log: silentLog, onBroken() {} });
    await database.close();
    return new Uint8Array(readFileSync(path));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
