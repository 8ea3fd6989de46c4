// The octets of a message, from the end of DATA to the last delivery: in memory as long as they are few, else their start in memory and
// the rest in a file. What changes a message (trace fields, edits, signatures) changes its start alone. Plain data, no I/O.

import type { SevenBitPlan } from "./seven-bit.ts";

/** Octets `from` … `from + bytes` of a file. Who hands it on sees to it that the file stays until the reader is through. */
export interface FilePart {
  readonly path: string;
  readonly from: number;
  readonly bytes: number;
  /** The chained sum of the file's blocks, which the reader compares at its end; null: nobody knows it. */
  readonly sum: string | null;
  /** Set: it is read as converted octets, of which `bytes` says nothing. */
  readonly sevenBit?: SevenBitReading;
}

/** How the rest of a message is read in 7 bits. */
export interface SevenBitReading {
  readonly plan: SevenBitPlan;
  /** The start of the message as it was before: the conversion begins there. */
  readonly head: Uint8Array;
  readonly headerBytes: number;
}

/** A message too large for memory. */
export interface LargeBody {
  /** The start of the message: its whole header section with the empty line, at least. */
  readonly head: Uint8Array;
  /** What follows `head`. */
  readonly rest: FilePart;
  /** Octets in all. */
  readonly length: number;
}

/** CRLF line ends. A plain array is the whole message. */
export type MessageBody = Uint8Array | LargeBody;

/** More than this does not stay in memory while a message comes in; the header section a session takes fits into it. */
export const MAX_BODY_IN_MEMORY = 327_680;

export function isLarge(body: MessageBody): body is LargeBody {
  return "rest" in body;
}

/** The octets in memory: the whole message, or its start with at least the header section. */
export function headOf(body: MessageBody): Uint8Array {
  return "rest" in body ? body.head : body;
}

/** The same message with another start; what is in a file stays there. */
export function withHead(body: Uint8Array, head: Uint8Array): Uint8Array;
export function withHead(body: MessageBody, head: Uint8Array): MessageBody;
export function withHead(body: MessageBody, head: Uint8Array): MessageBody {
  if (!("rest" in body)) return head;
  return { head, rest: body.rest, length: head.length + body.length - body.head.length };
}
