// How far the log of a database has come, in a file of 128 octets beside it (`-mark`): what SQLite's index (`-shm`) says, which anybody may
// remove, and a sum over the page written last. Noted after each commit was synced and before it is acknowledged, so it never says too
// much; not synced itself: it outlives a kill whole, and after a power cut may be the one of some seconds before, a lower bound still.
import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";

const INDEX_BYTES = 96;
const MARK_BYTES = 128;
const WAL_HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
// https://www.sqlite.org/walformat.html §2.1: the salt of the log, another for each that is begun.
const SALT_AT = 32;
const SALT_END = 40;

/** Keeps the mark of a database that is open. Nothing here throws: what is committed is committed. */
export interface LogMark {
  /** Notes where the log is now. */
  note(): void;
  /**
   * Is the log shorter than what was written to it, or was it while something was written? Then it stays so: what is written behind the cut
   * makes the file as long as it was, with a hole in it.
   */
  isCut(): boolean;
  /** To be called before the log is emptied: after it, an empty log is no loss. Synced. */
  clear(): void;
  /** To be called after the database is closed: POSIX gives up a process's locks on a file, SQLite's too, when it closes any handle on it. */
  close(): void;
}

export function markPath(path: string): string {
  return `${path}-mark`;
}

export function openLogMark(path: string): LogMark {
  const bytes = Buffer.alloc(MARK_BYTES);
  const before = Buffer.alloc(MARK_BYTES);
  const again = Buffer.alloc(MARK_BYTES);
  const page = Buffer.alloc(FRAME_HEADER_BYTES + 65_536);
  const files = new Map<string, number>();
  const fileOf = (name: string, flag: string): number => {
    const open = files.get(name) ?? openSync(name, flag, 0o600);
    files.set(name, open);
    return open;
  };
  let cut = false;
  const write = (): number => {
    const name = markPath(path);
    const isNew = !files.has(name) && !existsSync(name);
    const file = fileOf(name, isNew ? "w" : "r+");
    writeSync(file, bytes, 0, MARK_BYTES, 0);
    if (isNew) fsyncSync(file);
    return file;
  };
  const close = (): void => {
    for (const file of files.values()) closeSync(file);
    files.clear();
  };
  /** Fills in the number and the sum of the page in the last frame that `index` knows. */
  const addLastPage = (index: Buffer): void => {
    const pageBytes = pageBytesIn(index);
    const at = endOfLog(index) - (FRAME_HEADER_BYTES + pageBytes);
    index.fill(0, INDEX_BYTES);
    if (at < 0 || readSync(fileOf(`${path}-wal`, "r"), page, 0, FRAME_HEADER_BYTES + pageBytes, at) <= 0)
      return;
    index.writeUInt32LE(page.readUInt32BE(0), INDEX_BYTES);
    sumOf(page.subarray(FRAME_HEADER_BYTES, FRAME_HEADER_BYTES + pageBytes)).copy(index, INDEX_BYTES + 4);
  };
  return {
    note() {
      try {
        bytes.copy(before);
        readSync(fileOf(`${path}-shm`, "r"), bytes, 0, INDEX_BYTES, 0);
        // In the same log what was last before is there still.
        const goesOn = bytes.compare(before, SALT_AT, SALT_END, SALT_AT, SALT_END) === 0;
        if (goesOn && before.readUInt32LE(INDEX_BYTES) !== 0 && endOfLog(bytes) > endOfLog(before)) {
          before.copy(again);
          addLastPage(again);
          cut ||= !again.equals(before);
        }
        addLastPage(bytes);
        write();
      } catch {
        // The one before is a lower bound as well.
      }
    },
    isCut() {
      try {
        if (cut || fstatSync(fileOf(`${path}-wal`, "r")).size >= endOfLog(bytes)) return cut;
        // Emptied by whom SQLite knows of, the index has been told so before.
        const now = Buffer.alloc(INDEX_BYTES);
        readSync(fileOf(`${path}-shm`, "r"), now, 0, INDEX_BYTES, 0);
        cut = fstatSync(fileOf(`${path}-wal`, "r")).size < endOfLog(now);
      } catch {
        // A log that is not there is told by its name.
      }
      return cut;
    },
    clear() {
      try {
        bytes.fill(0);
        fsyncSync(write());
      } catch {
        rmSync(markPath(path), { force: true });
      }
    },
    close,
  };
}

/** Is there a whole one? */
export function hasMark(path: string): boolean {
  return (statSync(markPath(path), { throwIfNoEntry: false })?.size ?? 0) >= MARK_BYTES;
}

/** Before the database is opened: without a log, what is noted of one is of the past. */
export function forgetOldMark(path: string): void {
  const log = statSync(`${path}-wal`, { throwIfNoEntry: false });
  if (existsSync(markPath(path)) && (log === undefined || log.size === 0)) {
    const mark = openLogMark(path);
    mark.clear();
    mark.close();
  }
}

/**
 * Holds the database file itself all that the mark knows to be in the log, which is not there? It does after a program that opened it has
 * copied the log into it. False when it cannot be told.
 */
export function holdsMarked(path: string): boolean {
  try {
    const mark = readFileSync(markPath(path));
    if (mark.length < MARK_BYTES) return false;
    const number = mark.readUInt32LE(INDEX_BYTES);
    // Cleared, or at the start of a log: all of the one before had been copied.
    if (number === 0) return mark.readUInt32LE(16) === 0;
    const page = Buffer.alloc(pageBytesIn(mark));
    const file = openSync(path, "r");
    try {
      if (readSync(file, page, 0, page.length, (number - 1) * page.length) < page.length) return false;
    } finally {
      closeSync(file);
    }
    return sumOf(page).equals(mark.subarray(INDEX_BYTES + 4, INDEX_BYTES + 12));
  } catch {
    return false;
  }
}

/**
 * Is the log of the database, which another thread has open, shorter than its mark says it is? Opens the mark alone: closing a handle on
 * the others would give up SQLite's locks.
 */
export function isLogShort(path: string): boolean {
  const read = (): Buffer | null => {
    try {
      const mark = readFileSync(markPath(path));
      return mark.length < MARK_BYTES ? null : mark;
    } catch {
      return null;
    }
  };
  const mark = read();
  const info = statSync(`${path}-wal`, { throwIfNoEntry: false });
  if (mark === null || info === undefined || info.size >= endOfLog(mark)) return false;
  // The mark is cleared before a log is emptied: one that is the same still was not.
  return read()?.equals(mark) === true;
}

/** Where what an index or a mark knows ends in the log, in octets; 0: it knows of nothing. */
function endOfLog(index: Buffer): number {
  const frames = index.readUInt32LE(16);
  return frames === 0 ? 0 : WAL_HEADER_BYTES + frames * (FRAME_HEADER_BYTES + pageBytesIn(index));
}

/** https://www.sqlite.org/walformat.html §2.1: the page size, 1 for 65,536. */
function pageBytesIn(index: Buffer): number {
  const stated = index.readUInt16LE(14);
  return stated === 1 ? 65_536 : stated;
}

function sumOf(page: Uint8Array): Buffer {
  const sum = Buffer.alloc(8);
  sum.writeBigUInt64LE(Bun.hash.xxHash64(page));
  return sum;
}
