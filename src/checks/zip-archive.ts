// Looks into zip archives (and what is built on them: OOXML, jar, odt) under one budget for a whole message.
// Everything in them is hostile: sizes, offsets, names, and archives inside archives.

import { constants, inflateRawSync } from "node:zlib";
import yauzl, { type Entry } from "yauzl";

/** What may still be spent on one message. Mutable: every archive draws on it. */
export interface ArchiveBudget {
  entries: number;
  inflatedBytes: number;
  /** Files whose head is still unpacked when there is no room for the whole. */
  heads: number;
}

export const MAX_ARCHIVE_DEPTH = 3;

export function newArchiveBudget(): ArchiveBudget {
  return { entries: 2000, inflatedBytes: 33_554_432, heads: 200 };
}

export interface ArchiveFile {
  readonly name: string;
  /** The content; its head when the rest goes over a limit; empty when it is encrypted or cannot be read. */
  readonly bytes: Uint8Array;
  readonly encrypted: boolean;
  /** Why not all of it could be looked at, or null. */
  readonly problem: string | null;
}

/** Shown with a file, so that the archive's sender does not decide how long a sentence gets. */
const EXPANDS_TOO_FAR = "expands too far to be looked into";
const OVERLAPS = "shares its bytes with other files of the archive";

export type ArchiveListing =
  | { readonly ok: true; readonly files: readonly ArchiveFile[]; readonly problem: string | null }
  | { readonly ok: false; readonly problem: string };

/** True when the bytes start like a zip archive, or hold one behind a stub. */
export function isZip(bytes: Uint8Array): boolean {
  return (
    bytes[0] === 0x50 && bytes[1] === 0x4b && (bytes[2] === 3 || bytes[2] === 5) && bytes[3] !== undefined
  );
}

/** Lists and inflates the files of an archive. Never throws. */
export async function readZip(archive: Buffer, budget: ArchiveBudget): Promise<ArchiveListing> {
  let entries: readonly Entry[];
  try {
    entries = await centralDirectory(archive, budget);
  } catch (error) {
    return { ok: false, problem: `is no readable zip archive (${shortReason(error)})` };
  }
  const files: ArchiveFile[] = [];
  // Files that are only stored lie side by side in an archive: together they cannot be larger than it.
  const stored = { bytesLeft: archive.length };
  for (const entry of entries) {
    const names = namesOf(archive, entry).filter((name) => !/[/\\]$/.test(name));
    const first = names[0];
    if (first === undefined) continue;
    const file = readEntry(archive, { entry, name: first, stored }, budget);
    for (const name of names) files.push({ ...file, name });
  }
  const listed = new Set(entries.map((entry) => entry.relativeOffsetOfLocalHeader));
  for (const name of hiddenNames(archive, listed)) {
    files.push({
      name,
      bytes: new Uint8Array(),
      encrypted: false,
      problem: "is not in the archive's own list",
    });
  }
  const problem = budget.entries <= 0 ? "holds too many files to be looked into" : null;
  return { ok: true, files, problem };
}

function shortReason(error: unknown): string {
  return error instanceof Error ? error.message.replace(/[^\x20-\x7e]/g, "?").slice(0, 100) : "unknown";
}

function centralDirectory(archive: Buffer, budget: ArchiveBudget): Promise<readonly Entry[]> {
  return new Promise((resolve, reject) => {
    // decodeStrings off: names are judged here and never used as paths, so an archive is not refused for "../" in one.
    const options = { lazyEntries: true, decodeStrings: false, validateEntrySizes: false };
    yauzl.fromBuffer(archive, options, (failure, zip) => {
      if (failure !== null || zip === undefined) return reject(failure ?? new Error("no archive"));
      const entries: Entry[] = [];
      zip.on("entry", (entry: Entry) => {
        entries.push(entry);
        budget.entries--;
        if (budget.entries <= 0) return resolve(entries);
        zip.readEntry();
      });
      zip.on("end", () => resolve(entries));
      zip.on("error", reject);
      zip.readEntry();
    });
  });
}

const LOCAL_HEADER_BYTES = 30;
const STORED = 0;
const DEFLATED = 8;

function readEntry(
  archive: Buffer,
  what: { readonly entry: Entry; readonly name: string; readonly stored: { bytesLeft: number } },
  budget: ArchiveBudget,
): ArchiveFile {
  const { entry, name, stored } = what;
  const nothing = new Uint8Array();
  if ((entry.generalPurposeBitFlag & 1) === 1 || entry.compressionMethod === 99) {
    return { name, bytes: nothing, encrypted: true, problem: null };
  }
  const data = entryData(archive, entry);
  if (data === null)
    return { name, bytes: nothing, encrypted: false, problem: "points outside of its archive" };
  if (entry.compressionMethod === STORED) {
    stored.bytesLeft -= data.length;
    return stored.bytesLeft < 0
      ? { name, bytes: data.subarray(0, HEAD_OUTPUT), encrypted: false, problem: OVERLAPS }
      : { name, bytes: data, encrypted: false, problem: null };
  }
  if (entry.compressionMethod !== DEFLATED) {
    return {
      name,
      bytes: nothing,
      encrypted: false,
      problem: "is packed in a way that cannot be looked into",
    };
  }
  return inflate(name, data, budget);
}

