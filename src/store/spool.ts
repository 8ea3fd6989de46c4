// The spool: what was answered 250 for and is not finished. Hands out numbers, keeps bodies, commits units; decides nothing.

import { isLarge, type LargeBody, MAX_BODY_IN_MEMORY, type MessageBody } from "../message/body.ts";
import type { BodyFileWriter } from "./body-file.ts";
import { type DatabaseWriter, type Statement, StoreError } from "./database.ts";
import { bodyFileName, isRestFile, openSpoolBodies, restFileName, type Sweep } from "./spool-bodies.ts";
import type { SpooledMessage } from "./spool-entry.ts";
import { hasMessage, type SpoolReader, spoolInventory, spoolReader, storedBody } from "./spool-reading.ts";
import { type UnreportedReader, unreportedReader } from "./spool-unreported.ts";

/** Bodies up to this size stand in the row. */
const MAX_BODY_IN_ROW_BYTES = 65_536;
/** More than any body; SQLite's substr() answers with nothing when it is asked for more than this. */
const MAX_BODY_BYTES = 2 ** 31 - 1;

/** A body where it belongs, before the unit that names it. */
export interface KeptBody {
  /** The synced file, or null: there is none. */
  readonly file: string | null;
  /** What stands in the row: all of it, its start when the rest is in the file, or null when the file has it all. */
  readonly inRow: Uint8Array | null;
  /** To be used from now on: a large body that came in has moved. */
  readonly body: MessageBody;
}

export interface Spool extends SpoolReader, UnreportedReader {
  /** A new number for a message; grows. */
  nextMessageSeq(): number;
  /** A new number for a row of the outbox; grows, in the order of `commit` when taken right before it. */
  nextOutboxSeq(): number;
  /** All or none, resolved after the sync. Rejects with StoreError. */
  commit(unit: readonly Statement[]): Promise<readonly number[]>;
  /** The folder of body files. */
  readonly folder: string;
  /** A new file for a body that is too large for memory and comes in piece by piece. */
  incoming(): BodyFileWriter;
  /** Calls back with each failed write of a body file, and with null for one that succeeded. */
  onFileWritten(tell: (failure: StoreError | null) => void): void;
  /** Puts a body where it belongs: small ones go into the row, others into a synced file. Rejects with StoreError. */
  keepBody(id: string, seq: number, body: MessageBody): Promise<KeptBody>;
  /** True when `keepBody` would use a file. */
  needsFile(body: MessageBody): boolean;
  /** The body. Rejects with StoreError; its kind is "lost" when it is not there any more or is not what was stored. */
  body(message: Pick<SpooledMessage, "seq" | "size" | "bodyFile">): Promise<MessageBody>;
  /** Its first octets, at most `maxBytes`; of a large body no more than what it has in memory. Rejects like `body`. */
  bodyStart(
    message: Pick<SpooledMessage, "seq" | "size" | "bodyFile">,
    maxBytes: number,
  ): Promise<Uint8Array>;
  /** Removes the body file of a message that is settled. */
  removeBody(bodyFile: string): Promise<void>;
  /** From now on no body file goes away, until the returned function is called: then those that were to. */
  holdBodies(): () => void;
  /** Removes the body file of a message whose commit failed, unless the message is there after all or nobody can tell now. */
  abandonBody(bodyFile: string, seq: number): Promise<void>;
  /** The number of the newest message. */
  lastMessageSeq(): number;
  /** What was found amiss with the body files at the opening. */
  readonly atOpening: Sweep;
}

/**
 * Opens the spool over an open spool.db. Sweeps body files that no message names, left by a crash between the file and its row.
 * `bodiesFolder` is the folder of the body files, on the same disk as the database.
 */
