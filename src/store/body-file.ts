// Body files: written block by block while a message comes in, read block by block wherever it goes. Each file has the chained sum of its
// blocks, so that a reader that has seen all of them knows whether the disk has kept them. Knows nothing of the spool's rows.
import { type FileHandle, open, unlink } from "node:fs/promises";
import {
  type FilePart,
  MAX_BODY_IN_MEMORY,
  type MessageBody,
  type SevenBitReading,
} from "../message/body.ts";
import { bodyStartIn } from "../message/header-block.ts";
import { SevenBitConverter } from "../message/seven-bit.ts";
import { StoreError } from "./database.ts";
import { takeTurn } from "./take-turn.ts";

/** What is written, summed up and read at a time. Part of the format: sums of files on disk depend on it. */
export const BLOCK_BYTES = 65_536;
/** Written octets that may wait for the disk: one message must not fill the memory with pages that are to be written. */
const SYNC_EVERY_BYTES = 8 * 1024 * 1024;

/** The sum goes on over the blocks of a file. Against a failing disk, not against people. */
function blockSum(block: Uint8Array, before: bigint): bigint {
  return Bun.hash.xxHash64(block, before);
}

export function sumText(sum: bigint): string {
  return sum.toString(16).padStart(16, "0");
}

/** The sum of bytes in memory, as if they had been written to a file. */
export function chainedSum(bytes: Uint8Array): string {
  let sum = 0n;
  for (let at = 0; at < bytes.length; at += BLOCK_BYTES)
    sum = blockSum(bytes.subarray(at, at + BLOCK_BYTES), sum);
  return sumText(sum);
}

/** A file that is being written, opened by the first block. Writes are in order; the first failure ends them, and `finish` tells of it. */
export class BodyFileWriter {
  readonly path: string;
  #file: FileHandle | null = null;
  #block: Buffer = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  /** A block that is written and may be filled again: a new one for each is work for the garbage collector. */
  #spare: Buffer | null = null;
  #filled = 0;
  #size = 0;
  #unsynced = 0;
  #sum = 0n;
  #work: Promise<void> = Promise.resolve();
  /** Blocks handed over that are not written yet. */
  #waiting = 0;
  #failure: StoreError | null = null;
  #closed = false;
  readonly #onFailure: (error: StoreError) => void;

  /** `path` must be new: an old body is never overwritten. `onFailure` hears of the failure at once, also when nobody asks for the end. */
  constructor(path: string, onFailure: (error: StoreError) => void = () => {}) {
    this.path = path;
    this.#onFailure = onFailure;
  }

  /** Octets taken so far. */
  get size(): number {
    return this.#size;
  }

