// Body files of the spool: messages too large for a row. A file and its directory are synced before anybody may name it.
import { mkdir, open, readdir, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { StoreError } from "./database.ts";

const SUFFIX = ".eml";

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

  async function remove(name: string): Promise<void> {
    if (holds > 0) {
      doomed.add(name);
      return;
    }
    await unlink(join(folder, name)).catch(() => {});
  }
  return {
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
      } catch (error) {
        await remove(name);
        throw bodyError(`the message body could not be written to ${join(folder, name)}`, error);
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
      if (!whole || name.endsWith(`-${bodySum(body)}${SUFFIX}`)) return body;
      throw new StoreError(
        "lost",
        `${join(folder, name)} does not hold the message body it was written with: the file is damaged`,
      );
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
      const there = new Set((await readdir(folder)).filter((name) => name.endsWith(SUFFIX)));
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
  return `${id}-${seq}-${bodySum(body)}${SUFFIX}`;
}

/** Against a failing disk, not against people. */
function bodySum(body: Uint8Array): string {
  return Bun.hash.xxHash64(body).toString(16).padStart(16, "0");
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

function bodyError(what: string, cause: unknown): StoreError {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  const full = code === "ENOSPC" || code === "EDQUOT";
  const why = cause instanceof Error ? cause.message : String(cause);
  const kind = full ? "disk-full" : code === "ENOENT" ? "lost" : "failed";
  return new StoreError(kind, `${what}: ${full ? "the disk is full" : why}`, { cause });
}
