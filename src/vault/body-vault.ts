// Bodies that are kept after the queue: one compressed file per content, named after its SHA-256. Knows nothing of who refers to them.
import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { mkdir, open, readdir, rename, stat, unlink, utimes } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import { createZstdCompress, createZstdDecompress, zstdCompress } from "node:zlib";
import { isLarge, type LargeBody, type MessageBody } from "../message/body.ts";
import { bodyPieces } from "../store/body-file.ts";

const compress = promisify(zstdCompress);

const HASH = /^[0-9a-f]{64}$/;
// A body is stored before the row that refers to it is committed; for so long nobody may call it an orphan.
const SETTLING_MS = 3_600_000;
/** So soon after it was stored, a body needs no second look at its file. */
const SAME_BODY_MS = 60_000;

/** The vault's bodies. */
export interface BodyVault {
  /** Stores the bytes; resolves to their SHA-256 in hex once file and directory are synced. Storing twice keeps one file. */
  put(body: MessageBody): Promise<string>;
  /** The bytes, or null when they are not there. Rejects when the file does not hold what its name says. */
  get(hash: string): Promise<Uint8Array | null>;
  /** The first octets, at most `maxBytes`; what the file should hold is only known when it is read to its end. */
  start(hash: string, maxBytes: number): Promise<Uint8Array | null>;
  /**
   * The same piece by piece; null when it is not there. The file is opened by the first piece that is asked for: whoever asks for none has
   * nothing to close. That the file does not hold what its name says shows at the end: the reading rejects.
   */
  pieces(hash: string): Promise<AsyncGenerator<Uint8Array> | null>;
  /** Is there a file for it? What is in it is not looked at. */
  has(hash: string): Promise<boolean>;
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
  readonly #stored = new WeakMap<MessageBody, { readonly hash: string; readonly at: number }>();
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

  async put(body: MessageBody): Promise<string> {
    const before = this.#stored.get(body);
    const hash = before?.hash ?? (await hashOf(body));
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
          if (isLarge(body)) await compressTo(temporary, body);
          else await writeSynced(temporary, await compress(body));
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
      const pieces = await this.pieces(hash);
      if (pieces === null) return false;
      for await (const _ of pieces);
      return true;
    } catch {
      return false;
    }
  }

  get(hash: string): Promise<Uint8Array | null> {
    return this.start(hash, Number.POSITIVE_INFINITY);
  }

  async start(hash: string, maxBytes: number): Promise<Uint8Array | null> {
    const pieces = await this.pieces(hash);
    if (pieces === null) return null;
    const found: Uint8Array[] = [];
    let bytes = 0;
    try {
      for await (const piece of pieces) {
        found.push(piece);
        bytes += piece.length;
        if (bytes >= maxBytes) break;
      }
    } catch (error) {
      // Removed between the look and the opening.
      if (isMissing(error)) return null;
      throw error;
    }
    const all = Buffer.concat(found);
    return all.length > maxBytes ? all.subarray(0, maxBytes) : all;
  }

  async pieces(hash: string): Promise<AsyncGenerator<Uint8Array> | null> {
    if (!HASH.test(hash)) return null;
    const path = this.#path(hash);
    try {
      await stat(path);
      return unpacked(path, hash);
    } catch (error) {
      if (isMissing(error)) return null;
      throw error;
    }
  }

  async has(hash: string): Promise<boolean> {
    const info = HASH.test(hash) ? await stat(this.#path(hash)).catch(() => null) : null;
    return info !== null && info.size > 0;
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

async function hashOf(body: MessageBody): Promise<string> {
  const hash = createHash("sha256");
  for await (const piece of bodyPieces(body)) hash.update(piece);
  return hash.digest("hex");
}

async function compressTo(path: string, body: LargeBody): Promise<void> {
  const file = await open(path, "wx", 0o600);
  try {
    await pipeline(bodyPieces(body), createZstdCompress(), async (packed: AsyncIterable<Uint8Array>) => {
      for await (const piece of packed) await file.writeFile(piece);
    });
    await file.sync();
  } finally {
    await file.close();
  }
}

/** The content of a packed file, which is opened when the first piece is asked for and closed at the end. */
async function* unpacked(path: string, hash: string): AsyncGenerator<Uint8Array> {
  const file = await open(path, "r");
  const sum = createHash("sha256");
  const reading = file.createReadStream();
  const plain = reading.pipe(createZstdDecompress());
  reading.once("error", (error) => plain.destroy(error));
  try {
    for await (const piece of plain as AsyncIterable<Uint8Array>) {
      sum.update(piece);
      yield piece;
    }
  } catch (cause) {
    const words = `${path} cannot be unpacked: the file is damaged; restore it from a backup`;
    throw new Error(words, { cause });
  } finally {
    reading.destroy();
    plain.destroy();
    await file.close().catch(() => {});
  }
  if (sum.digest("hex") === hash) return;
  throw new Error(
    `${path} does not hold the body it is named after: the file is damaged; restore it from a backup`,
  );
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
