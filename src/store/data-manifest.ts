// The data directory's own list of what it must hold: which databases, which folders, which key. Written once everything is there;
// a later start compares. Knows files and folders, and nothing of what is in them.
import { createHash, randomUUID } from "node:crypto";
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { databaseFlaw, hasLog } from "./database-file.ts";
import { hasMark, holdsMarked } from "./log-mark.ts";
import { cutLog, type LogFlaw, logFlaw } from "./write-ahead-log.ts";

/** Its name in the data directory. */
export const MANIFEST_FILE = "gatepost-data.json";
/** Its name in each folder that belongs to the directory: a folder without it is another, or was emptied. */
const MARK_FILE = ".gatepost-folder";

const manifestSchema = z.object({
  version: z.literal(1),
  /** `making`: the first start has not come to its end, nothing was taken yet. `open`: in use, or not closed. */
  state: z.enum(["making", "open", "closed"]),
  /** Ids by the file's name. */
  databases: z.record(z.string(), z.string()),
  /** Ids by the folder's name. */
  folders: z.record(z.string(), z.string()),
  /** A sum over the appliance key; it says nothing about it. */
  applianceKey: z.string().nullable(),
  /** The machine's boot in which it was opened last; null or left out: not known. */
  boot: z.string().nullable().optional(),
  /** Each database has a mark beside its log. Left out: of a version that wrote none. */
  marks: z.boolean().optional(),
  /** Databases that were found damaged while they were open: the next start looks all through them. */
  damaged: z.array(z.string()).optional(),
});

export type DataManifest = z.infer<typeof manifestSchema>;

/** Something the directory must hold and does not. */
export interface DataLoss {
  /** Its name in the data directory. */
  readonly name: string;
  /** `spool.db is missing`. */
  readonly what: string;
  /** What remains is used as it is, once this is accepted; else it is moved aside. */
  readonly usable?: true;
  /** The log `name` is damaged; it is cut there. */
  readonly log?: LogFlaw;
}

