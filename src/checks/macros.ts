// Findings about Office documents with macros (requirement O8): VBA, Excel 4 macro sheets, Basic and scripts of OpenDocument. It looks at what
// is in the documents, whatever they are called; documents in archives and in other documents too. Decides nothing.
import type { Finding } from "../rules/fact.ts";
import { listingOf } from "./attachments.ts";
import { compoundEntries, isCompoundFile, streamHead } from "./compound-file.ts";
import { extensionOf } from "./file-name.ts";
import type { ScanItem } from "./scan-items.ts";
import { isZip } from "./zip-archive.ts";

/** Collects documents with macros while the items of one message are visited. */
export interface MacroSurvey {
  visit(item: ScanItem): void;
  findings(): readonly Finding[];
}

export const MACRO_FACTS = ["attachments.macros"] as const;

const MAX_REASONS = 5;

export function surveyMacros(): MacroSurvey {
  const found = listingOf();
  const reasons = new Set<string>();
  return {
    visit(item) {
      const kind = macrosIn(item);
      if (kind === null) return;
      // Of a document's inner part people know nothing: the document is named.
      const label = found.add(item.insideDocument ? (item.within ?? item.label) : item.label);
      if (reasons.size < MAX_REASONS) reasons.add(`${label} has ${kind}`);
    },
    findings() {
      const value = found.entries();
      const finding = { check: "attachments", fact: "attachments.macros", value };
      return [value.length === 0 ? finding : { ...finding, words: [...reasons].join("; ") }];
    },
  };
}

/** What makes the item one with macros, as the end of a sentence; null when nothing does. */
function macrosIn(item: ScanItem): string | null {
  const { bytes } = item;
  if (item.encrypted) return lockedMacros(item);
  if (item.archiveDepth > 0) {
    const byName = partMacros(item);
    if (byName !== null) return byName;
  }
  if (isCompoundFile(bytes)) return compoundMacros(bytes);
  if (!item.attached || isZip(bytes)) return null;
  return textMacros(bytes);
}

const MACRO_EXTENSIONS: ReadonlySet<string> = new Set(
  "docm dotm xlsm xltm xlam pptm potm ppsm ppam sldm".split(" "),
);

/** Nobody can look inside, but only documents with macros are called so. */
function lockedMacros(item: ScanItem): string | null {
  return item.names.some((name) => MACRO_EXTENSIONS.has(extensionOf(name)))
    ? "macros by its name, and is locked"
    : null;
}

const VBA = "VBA macros";
const EXCEL4 = "Excel 4 macros";
const SCRIPTS = "macros in scripts";
const BASIC = "Basic macros";

/** A part of a package: OOXML (ECMA-376 part 2), or OpenDocument 1.3 part 2. */
function partMacros(item: ScanItem): string | null {
  for (const name of item.names) {
    const path = name.replaceAll("\\", "/").replace(/^\/+/, "").toLowerCase();
    if (/(?:^|\/)vbaproject\.bin$/.test(path)) return VBA;
    if (!item.insideDocument) continue;
    if (/(?:^|\/)macrosheets\/[^/]+$/.test(path)) return EXCEL4;
    if (path === "[content_types].xml") return contentTypeMacros(item.bytes);
    // `script-lb.xml` and `dialog-lb.xml` are the lists of a library, which are there without any macro.
    if (/^basic\/[^/]+\/(?!script-lb\.xml$|dialog-lb\.xml$)[^/]+$/.test(path)) return BASIC;
    if (/^scripts\/[^/]+\/./.test(path)) return SCRIPTS;
  }
  return null;
}

const MAX_CONTENT_TYPES = 262_144;

/** Parts may be called anything; their content types tell what they are. */
function contentTypeMacros(bytes: Uint8Array): string | null {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, MAX_CONTENT_TYPES));
  const text = head.toString("latin1").replaceAll("\u0000", "").toLowerCase();
  if (text.includes("application/vnd.ms-office.vbaproject")) return VBA;
  return /application\/vnd\.ms-excel\.(?:intl)?macrosheet/.test(text) ? EXCEL4 : null;
}

/** Of documents in the form of Office 97 to 2003, and of what other files of that form hold (MS-OVBA §2.2.1). */
function compoundMacros(bytes: Uint8Array): string | null {
  let excel4 = false;
  let slides = false;
  let books = 0;
  for (const entry of compoundEntries(bytes)) {
    const { name, kind } = entry;
    if (kind === "stream" && name === "_vba_project") return VBA;
    if (kind === "storage" && (name === "vba" || name === "_vba_project_cur")) return VBA;
    if (kind === "stream" && name === "powerpoint document") slides = true;
    if (kind === "stream" && (name === "workbook" || name === "book") && !excel4 && books++ < MAX_BOOKS) {
      excel4 = hasMacroSheet(streamHead(bytes, entry, MAX_WORKBOOK_HEAD));
    }
  }
  if (excel4) return EXCEL4;
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (slides && hasSlideMacros(file)) return VBA;
  // A package embedded as a stream, as in Outlook messages: its own list of files names the project.
  return file.includes("vbaProject.bin") ? VBA : null;
}

const MAX_BOOKS = 20;
/** The sheets are listed before the text of the cells. */
const MAX_WORKBOOK_HEAD = 1_048_576;
const EOF_RECORD = 0x000a;
const BOUND_SHEET = 0x0085;
const MACRO_SHEET = 1;

/** Is one of the listed sheets a macro sheet? (MS-XLS §2.4.28) */
function hasMacroSheet(workbook: Buffer): boolean {
  let at = 0;
  while (at + 4 <= workbook.length) {
    const id = workbook.readUInt16LE(at);
    if (id === EOF_RECORD) return false;
    if (id === BOUND_SHEET && workbook[at + 9] === MACRO_SHEET) return true;
    at += 4 + workbook.readUInt16LE(at + 2);
  }
  return false;
}

/** The head of a VbaInfoAtom (MS-PPT §2.4.11). */
const VBA_INFO = Buffer.from([0x02, 0x00, 0x00, 0x04, 0x0c, 0x00, 0x00, 0x00]);

function hasSlideMacros(file: Buffer): boolean {
  for (let at = file.indexOf(VBA_INFO); at >= 0; at = file.indexOf(VBA_INFO, at + 1)) {
    if (at + 16 <= file.length && file.readUInt32LE(at + 12) === 1) return true;
  }
  return false;
}

/** The start of "ActiveMime", in which Office keeps the project of XML and MHTML documents, in base64. */
const ACTIVE_MIME_BASE64 = Buffer.from("QWN0aXZlTWltZ");
const ACTIVE_MIME = Buffer.from("ActiveMime");
const FLAT_ODF = Buffer.from("office:document");
const FLAT_BASIC = Buffer.from("ooo:source-code");
const HEAD = 4096;

function textMacros(bytes: Uint8Array): string | null {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (file.subarray(0, ACTIVE_MIME.length).equals(ACTIVE_MIME) || file.includes(ACTIVE_MIME_BASE64))
    return VBA;
  return file.subarray(0, HEAD).includes(FLAT_ODF) && file.includes(FLAT_BASIC) ? BASIC : null;
}
