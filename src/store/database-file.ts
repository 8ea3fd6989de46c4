// What can be told of a database from its files while nobody has it open: is it there, is it one, is it whole? Reads only.
import { closeSync, existsSync, openSync, readSync, statSync } from "node:fs";
import type { DatabaseReader } from "./database.ts";

// https://www.sqlite.org/fileformat2.html: the header of the file, and of the log beside it.
const MAGIC = "SQLite format 3\u0000";
const HEADER_BYTES = 100;
const WAL_HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;

/** What is wrong with the file, as the end of a sentence that begins with its name; null when nothing is seen. */
export function databaseFlaw(path: string): string | null {
  const info = statSync(path, { throwIfNoEntry: false });
  if (info === undefined) return "is missing";
  if (!info.isFile()) return "is no file";
  if (info.size === 0) return "is empty";
  const header = readAt(path, 0, HEADER_BYTES);
  if (header.length < HEADER_BYTES || header.toString("latin1", 0, MAGIC.length) !== MAGIC)
    return "is damaged: it is no database";
  const pageBytes = header.readUInt16BE(16) === 1 ? 65_536 : header.readUInt16BE(16);
  const pages = header.readUInt32BE(28);
  const there = Math.floor(info.size / pageBytes);
  if (there >= pages) return null;
  // A crash while the log is copied into the file leaves it shorter than its header says: then the log has the rest.
  const inLog = pagesInLog(`${path}-wal`, pageBytes);
  for (let page = there + 1; page <= pages; page++)
    if (!inLog.has(page)) return `is cut short: ${info.size} octets of ${pages * pageBytes} are there`;
  return null;
}

/** True when the database has a log beside it, as one has that is in use or was not closed. */
export function hasLog(path: string): boolean {
  return existsSync(`${path}-wal`);
}

/** Tells one database from every other: when it was made, to the millisecond. A copy has the id of its original. */
export async function databaseId(database: DatabaseReader): Promise<string> {
  const [row] = await database.query({ sql: 'select min("applied_at") from "migration"', params: [] });
  return String(row?.[0] ?? "");
}

function pagesInLog(path: string, pageBytes: number): ReadonlySet<number> {
  const pages = new Set<number>();
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  const step = FRAME_HEADER_BYTES + pageBytes;
  for (let at = WAL_HEADER_BYTES; at + step <= size; at += step)
    pages.add(readAt(path, at, 4).readUInt32BE(0));
  return pages;
}

function readAt(path: string, at: number, length: number): Buffer {
  const file = openSync(path, "r");
  try {
    const bytes = Buffer.alloc(length);
    return bytes.subarray(0, readSync(file, bytes, 0, length, at));
  } finally {
    closeSync(file);
  }
}
