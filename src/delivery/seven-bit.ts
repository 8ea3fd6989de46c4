// A message with 8-bit bodies for a server without 8BITMIME (RFC 6152 §3): each such part as quoted-printable or base64, all else as it
// is. Whatever a conversion would break (signatures), or that is no clean MIME, is not converted. No I/O.
import { isAscii } from "node:buffer";

const MAX_DEPTH = 20;
const MAX_PARTS = 1000;
const QP_LINE = 76;
const BASE64_LINE = 76;
const CRLF_CRLF = Buffer.from("\r\n\r\n");
/** Covers octets that would change; a conversion would make a forgery of it. */
const SIGNED_FIELD = /^(?:dkim-signature|domainkey-signature|arc-[a-z-]+):/im;
const SIGNED_TYPE = /^(?:multipart\/(?:signed|encrypted)|application\/(?:x-)?pkcs7-)/;
const PGP = "-----BEGIN PGP ";

interface Entity {
  /** With the CRLF of its last field; empty when there is none. */
  readonly header: string;
  readonly body: Buffer;
}

interface Conversion {
  parts: number;
}

/** The same message in 7 bits, or null when it cannot be converted. One without 8-bit octets is returned as it is. */
export function toSevenBits(message: Buffer): Buffer | null {
  if (isAscii(message)) return message;
  const { header, body } = split(message);
  if (body.includes(PGP)) return null;
  const typed = /^content-type:/im.test(header)
    ? header
    : `${header}${/^mime-version:/im.test(header) ? "" : "MIME-Version: 1.0\r\n"}Content-Type: text/plain; charset=unknown-8bit\r\n`;
  return convert({ header: typed, body }, { parts: 0 }, 0);
}

function split(bytes: Buffer): Entity {
  if (bytes[0] === 0x0d && bytes[1] === 0x0a) return { header: "", body: bytes.subarray(2) };
  const end = bytes.indexOf(CRLF_CRLF);
  if (end === -1) return { header: bytes.toString("latin1"), body: Buffer.alloc(0) };
  return { header: bytes.toString("latin1", 0, end + 2), body: bytes.subarray(end + 4) };
}

function join(header: string, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${header}\r\n`, "latin1"), body]);
}

function convert({ header, body }: Entity, conversion: Conversion, depth: number): Buffer | null {
  if (depth > MAX_DEPTH || conversion.parts++ > MAX_PARTS) return null;
  if (/[^\x00-\x7f]/.test(header) || SIGNED_FIELD.test(header)) return null;
  if (isAscii(body)) return join(header, body);
  const type = (field(header, "content-type") ?? "text/plain").toLowerCase();
  const encoding = (field(header, "content-transfer-encoding") ?? "7bit").trim().toLowerCase();
  // 8 bits in what says that it has none: nobody knows what was meant.
  if (SIGNED_TYPE.test(type) || !["7bit", "8bit", "binary"].includes(encoding)) return null;
  if (type.startsWith("multipart/")) {
    const parts = convertParts(body, boundaryOf(field(header, "content-type") ?? ""), { conversion, depth });
    return parts === null ? null : join(withEncoding(header, "7bit"), parts);
  }
  if (/^message\/(?:rfc822|global)\b/.test(type)) {
    const inner = convert(split(body), conversion, depth + 1);
    return inner === null ? null : join(withEncoding(header, "7bit"), inner);
  }
  return /^text\//.test(type)
    ? join(withEncoding(header, "quoted-printable"), quotedPrintable(body))
    : join(withEncoding(header, "base64"), base64Lines(body));
}

/** The value of a field, unfolded; null when it does not stand there. */
function field(header: string, name: string): string | null {
  const value = new RegExp(`^${name}:((?:.|\r\n[ \t])*)`, "im").exec(header)?.[1];
  return value === undefined ? null : value.replace(/\r\n/g, "").trim();
}

function boundaryOf(contentType: string): string | null {
  const match = /;\s*boundary\s*=\s*(?:"([^"\r\n]{1,200})"|([^\s;"]{1,200}))/i.exec(contentType);
  return match?.[1] ?? match?.[2] ?? null;
}

function withEncoding(header: string, encoding: string): string {
  const line = `Content-Transfer-Encoding: ${encoding}\r\n`;
  const old = /^content-transfer-encoding:(?:.|\r\n[ \t])*\r\n/im;
  return old.test(header) ? header.replace(old, line) : `${header}${line}`;
}

/** Between the delimiter lines of a multipart; what stands before the first and after the last must be plain. */
function convertParts(
  body: Buffer,
  boundary: string | null,
  { conversion, depth }: { readonly conversion: Conversion; readonly depth: number },
): Buffer | null {
  if (boundary === null) return null;
  const text = body.toString("latin1");
  const escaped = boundary.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const delimiter = new RegExp(`(?:^|\r\n)--${escaped}(--)?[ \t]*(?=\r\n|$)`, "g");
  const pieces: Buffer[] = [];
  let from = 0;
  let inParts = false;
  for (const match of text.matchAll(delimiter)) {
    const part = body.subarray(from, match.index);
    const made = inParts ? convertPart(part, { conversion, depth }) : isAscii(part) ? part : null;
    if (made === null) return null;
    from = match.index + match[0].length;
    pieces.push(made, Buffer.from(match[0], "latin1"));
    inParts = match[1] === undefined;
    if (!inParts) break;
  }
  const rest = body.subarray(from);
  const end = inParts ? convertPart(rest, { conversion, depth }) : isAscii(rest) ? rest : null;
  return end === null ? null : Buffer.concat([...pieces, end]);
}

/** A part begins with the CRLF of its delimiter line. */
function convertPart(
  part: Buffer,
  { conversion, depth }: { readonly conversion: Conversion; readonly depth: number },
): Buffer | null {
  if (isAscii(part)) return part;
  const made = convert(split(part.subarray(2)), conversion, depth + 1);
  return made === null ? null : Buffer.concat([part.subarray(0, 2), made]);
}

/** RFC 2045 §6.7. Line ends stay line ends. */
function quotedPrintable(body: Buffer): Buffer {
  const lines = body.toString("latin1").split("\r\n");
  return Buffer.from(lines.map(quotedLine).join("\r\n"), "latin1");
}

function quotedLine(line: string): string {
  let done = "";
  let open = "";
  for (let at = 0; at < line.length; at++) {
    const code = line.charCodeAt(at);
    const isBlank = code === 0x20 || code === 0x09;
    const isPlain = (code > 0x20 && code < 0x7f && code !== 0x3d) || (isBlank && at < line.length - 1);
    const piece = isPlain ? line.charAt(at) : `=${code.toString(16).toUpperCase().padStart(2, "0")}`;
    if (open.length + piece.length >= QP_LINE) {
      done += `${open}=\r\n`;
      open = "";
    }
    open += piece;
  }
  return done + open;
}

function base64Lines(body: Buffer): Buffer {
  const text = body.toString("base64");
  const lines: string[] = [];
  for (let at = 0; at < text.length; at += BASE64_LINE) lines.push(text.slice(at, at + BASE64_LINE));
  return Buffer.from(`${lines.join("\r\n")}\r\n`, "latin1");
}