export async function openSpool(options: {
  readonly database: DatabaseWriter;
  readonly bodiesFolder: string;
  readonly maxBodyInRowBytes?: number;
}): Promise<Spool> {
  const { database, bodiesFolder } = options;
  const maxBodyInRowBytes = options.maxBodyInRowBytes ?? MAX_BODY_IN_ROW_BYTES;
  const bodies = await openSpoolBodies(bodiesFolder);
  const inventory = await spoolInventory(database);
  const atOpening = await bodies.sweep(inventory.bodyFiles, inventory.madeAt);
  let messageSeq = inventory.lastMessageSeq;
  let outboxSeq = inventory.lastOutboxSeq;

  /** Of a message whose file has it all. The start is read into memory, for what looks at headers. */
  async function largeBody(bodyFile: string, size: number): Promise<LargeBody> {
    const head = await bodies.read(bodyFile, MAX_BODY_IN_MEMORY);
    const part = bodies.part(bodyFile, size);
    return { head, rest: { ...part, from: head.length, bytes: size - head.length }, length: size };
  }

  async function startInRow(seq: number, maxBytes: number): Promise<Uint8Array> {
    const start = await storedBody(database, seq, maxBytes);
    if (start !== null && start.length > 0) return start;
    throw new StoreError("lost", "the start of the message, which stands in its row, is not there");
  }

  function expectOctets(body: Uint8Array | null, expected: number): Uint8Array {
    if (body?.length === expected) return body;
    const there = body === null ? "nothing" : `${body.length} octets`;
    throw new StoreError("lost", `the message body should have ${expected} octets, and ${there} is there`);
  }

  return {
    ...spoolReader(database),
    ...unreportedReader(database),
    nextMessageSeq: () => ++messageSeq,
    nextOutboxSeq: () => ++outboxSeq,
    commit: (unit) => database.commit(unit),
    folder: bodiesFolder,
    incoming: () => bodies.incoming(),
    onFileWritten: (tell) => bodies.onWritten(tell),
    needsFile: (body) => isLarge(body) || body.length > maxBodyInRowBytes,
    async keepBody(id, seq, body) {
      if (!isLarge(body)) {
        if (body.length <= maxBodyInRowBytes) return { file: null, inRow: body, body };
        const file = bodyFileName(id, seq, body);
        await bodies.write(file, body);
        return { file, inRow: null, body };
      }
      const { rest } = body;
      if (!bodies.isIncoming(rest) || rest.from !== 0)
        throw new StoreError("failed", `${rest.path} is no file of the spool that could be kept`);
      const file = restFileName(id, seq, rest);
      await bodies.adopt(rest, file);
      const kept = { ...body, rest: bodies.part(file, rest.bytes) };
      return { file, inRow: body.head, body: kept };
    },
    async body({ seq, size, bodyFile }) {
      if (bodyFile === null) return expectOctets(await storedBody(database, seq, MAX_BODY_BYTES), size);
      if (isRestFile(bodyFile)) {
        const head = await startInRow(seq, MAX_BODY_BYTES);
        return { head, rest: bodies.part(bodyFile, size - head.length), length: size };
      }
      if (size > MAX_BODY_IN_MEMORY) return largeBody(bodyFile, size);
      return expectOctets(await bodies.read(bodyFile, MAX_BODY_BYTES), size);
    },
    async bodyStart({ seq, size, bodyFile }, maxBytes) {
      const wanted = Math.min(size, maxBytes);
      if (bodyFile === null) return expectOctets(await storedBody(database, seq, maxBytes), wanted);
      if (isRestFile(bodyFile)) return startInRow(seq, maxBytes);
      return expectOctets(await bodies.read(bodyFile, maxBytes), wanted);
    },
    removeBody: (bodyFile) => bodies.remove(bodyFile),
    holdBodies: () => bodies.hold(),
    async abandonBody(bodyFile, seq) {
      // A commit that failed may have reached the disk all the same: then the file is needed, and else the next start sweeps it.
      const isStored = await hasMessage(database, seq).catch(() => true);
      if (!isStored) await bodies.remove(bodyFile);
    },
    lastMessageSeq: () => messageSeq,
    atOpening,
  };
}
