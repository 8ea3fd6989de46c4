// A copy of everything at one moment while the gateway runs: no body goes away from before that moment until it is copied, and bodies
// are written before the rows that name them, so no row of the copy names a body that is missing in it.
import { chmodSync, existsSync, mkdirSync, rmSync, statfsSync, statSync } from "node:fs";
import { copyFile, open, readdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Log } from "../observe/log.ts";
import { copyDatabases } from "../store/copy-database.ts";
import { readManifest, writeManifest } from "../store/data-manifest.ts";
import type { Database } from "../store/open-database.ts";

/** Marks a complete backup; written last. `restore` wants it. */
export const BACKUP_MARK = "gatepost-backup.json";

const FOLDERS = ["spool", "vault", "keys"];
/** Space that must be left on the target's disk besides: mail may go on coming to the same one. */
const SLACK_BYTES = 16 * 1024 * 1024;

interface Amount {
  readonly files: number;
  readonly bytes: number;
}

/** What lies below a directory; a large vault is looked through while mail goes on. */
async function sizeOf(directory: string): Promise<Amount> {
  let files = 0;
  let bytes = 0;
  for (const name of await readdir(directory, { recursive: true })) {
    const info = await stat(join(directory, name)).catch(() => null);
    if (info?.isFile() !== true) continue;
    files += 1;
    bytes += info.size;
  }
  return { files, bytes };
}

/** Copies all files below `source`. One that goes away meanwhile was written after the moment: it is left out. */
async function copyTree(source: string, target: string): Promise<void> {
  for (const name of await readdir(source, { recursive: true })) {
    const info = await stat(join(source, name)).catch(() => null);
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
  /** The open databases by their files' names. */
  readonly databases: ReadonlyMap<string, Pick<Database, "pause">>;
  /** What keeps bodies; each holds them until the returned function is called. */
  readonly holds: readonly (() => () => void)[];
  readonly log: Log;
  /** Milliseconds UTC, for the mark. */
  readonly now: number;
}

/** Backs up to a new directory while the gateway, which has the databases open, goes on. Rejects with a readable error when it exists already, has no room or cannot be written. */
export async function backUp(options: BackupOptions): Promise<Amount> {
  const { directory } = options;
  if (existsSync(directory)) {
    throw new Error(
      `"${directory}" exists already; name a new directory, a backup never overwrites anything`,
    );
  }
  await refuseWithoutRoom(options);
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

/** Said beforehand: a copy that fills the disk first would take the room from mail. */
async function refuseWithoutRoom({ data, directory, databases }: BackupOptions): Promise<void> {
  let bytes = SLACK_BYTES;
  for (const name of databases.keys())
    for (const file of [name, `${name}-wal`])
      bytes += statSync(join(data, file), { throwIfNoEntry: false })?.size ?? 0;
  for (const folder of FOLDERS)
    if (existsSync(join(data, folder))) bytes += (await sizeOf(join(data, folder))).bytes;
  let parent = dirname(directory);
  while (!existsSync(parent) && parent !== dirname(parent)) parent = dirname(parent);
  const { bavail, bsize } = statfsSync(parent);
  const free = bavail * bsize;
  if (free >= bytes) return;
  const megabytes = (amount: number) => `${Math.ceil(amount / 1024 / 1024)} MB`;
  throw new Error(
    `the disk of "${directory}" has ${megabytes(free)} free and the backup may need ${megabytes(bytes)}; nothing was written, make room or name a directory on another disk`,
  );
}

async function copyEverything(options: BackupOptions): Promise<void> {
  const { data, directory, databases, now, log } = options;
  chmodSync(directory, 0o700);
  const release = options.holds.map((hold) => hold());
  try {
    const copies = [...databases].map(([name, database]) => ({
      database,
      path: join(data, name),
      file: join(directory, name),
    }));
    await copyDatabases(copies, log);
    for (const folder of FOLDERS) {
      const source = join(data, folder);
      if (existsSync(source)) await copyTree(source, join(directory, folder));
    }
    // As of a gateway that was closed: the copies have no log beside them.
    const manifest = readManifest(data);
    if (manifest !== null && manifest !== "damaged")
      writeManifest(directory, { ...manifest, state: "closed" });
  } finally {
    for (const letGo of release) letGo();
  }
  await writeMark(directory, now);
}

/** Synced, and everything before it: a mark that survives a power cut says that all of the rest did. */
async function writeMark(directory: string, now: number): Promise<void> {
  for (const name of await readdir(directory, { recursive: true })) {
    await using file = await open(join(directory, name), "r");
    await file.sync();
  }
  await using mark = await open(join(directory, BACKUP_MARK), "wx", 0o600);
  await mark.writeFile(`${JSON.stringify({ madeAt: new Date(now).toISOString() })}\n`);
  await mark.sync();
}
