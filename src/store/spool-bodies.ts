// Body files of the spool: messages too large for a row. A file and its directory are synced before anybody may name it.
// A body that is still coming in has a name of its own; a crash leaves such files, and the next start removes them.
import { mkdir, open, readdir, rename, stat, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { FilePart } from "../message/body.ts";
import { BLOCK_BYTES, BodyFileWriter, bodyError, chainedSum, damaged, sumText } from "./body-file.ts";
import type { StoreError } from "./database.ts";

const SUFFIX = ".eml";
const INCOMING = "incoming-";
/** Ends the sum of a file that is summed up block by block; files of one block need no mark, it is the same sum. */
const CHAINED = "c";
/** The same, and the file has the rest of a body only: its start stands in the row. */
const REST = "r";

/** What a sweep found. */
export interface Sweep {
  readonly removed: number;
  /** Files that were left alone. */
  readonly foreign: readonly string[];
  /** Files that a message names and that are not there. */
  readonly missing: readonly string[];
}

export interface SpoolBodies {
  /** Resolves when the bytes and the file's name are on the disk. Rejects with StoreError and leaves no file. */
  write(name: string, bytes: Uint8Array): Promise<void>;
  /** A new file for a body that comes in piece by piece. */
  incoming(): BodyFileWriter;
  /** Calls back with each failed write of a file, and with null for one that succeeded. */
  onWritten(tell: (failure: StoreError | null) => void): void;
  /** Is it a finished file of `incoming`? */
  isIncoming(part: FilePart): boolean;
  /** Gives a finished file of `incoming` its name; resolves when that is on the disk. Rejects with StoreError and leaves no file of that name. */
  adopt(part: FilePart, name: string): Promise<void>;
  /** The octets of a file that are not in memory; `bytes` of them. */
  part(name: string, bytes: number): FilePart;
  /** At most the first `maxBytes`. Rejects with StoreError; kind "lost" when the file is gone, cut short or damaged. */
  read(name: string, maxBytes: number): Promise<Uint8Array>;
  /** Removes a file; one that is gone already is fine, and one that cannot be removed is swept at the next start. */
  remove(name: string): Promise<void>;
  /** From now on no file goes away, until the returned function is called: then those that were to. */
  hold(): () => void;
  /**
   * Removes files that no message names: a crash left them between the file and its row. Files from before `since`
   * (milliseconds UTC) belong to another database and are left alone. Only at start, before anything is accepted.
   */
  sweep(known: ReadonlySet<string>, since: number): Promise<Sweep>;
}

/** Opens the folder of body files; makes it when it is missing. `sync` makes the names in it durable. */
export async function openSpoolBodies(folder: string, sync = syncOnce): Promise<SpoolBodies> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const syncFolder = sharedSync(() => sync(folder));

  let holds = 0;
  /** Files that are removed when nobody holds them any more. A process that dies leaves them to the sweep. */
  const doomed = new Set<string>();
  let lastIncoming = 0;
  let written: (failure: StoreError | null) => void = () => {};
  const failure = (what: string, cause: unknown): StoreError => {
    const error = bodyError(what, cause);
    written(error);
    return error;
  };

  async function remove(name: string): Promise<void> {
    if (holds > 0) {
      doomed.add(name);
      return;
    }
    await unlink(join(folder, name)).catch(() => {});
  }
  return {
    onWritten(tell) {
      written = tell;
    },
    incoming: () =>
      new BodyFileWriter(join(folder, `${INCOMING}${process.pid}-${++lastIncoming}`), (error) =>
        written(error),
      ),
    isIncoming: ({ path }) => dirname(path) === folder && basename(path).startsWith(INCOMING),
    async adopt({ path }, name) {
      try {
        await rename(path, join(folder, name));
        await syncFolder();
        written(null);
      } catch (error) {
        await remove(name);
        throw failure(`the message body could not be kept as ${join(folder, name)}`, error);
      }
    },
    part: (name, bytes) => ({ path: join(folder, name), from: 0, bytes, sum: chainedSumIn(name) }),
    async write(name, bytes) {
      try {
        // "wx": a name is used once, an old body is never overwritten.
        const file = await open(join(folder, name), "wx", 0o600);
        try {
          await file.writeFile(bytes);
          await file.datasync();
        } finally {
          await file.close();
        }
        await syncFolder();
        written(null);
      } catch (error) {
        await remove(name);
        throw failure(`the message body could not be written to ${join(folder, name)}`, error);
      }
    },
    async read(name, maxBytes) {
      let whole = false;
      let body: Uint8Array;
      try {
        const file = await open(join(folder, name), "r");
        try {
          const { size } = await file.stat();
          whole = size <= maxBytes;
          const bytes = new Uint8Array(Math.min(size, maxBytes));
          let at = 0;
          while (at < bytes.length) {
            const { bytesRead } = await file.read(bytes, at, bytes.length - at, at);
            if (bytesRead === 0) break;
            at += bytesRead;
          }
          body = at === bytes.length ? bytes : bytes.subarray(0, at);
        } finally {
          await file.close();
        }
      } catch (error) {
        throw bodyError(`the message body could not be read from ${join(folder, name)}`, error);
      }
      if (!whole || agrees(name, body)) return body;
      throw damaged(join(folder, name));
    },
    remove,
    hold() {
      holds++;
      let held = true;
      return () => {
        if (!held) return;
        held = false;
        holds--;
        if (holds > 0) return;
        const names = [...doomed];
        doomed.clear();
        for (const name of names) void remove(name);
      };
    },
    async sweep(known, since) {
      const names = await readdir(folder);
      for (const name of names) if (name.startsWith(INCOMING)) await remove(name);
      const there = new Set(names.filter((name) => name.endsWith(SUFFIX)));
      const foreign: string[] = [];
      let removed = 0;
      for (const name of there) {
        if (known.has(name)) continue;
        const { mtimeMs } = await stat(join(folder, name)).catch(() => ({ mtimeMs: since }));
        if (mtimeMs < since) foreign.push(name);
        else {
          await remove(name);
          removed++;
        }
      }
      return { removed, foreign, missing: [...known].filter((name) => !there.has(name)) };
    },
  };
}

