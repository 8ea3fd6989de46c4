// Safe pieces of the mail we write: header values, body text, boundaries. Whatever goes in, only well-formed MIME comes out.
import { randomBytes } from "node:crypto";

const MAX_LINE = 76;
const MAX_PLAIN_LINE = 990;

/** A boundary nobody can guess, so that no text from outside can contain it. */
export function newBoundary(): string {
  return `=_${randomBytes(18).toString("base64url")}`;
}

/** A time as in RFC 5322 §3.3: `Sat, 21 Nov 2026 19:56:00 +0000`. */
export function mailDate(atMs: number): string {
  return new Date(atMs).toUTCString().replace("GMT", "+0000");
}

/** A text part with its header, for people: 7bit when it is ASCII in lines of sane length, else quoted-printable. LF line ends. */
export function textPart(text: string): string {
  // RFC 5322 §2.1.1: no line over 998 characters.
  const plain =
    /^[\n\x20-\x7e]*$/.test(text) && text.split("\n").every(({ length }) => length <= MAX_PLAIN_LINE);
  const encoding = plain ? "7bit" : "quoted-printable";
  const body = plain ? text.replaceAll("\n", "\r\n") : quotedPrintable(Buffer.from(text.toWellFormed()));
  return `Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: ${encoding}\r\n\r\n${body}\r\n`;
}

/** Each octet as it is written, literally where that may be. */
const PLAIN = Array.from({ length: 256 }, (_, octet) => String.fromCharCode(octet));
const CODED = PLAIN.map((_, octet) => `=${octet.toString(16).toUpperCase().padStart(2, "0")}`);
const WRITTEN = PLAIN.map((plain, octet) =>
  (octet >= 33 && octet <= 126 && octet !== 61) || octet === 32 || octet === 9 ? plain : (CODED[octet] ?? ""),
);

/** Quoted-printable with CRLF line ends (RFC 2045 §6.7). LF and CRLF are line ends. */
export function quotedPrintable(bytes: Uint8Array): string {
  let out = "";
  let line = "";
  const push = (piece: string) => {
    if (line.length + piece.length >= MAX_LINE) {
      out += `${line}=\r\n`;
      line = "";
    }
    line += piece;
  };
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] ?? 0;
    const next = bytes[i + 1];
    if (byte === 13 && next === 10) continue;
    if (byte === 10) {
      out += `${line}\r\n`;
      line = "";
      continue;
    }
    const atEnd = next === undefined || next === 10 || next === 13;
    const space = byte === 32 || byte === 9;
    push((space && atEnd ? CODED[byte] : WRITTEN[byte]) ?? "");
  }
  return out + line;
}

/** Text broken at spaces into lines of at most `width` characters, each with `indent` in front. */
export function wrap(text: string, width: number, indent: string): string {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width - indent.length) {
      lines.push(indent + line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  lines.push(indent + line);
  return lines.join("\n");
}
