// The header section of a message, read where it lies: fields are found by offset and decoded only when asked for. No I/O.

import { decodeWords } from "./encoded-word.ts";

/** What of a header section is looked at, octets. Sessions refuse longer ones; readers here stop at it. */
export const MAX_HEADER_BYTES = 1_048_576;
/** How many fields are looked at. */
export const MAX_HEADER_FIELDS = 10_000;

export interface HeaderBlock {
  /** The header section in Latin-1, one character per octet, so that string offsets are byte offsets. Cut at `MAX_HEADER_BYTES`. */
  readonly text: string;
  /** Octets of the header section with the empty line that ends it: where the body starts. */
  readonly bodyStart: number;
}

/** One header field as it lies in `HeaderBlock.text`. */
export interface HeaderField {
  /** Lower case; "" when the line is no header field (no colon, or a space inside the name). */
  readonly name: string;
  /** Offset of the first character of the name. */
  readonly start: number;
  /** Offset of the colon; equals `start` when there is none. */
  readonly colon: number;
  /** White space, controls or what is not ASCII stands before the colon, or there is none. */
  readonly odd: boolean;
  /** Offset behind the CRLF that ends the field, continuation lines included. */
  readonly end: number;
}

/** Octets of a field looked at for a name in disguise. */
const MAX_NAME = 300;
const CRLF_CRLF = Buffer.from("\r\n\r\n");
const COLON = 58;
const SPACE = 32;
const TAB = 9;
const DELETE = 127;

/** Where the body starts; null while the empty line that ends the header section is not there. */
export function bodyStartIn(bytes: Buffer): number | null {
  if (bytes[0] === 13 && bytes[1] === 10) return 2;
  const gap = bytes.indexOf(CRLF_CRLF);
  return gap < 0 ? null : gap + 4;
}

/**
 * Finds the header section of a message. One that starts with an empty line has none, nor has one that starts with white space:
 * there is no field it could continue (RFC 5322 §2.2), so it is body from its first octet. One without an empty line has no body.
 */
export function readHeaderBlock(raw: Uint8Array): HeaderBlock {
  return isWhite(raw[0] ?? 0) ? { text: "", bodyStart: 0 } : readPartHeader(raw);
}

/**
 * The same for whoever looks for what hides in a message or a part of it: some readers take fields below a first line of white space
 * for fields all the same.
 */
export function readPartHeader(raw: Uint8Array): HeaderBlock {
  const bytes = Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength);
  const found = bodyStartIn(bytes);
  if (found === 2) return { text: "", bodyStart: 2 };
  const bodyStart = found ?? bytes.length;
  const fieldsEnd = found === null ? bytes.length : found - 2;
  if (fieldsEnd <= MAX_HEADER_BYTES) return { text: bytes.toString("latin1", 0, fieldsEnd), bodyStart };
  const cut = bytes.toString("latin1", 0, MAX_HEADER_BYTES);
  const lastLine = cut.lastIndexOf("\r\n");
  return { text: lastLine < 0 ? "" : cut.slice(0, lastLine + 2), bodyStart };
}

/** Calls `visit` for each field from the top, at most `MAX_HEADER_FIELDS`; stops early when it returns false. */
export function eachField(text: string, visit: (field: HeaderField) => boolean | undefined): void {
  let start = 0;
  for (let count = 0; start < text.length && count < MAX_HEADER_FIELDS; count++) {
    let lineEnd = text.indexOf("\r\n", start);
    while (lineEnd >= 0 && isWhite(text.charCodeAt(lineEnd + 2))) lineEnd = text.indexOf("\r\n", lineEnd + 2);
    const end = lineEnd < 0 ? text.length : lineEnd + 2;
    if (visit(fieldAt(text, start, end)) === false) return;
    start = end;
  }
}

/** Has the message a body alone, which would be read as fields below a header that is put on top of it? */
export function isBareBody({ text, bodyStart }: HeaderBlock, messageBytes: number): boolean {
  if (text === "") return messageBytes > 0 && bodyStart === 0;
  let bare = true;
  eachField(text, ({ name }) => {
    bare = name === "";
    return bare;
  });
  return bare;
}

function fieldAt(text: string, start: number, end: number): HeaderField {
  let colon = start;
  let odd = false;
  for (; colon < end; colon++) {
    const code = text.charCodeAt(colon);
    if (!isNameOrWhite(code)) break;
    if (code <= SPACE || code >= DELETE) odd = true;
  }
  if (colon === start || text.charCodeAt(colon) !== COLON)
    return { name: "", start, colon: start, odd: true, end };
  let nameEnd = colon;
  // RFC 5322 §4.5: obsolete syntax has white space before the colon; other parsers take it as the same field.
  while (nameEnd > start && isWhite(text.charCodeAt(nameEnd - 1))) nameEnd--;
  const name = text.slice(start, nameEnd).toLowerCase();
  return name === "" || name.includes(" ")
    ? { name: "", start, colon: start, odd: true, end }
    : { name, start, colon, odd, end };
}