/** The manifest, null when there is none, "damaged" when it cannot be read. */
export function readManifest(data: string): DataManifest | null | "damaged" {
  let text: string;
  try {
    text = readFileSync(join(data, MANIFEST_FILE), "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    return "damaged";
  }
  try {
    return manifestSchema.parse(JSON.parse(text));
  } catch {
    return "damaged";
  }
}

/** Puts it in the place of the one before, synced: a crash leaves the one or the other. On a full disk it is written over that one. */
export function writeManifest(data: string, manifest: DataManifest): void {
  const path = join(data, MANIFEST_FILE);
  const half = `${path}.new`;
  // Padded: the file keeps its size, and written over it needs no space.
  const text = `${JSON.stringify(manifest, null, 2)}\n`.padEnd(1024);
  try {
    writeSynced(half, "w", text);
    renameSync(half, path);
  } catch (error) {
    rmSync(half, { force: true });
    if (!(error instanceof Error && "code" in error && error.code === "ENOSPC")) throw error;
    writeSynced(path, "r+", text);
  }
}

function writeSynced(path: string, flag: "w" | "r+", text: string): void {
  const file = openSync(path, flag, 0o600);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** A manifest that asks for nothing yet. */
export function newManifest(): DataManifest {
  return { version: 1, state: "making", databases: {}, folders: {}, applianceKey: null };
}

/** What is missing, of files alone; the databases' ids are compared once they are open. `names`: the databases there should be. */
export function missingFiles(
  data: string,
  manifest: DataManifest | null,
  names: readonly string[],
): readonly DataLoss[] {
  const losses: DataLoss[] = [];
  const add = (name: string, flaw: string, more: Pick<DataLoss, "usable" | "log"> = {}) =>
    losses.push({ name, what: `${name} ${flaw}`, ...more });
  const sameBoot = manifest?.state === "open" && manifest.boot != null && manifest.boot === bootId();
  for (const name of names) {
    const path = join(data, name);
    const flaw = databaseFlaw(path);
    const log = flaw === null ? logFlaw(path, { sameBoot }) : null;
    if (flaw !== null) add(name, flaw);
    else if (log !== null) add(`${name}-wal`, log.words, { usable: true, log });
    else if (manifest?.state === "open" && manifest.marks === true && hasLog(path) && !hasEnd(path))
      add(
        `${name}-wal`,
        `cannot be judged: neither ${name}-mark nor ${name}-shm is there to say how long it was`,
        { usable: true },
      );
    else if (manifest?.state === "open" && !hasLog(path) && !(sameBoot && holdsMarked(path)))
      add(
        name,
        `was not closed, and its log ${name}-wal is missing: what was written last is not in it, unless another program has opened the database since and put it in order`,
        { usable: true },
      );
  }
  if (manifest === null) return losses;
  for (const [name, id] of Object.entries(manifest.folders)) {
    const mark = folderMark(join(data, name));
    if (mark === id) continue;
    const there = isThere(join(data, name));
    // A folder with another mark may hold bodies that are still named.
    add(name, !there ? "is missing" : mark === null ? "was emptied or replaced" : "is of another gateway", {
      usable: true,
    });
  }
  if (manifest.applianceKey !== null) {
    const sum = keySum(join(data, "keys"));
    if (sum === null) add("keys/appliance.key", "is missing");
    else if (sum !== manifest.applianceKey) add("keys/appliance.key", "is another one, or damaged");
  }
  return losses;
}

/** Is there anything that says where the log ended? */
function hasEnd(path: string): boolean {
  return hasMark(path) || existsSync(`${path}-shm`);
}

/** The id of a folder, which is given one when it has none. */
export function markFolder(folder: string): string {
  const there = folderMark(folder);
  if (there !== null) return there;
  const id = randomUUID();
  writeSynced(join(folder, MARK_FILE), "w", `${id}\n`);
  return id;
}

/** A sum over the appliance key in the folder, null when it has none. */
export function keySum(folder: string): string | null {
  try {
    const key = readFileSync(join(folder, "appliance.key"), "utf8").trim();
    return createHash("sha256").update(`gatepost appliance key\n${key}`).digest("hex").slice(0, 16);
  } catch {
    return null;
  }
}

/** Databases and keys that every user of the machine may read as far as their own mode goes, with their names in the directory. */
export function readableByAll(data: string, databases: readonly string[]): readonly string[] {
  const isOpen = (name: string): boolean =>
    ((statSync(join(data, name), { throwIfNoEntry: false })?.mode ?? 0) & 0o004) !== 0;
  let keys: readonly string[] = [];
  try {
    keys = readdirSync(join(data, "keys")).map((name) => join("keys", name));
  } catch {
    // What is missing is told elsewhere.
  }
  return [...databases, ...keys].filter(isOpen);
}

/** Does the directory hold mail of a gateway although its databases are gone? */
export function holdsBodies(data: string): boolean {
  const names = (folder: string): readonly string[] => {
    try {
      return readdirSync(folder);
    } catch {
      return [];
    }
  };
  if (names(join(data, "spool")).some((name) => name.endsWith(".eml"))) return true;
  return names(join(data, "vault")).some(
    (shard) => /^[0-9a-f]{2}$/.test(shard) && names(join(data, "vault", shard)).length > 0,
  );
}

/** Tells one run of the machine from every other; null where the kernel does not say it. */
export function bootId(): string | null {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return null;
  }
}

/** Makes what a loss has left usable; what cannot be used goes to the folder `aside` in the data directory. */
export function putAside(data: string, { name, usable, log }: DataLoss, aside: string): void {
  if (log !== undefined) {
    cutLog(join(data, name), log, join(data, aside, name));
    rmSync(join(data, `${name.slice(0, -"-wal".length)}-mark`), { force: true });
  }
  if (log === undefined && usable !== true) moveAside(data, name, aside);
}

/** Puts what cannot be used out of the way, under the folder `aside` in the data directory; what is not there is passed over. */
function moveAside(data: string, name: string, aside: string): void {
  for (const one of [name, `${name}-wal`, `${name}-shm`, `${name}-mark`]) {
    if (!isThere(join(data, one))) continue;
    renameSync(join(data, one), join(data, aside, one.replaceAll("/", "-")));
  }
  rmSync(join(data, `${name}.new`), { force: true });
}

function folderMark(folder: string): string | null {
  try {
    return readFileSync(join(folder, MARK_FILE), "utf8").trim();
  } catch {
    return null;
  }
}

function isThere(path: string): boolean {
  try {
    readdirSync(path);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "ENOTDIR";
  }
}
