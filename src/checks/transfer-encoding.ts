// Content-Transfer-Encodings undone, leniently, the way mail programs do. No I/O, linear in the input.

/** What a part's encoding is taken for. `unknown` is read as it stands. */
export type TransferEncoding = "identity" | "base64" | "quoted-printable" | "uuencode" | "unknown";

export function transferEncodingOf(token: string): TransferEncoding {
  switch (token) {
    case "":
    case "7bit":
    case "8bit":
    case "binary":
      return "identity";
    case "base64":
      return "base64";
    case "quoted-printable":
      return "quoted-printable";
    case "x-uuencode":
    case "uuencode":
    case "x-uue":
    case "uue":
      return "uuencode";
    default:
      return "unknown";
  }
}

export interface Decoded {
  readonly bytes: Uint8Array;
  /** Why another program may decode it differently, or null. */
  readonly doubt: string | null;
}

/** The content of a part. */
export function decodeContent(body: Buffer, encoding: TransferEncoding): Decoded {
  switch (encoding) {
    case "base64":
      return decodeBase64(body);
    case "quoted-printable":
      return { bytes: decodeQuotedPrintable(body), doubt: null };
    case "uuencode": {
      const file = uuencodedFiles(body)[0];
      return { bytes: file?.bytes ?? body, doubt: null };
    }
    case "identity":
    case "unknown":
      return { bytes: body, doubt: null };
  }
}

function decodeBase64(body: Buffer): Decoded {
  const text = body.toString("latin1");
  const foreign = /[^A-Za-z0-9+/=\s]/.test(text);
  const padding = text.indexOf("=");
  const goesOn = padding >= 0 && /[A-Za-z0-9+/]/.test(text.slice(padding));
  if (!foreign && !goesOn) return { bytes: Buffer.from(text, "base64"), doubt: null };
  const letters = foreign ? text.replace(/[^A-Za-z0-9+/=]/g, "") : text;
  const doubt = foreign ? "base64 with characters that are not base64" : "base64 that goes on after its end";
  if (!goesOn) return { bytes: Buffer.from(letters, "base64"), doubt };
  // Each padded segment by itself, as programs do that go on. What stops at the first padding is the head of this.
  return { bytes: decodeSegments(letters), doubt };
}

/** Into one buffer: millions of tiny segments must not become millions of objects. */
function decodeSegments(letters: string): Buffer {
  const out = Buffer.allocUnsafe(letters.length);
  let written = 0;
  for (let at = 0; at < letters.length; ) {
    const padding = letters.indexOf("=", at);
    const end = padding < 0 ? letters.length : padding;
    if (end > at) written += out.write(letters.slice(at, end), written, "base64");
    at = end + 1;
  }
  return out.subarray(0, written);
}

const EQUALS = 61;

/** RFC 2045 §6.7; an equals sign that encodes nothing stays as it stands. */
function decodeQuotedPrintable(body: Buffer): Buffer {
  const first = body.indexOf(EQUALS);
  if (first < 0) return body;
  const out = Buffer.allocUnsafe(body.length);
  let written = body.copy(out, 0, 0, first);
  // Octet by octet: a body of equals signs must not cost a search and a copy for each.
  for (let at = first; at < body.length; ) {
    const octet = body[at] ?? 0;
    if (octet !== EQUALS) {
      out[written++] = octet;
      at++;
      continue;
    }
    const high = hexValue(body[at + 1]);
    const low = high < 0 ? -1 : hexValue(body[at + 2]);
    if (low >= 0) {
      out[written++] = high * 16 + low;
      at += 3;
      continue;
    }
    const softBreak = softBreakEnd(body, at + 1);
    if (softBreak < 0) out[written++] = EQUALS;
    at = softBreak < 0 ? at + 1 : softBreak;
  }
  return out.subarray(0, written);
}

function softBreakEnd(body: Buffer, start: number): number {
  let at = start;
  // RFC 2045 §6.7 (3): white space at the end of a line was added on the way. A line has at most 998 octets.
  while (at < start + 998 && (body[at] === 32 || body[at] === 9)) at++;
  if (body[at] === 13 && body[at + 1] === 10) return at + 2;
  if (at >= body.length) return body.length;
  return body[at] === 10 ? at + 1 : -1;
}

function hexValue(code: number | undefined): number {
  if (code === undefined) return -1;
  if (code >= 48 && code <= 57) return code - 48;
  if (code >= 65 && code <= 70) return code - 55;
  return code >= 97 && code <= 102 ? code - 87 : -1;
}

const MAX_UUENCODED_FILES = 20;

/** Files encoded by uuencode inside a text: some mail programs show them as attachments. */
export function uuencodedFiles(body: Buffer): readonly { readonly name: string; readonly bytes: Buffer }[] {
  const files: { name: string; bytes: Buffer }[] = [];
  let at = body.indexOf("begin ");
  while (at >= 0 && files.length < MAX_UUENCODED_FILES) {
    const lineEnd = body.indexOf(10, at);
    const line = body.toString("latin1", at, Math.min(lineEnd < 0 ? body.length : lineEnd, at + 300));
    const name = /^begin [0-7]{3,4} +(\S.*?)\s*$/.exec(line)?.[1];
    let next = at + 6;
    if (name !== undefined && lineEnd >= 0 && (at === 0 || body[at - 1] === 10)) {
      const file = uudecode(body, lineEnd + 1);
      if (file.bytes.length > 0) files.push({ name, bytes: file.bytes });
      next = file.end;
    }
    at = body.indexOf("begin ", next);
  }
  return files;
}

function uudecode(body: Buffer, start: number): { readonly bytes: Buffer; readonly end: number } {
  const out = Buffer.allocUnsafe(Math.ceil(((body.length - start) * 3) / 4) + 3);
  let written = 0;
  let at = start;
  while (at < body.length) {
    const lineEnd = body.indexOf(10, at);
    const end = lineEnd < 0 ? body.length : lineEnd;
    const length = ((body[at] ?? 32) - 32) & 63;
    const octets = Math.min(length, Math.floor(((end - at - 1) * 3) / 4));
    if (length === 0 || octets < length - 2)
      return { bytes: out.subarray(0, written), end: Math.max(end, at + 1) };
    for (let group = at + 1, left = length; left > 0; group += 4, left -= 3) {
      const bits =
        (sixBits(body[group]) << 18) |
        (sixBits(body[group + 1]) << 12) |
        (sixBits(body[group + 2]) << 6) |
        sixBits(body[group + 3]);
      out[written++] = bits >> 16;
      if (left > 1) out[written++] = (bits >> 8) & 255;
      if (left > 2) out[written++] = bits & 255;
    }
    at = end + 1;
  }
  return { bytes: out.subarray(0, written), end: body.length };
}

function sixBits(code: number | undefined): number {
  return ((code ?? 32) - 32) & 63;
}
