// OLE compound files (MS-CFB) read as far as looking for macros needs it: names of storages and streams, the head of a stream. Everything in
// them is hostile: directory entries are found wherever they lie, chains are followed for a bounded number of steps. No I/O.

export interface CompoundEntry {
  /** Lower case: names are compared without regard to case. */
  readonly name: string;
  readonly kind: "storage" | "stream" | "root";
  readonly startSector: number;
  readonly size: number;
}

const SIGNATURE = Buffer.from([0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1]);
const HEADER_BYTES = 512;
const ENTRY_BYTES = 128;
const NAME_BYTES = 64;
const HEADER_DIFAT = 109;
const MINI_SECTOR_BYTES = 64;
/** A shift of more than 12 is no sector size. */
const MAX_SECTOR_SHIFT = 12;
const MAX_MINI_STREAM = 1_048_576;

export function isCompoundFile(bytes: Uint8Array): boolean {
  return bytes.length >= HEADER_BYTES && SIGNATURE.equals(bytes.subarray(0, SIGNATURE.length));
}

/**
 * Every block of the file that is a directory entry (MS-CFB §2.6.1), whether a chain leads to it or not: programs repair broken files, each
 * in its own way. Entries are 128 octets and never cross a sector, so they start at multiples of that. One pass, linear.
 */
export function* compoundEntries(bytes: Uint8Array): Generator<CompoundEntry> {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = HEADER_BYTES; at + ENTRY_BYTES <= file.length; at += ENTRY_BYTES) {
    const kind = KINDS[file[at + 66] ?? 0];
    const nameBytes = file.readUInt16LE(at + NAME_BYTES);
    if (kind === undefined || nameBytes < 4 || nameBytes > NAME_BYTES || nameBytes % 2 === 1) continue;
    const end = at + nameBytes - 2;
    if (file.readUInt16LE(end) !== 0 || (file[at + 67] ?? 2) > 1) continue;
    yield {
      name: file.toString("utf16le", at, end).toLowerCase(),
      kind,
      startSector: file.readUInt32LE(at + 116),
      size: file.readUInt32LE(at + 120),
    };
  }
}

const KINDS: readonly (CompoundEntry["kind"] | undefined)[] = [
  undefined,
  "storage",
  "stream",
  undefined,
  undefined,
  "root",
];

/** The first octets of a stream, at most `maxBytes`; fewer where its chain breaks. */
export function streamHead(bytes: Uint8Array, entry: CompoundEntry, maxBytes: number): Buffer {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const shift = file.readUInt16LE(30);
  if (shift < 7 || shift > MAX_SECTOR_SHIFT) return Buffer.alloc(0);
  const sectors = new Sectors(file, shift);
  const wanted = Math.min(entry.size, maxBytes, file.length);
  // MS-CFB §2.2: streams below the cutoff lie in the mini stream.
  if (entry.size >= file.readUInt32LE(56)) return sectors.chain(entry.startSector, wanted);
  return miniChain(sectors, bytes, entry.startSector, wanted);
}

function miniChain(sectors: Sectors, bytes: Uint8Array, start: number, wanted: number): Buffer {
  let root: CompoundEntry | null = null;
  for (const entry of compoundEntries(bytes)) {
    if (entry.kind !== "root") continue;
    root = entry;
    break;
  }
  if (root === null) return Buffer.alloc(0);
  const stream = sectors.chain(root.startSector, MAX_MINI_STREAM);
  const table = sectors.chain(sectors.file.readUInt32LE(60), (MAX_MINI_STREAM / MINI_SECTOR_BYTES) * 4);
  const pieces: Buffer[] = [];
  let mini = start;
  for (let left = wanted; left > 0; left -= MINI_SECTOR_BYTES) {
    const from = mini * MINI_SECTOR_BYTES;
    if (from + MINI_SECTOR_BYTES > stream.length) break;
    pieces.push(stream.subarray(from, from + Math.min(left, MINI_SECTOR_BYTES)));
    if (mini * 4 + 4 > table.length) break;
    mini = table.readUInt32LE(mini * 4);
  }
  return Buffer.concat(pieces);
}

/** The sectors of a file with its allocation table (MS-CFB §2.3, §2.5). */
class Sectors {
  readonly file: Buffer;
  readonly #shift: number;
  readonly #tableSectors: readonly number[];

  constructor(file: Buffer, shift: number) {
    this.file = file;
    this.#shift = shift;
    this.#tableSectors = this.#readDifat();
  }

  /** The octets of a chain, at most `maxBytes`. A chain that goes in circles ends there. */
  chain(start: number, maxBytes: number): Buffer {
    const pieces: Buffer[] = [];
    let sector = start;
    for (let left = Math.min(maxBytes, this.file.length); left > 0; left -= 1 << this.#shift) {
      const at = this.#offset(sector);
      if (at === null) break;
      pieces.push(this.file.subarray(at, at + Math.min(left, 1 << this.#shift)));
      const next = this.#next(sector);
      if (next === null) break;
      sector = next;
    }
    return Buffer.concat(pieces);
  }

  #offset(sector: number): number | null {
    const at = (sector + 1) * 2 ** this.#shift;
    return at < this.file.length ? at : null;
  }

  #next(sector: number): number | null {
    const perSector = 2 ** (this.#shift - 2);
    const table = this.#tableSectors[Math.floor(sector / perSector)];
    const at = table === undefined ? null : this.#offset(table);
    return at === null ? null : this.#number(at + (sector % perSector) * 4);
  }

  #number(at: number): number | null {
    return at + 4 <= this.file.length ? this.file.readUInt32LE(at) : null;
  }

  /** Which sectors hold the allocation table; no more than the file has room for. */
  #readDifat(): readonly number[] {
    const { file } = this;
    const perSector = 2 ** (this.#shift - 2);
    const most = Math.ceil(file.length / 2 ** this.#shift / perSector) + 1;
    const found: number[] = [];
    for (let i = 0; i < HEADER_DIFAT && found.length < most; i++) found.push(file.readUInt32LE(76 + i * 4));
    let sector: number | null = file.readUInt32LE(68);
    while (found.length < most && sector !== null) {
      const at = this.#offset(sector);
      if (at === null) break;
      for (let i = 0; i < perSector - 1 && found.length < most; i++)
        found.push(this.#number(at + i * 4) ?? 0);
      sector = this.#number(at + (perSector - 1) * 4);
    }
    return found;
  }
}
