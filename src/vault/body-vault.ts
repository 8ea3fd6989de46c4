// Bodies that are kept after the queue: one compressed file per content, named after its SHA-256. Knows nothing of who refers to them.
import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { mkdir, open, readdir, readFile, rename, stat, unlink, utimes } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { zstdCompress, zstdDecompress } from "node:zlib";

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

const HASH = /^[0-9a-f]{64}$/;
// A body is stored before the row that refers to it is committed; for so long nobody may call it an orphan.
const SETTLING_MS = 3_600_000;
/** So soon after it was stored, a body needs no second look at its file. */
const SAME_BODY_MS = 60_000;

/** The vault's bodies. */
export interface BodyVault {
  /** Stores the bytes; resolves to their SHA-256 in hex once file and directory are synced. Storing twice keeps one file. */
  put(body: Uint8Array): Promise<string>;
  /** The bytes, or null when they are not there. Rejects when the file does not hold what its name says. */
  get(hash: string): Promise<Uint8Array | null>;
  /** Removes the file unless `isReferenced` says that it is needed or it was stored within the last hour. True when it is gone. */
  removeUnlessReferenced(hash: string, isReferenced: () => Promise<boolean>): Promise<boolean>;
  /** From now on no file goes away, until the returned function is called; what nobody refers to is then left to the next sweep. */
  hold(): () => void;
  /** Removes all files that nobody refers to and that have rested for an hour. Resolves to how many. */
  sweep(isReferenced: (hash: string) => Promise<boolean>): Promise<number>;
}

/** Opens (or makes) the vault in a directory; what an interrupted write left behind is removed. */
export async function openBodyVault(directory: string, now: () => number = Date.now): Promise<BodyVault> {
  const vault = new DirectoryVault(directory, now);
  await vault.prepare();
  return vault;
}

class DirectoryVault implements BodyVault {
  readonly #directory: string;
  readonly #now: () => number;
  /** What was stored lately and may not be referred to yet: hash → time. */
  readonly #recent = new Map<string, number>();
  /** Bodies in memory that were stored, with their hash and when. */
  readonly #stored = new WeakMap<Uint8Array, { readonly hash: string; readonly at: number }>();
  /** The last piece of work on each hash: storing and removing one body never overlap. */
  readonly #turns = new Map<string, Promise<unknown>>();
  #lastFile = 0;
  #held = 0;

  constructor(directory: string, now: () => number) {
    this.#directory = directory;
    this.#now = now;
  }

  async prepare(): Promise<void> {
    await mkdir(this.#temporary(), { recursive: true });
    for (let shard = 0; shard < 256; shard++)
      await mkdir(this.#shard(shard.toString(16).padStart(2, "0")), { recursive: true });
    for (const name of await readdir(this.#temporary())) await unlink(join(this.#temporary(), name));
    await syncDirectory(this.#directory);
  }

  async put(body: Uint8Array): Promise<string> {
    const before = this.#stored.get(body);
    const hash = before?.hash ?? createHash("sha256").update(body).digest("hex");
    this.#remember(hash);
    // One message for ten thousand people is hashed and synced once.
    if (before !== undefined && before.at > this.#now() - SAME_BODY_MS) return hash;
    return this.#inTurn(hash, async () => {
      const path = this.#path(hash);
      const at = new Date(this.#now());
      if (await this.#holds(hash)) {
        await utimes(path, at, at);
      } else {
        const temporary = join(this.#temporary(), `${process.pid}-${++this.#lastFile}`);
        try {
          await writeSynced(temporary, await compress(body));
          await rename(temporary, path);
        } catch (error) {
          await unlink(temporary).catch(() => {});
          throw error;
        }
      }
      // Also when the file was there: a put that died before its sync may have left it.
      await syncDirectory(this.#shard(hash.slice(0, 2)));
      this.#stored.set(body, { hash, at: this.#now() });
      return hash;
    });
  }

  /** The file is there and whole: what a failing disk has damaged is written anew while we have the body. */
  async #holds(hash: string): Promise<boolean> {
    try {
      return (await this.get(hash)) !== null;
    } catch {
      return false;
    }
  }

  async get(hash: string): Promise<Uint8Array | null> {
    if (!HASH.test(hash)) return null;
    let packed: Buffer;
    try {
      packed = await readFile(this.#path(hash));
    } catch (error) {
      if (isMissing(error)) return null;
      throw error;
    }
    const path = this.#path(hash);
    const body = await decompress(packed).catch((error: unknown) => {
      throw new Error(`${path} cannot be unpacked: the file is damaged; restore it from a backup`, {
        cause: error,
      });
    });
    if (createHash("sha256").update(body).digest("hex") !== hash) {
      throw new Error(
        `${path} does not hold the body it is named after: the file is damaged; restore it from a backup`,
      );
    }
    return body;
  }

  async removeUnlessReferenced(hash: string, isReferenced: () => Promise<boolean>): Promise<boolean> {
    if (!HASH.test(hash)) return false;
    return this.#inTurn(hash, async () => {
      if (this.#isRecent(hash) || (await isReferenced()) || this.#isRecent(hash)) return false;
      if (this.#held > 0) return false;
      return unlink(this.#path(hash)).then(
        () => true,
        (error: unknown) => {
          if (isMissing(error)) return true;
          throw error;
        },
      );
    });
  }

  hold(): () => void {
    this.#held++;
    let held = true;
    return () => {
      if (held) this.#held--;
      held = false;
    };
  }

  async sweep(isReferenced: (hash: string) => Promise<boolean>): Promise<number> {
    let removed = 0;
    const restedSince = this.#now() - SETTLING_MS;
    for (const shard of await readdir(this.#directory)) {
      if (!/^[0-9a-f]{2}$/.test(shard)) continue;
      for (const name of await readdir(this.#shard(shard))) {
        const hash = name.replace(/\.zst$/, "");
        if (!HASH.test(hash)) continue;
        const { mtimeMs } = await stat(this.#path(hash)).catch(() => ({ mtimeMs: Number.POSITIVE_INFINITY }));
        if (mtimeMs > restedSince) continue;
        if (await this.removeUnlessReferenced(hash, () => isReferenced(hash))) removed++;
      }
    }
    return removed;
  }

  #remember(hash: string): void {
    this.#recent.delete(hash);
    this.#recent.set(hash, this.#now());
    for (const [old, at] of this.#recent) {
      if (at > this.#now() - SETTLING_MS) break;
      this.#recent.delete(old);
    }
  }

  #isRecent(hash: string): boolean {
    const at = this.#recent.get(hash);
    return at !== undefined && at > this.#now() - SETTLING_MS;
  }

  #inTurn<T>(hash: string, work: () => Promise<T>): Promise<T> {
    const turn = (this.#turns.get(hash) ?? Promise.resolve()).then(work, work);
    this.#turns.set(hash, turn);
    const forget = (): void => {
      if (this.#turns.get(hash) === turn) this.#turns.delete(hash);
    };
    turn.then(forget, forget);
    return turn;
  }

  #path(hash: string): string {
    return join(this.#shard(hash.slice(0, 2)), `${hash}.zst`);
  }

  #shard(name: string): string {
    return join(this.#directory, name);
  }

  #temporary(): string {
    return join(this.#directory, "tmp");
  }
}

async function writeSynced(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, "wx", 0o600);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, constants.O_RDONLY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
