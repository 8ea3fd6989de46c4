// Takes a message apart into its MIME parts, by offsets, under budgets for depth and number. Where mail programs read
// differently, every reading is followed and the doubt is noted. No I/O.

import { eachField, rawValue, readPartHeader } from "../message/header-block.ts";
import { extensionOf } from "./file-name.ts";
import { type ParameterisedValue, parameterReadings, parseParameters } from "./mime-parameters.ts";
import { decodeContent, type TransferEncoding, transferEncodingOf } from "./transfer-encoding.ts";

export interface MimePart {
  /** The encoded body. */
  readonly body: Buffer;
  /** Every media type the part's header names, lower case; `text/plain` when it names none. */
  readonly types: readonly string[];
  readonly encodings: readonly TransferEncoding[];
  /** Every reading of every file name given. */
  readonly names: readonly string[];
  /** `attachment`, `inline`, … lower case, or "". */
  readonly disposition: string;
  readonly depth: number;
  /** Its content is the parts that follow it. */
  readonly container: boolean;
}

export interface MimeTree {
  /** In the order of the message, containers before what they contain. */
  readonly parts: readonly MimePart[];
  /** Why mail programs may read the message differently; each once. */
  readonly doubts: ReadonlySet<string>;
  /** Why not everything was looked at, or null. */
  readonly cut: string | null;
}

export const MAX_MIME_PARTS = 1000;
const MAX_MIME_DEPTH = 20;
const MAX_BOUNDARIES = 4;

/** Octets of encoded containers that are decoded, in messages' own sizes: containers within containers multiply at each level. */
const MAX_DECODED_SHARE = 2;

interface Walk {
  readonly parts: MimePart[];
  readonly doubts: Set<string>;
  cut: string | null;
  decodeBytesLeft: number;
}

/** Walks the message. Never throws. */
export function walkMime(raw: Uint8Array): MimeTree {
  const decodeBytesLeft = MAX_DECODED_SHARE * raw.length;
  const walk: Walk = { parts: [], doubts: new Set(), cut: null, decodeBytesLeft };
  walkEntity(walk, Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength), 0);
  return walk;
}

function walkEntity(walk: Walk, entity: Buffer, depth: number): void {
  if (depth > MAX_MIME_DEPTH) {
    walk.cut ??= `parts nested deeper than ${MAX_MIME_DEPTH}`;
    return;
  }
  if (walk.parts.length >= MAX_MIME_PARTS) {
    walk.cut ??= `more than ${MAX_MIME_PARTS} parts`;
    return;
  }
  const { text, bodyStart } = readPartHeader(entity);
  const header = readMimeHeader(walk, text);
  const body = entity.subarray(bodyStart);
  const multipart = header.types.some((type) => type.startsWith("multipart/"));
  const message = header.types.some((type) => type === "message/rfc822" || type === "message/global");
  walk.parts.push({ ...header, body, depth, container: multipart || message });
  if (!multipart && !message) return;
  for (const content of readings(walk, body, header.encodings)) {
    if (message) walkEntity(walk, content, depth + 1);
    if (multipart) walkMultipart(walk, content, header.boundaries, depth);
  }
}

