// Takes in the octets after DATA: finds the end, undoes dot-stuffing, judges line ends. What is too large for memory goes into a file as
// it comes, all but its header section.
// RFC 5321 §4.1.1.4: only CRLF "." CRLF ends the data; nothing else that looks like it may (SMTP smuggling).
import { MAX_BODY_IN_MEMORY, type MessageBody } from "../message/body.ts";
import { bodyStartIn } from "../message/header-block.ts";
import type { BodyFileWriter } from "../store/body-file.ts";
import type { BodyShare } from "./body-room.ts";

/** Why a body cannot be kept. It is still read to its end, so that what follows is understood as commands. */
export type BodyFlaw = "bare-line-end" | "nul" | "too-big" | "no-memory" | "no-room";

export interface BodyLimits {
  /** Octets of the message without dot-stuffing. */
  readonly maxBytes: number;
  /** The memory and disk it may take. */
  readonly share: BodyShare;
  /** Makes the file of a body that is too large for memory. */
  readonly newFile: () => BodyFileWriter;
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
  #head = EMPTY;
  #file: BodyFileWriter | null = null;
  /** Octets of the last chunk: the next one will be about as large. */
  #lastPiece = 0;

  constructor(limits: BodyLimits) {
    this.#limits = limits;
    this.#normalises = limits.lineEnds === "normalise";
  }

  /** Takes a chunk. -1: more is wanted. Otherwise the data ended, and the number is the offset of what follows it. */
  push(chunk: Buffer): number {
    const length = chunk.length;
    this.#lastPiece = length;
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

  /** Resolves when the disk has caught up with what was pushed and it is this body's turn again; null when nothing has to be waited for. */
  ready(): Promise<void> | null {
    // Also one that is only read to its end, for a flaw, takes its turns.
    if (this.received <= MAX_BODY_IN_MEMORY) return null;
    const written = this.#file?.drained() ?? null;
    return written === null ? this.#turn() : written.then(() => this.#turn() ?? undefined);
  }

  #turn(): Promise<void> | null {
    return this.#limits.share.turn(this.#lastPiece);
  }

  /** The message; only after `push` said that it ended, and without a flaw. Rejects with StoreError when the disk has not kept it. */
  take(): Buffer | Promise<MessageBody> {
    if (this.#file !== null) return this.#takeLarge(this.#file);
    if (this.#pieces.length === 1 && this.#staged === 0) return this.#pieces[0] ?? EMPTY;
    const whole = this.#gather();
    this.#pieces = [whole];
    return whole;
  }

  async #takeLarge(file: BodyFileWriter): Promise<MessageBody> {
    const rest = await file.finish();
    return { head: this.#head, rest, length: this.#head.length + rest.bytes };
  }

  /** Gives memory and disk back. To be called once the message is with the queue or given up; harmless twice. */
  release(): void {
    this.#pieces = [];
    this.#staging = EMPTY;
    this.#staged = 0;
    this.#head = EMPTY;
    void this.#file?.discard();
    this.#file = null;
    this.#limits.share.release();
  }

  #gather(): Buffer {
    this.#unstage();
    this.#staging = EMPTY;
    const whole = Buffer.concat(this.#pieces);
    this.#pieces = [];
    return whole;
  }

  /** From here on only the header section stays in memory. */
  #spill(): void {
    const sofar = this.#gather();
    const { share, newFile } = this.#limits;
    // A copy: a view would keep all of it alive. Without an empty line it is refused for its header in the end.
    const start = bodyStartIn(sofar) ?? sofar.length;
    this.#head = Buffer.from(sofar.subarray(0, start));
    if (!share.spill(this.#head.length, sofar.length - start)) {
      this.#spoil("no-room");
      return;
    }
    this.#file = newFile();
    this.#file.write(sofar.subarray(start));
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
    const flaw = this.#flawOf(chunk, from, to);
    if (flaw !== null) this.#spoil(flaw);
    else if (this.#file !== null) this.#file.write(chunk.subarray(from, to));
    else this.#keepInMemory(chunk, from, to);
  }

  #flawOf(chunk: Buffer, from: number, to: number): BodyFlaw | null {
    const { maxBytes, refuseNul, share } = this.#limits;
    if (this.size > maxBytes) return "too-big";
    if (refuseNul === true && chunk.subarray(from, to).includes(0)) return "nul";
    if (this.#file !== null) return share.disk(to - from) ? null : "no-room";
    return share.memory(to - from) ? null : "no-memory";
  }

  #keepInMemory(chunk: Buffer, from: number, to: number): void {
    if (to - from < SMALL_PIECE) this.#stage(chunk, from, to);
    else {
      this.#unstage();
      this.#pieces.push(chunk.subarray(from, to));
    }
    if (this.size > MAX_BODY_IN_MEMORY) this.#spill();
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
