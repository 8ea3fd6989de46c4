// Octets as 7-bit text, piece by piece (RFC 2045 §6.7, §6.8). No I/O.

/** Takes the octets of one body in order. What it gives is its own. */
export interface Encoder {
  take(octets: Buffer): Buffer;
  /** `delimited`: the last line end belongs to the delimiter that follows. */
  end(delimited: boolean): Buffer;
}

const LINE = 76;
const CR = 13;
const LF = 10;
const SPACE = 32;
const TAB = 9;
const EQUALS = 61;
const QUESTION_MARK = 63;
const HEX = Buffer.from("0123456789ABCDEF");
const CRLF = Buffer.from("\r\n");
const NOTHING = Buffer.alloc(0);
/** Octets of base64 in a line. */
const LINE_OCTETS = 57;

/** Line ends stay line ends. */
export class QuotedPrintable implements Encoder {
  #column = 0;
  /** White space, of which it is not known whether it ends a line, and a CR, of which it is not known whether a LF follows. */
  #blank = 0;
  #cr = false;
  #out = NOTHING;
  #filled = 0;

  take(octets: Buffer): Buffer {
    // Three for each, and three for a soft line break in each line of them.
    this.#start(octets.length);
    for (const octet of octets) {
      if (this.#cr) {
        this.#cr = false;
        if (octet === LF) {
          this.#endLine();
          continue;
        }
        this.#putBlank();
        this.#putCode(CR);
      }
      if (octet === CR) this.#cr = true;
      else {
        this.#putBlank();
        if (octet === SPACE || octet === TAB) this.#blank = octet;
        else if (octet > SPACE && octet < 127 && octet !== EQUALS) this.#putPlain(octet);
        else this.#putCode(octet);
      }
    }
    return this.#out.subarray(0, this.#filled);
  }

  end(): Buffer {
    this.#start(0);
    if (this.#cr) {
      this.#putBlank();
      this.#putCode(CR);
    } else if (this.#blank !== 0) this.#putCode(this.#blank);
    return this.#out.subarray(0, this.#filled);
  }

  #start(octets: number): void {
    this.#out = Buffer.allocUnsafe(Math.ceil(octets * 3.2) + 32);
    this.#filled = 0;
  }

  #endLine(): void {
    if (this.#blank !== 0) this.#putCode(this.#blank);
    this.#blank = 0;
    this.#out[this.#filled++] = CR;
    this.#out[this.#filled++] = LF;
    this.#column = 0;
  }

  #putBlank(): void {
    if (this.#blank !== 0) this.#putPlain(this.#blank);
    this.#blank = 0;
  }

  #putPlain(octet: number): void {
    this.#makeRoom(1);
    this.#out[this.#filled++] = octet;
  }

  #putCode(octet: number): void {
    this.#makeRoom(3);
    this.#filled = writeCode(this.#out, this.#filled, octet);
  }

  #makeRoom(width: number): void {
    if (this.#column + width >= LINE) {
      this.#filled = writeSoftBreak(this.#out, this.#filled);
      this.#column = 0;
    }
    this.#column += width;
  }
}

function writeCode(out: Buffer, at: number, octet: number): number {
  out[at] = EQUALS;
  out[at + 1] = HEX[octet >> 4] ?? 0;
  out[at + 2] = HEX[octet & 15] ?? 0;
  return at + 3;
}

function writeSoftBreak(out: Buffer, at: number): number {
  out[at] = EQUALS;
  out[at + 1] = CR;
  out[at + 2] = LF;
  return at + 3;
}

/** For what is quoted-printable and has 8-bit octets all the same: they alone are encoded. */
export class QuotedRest implements Encoder {
  #column = 0;

  take(octets: Buffer): Buffer {
    const out = Buffer.allocUnsafe(octets.length * 6);
    let filled = 0;
    for (const octet of octets) {
      if (octet < 128) {
        out[filled++] = octet;
        this.#column = octet === LF ? 0 : this.#column + 1;
        continue;
      }
      if (this.#column + 3 >= LINE) {
        filled = writeSoftBreak(out, filled);
        this.#column = 0;
      }
      filled = writeCode(out, filled, octet);
      this.#column += 3;
    }
    return out.subarray(0, filled);
  }

  end(): Buffer {
    return NOTHING;
  }
}

export class Base64 implements Encoder {
  #held = NOTHING;

  /** Whole lines; two octets more are held back, which may be the line end of a delimiter. */
  take(octets: Buffer): Buffer {
    const all = this.#held.length === 0 ? octets : Buffer.concat([this.#held, octets]);
    const end = Math.max(0, Math.floor((all.length - 2) / LINE_OCTETS)) * LINE_OCTETS;
    this.#held = Buffer.from(all.subarray(end));
    return base64Lines(all.subarray(0, end));
  }

  end(delimited: boolean): Buffer {
    const drop = delimited && this.#held.subarray(-2).equals(CRLF) ? 2 : 0;
    return base64Lines(this.#held.subarray(0, this.#held.length - drop));
  }
}

function base64Lines(octets: Buffer): Buffer {
  const lines: string[] = [];
  for (let at = 0; at < octets.length; at += LINE_OCTETS)
    lines.push(octets.toString("base64", at, at + LINE_OCTETS), "\r\n");
  return Buffer.from(lines.join(""), "latin1");
}

/** For what is base64 and has 8-bit octets all the same: no decoder looks at them (RFC 2045 §6.8). */
export class WithoutEightBit implements Encoder {
  take(octets: Buffer): Buffer {
    const out = Buffer.allocUnsafe(octets.length);
    let filled = 0;
    for (const octet of octets) if (octet < 128) out[filled++] = octet;
    return out.subarray(0, filled);
  }

  end(): Buffer {
    return NOTHING;
  }
}

/** For what nobody reads. */
export function questionMarks(octets: Buffer): Buffer {
  const out = Buffer.from(octets);
  for (let at = 0; at < out.length; at++) if ((out[at] ?? 0) > 127) out[at] = QUESTION_MARK;
  return out;
}
