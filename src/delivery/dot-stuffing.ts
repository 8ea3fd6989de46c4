// The message on the wire: dots doubled at line starts, the end mark behind it (RFC 5321 §4.5.2).
// The input has CRLF line ends only; the listener sees to that.

import type { LargeBody } from "../message/body.ts";
import { bodyPieces } from "../store/body-file.ts";

const DOT = 0x2e;
const LF = 0x0a;
const CR = 0x0d;
const LF_DOT = Buffer.from("\n.");
const END = Buffer.from(".\r\n");
const CRLF_END = Buffer.from("\r\n.\r\n");

/** Doubles the dots at line starts. `lineStart`: the piece begins a line. Without any it is returned as it is. */
function stuffDots(piece: Buffer, options: { readonly lineStart: boolean }): Buffer {
  const first = options.lineStart && piece[0] === DOT;
  const start = first ? 0 : piece.indexOf(LF_DOT);
  if (start === -1) return piece;
  // Octet by octet from there on: a piece may be full of dots, and a buffer for what lies between two of them costs a hundred times more.
  const stuffed = Buffer.allocUnsafe(piece.length + Math.ceil((piece.length - start) / 2) + 1);
  piece.copy(stuffed, 0, 0, start);
  let filled = start;
  let before = first ? LF : 0;
  for (let at = start; at < piece.length; at++) {
    const octet = piece[at] ?? 0;
    if (octet === DOT && before === LF) stuffed[filled++] = DOT;
    stuffed[filled++] = octet;
    before = octet;
  }
  return stuffed.subarray(0, filled);
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