const ODD_NAME = /[^!-9;-~]/;

/**
 * The name a lenient program may take the field for although by the book it has none or another: white space, controls and what is not
 * ASCII left out of it, also where the field is folded before its colon. Lower case; "" when there is nothing odd about the name.
 */
export function disguisedName(text: string, field: HeaderField): string {
  if (!field.odd || (field.name !== "" && !ODD_NAME.test(field.name))) return "";
  const colon = text.slice(field.start, Math.min(field.end, field.start + MAX_NAME)).indexOf(":");
  return colon < 0
    ? ""
    : text
        .slice(field.start, field.start + colon)
        .replace(/[^!-9;-~]/g, "")
        .toLowerCase();
}

function isNameOrWhite(code: number): boolean {
  return code !== COLON && (code >= SPACE || code === TAB);
}

function isWhite(code: number): boolean {
  return code === SPACE || code === TAB;
}

/** The value of a field, unfolded and trimmed, still one character per octet. */
export function rawValue(text: string, field: HeaderField): string {
  const value = text.slice(field.colon + 1, field.end);
  const folded = value.indexOf("\r\n") < value.length - 2;
  return (folded ? value.replaceAll("\r\n", "") : value).trim();
}

// What makes a closer look necessary: 0xc2 begins the C1 controls in UTF-8, where Latin letters begin with it too.
const MAY_BE_CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f\u00c2]/;
// The code sets of ISO 2022 that mail has in raw headers (RFC 1468, 1554, 1557, 1922, JIS X 0213). To a terminal others are commands.
const ISO_2022 = /\x1b(?:\$[@AB]|\$\([@A-DOPQ]|\$[)*+][A-M]|\([BHIJ]|\.[AF]|N)/g;
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/;
const C1_PAIR = /\xc2[\x80-\x9f]/;
const HIGH_RUNS = /[\x80-\xff]+/g;
/** RFC 3629 §4, of a run without ASCII. A decoder that throws costs microseconds for each of thousands of runs. */
const UTF8_RUN =
  /^(?:[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2})+$/;

/**
 * Are there control characters in a header, as `HeaderBlock.text`? Tab, line end and the escapes of raw ISO 2022 are none. U+0080 to U+009F
 * are, where the octets are UTF-8; in other code pages the same octets are letters.
 */
export function hasControls(text: string): boolean {
  if (!MAY_BE_CONTROL.test(text)) return false;
  if (CONTROL.test(text.includes("\x1b") ? text.replace(ISO_2022, "") : text)) return true;
  if (!C1_PAIR.test(text)) return false;
  return (text.match(HIGH_RUNS) ?? []).some((run) => {
    if (!C1_PAIR.test(run) || !UTF8_RUN.test(run)) return false;
    return /[\x80-\x9f]/.test(fromOctets(run));
  });
}

const PLAIN = /^[\x20-\x7e]*$/;
// Control characters, line and paragraph separators, and the marks that turn the direction of text around.
const UNSHOWABLE = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
// Enough for 500 characters in any encoding of RFC 2047.
const MAX_DECODED_INPUT = 8192;
/** Each costs microseconds whatever is in it; real ones hold ten characters and more. */
const MAX_ENCODED_WORDS = 150;

/** What is shown for a character that cannot be: nothing hides by being invisible. ␀ for NUL and so on, � for what has no sign. */
function signOf(character: string): string {
  const code = character.charCodeAt(0);
  if (character === "\t") return " ";
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  return code === 0x7f ? "\u2421" : "\ufffd";
}

/** A raw value as text for people: RFC 2047 decoded, UTF-8 understood, control characters as signs, cut at `maxLength`. */
export function displayText(value: string, maxLength: number): string {
  const cut = value.length > MAX_DECODED_INPUT ? value.slice(0, MAX_DECODED_INPUT) : value;
  if (PLAIN.test(cut) && !cut.includes("=?")) return cut.length > maxLength ? cut.slice(0, maxLength) : cut;
  const shown = decodeWords(fromOctets(withFewWords(cut)))
    .replace(UNSHOWABLE, signOf)
    .trim();
  // Never half a surrogate pair at the end.
  return shown.length > maxLength ? shown.slice(0, maxLength).replace(/[\ud800-\udbff]$/, "") : shown;
}

function withFewWords(value: string): string {
  let at = value.indexOf("=?");
  for (let words = 0; at >= 0 && words < MAX_ENCODED_WORDS; words++) at = value.indexOf("=?", at + 2);
  return at < 0 ? value : value.slice(0, at);
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Octets-as-Latin-1 read as UTF-8 when they are UTF-8 (RFC 6532), else left as Latin-1. */
export function fromOctets(value: string): string {
  if (/^[\x00-\x7f]*$/.test(value)) return value;
  try {
    return utf8.decode(Buffer.from(value, "latin1"));
  } catch {
    return value;
  }
}
