// Is the log beside a database whole? SQLite reads it up to the first frame that does not agree and passes over the rest without a word,
// as it must after a power cut; a damaged log would lose what was acknowledged. Reads only, while nobody has the database open.
// https://www.sqlite.org/fileformat2.html §4 (the log), https://www.sqlite.org/walformat.html §2 (its index, `-shm`).
import {
  closeSync,
  copyFileSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readSync,
  statSync,
} from "node:fs";
import { holdsMarked, markPath } from "./log-mark.ts";

const HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
const MAGIC = 0x377f0682;
const INDEX_HEADER_BYTES = 48;
const FRAMES_PER_READ = 256;

type Sum = readonly [number, number];

/** What is wrong with a log. */
export interface LogFlaw {
  /** The end of a sentence that begins with its name. */
  readonly words: string;
  /** Where what can be used ends. */
  readonly goodBytes: number;
}

interface LogHeader {
  readonly pageBytes: number;
  readonly littleEndian: boolean;
  readonly salt: string;
  readonly sum: Sum;
}

/** What the process that had the database open last knew to be in the log: it notes a commit there after it was synced. */
interface LogIndex {
  readonly frames: number;
  readonly salt: string;
  readonly sum: Sum;
}

/** What a walk through the frames found. */
interface Walk {
  /** Frames up to the end of the last transaction that is whole. */
  readonly committed: number;
  /** Frames that agree, with those of a transaction that has no end. */
  readonly agreeing: number;
  /** Ends of transactions behind the first frame that does not agree. */
  readonly lost: number;
  /** One of those was followed by another transaction: it had been synced, it is no write that a power cut broke off. */
  readonly proof: boolean;
  /** The sum of the frame that was asked for. */
  readonly sumAt: Sum | null;
}

/**
 * What is wrong with the log of the database at `path`; null when nothing is, also when the last transaction is there in part, which was not
 * acknowledged then. `sameBoot`: the machine has not been started anew since the database was opened, so the index on disk is the last one
 * that was written; after a power cut it may be one from before.
 */
export function logFlaw(path: string, { sameBoot }: { readonly sameBoot: boolean }): LogFlaw | null {
  const log = `${path}-wal`;
  const size = statSync(log, { throwIfNoEntry: false })?.size;
  if (size === undefined) return null;
  const index = readIndex(`${path}-shm`);
  // The index tells most, but anybody may remove it, and a copy may leave it out.
  const mark = readIndex(markPath(path));
  const file = openSync(log, "r");
  try {
    // What was written and not synced before a kill is read now: it must not go away in a power cut later.
    fsyncSync(file);
    const header = readHeader(file);
    if (header === null) {
      const copied = size === 0 && sameBoot && holdsMarked(path);
      return headless(size, copied ? null : ((sameBoot ? index : null) ?? mark));
    }
    const expected = expectedIndex(header, index);
    const marked = expectedIndex(header, mark);
    // The mark is cleared and synced before a log is begun that does not follow the one before.
    if ((expected === "another" && sameBoot) || marked === "another")
      return { words: "is not the one that was written last", goodBytes: 0 };
    const known = further(expected === "another" ? null : expected, marked);
    const walk = walkFrames({ file, size, header }, known?.frames ?? 0);
    const goodBytes = HEADER_BYTES + walk.committed * (FRAME_HEADER_BYTES + header.pageBytes);
    if (walk.proof)
      return {
        words: `is damaged behind octet ${goodBytes}: ${transactions(walk.lost)} that had been acknowledged cannot be read`,
        goodBytes,
      };
    if (known === null || (walk.agreeing >= known.frames && same(walk.sumAt, known.sum))) return null;
    const missing = known.frames - walk.committed;
    const words =
      missing > 0
        ? `ends too soon or is damaged behind octet ${goodBytes}: ${missing} of ${known.frames} pages that had been acknowledged cannot be read`
        : "is not the one that was written last";
    return { words, goodBytes };
  } finally {
    closeSync(file);
  }
}

