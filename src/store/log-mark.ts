// How far the log of a database has come, in a file of 128 octets beside it (`-mark`): what SQLite's index (`-shm`) says, which anybody may
// remove, and a sum over the page written last. Noted after each commit was synced and before it is acknowledged, so it never says too
// much; not synced itself: it outlives a kill whole, and after a power cut may be the one of some seconds before, a lower bound still.
import {
  closeSync,
  existsSync,
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

/** Keeps the mark of a database that is open. Nothing here throws: what is committed is committed. */
export interface LogMark {
  /** Notes where the log is now. */
  note(): void;
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
  const page = Buffer.alloc(FRAME_HEADER_BYTES + 65_536);
  const files = new Map<string, number>();
  const fileOf = (name: string, flag: string): number => {
    const open = files.get(name) ?? openSync(name, flag, 0o600);
    files.set(name, open);
    return open;
  };
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
  return {
    note() {
      try {
        readSync(fileOf(`${path}-shm`, "r"), bytes, 0, INDEX_BYTES, 0);
        const pageBytes = pageBytesIn(bytes);
        const at = WAL_HEADER_BYTES + (bytes.readUInt32LE(16) - 1) * (FRAME_HEADER_BYTES + pageBytes);
        bytes.fill(0, INDEX_BYTES);
        if (at > 0 && readSync(fileOf(`${path}-wal`, "r"), page, 0, FRAME_HEADER_BYTES + pageBytes, at) > 0) {
          bytes.writeUInt32LE(page.readUInt32BE(0), INDEX_BYTES);
          sumOf(page.subarray(FRAME_HEADER_BYTES, FRAME_HEADER_BYTES + pageBytes)).copy(
            bytes,
            INDEX_BYTES + 4,
          );
        }
        write();
      } catch {
        // The one before is a lower bound as well.
      }
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
