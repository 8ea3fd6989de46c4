// The message on the wire: dots doubled at line starts, the end mark behind it (RFC 5321 §4.5.2).
// The input has CRLF line ends only; the listener sees to that.

import type { LargeBody } from "../message/body.ts";
import { bodyPieces } from "../store/body-file.ts";

const DOT = 0x2e;
const LF = 0x0a;
const CR = 0x0d;
const LF_DOT = Buffer.from("\n.");
const ONE_DOT = Buffer.from(".");
const END = Buffer.from(".\r\n");
const CRLF_END = Buffer.from("\r\n.\r\n");

/** Doubles the dots at line starts. `lineStart`: the piece begins a line. Without any it is returned as it is. */
function stuffDots(piece: Buffer, options: { readonly lineStart: boolean }): Buffer {
  let found = piece.indexOf(LF_DOT);
  const first = options.lineStart && piece[0] === DOT;
  if (found === -1 && !first) return piece;
  const parts: Buffer[] = first ? [ONE_DOT] : [];
  let from = 0;
  while (found !== -1) {
    parts.push(piece.subarray(from, found + 1), ONE_DOT);
    from = found + 1;
    found = piece.indexOf(LF_DOT, from);
  }
  parts.push(piece.subarray(from));
  return Buffer.concat(parts);
}

/** The end mark for a message: with a CRLF before it when the last line has none. */
export function endMark(message: Buffer): Buffer {
  const length = message.length;
  return length === 0 || (message[length - 1] === LF && message[length - 2] === CR) ? END : CRLF_END;
}

/** The piece from `at` on, at most `maxBytes` of the message, ready to send; the last one has the end mark. */
export function wirePiece(message: Buffer, at: number, maxBytes: number): Buffer {
  const end = Math.min(message.length, at + maxBytes);
  const stuffed = stuffDots(message.subarray(at, end), {
    lineStart: at === 0 || message[at - 1] === LF,
  });
  return end === message.length ? Buffer.concat([stuffed, endMark(message)]) : stuffed;
}

/** The pieces of a large message, ready to send; the last one has the end mark. Rejects with StoreError when the file cannot be read. */
export async function* wirePieces(
  body: LargeBody,
): AsyncGenerator<{ readonly bytes: Buffer; readonly isLast: boolean }> {
  let sent = 0;
  // As if a line had ended before the first octet.
  let before = CRLF_END.subarray(0, 2);
  for await (const octets of bodyPieces(body)) {
    if (octets.length === 0) continue;
    const piece = Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength);
    sent += piece.length;
    const stuffed = stuffDots(piece, { lineStart: before.at(-1) === LF });
    before = Buffer.concat([before, piece.subarray(-2)]).subarray(-2);
    const isLast = sent === body.length;
    yield { bytes: isLast ? Buffer.concat([stuffed, endMark(before)]) : stuffed, isLast };
  }
}