/** Keeps a copy of the log as it is at `aside`, and cuts off what cannot be used: later transactions must not be followed by old ones. */
export function cutLog(log: string, { goodBytes }: LogFlaw, aside: string): void {
  copyFileSync(log, aside);
  const file = openSync(log, "r+");
  try {
    ftruncateSync(file, goodBytes);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function transactions(count: number): string {
  return count === 1 ? "1 transaction" : `${count} transactions`;
}

/** The header is synced before the first frame is written, so a log with frames has one. */
function headless(size: number, index: LogIndex | null): LogFlaw | null {
  if (size > HEADER_BYTES)
    return { words: `is damaged at its start: nothing of its ${size} octets can be read`, goodBytes: 0 };
  if (index === null) return null;
  return {
    words: `is empty: ${index.frames} pages that had been acknowledged are not there`,
    goodBytes: 0,
  };
}

/** The index when it is about this log; null when it is of an earlier one or says nothing. Each new log counts the first half of the salt up. */
function expectedIndex(header: LogHeader, index: LogIndex | null): LogIndex | "another" | null {
  if (index === null || index.salt === header.salt) return index;
  const first = (salt: string) => Number.parseInt(salt.slice(0, 8), 16);
  const later = (first(header.salt) - first(index.salt)) >>> 0;
  return later > 0 && later < 0x8000_0000 ? null : "another";
}

function further(one: LogIndex | null, other: LogIndex | null): LogIndex | null {
  if (one === null || other === null) return one ?? other;
  return other.frames > one.frames ? other : one;
}

function readHeader(file: number): LogHeader | null {
  const bytes = Buffer.alloc(HEADER_BYTES);
  if (readSync(file, bytes, 0, HEADER_BYTES, 0) < HEADER_BYTES) return null;
  const magic = bytes.readUInt32BE(0);
  const littleEndian = magic === MAGIC;
  if (!littleEndian && magic !== MAGIC + 1) return null;
  const sum = sumOver(bytes.subarray(0, 24), [0, 0], littleEndian);
  if (!same(sum, sumIn(bytes, 24))) return null;
  return { pageBytes: bytes.readUInt32BE(8), littleEndian, salt: bytes.toString("hex", 16, 24), sum };
}

/** The index's header, which stands there twice; null when it is not there, not whole, or knows of no frame. */
function readIndex(path: string): LogIndex | null {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch {
    return null;
  }
  const header = bytes.subarray(0, INDEX_HEADER_BYTES);
  if (header.length < INDEX_HEADER_BYTES || !header.equals(bytes.subarray(48, 96))) return null;
  const sum = sumOver(header.subarray(0, 40), [0, 0], true);
  if (!same(sum, [header.readUInt32LE(40), header.readUInt32LE(44)])) return null;
  const frames = header.readUInt32LE(16);
  if (frames === 0) return null;
  return {
    frames,
    salt: header.toString("hex", 32, 40),
    sum: [header.readUInt32LE(24), header.readUInt32LE(28)],
  };
}

/** `asked`: the number of the frame whose sum is wanted, from 1. */
function walkFrames(
  { file, size, header }: { readonly file: number; readonly size: number; readonly header: LogHeader },
  asked: number,
): Walk {
  let committed = 0;
  let agreeing = 0;
  let lost = 0;
  let proof = false;
  let sumAt: Sum | null = null;
  /** The sum up to the frame before: what agrees has it, what does not says itself which it had. */
  let before = header.sum;
  let isBroken = false;
  let afterLostEnd = false;
  let number = 0;
  for (const frame of framesOf(file, size, header.pageBytes)) {
    number++;
    const ofThisLog = frame.toString("hex", 8, 16) === header.salt && frame.readUInt32BE(0) !== 0;
    const stated = sumIn(frame, 16);
    const agrees = ofThisLog && same(stated, frameSum(frame, before, header.littleEndian));
    const isEnd = ofThisLog && frame.readUInt32BE(4) !== 0;
    isBroken ||= !agrees;
    if (!isBroken) {
      agreeing = number;
      if (isEnd) committed = number;
      if (number === asked) sumAt = stated;
    } else {
      if (agrees && afterLostEnd) proof = true;
      if (isEnd) lost++;
      afterLostEnd = isEnd;
    }
    before = stated;
  }
  return { committed, agreeing, lost, proof, sumAt };
}

/** Whole frames one after the other; each is good until the next is asked for. */
function* framesOf(file: number, size: number, pageBytes: number): Generator<Buffer> {
  const step = FRAME_HEADER_BYTES + pageBytes;
  const buffer = Buffer.alloc(step * FRAMES_PER_READ);
  for (let at = HEADER_BYTES; at + step <= size; ) {
    const got = readSync(file, buffer, 0, buffer.length, at);
    const whole = Math.floor(got / step);
    if (whole === 0) return;
    for (let n = 0; n < whole; n++) yield buffer.subarray(n * step, (n + 1) * step);
    at += whole * step;
  }
}

function frameSum(frame: Buffer, before: Sum, littleEndian: boolean): Sum {
  const sum = sumOver(frame.subarray(0, 8), before, littleEndian);
  return sumOver(frame.subarray(FRAME_HEADER_BYTES), sum, littleEndian);
}

/** §4.2 of the file format: a Fibonacci-weighted sum over pairs of 32-bit numbers. */
function sumOver(bytes: Buffer, before: Sum, littleEndian: boolean): Sum {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let first = before[0] | 0;
  let second = before[1] | 0;
  for (let at = 0; at + 8 <= bytes.byteLength; at += 8) {
    first = (first + view.getInt32(at, littleEndian) + second) | 0;
    second = (second + view.getInt32(at + 4, littleEndian) + first) | 0;
  }
  return [first >>> 0, second >>> 0];
}

function sumIn(bytes: Buffer, at: number): Sum {
  return [bytes.readUInt32BE(at), bytes.readUInt32BE(at + 4)];
}

function same(one: Sum | null, other: Sum): boolean {
  return one !== null && one[0] === other[0] && one[1] === other[1];
}