// Info-ZIP's Unicode path: version, CRC-32 of the plain name, the name in UTF-8. (APPNOTE 4.6.9)
const UNICODE_PATH = 0x7075;

/** Every name the file may be unpacked under: the directory's, its Unicode form, the local header's. */
function namesOf(archive: Buffer, entry: Entry): readonly string[] {
  const names = new Set([entry.fileNameRaw.toString("utf8")]);
  for (const field of entry.extraFields) {
    if (field.id === UNICODE_PATH && field.data.length > 5) names.add(field.data.toString("utf8", 5));
  }
  const header = entry.relativeOffsetOfLocalHeader;
  if (isLocalHeader(archive, header)) {
    const length = archive.readUInt16LE(header + 26);
    names.add(archive.toString("utf8", header + LOCAL_HEADER_BYTES, header + LOCAL_HEADER_BYTES + length));
  }
  return [...names].filter((name) => name !== "");
}

function isLocalHeader(archive: Buffer, at: number): boolean {
  return at + LOCAL_HEADER_BYTES <= archive.length && archive.readUInt32LE(at) === 0x04034b50;
}

/** The packed bytes, found through the local header, whose lengths differ from the directory's. (APPNOTE 4.3.7) */
function entryData(archive: Buffer, entry: Entry): Buffer | null {
  const header = entry.relativeOffsetOfLocalHeader;
  if (!isLocalHeader(archive, header)) return null;
  const start =
    header + LOCAL_HEADER_BYTES + archive.readUInt16LE(header + 26) + archive.readUInt16LE(header + 28);
  if (start > archive.length) return null;
  return archive.subarray(start, Math.min(archive.length, start + entry.compressedSize));
}

const HEAD_INPUT = 1024;
/** Enough to tell what kind of file it is. */
const HEAD_OUTPUT = 8192;

function inflate(name: string, data: Buffer, budget: ArchiveBudget): ArchiveFile {
  const options = { finishFlush: constants.Z_SYNC_FLUSH };
  if (budget.inflatedBytes > 0) {
    try {
      const bytes = inflateRawSync(data, { ...options, maxOutputLength: budget.inflatedBytes });
      budget.inflatedBytes -= bytes.length;
      return { name, bytes, encrypted: false, problem: null };
    } catch (error) {
      if (!isTooLarge(error)) {
        return {
          name,
          bytes: new Uint8Array(),
          encrypted: false,
          problem: "is damaged and cannot be unpacked",
        };
      }
      budget.inflatedBytes = 0;
    }
  }
  const bytes = budget.heads-- > 0 ? headOf(data, options) : new Uint8Array();
  return { name, bytes, encrypted: false, problem: EXPANDS_TOO_FAR };
}

/** The first bytes, so that the kind of an oversized file is still told: 1 KB of deflate gives at most 1 MB. */
function headOf(data: Buffer, options: { readonly finishFlush: number }): Uint8Array {
  try {
    const head = inflateRawSync(data.subarray(0, HEAD_INPUT), {
      ...options,
      maxOutputLength: HEAD_INPUT * 1100,
    });
    return Uint8Array.from(head.subarray(0, HEAD_OUTPUT));
  } catch {
    return new Uint8Array();
  }
}

function isTooLarge(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ERR_BUFFER_TOO_LARGE";
}

const LOCAL_SIGNATURE = Buffer.from([0x50, 0x4b, 3, 4]);
const MAX_HIDDEN = 50;

/** Names of local headers in front of the directory that it does not list: some programs unpack those. */
function hiddenNames(archive: Buffer, listed: ReadonlySet<number>): readonly string[] {
  const names: string[] = [];
  // Only where nothing is stored before the first listed file: inside packed data the signature may occur by chance.
  const firstListed = Math.min(archive.length, ...listed);
  for (
    let at = archive.indexOf(LOCAL_SIGNATURE);
    at >= 0 && at < firstListed && names.length < MAX_HIDDEN;
  ) {
    if (at + LOCAL_HEADER_BYTES <= archive.length && !listed.has(at)) {
      const length = Math.min(archive.readUInt16LE(at + 26), 255);
      names.push(archive.toString("utf8", at + LOCAL_HEADER_BYTES, at + LOCAL_HEADER_BYTES + length));
    }
    at = archive.indexOf(LOCAL_SIGNATURE, at + 4);
  }
  return names;
}
