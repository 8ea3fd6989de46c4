// A consistent copy of everything while the gateway runs. Order matters: bodies are written before the rows that name them, so
// the databases are copied first and the bodies after, and no row of the copy names a body that is missing in it.
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { copyFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Log } from "../observe/log.ts";
import { copyDatabase } from "../store/copy-database.ts";

/** Marks a complete backup; written last. `restore` wants it. */
export const BACKUP_MARK = "gatepost-backup.json";

const DATABASES = ["spool.db", "gatepost.db"];
const FOLDERS = ["spool", "vault", "keys"];

function sizeOf(directory: string): { files: number; bytes: number } {
  const total = { files: 0, bytes: 0 };
  for (const name of readdirSync(directory, { recursive: true, encoding: "utf8" })) {
    const info = statSync(join(directory, name), { throwIfNoEntry: false });
    if (info?.isFile() !== true) continue;
    total.files += 1;
    total.bytes += info.size;
  }
  return total;
}

/** Copies all files below `source`. A file that goes away meanwhile belonged to a message that was settled: it is left out. */
async function copyTree(source: string, target: string): Promise<void> {
  for (const name of readdirSync(source, { recursive: true, encoding: "utf8" })) {
    const info = statSync(join(source, name), { throwIfNoEntry: false });
    if (info?.isFile() !== true) continue;
    mkdirSync(dirname(join(target, name)), { recursive: true, mode: 0o700 });
    await copyFile(join(source, name), join(target, name)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
    });
  }
}

export interface BackupOptions {
  /** The data directory. */
  readonly data: string;
  readonly directory: string;
  readonly log: Log;
  /** Milliseconds UTC, for the mark. */
  readonly now: number;
}

/** Backs up to a new directory while the gateway, which has the databases open, goes on. Rejects with a readable error when it exists already or cannot be written. */
export async function backUp(
  options: BackupOptions,
): Promise<{ readonly files: number; readonly bytes: number }> {
  const { directory } = options;
  if (existsSync(directory)) {
    throw new Error(
      `"${directory}" exists already; name a new directory, a backup never overwrites anything`,
    );
  }
  mkdirSync(directory, { recursive: true });
  try {
    await copyEverything(options);
  } catch (error) {
    // Half a backup is none, and would stand in the way of the next one.
    rmSync(directory, { recursive: true, force: true });
    throw error;
  }
  return sizeOf(directory);
}

async function copyEverything({ data, directory, now, log }: BackupOptions): Promise<void> {
  chmodSync(directory, 0o700);
  for (const name of DATABASES)
    await copyDatabase({ path: join(data, name), file: join(directory, name), log });
  for (const folder of FOLDERS) {
    const source = join(data, folder);
    if (existsSync(source)) await copyTree(source, join(directory, folder));
  }
  writeFileSync(join(directory, BACKUP_MARK), `${JSON.stringify({ madeAt: new Date(now).toISOString() })}\n`);
}