  /** Takes octets, which may be used again at once. */
  write(bytes: Uint8Array): void {
    this.#size += bytes.length;
    for (let at = 0; at < bytes.length; ) {
      const piece = bytes.subarray(at, at + BLOCK_BYTES - this.#filled);
      this.#block.set(piece, this.#filled);
      this.#filled += piece.length;
      at += piece.length;
      if (this.#filled === BLOCK_BYTES) this.#flush();
    }
  }

  /** Resolves when the disk has caught up; null when it has already. */
  drained(): Promise<void> | null {
    return this.#waiting > 1 ? this.#work : null;
  }

  /** Writes what is left, syncs the data and closes. Rejects with StoreError, and the file is of no use then. */
  async finish(): Promise<FilePart> {
    if (this.#filled > 0) this.#flush();
    await this.#work;
    try {
      if (this.#failure === null) await this.#file?.datasync();
    } catch (error) {
      this.#fail(error);
    }
    await this.#close();
    if (this.#failure !== null) throw this.#failure;
    return { path: this.path, from: 0, bytes: this.#size, sum: sumText(this.#sum) };
  }

  /** The file goes, unless somebody has given it another name. Harmless twice; never rejects. */
  async discard(): Promise<void> {
    await this.#close();
    await unlink(this.path).catch(() => {});
  }

  async #close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#work;
    await this.#file?.close().catch(() => {});
  }

  #flush(): void {
    const whole = this.#block;
    const block = this.#filled === BLOCK_BYTES ? whole : whole.subarray(0, this.#filled);
    this.#block = this.#spare ?? Buffer.allocUnsafeSlow(BLOCK_BYTES);
    this.#spare = null;
    this.#filled = 0;
    this.#sum = blockSum(block, this.#sum);
    this.#waiting++;
    this.#work = this.#work
      .then(() => this.#put(block))
      .finally(() => {
        this.#waiting--;
        this.#spare = whole;
      });
  }

  async #put(block: Uint8Array): Promise<void> {
    if (this.#failure !== null || this.#closed) return;
    try {
      this.#file ??= await open(this.path, "wx", 0o600);
      for (let at = 0; at < block.length; ) {
        const { bytesWritten } = await this.#file.write(block, at, block.length - at, null);
        at += bytesWritten;
      }
      this.#unsynced += block.length;
      if (this.#unsynced < SYNC_EVERY_BYTES) return;
      this.#unsynced = 0;
      await this.#file.datasync();
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    this.#failure = bodyError(`the message body could not be written to ${this.path}`, error);
    this.#onFailure(this.#failure);
  }
}

/**
 * The octets of a part, block by block; each block is good until the next is asked for. Rejects with StoreError: kind "lost" when the file is
 * gone, shorter, or does not hold what was written, which shows before the last block is given out. The sum is that of the whole file: what
 * stands before the part is read for it.
 */
export async function* filePieces(part: FilePart): AsyncGenerator<Uint8Array> {
  if (part.sevenBit === undefined) yield* storedPieces(part);
  else yield* convertedPieces(storedPieces(part), part.sevenBit);
}

/** What follows the header. */
async function* convertedPieces(
  pieces: AsyncIterable<Uint8Array>,
  { plan, head, headerBytes }: SevenBitReading,
): AsyncGenerator<Uint8Array> {
  const converter = new SevenBitConverter(plan);
  converter.take(head.subarray(0, headerBytes));
  for await (const piece of inTurn(head.subarray(headerBytes))) yield converter.take(piece);
  for await (const piece of pieces) {
    await takeTurn();
    yield converter.take(piece);
  }
  yield converter.finish();
}

/** What is in memory, in blocks: each when it is its turn. */
export async function* inTurn(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += BLOCK_BYTES) {
    await takeTurn();
    yield bytes.subarray(at, at + BLOCK_BYTES);
  }
}

async function* storedPieces(part: FilePart): AsyncGenerator<Uint8Array> {
  let file: FileHandle;
  try {
    file = await open(part.path, "r");
  } catch (error) {
    throw bodyError(`the message body could not be read from ${part.path}`, error);
  }
  try {
    const end = part.from + part.bytes;
    let sum = 0n;
    for (let at = part.sum === null ? part.from : 0; at < end; ) {
      const block = await readBlock(file, { path: part.path, end }, at);
      const before = Math.max(0, part.from - at);
      at += block.length;
      if (part.sum !== null) sum = blockSum(block, sum);
      if (part.sum !== null && at === end && sumText(sum) !== part.sum) throw damaged(part.path);
      if (before < block.length) yield before === 0 ? block : block.subarray(before);
    }
  } finally {
    await file.close();
  }
}

/** The whole message, block by block: what is in memory first. */
export async function* bodyPieces(body: MessageBody): AsyncGenerator<Uint8Array> {
  if (!("rest" in body)) {
    yield body;
    return;
  }
  yield body.head;
  yield* filePieces(body.rest);
}

/**
 * A message that comes in pieces of any size, in memory or, when it is large, in a new file; `discard` removes that, unless it was kept under
 * another name. Rejects with what the pieces reject with, or StoreError, and leaves no file.
 */
export async function bodyOfPieces(
  pieces: AsyncIterable<Uint8Array>,
  newFile: () => BodyFileWriter,
): Promise<{ readonly body: MessageBody; readonly discard: () => Promise<void> }> {
  let start = Buffer.alloc(0);
  let inMemory: Uint8Array[] = [];
  let bytes = 0;
  let file: BodyFileWriter | null = null;
  try {
    for await (const piece of pieces) {
      bytes += piece.length;
      if (file === null) inMemory.push(piece);
      else {
        file.write(piece);
        await file.drained();
      }
      if (file !== null || bytes <= MAX_BODY_IN_MEMORY) continue;
      const sofar = Buffer.concat(inMemory);
      inMemory = [];
      start = Buffer.from(sofar.subarray(0, bodyStartIn(sofar) ?? sofar.length));
      file = newFile();
      file.write(sofar.subarray(start.length));
    }
    if (file === null) return { body: Buffer.concat(inMemory), discard: async () => {} };
    const written = file;
    const rest = await written.finish();
    return { body: { head: start, rest, length: bytes }, discard: () => written.discard() };
  } catch (error) {
    await file?.discard();
    throw error;
  }
}

/** All of it in memory: for a scan worker, which does one large message at a time, and for tests. Rejects as `filePieces` does. */
export async function wholeBody(body: MessageBody): Promise<Uint8Array> {
  if (!("rest" in body)) return body;
  const whole = new Uint8Array(body.length);
  whole.set(body.head);
  let at = body.head.length;
  for await (const piece of filePieces(body.rest)) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

async function readBlock(
  file: FileHandle,
  { path, end }: { readonly path: string; readonly end: number },
  at: number,
): Promise<Uint8Array> {
  const wanted = Math.min(BLOCK_BYTES, end - at);
  const block = Buffer.allocUnsafeSlow(wanted);
  for (let got = 0; got < wanted; ) {
    let bytesRead: number;
    try {
      ({ bytesRead } = await file.read(block, got, wanted - got, at + got));
    } catch (error) {
      throw bodyError(`the message body could not be read from ${path}`, error);
    }
    if (bytesRead === 0) {
      const words = `${path} ends ${end - at - got} octets too soon: the file was cut short`;
      throw new StoreError("lost", words);
    }
    got += bytesRead;
  }
  return block;
}

/** The error for a file that does not hold what was written. */
export function damaged(path: string): StoreError {
  return new StoreError(
    "lost",
    `${path} does not hold the message body it was written with: the file is damaged`,
  );
}

/** The error for a file that could not be written or read, with the kind that callers look at. */
export function bodyError(what: string, cause: unknown): StoreError {
  if (cause instanceof StoreError) return cause;
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  const full = code === "ENOSPC" || code === "EDQUOT";
  const why = cause instanceof Error ? cause.message : String(cause);
  const kind = full ? "disk-full" : code === "ENOENT" ? "lost" : "failed";
  return new StoreError(kind, `${what}: ${full ? "the disk is full" : why}`, { cause });
}
