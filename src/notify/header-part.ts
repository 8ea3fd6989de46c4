// The header section of somebody else's message as a part of a report. (RFC 6522 §4)
// Whatever it holds, the part has strict lines: a bare CR or a line too long would be ours to answer for.
import { readHeaderBlock } from "../message/header-block.ts";
import { quotedPrintable } from "./mime-text.ts";

// RFC 5322 §2.1.1.
const MAX_LINE = 998;

/** The part with its own header, ASCII. Of `original` at most `maxBytes` octets of the header section, whole lines only. */
export function headerPart(original: Uint8Array, maxBytes: number): string {
  const header = Buffer.from(headerOf(original, maxBytes));
  if (isPlain(header)) return `Content-Type: text/rfc822-headers\r\n\r\n${header.toString("latin1")}`;
  const intro =
    "Content-Type: text/rfc822-headers; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n";
  return intro + quotedPrintable(header);
}

/** A cut between CR and LF would send a bare CR to the next server. */
function headerOf(original: Uint8Array, maxBytes: number): Uint8Array {
  const { bodyStart } = readHeaderBlock(original);
  if (bodyStart <= maxBytes && bodyStart < original.length) return original.subarray(0, bodyStart);
  const start = Buffer.from(original.subarray(0, Math.min(maxBytes, bodyStart)));
  const lastLineEnd = start.lastIndexOf("\r\n");
  return start.subarray(0, lastLineEnd < 0 ? 0 : lastLineEnd + 2);
}

function isPlain(header: Buffer): boolean {
  let lineStart = 0;
  for (let i = 0; i < header.length; i++) {
    const byte = header[i] ?? 0;
    if (byte > 126 || byte === 0) return false;
    if (byte === 13 && header[i + 1] !== 10) return false;
    if (byte !== 10) continue;
    if (header[i - 1] !== 13 || i - 1 - lineStart > MAX_LINE) return false;
    lineStart = i + 1;
  }
  return header.length - lineStart <= MAX_LINE;
}
