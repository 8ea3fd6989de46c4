// Takes in the octets after DATA: finds the end, undoes dot-stuffing, judges line ends and bounds memory. No I/O.
// RFC 5321 §4.1.1.4: only CRLF "." CRLF ends the data; nothing else that looks like it may (SMTP smuggling).
import type { MemoryBudget } from "./memory-budget.ts";

/** Why a body cannot be kept. It is still read to its end, so that what follows is understood as commands. */
export type BodyFlaw = "bare-line-end" | "line-too-long" | "too-big" | "no-memory";

export interface BodyLimits {
  /** Octets of the message without dot-stuffing. */
  readonly maxBytes: number;
  readonly budget: MemoryBudget;
}

/**
 * Longest line taken, in octets without CRLF. RFC 5321 §4.5.3.1.6 allows 998.
 * Deviation: real senders exceed that, and refusing them loses mail; beyond this a message is refused with 5.6.0.
 */
export const MAX_BODY_LINE_BYTES = 65_536;

const LF = 10;
const CR = 13;
const DOT = 46;
/** Smaller pieces are copied together: a body sent octet by octet must not cost an object per octet. */
const SMALL_PIECE = 512;
const STAGING_BYTES = 16_384;
const EMPTY = Buffer.alloc(0);

/**
 * Where in a line the next octet stands. `dot` and `dot-cr` hold octets back that may be the end of the data;
 * `cr`: the last octet was a CR inside a line.
 */
type Position = "start" | "dot" | "dot-cr" | "inside" | "cr";

export class BodyCollector {
  /** The first thing found wrong, or null. */
  flaw: BodyFlaw | null = null;
  /** Octets read so far, with dot-stuffing and the end. */
  received = 0;
  /** Octets of the message so far. */
  size = 0;
  readonly #limits: BodyLimits;
  #position: Position = "start";
  #lineBytes = 0;
  #pieces: Buffer[] = [];
  #staging = EMPTY;
  #staged = 0;
  #taken = 0;

  constructor(limits: BodyLimits) {
    this.#limits = limits;
  }

  /** Takes a chunk. -1: more is wanted. Otherwise the data ended, and the number is the offset of what follows it. */
  push(chunk: Buffer): number {
    const length = chunk.length;
    let from = 0;
    let at = 0;
    while (at < length) {
      switch (this.#position) {
        case "start":
          if (chunk[at] === DOT) {
            this.#keep(chunk, from, at);
            from = ++at;
            this.#position = "dot";
          } else this.#position = "inside";
          break;
        case "dot":
          // The dot before anything but CR was stuffing (RFC 5321 §4.5.2): `from` already stands behind it.
          if (chunk[at] === CR) {
            from = ++at;
            this.#position = "dot-cr";
          } else this.#position = "inside";
          break;
        case "dot-cr":
          if (chunk[at] === LF) {
            this.received += at + 1;
            return at + 1;
          }
          this.#spoil("bare-line-end");
          this.#position = "inside";
          break;
        case "cr":
          if (chunk[at] === LF) {
            this.#endLine();
            at++;
          } else {
            this.#spoil("bare-line-end");
            this.#position = "inside";
          }
          break;
        case "inside":
          at = this.#scanLine(chunk, at);
          break;
      }
    }
    this.#keep(chunk, from, length);
    this.received += length;
    return -1;
  }

  /** The message; only after `push` said that it ended, and without a flaw. */
  take(): Buffer {
    if (this.#pieces.length === 1 && this.#staged === 0) return this.#pieces[0] ?? EMPTY;
    if (this.#staged > 0) this.#pieces.push(this.#staging.subarray(0, this.#staged));
    const whole = Buffer.concat(this.#pieces, this.size);
    this.#pieces = [whole];
    this.#staging = EMPTY;
    this.#staged = 0;
    return whole;
  }

  /** Gives the memory back. To be called once the message is with the queue or given up; harmless twice. */
  release(): void {
    this.#pieces = [];
    this.#staging = EMPTY;
    this.#staged = 0;
    this.#limits.budget.give(this.#taken);
    this.#taken = 0;
  }

  /** Scans the rest of a line with two native searches instead of a look at each octet. Returns where to go on. */
  #scanLine(chunk: Buffer, at: number): number {
    const lf = chunk.indexOf(LF, at);
    const cr = chunk.indexOf(CR, at);
    if (lf < 0) {
      const last = chunk.length - 1;
      if (cr >= 0 && cr < last) this.#spoil("bare-line-end");
      const endsInCr = chunk[last] === CR;
      this.#position = endsInCr ? "cr" : "inside";
      this.#lengthen(chunk.length - at - (endsInCr ? 1 : 0));
      return chunk.length;
    }
    const proper = lf > at && chunk[lf - 1] === CR;
    if (!proper || cr !== lf - 1) this.#spoil("bare-line-end");
    this.#lengthen(lf - at - 1);
    // After a bare LF no new line begins: a dot there is neither stuffing nor the end.
    if (proper) this.#endLine();
    return lf + 1;
  }

  #endLine(): void {
    this.#position = "start";
    this.#lineBytes = 0;
  }

  #lengthen(bytes: number): void {
    this.#lineBytes += bytes;
    if (this.#lineBytes > MAX_BODY_LINE_BYTES) this.#spoil("line-too-long");
  }

  #spoil(flaw: BodyFlaw): void {
    if (this.flaw !== null) return;
    this.flaw = flaw;
    this.release();
  }

  #keep(chunk: Buffer, from: number, to: number): void {
    const bytes = to - from;
    if (bytes <= 0) return;
    this.size += bytes;
    if (this.flaw !== null) return;
    if (this.size > this.#limits.maxBytes) this.#spoil("too-big");
    else if (!this.#limits.budget.take(bytes)) this.#spoil("no-memory");
    else this.#taken += bytes;
    if (this.flaw !== null) return;
    if (bytes < SMALL_PIECE) this.#stage(chunk, from, to);
    else {
      this.#unstage();
      this.#pieces.push(chunk.subarray(from, to));
    }
  }

  #stage(chunk: Buffer, from: number, to: number): void {
    if (this.#staging.length - this.#staged < to - from) {
      this.#unstage();
      this.#staging = Buffer.allocUnsafe(STAGING_BYTES);
    }
    this.#staged += chunk.copy(this.#staging, this.#staged, from, to);
  }

  #unstage(): void {
    if (this.#staged === 0) return;
    this.#pieces.push(this.#staging.subarray(0, this.#staged));
    this.#staging = this.#staging.subarray(this.#staged);
    this.#staged = 0;
  }
}