/**
 * The file name for a body. `seq` keeps two copies of one message apart (a release beside the original); the sum at its
 * end tells later whether the file still holds what was written.
 */
export function bodyFileName(id: string, seq: number, body: Uint8Array): string {
  return `${id}-${seq}-${chainedSum(body)}${body.length > BLOCK_BYTES ? CHAINED : ""}${SUFFIX}`;
}

/** The same for a file that has the rest of a body, whose start stands in the row. */
export function restFileName(id: string, seq: number, part: FilePart): string {
  return `${id}-${seq}-${part.sum ?? ""}${REST}${SUFFIX}`;
}

/** Does the file have the rest of a body only? */
export function isRestFile(name: string): boolean {
  return name.endsWith(`${REST}${SUFFIX}`);
}

/** Does the whole body of a file agree with the file's name? */
function agrees(name: string, body: Uint8Array): boolean {
  if (name.endsWith(`${CHAINED}${SUFFIX}`)) return name.endsWith(`-${chainedSum(body)}${CHAINED}${SUFFIX}`);
  // One block, or a file of an older version, which was summed up as a whole.
  return name.endsWith(`-${sumText(Bun.hash.xxHash64(body))}${SUFFIX}`);
}

/** The sum to compare while the file is read block by block; null for a file of an older version. */
function chainedSumIn(name: string): string | null {
  return /-([0-9a-f]{16})[cr]\.eml$/.exec(name)?.[1] ?? null;
}

/** Files written at the same time share one sync of their folder; who comes while it runs waits for the next. */
function sharedSync(sync: () => Promise<void>): () => Promise<void> {
  /** Settled when no sync is under way; never rejects, so that a failed sync is over with those who waited for it. */
  let quiet: Promise<unknown> = Promise.resolve();
  let next: Promise<void> | null = null;
  return () => {
    if (next === null) {
      const mine = quiet.then(() => {
        next = null;
        return sync();
      });
      next = mine;
      quiet = mine.catch(() => {});
    }
    return next;
  };
}

async function syncOnce(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
