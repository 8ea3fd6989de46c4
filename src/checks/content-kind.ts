// What a file is by its content, whatever it is called. No I/O.
import { fileTypeFromBuffer } from "file-type";

export interface ContentKind {
  /** The extension such files have: `pdf`, `exe`, `zip`, `cfb`, … or "" for text and what is not known. */
  readonly kind: string;
  readonly mediaType: string;
  /** It is a program or a script. */
  readonly runs: boolean;
}

// file-type reads no farther into what it can tell by its head.
const HEAD = 4100;
/** Zip-based formats are told apart by what is inside, so more than the head is handed over. */
const MAX_DETECTED = 1_048_576;
const TEXT: ContentKind = { kind: "", mediaType: "text/plain", runs: false };
const UNKNOWN: ContentKind = { kind: "", mediaType: "application/octet-stream", runs: false };
const PROGRAMS: ReadonlySet<string> = new Set(
  "exe elf macho lnk jar apk class msi rpm deb dmg cab chm iso swf wasm appimage crx reg dex".split(" "),
);

/** What one message's items may take of file-type together: it spends up to a tenth of a second on a hostile megabyte. */
export interface DetectionBudget {
  bytes: number;
}

export function newDetectionBudget(): DetectionBudget {
  return { bytes: 8 * MAX_DETECTED };
}

/** Judges the content. `bytes` may be a part of it; the start is what counts. When the budget is spent, only the head is looked at. */
export async function contentKind(bytes: Uint8Array, budget = newDetectionBudget()): Promise<ContentKind> {
  const head = bytes.length > HEAD ? bytes.subarray(0, HEAD) : bytes;
  const own = ownKind(head);
  if (own !== null) return own;
  if (looksLikeText(head)) return TEXT;
  const share = Math.min(bytes.length, MAX_DETECTED, Math.max(HEAD, budget.bytes));
  budget.bytes -= share;
  const found = await detect(bytes.subarray(0, share));
  if (found === null) return isIso(bytes) ? program("iso", "application/x-iso9660-image") : UNKNOWN;
  return { kind: found.ext, mediaType: found.mime, runs: PROGRAMS.has(found.ext) };
}

async function detect(bytes: Uint8Array): Promise<{ readonly ext: string; readonly mime: string } | null> {
  try {
    return (await fileTypeFromBuffer(bytes)) ?? null;
  } catch {
    return null;
  }
}

function ownKind(head: Uint8Array): ContentKind | null {
  const a = head[0];
  const b = head[1];
  // The header of a program has zeros in it; "MZ 2026" begins a letter.
  if (a === 0x4d && b === 0x5a && !looksLikeText(head)) return program("exe", "application/x-msdownload");
  if (a === 0x23 && b === 0x21) return program("sh", "text/x-script");
  if (a === 0x7f && b === 0x45 && head[2] === 0x4c && head[3] === 0x46) {
    return program("elf", "application/x-elf");
  }
  // A shell link starts with its header size and class id (MS-SHLLINK §2.1).
  if (a === 0x4c && b === 0 && head[2] === 0 && head[3] === 0 && head[4] === 0x01 && head[5] === 0x14) {
    return program("lnk", "application/x-ms-shortcut");
  }
  return null;
}

function program(kind: string, mediaType: string): ContentKind {
  return { kind, mediaType, runs: true };
}

/** "CD001" in the first volume descriptor (ECMA-119 §8.1). */
function isIso(bytes: Uint8Array): boolean {
  return bytes.length > 32_774 && Buffer.from(bytes.subarray(32_769, 32_774)).toString("latin1") === "CD001";
}

const TEXT_HEAD = 1024;
const BINARY = /[\x00-\x08\x0e-\x1a\x1c-\x1f]/;

/** Text has no control characters but white space and escape; a PDF or RTF head is left to file-type. */
function looksLikeText(head: Uint8Array): boolean {
  const first = head[0] ?? 0;
  if (first === 0x25 || first === 0x7b || first === 0xff || first === 0xfe) return false;
  const length = Math.min(head.length, TEXT_HEAD);
  return !BINARY.test(Buffer.from(head.buffer, head.byteOffset, length).toString("latin1"));
}

/** Extensions whose files must start in a known way, with the kinds that may stand behind them. */
const EXPECTED: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries({
    pdf: ["pdf"],
    png: ["png", "apng"],
    jpg: ["jpg"],
    jpeg: ["jpg"],
    gif: ["gif"],
    bmp: ["bmp"],
    tif: ["tif"],
    tiff: ["tif"],
    webp: ["webp"],
    zip: ["zip", "docx", "xlsx", "pptx", "jar", "apk", "epub", "odt", "ods", "odp", "xpi"],
    docx: ["docx", "zip"],
    docm: ["docm", "docx", "zip"],
    xlsx: ["xlsx", "zip"],
    xlsm: ["xlsm", "xlsx", "zip"],
    pptx: ["pptx", "zip"],
    odt: ["odt", "zip"],
    ods: ["ods", "zip"],
    rar: ["rar"],
    "7z": ["7z"],
    gz: ["gz"],
    mp3: ["mp3"],
    mp4: ["mp4", "m4v", "mov"],
  }),
);

/** Names that promise a document or plain text: a program behind one of these is a disguise. */
const HARMLESS: ReadonlySet<string> = new Set(
  "txt csv doc xls ppt rtf htm html ics vcf log xml json".split(" "),
);

/** Does the name's extension promise something else than the content is? */
export function isMismatch(extension: string, content: ContentKind): boolean {
  const expected = EXPECTED.get(extension);
  if (expected !== undefined) return !expected.includes(content.kind);
  return HARMLESS.has(extension) && content.runs;
}