/** RFC 2045 §6.4 forbids to encode a container; who decodes it all the same sees other parts, so both are looked at. */
function readings(walk: Walk, body: Buffer, encodings: readonly TransferEncoding[]): readonly Buffer[] {
  const encoded = encodings.filter((encoding) => encoding === "base64" || encoding === "quoted-printable");
  if (encoded.length === 0) return [body];
  walk.doubts.add("a container of parts that is itself encoded");
  walk.decodeBytesLeft -= encoded.length * body.length;
  if (walk.decodeBytesLeft < 0) {
    walk.cut ??= "parts encoded again and again";
    return [body];
  }
  return [body, ...encoded.map((encoding) => asBuffer(decodeContent(body, encoding).bytes))];
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function walkMultipart(walk: Walk, body: Buffer, boundaries: readonly string[], depth: number): void {
  if (boundaries.length === 0) walk.doubts.add("a multipart without a boundary");
  if (boundaries.length > 1) walk.doubts.add("two boundaries for one multipart");
  let found = 0;
  for (const [start, end] of splitParts(body, boundaries.slice(0, MAX_BOUNDARIES))) {
    found++;
    walkEntity(walk, body.subarray(start, end), depth + 1);
    if (walk.cut !== null) return;
  }
  if (found === 0 && boundaries.length > 0 && body.length > 0) walk.doubts.add("a multipart without parts");
}

/** The regions between the delimiter lines of any of the boundaries (RFC 2046 §5.1.1). A part that is never closed ends with the body. */
function* splitParts(body: Buffer, boundaries: readonly string[]): Generator<readonly [number, number]> {
  const searches = boundaries.map((boundary) => {
    const delimiter = Buffer.from(`--${boundary}`, "latin1");
    return { delimiter, next: nextDelimiter(body, delimiter, 0) };
  });
  let partStart = -1;
  for (;;) {
    let nearest: Delimiter | null = null;
    for (const { next } of searches) {
      if (next !== null && (nearest === null || next.start < nearest.start)) nearest = next;
    }
    if (nearest === null) break;
    for (const search of searches) {
      if (search.next !== null && search.next.start < nearest.end) {
        search.next = nextDelimiter(body, search.delimiter, nearest.end);
      }
    }
    if (partStart >= 0) yield [partStart, lineBreakBefore(body, partStart, nearest.start)];
    partStart = nearest.closes ? -1 : nearest.end;
  }
  if (partStart >= 0) yield [partStart, body.length];
}

interface Delimiter {
  readonly start: number;
  /** Behind its line end. */
  readonly end: number;
  readonly closes: boolean;
}

const DASH = 45;
const CR = 13;
const LF = 10;

function nextDelimiter(body: Buffer, delimiter: Buffer, from: number): Delimiter | null {
  for (let at = body.indexOf(delimiter, from); at >= 0; at = body.indexOf(delimiter, at + 1)) {
    if (at > 0 && body[at - 1] !== LF) continue;
    let end = at + delimiter.length;
    const closes = body[end] === DASH && body[end + 1] === DASH;
    if (closes) end += 2;
    while (body[end] === 32 || body[end] === 9) end++;
    if (end >= body.length) return { start: at, end: body.length, closes };
    if (body[end] === CR && body[end + 1] === LF) return { start: at, end: end + 2, closes };
    if (body[end] === LF) return { start: at, end: end + 1, closes };
    // "--boundary--junk" closes for lenient readers; "--boundaryx" is another boundary.
    if (closes) {
      const lineEnd = body.indexOf(LF, end);
      return { start: at, end: lineEnd < 0 ? body.length : lineEnd + 1, closes };
    }
  }
  return null;
}

function lineBreakBefore(body: Buffer, partStart: number, at: number): number {
  if (at > partStart && body[at - 1] === LF) {
    return at - 1 > partStart && body[at - 2] === CR ? at - 2 : at - 1;
  }
  return Math.max(at, partStart);
}

interface MimeHeader {
  readonly types: readonly string[];
  readonly boundaries: readonly string[];
  readonly encodings: readonly TransferEncoding[];
  readonly names: readonly string[];
  readonly disposition: string;
}

function readMimeHeader(walk: Walk, text: string): MimeHeader {
  const types: ParameterisedValue[] = [];
  const dispositions: ParameterisedValue[] = [];
  const encodings: string[] = [];
  eachField(text, (field) => {
    if (field.name === "content-type") types.push(parseParameters(rawValue(text, field)));
    else if (field.name === "content-disposition") dispositions.push(parseParameters(rawValue(text, field)));
    else if (field.name === "content-transfer-encoding") encodings.push(rawValue(text, field).toLowerCase());
    return undefined;
  });
  if (types.length > 1) walk.doubts.add("two Content-Type fields in one part");
  if (encodings.length > 1) walk.doubts.add("two Content-Transfer-Encoding fields in one part");
  if (dispositions.length > 1) walk.doubts.add("two Content-Disposition fields in one part");
  const names = new Set([
    ...dispositions.flatMap((value) => parameterReadings(value, "filename")),
    ...types.flatMap((value) => parameterReadings(value, "name")),
  ]);
  if (new Set([...names].map(extensionOf)).size > 1) walk.doubts.add("two kinds of file name for one part");
  return {
    types: types.length === 0 ? ["text/plain"] : [...new Set(types.map((value) => value.main))],
    boundaries: [...new Set(types.flatMap((value) => boundariesOf(value)))],
    encodings:
      encodings.length === 0 ? ["identity"] : [...new Set(encodings.map((e) => encodingOf(walk, e)))],
    names: [...names],
    disposition: dispositions[0]?.main ?? "",
  };
}

function boundariesOf(value: ParameterisedValue): readonly string[] {
  const plain = value.parameters.filter(([name]) => name === "boundary").map(([, text]) => text.trimEnd());
  const readings = plain.length > 0 && !value.parameters.some(([name]) => name.startsWith("boundary*"));
  return (readings ? plain : [...plain, ...parameterReadings(value, "boundary")]).filter(
    (text) => text !== "",
  );
}

function encodingOf(walk: Walk, value: string): TransferEncoding {
  const plain = transferEncodingOf(value);
  if (plain !== "unknown") return plain;
  // `base64 (comment)`, `"base64"`, `base64;`: read as what was meant, but not every program does.
  walk.doubts.add("a Content-Transfer-Encoding that is none");
  return transferEncodingOf(parseParameters(value).main);
}
