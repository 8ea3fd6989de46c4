// The spool: what was answered 250 for and is not finished. Hands out numbers, keeps bodies, commits units; decides nothing.

import { type DatabaseWriter, type Statement, StoreError } from "./database.ts";
import { bodyFileName, openSpoolBodies, type Sweep } from "./spool-bodies.ts";
import type { SpooledMessage } from "./spool-entry.ts";
import { hasMessage, type SpoolReader, spoolInventory, spoolReader, storedBody } from "./spool-reading.ts";
import { type UnreportedReader, unreportedReader } from "./spool-unreported.ts";

/** Bodies up to this size stand in the row. */
const MAX_BODY_IN_ROW_BYTES = 65_536;
/** More than any body; SQLite's substr() answers with nothing when it is asked for more than this. */
const MAX_BODY_BYTES = 2 ** 31 - 1;

export interface Spool extends SpoolReader, UnreportedReader {
  /** A new number for a message; grows. */
  nextMessageSeq(): number;
  /** A new number for a row of the outbox; grows, in the order of `commit` when taken right before it. */
  nextOutboxSeq(): number;
  /** All or none, resolved after the sync. Rejects with StoreError. */
  commit(unit: readonly Statement[]): Promise<readonly number[]>;
  /**
   * Puts a body where it belongs, before the unit that names it: small ones go into the row (null), large ones
   * into a synced file, whose name is returned. Rejects with StoreError.
   */
  keepBody(id: string, seq: number, body: Uint8Array): Promise<string | null>;
  /** True when `keepBody` would use a file. */
  needsFile(size: number): boolean;
  /**
   * The body, or its first `maxBytes`. Rejects with StoreError; its kind is "lost" when the body is not there any more or is
   * not what was stored.
   */
  body(message: Pick<SpooledMessage, "seq" | "size" | "bodyFile">, maxBytes?: number): Promise<Uint8Array>;
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
  return {
    ...spoolReader(database),
    ...unreportedReader(database),
    nextMessageSeq: () => ++messageSeq,
    nextOutboxSeq: () => ++outboxSeq,
    commit: (unit) => database.commit(unit),
    needsFile: (size) => size > maxBodyInRowBytes,
    async keepBody(id, seq, body) {
      if (body.length <= maxBodyInRowBytes) return null;
      const name = bodyFileName(id, seq, body);
      await bodies.write(name, body);
      return name;
    },
    async body({ seq, size, bodyFile }, maxBytes = MAX_BODY_BYTES) {
      const body =
        bodyFile === null ? await storedBody(database, seq, maxBytes) : await bodies.read(bodyFile, maxBytes);
      const expected = Math.min(size, maxBytes);
      if (body?.length === expected) return body;
      const there = body === null ? "nothing" : `${body.length} octets`;
      throw new StoreError("lost", `the message body should have ${expected} octets, and ${there} is there`);
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
