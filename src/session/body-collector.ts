// Takes in the octets after DATA: finds the end, undoes dot-stuffing, judges line ends and bounds memory. No I/O.
// RFC 5321 §4.1.1.4: only CRLF "." CRLF ends the data; nothing else that looks like it may (SMTP smuggling).
import type { MemoryBudget } from "./memory-budget.ts";

/** Why a body cannot be kept. It is still read to its end, so that what follows is understood as commands. */
export type BodyFlaw = "bare-line-end" | "nul" | "too-big" | "no-memory";

export interface BodyLimits {
  /** Octets of the message without dot-stuffing. */
  readonly maxBytes: number;
  readonly budget: MemoryBudget;
  /**
   * `normalise`: a bare LF is taken for a line end and stored as CRLF, a bare CR as a space; neither ever ends the data, and a dot behind
   * one is text (as Postfix has it: smtpd_forbid_bare_newline = normalize). Left out: `refuse`.
   */
  readonly lineEnds?: "refuse" | "normalise";
  /** Left out: NUL is kept like any other octet. */
  readonly refuseNul?: boolean;
}

const LF = 10;
const CR = 13;
const DOT = 46;
/** Smaller pieces are copied together: a body sent octet by octet must not cost an object per octet. */
const SMALL_PIECE = 512;
const STAGING_BYTES = 16_384;
const EMPTY = Buffer.alloc(0);
const ONE_DOT = Buffer.from(".");
const SPACE = Buffer.from(" ");
const CRLF = Buffer.from("\r\n");

/** Not in this chunk. */
const NOWHERE = Number.MAX_SAFE_INTEGER;

function found(at: number): number {
  return at < 0 ? NOWHERE : at;
}

/**
 * Where in a line the next octet stands. `dot` and `dot-cr` hold octets back that may be the end of the data; `cr`: the last octet was a
 * CR inside a line, which is held back where line ends are normalised. `soft-start`, `soft-dot`: behind a bare LF, where a client that
 * ends its lines so may have doubled a dot, but no end of the data can stand.
 */
type Position = "start" | "dot" | "dot-cr" | "inside" | "cr" | "soft-start" | "soft-dot";

export class BodyCollector {
  /** The first thing found wrong, or null. */
  flaw: BodyFlaw | null = null;
  /** Octets read so far, with dot-stuffing and the end. */
  received = 0;
  /** Octets of the message so far. */
  size = 0;
  readonly #limits: BodyLimits;
  readonly #normalises: boolean;
  #position: Position = "start";
  /** Where in the chunk the octets begin that are not kept yet. */
  #from = 0;
  #nextLf = -1;
  #nextCr = -1;
  #pieces: Buffer[] = [];
  #staging = EMPTY;
  #staged = 0;
  #taken = 0;

  constructor(limits: BodyLimits) {
    this.#limits = limits;
    this.#normalises = limits.lineEnds === "normalise";
  }

  /** Takes a chunk. -1: more is wanted. Otherwise the data ended, and the number is the offset of what follows it. */
  push(chunk: Buffer): number {
    const length = chunk.length;
    this.#from = 0;
    this.#nextLf = -1;
    this.#nextCr = -1;
    let at = 0;
    while (at < length) {
      switch (this.#position) {
        case "start":
          if (chunk[at] === DOT) {
            this.#holdBack(chunk, at++);
            this.#position = "dot";
          } else this.#position = "inside";
          break;
        case "dot":
          // The dot before anything but a line end was stuffing (RFC 5321 §4.5.2): `#from` already stands behind it.
          if (chunk[at] === CR) {
            this.#from = ++at;
            this.#position = "dot-cr";
          } else {
            if (chunk[at] === LF && this.#normalises) this.#keep(ONE_DOT, 0, 1);
            this.#position = "inside";
          }
          break;
        case "dot-cr":
          if (chunk[at] === LF) {
            this.received += at + 1;
            return at + 1;
          }
          this.#notTheEnd();
          break;
        case "cr":
          at = this.#afterCr(chunk, at);
          break;
        case "inside":
          at = this.#scanLine(chunk, at);
          break;
        case "soft-start":
          if (chunk[at] === DOT) {
            this.#holdBack(chunk, at++);
            this.#position = "soft-dot";
          } else this.#position = "inside";
          break;
        case "soft-dot":
          // A client that doubles dots doubles every one: a single dot is what it wrote.
          if (chunk[at] !== DOT) this.#keep(ONE_DOT, 0, 1);
          this.#position = "inside";
          break;
      }
    }
    this.#keep(chunk, this.#from, length);
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

  /** Keeps what comes before `at`; the octet there is not kept for now. */
  #holdBack(chunk: Buffer, at: number): void {
    this.#keep(chunk, this.#from, at);
    this.#from = at + 1;
  }

  /** A dot and a CR were held back, and no LF follows. */
  #notTheEnd(): void {
    if (this.#normalises) {
      this.#keep(ONE_DOT, 0, 1);
      this.#position = "cr";
      return;
    }
    this.#spoil("bare-line-end");
    this.#position = "inside";
  }

  #afterCr(chunk: Buffer, at: number): number {
    const next = chunk[at];
    if (this.#normalises) {
      if (next === LF) {
        this.#keep(CRLF, 0, 2);
        this.#from = at + 1;
        this.#position = "start";
        return at + 1;
      }
      // Of several CR before an LF only the last counts: programs in text mode write CR CR LF for a line end.
      if (next === CR) {
        this.#from = at + 1;
        return at + 1;
      }
      this.#keep(SPACE, 0, 1);
      this.#position = "inside";
      return at;
    }
    if (next === LF) {
      this.#position = "start";
      return at + 1;
    }
    this.#spoil("bare-line-end");
    this.#position = "inside";
    return at;
  }

  /** Scans the rest of a line with two native searches instead of a look at each octet. Returns where to go on. */
  #scanLine(chunk: Buffer, at: number): number {
    // Each is searched for once a chunk and line end: lines that end in one of them alone must not cost a look at the whole chunk each.
    if (this.#nextLf < at) this.#nextLf = found(chunk.indexOf(LF, at));
    if (this.#nextCr < at) this.#nextCr = found(chunk.indexOf(CR, at));
    const lf = this.#nextLf;
    const cr = this.#nextCr;
    if (cr === lf - 1) {
      this.#position = "start";
      return lf + 1;
    }
    if (this.#normalises) return this.#mendLine(chunk, { lf, cr });
    if (lf === NOWHERE) {
      const last = chunk.length - 1;
      if (cr < last) this.#spoil("bare-line-end");
      this.#position = chunk[last] === CR ? "cr" : "inside";
      return chunk.length;
    }
    this.#spoil("bare-line-end");
    // After a bare LF no new line begins: a dot there is neither stuffing nor the end.
    if (lf > at && chunk[lf - 1] === CR) this.#position = "start";
    return lf + 1;
  }

  /** The first line end of the chunk is not a plain CRLF, or not there yet. */
  #mendLine(chunk: Buffer, { lf, cr }: { readonly lf: number; readonly cr: number }): number {
    if (cr < lf) {
      this.#holdBack(chunk, cr);
      this.#position = "cr";
      return cr + 1;
    }
    if (lf === NOWHERE) return chunk.length;
    this.#holdBack(chunk, lf);
    this.#keep(CRLF, 0, 2);
    this.#position = "soft-start";
    return lf + 1;
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
    else if (this.#limits.refuseNul === true && chunk.subarray(from, to).includes(0)) this.#spoil("nul");
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
