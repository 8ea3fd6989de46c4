// The hash of a body in relaxed canonical form (RFC 6376 §3.4.4), over the octets as they are sent. Linear, in constant memory: a large
// message is read from its file.
import { createHash, type Hash } from "node:crypto";
import { headOf, isLarge, type MessageBody } from "../message/body.ts";
import { filePieces } from "../store/body-file.ts";

const CR = 13;
const LF = 10;
const SPACE = 32;
const TAB = 9;
const OUT_BYTES = 16_384;
/** What may be written between two looks at how full it is. */
const ROOM = 8;
/** So much is worked through before other work has its turn. */
const STRIDE_BYTES = 1_048_576;

/** SHA-256 in base64, as behind `bh=`. `bodyStart`: the first octet behind the empty line that ends the header. */
export async function relaxedBodyHash(message: MessageBody, bodyStart: number): Promise<string> {
  const writer = new RelaxedBody();
  if (isLarge(message))
    return largeHash(writer, filePieces(message.rest), headOf(message).subarray(bodyStart));
  for (let from = bodyStart; from < message.length; from += STRIDE_BYTES) {
    if (from > bodyStart) await new Promise<void>((resolve) => setImmediate(resolve));
    writer.take(message, from, Math.min(message.length, from + STRIDE_BYTES));
  }
  return writer.digest();
}

/** A CR at the end of a piece waits for the next one, which shows whether it begins a line end. */
async function largeHash(
  writer: RelaxedBody,
  pieces: AsyncIterable<Uint8Array>,
  start: Uint8Array,
): Promise<string> {
  let held = start;
  for await (const piece of pieces) {
    const bytes = held.length === 0 ? piece : Buffer.concat([held, piece]);
    const end = bytes.at(-1) === CR ? bytes.length - 1 : bytes.length;
    writer.take(bytes, 0, end);
    held = bytes.subarray(end);
  }
  writer.take(held, 0, held.length);
  return writer.digest();
}

/** Takes a body stride by stride. White space and line ends are held back until something follows them. */
class RelaxedBody {
  readonly #hash: Hash = createHash("sha256");
  readonly #out = Buffer.allocUnsafe(OUT_BYTES + ROOM);
  #filled = 0;
  #lineEnds = 0;
  #white = false;
  #empty = true;

  /** `bytes[end]` is looked at to know whether a CR at the end of the stride begins a line end. */
  take(bytes: Uint8Array, start: number, end: number): void {
    const out = this.#out;
    let filled = this.#filled;
    let white = this.#white;
    for (let at = start; at < end; at++) {
      const octet = bytes[at] ?? 0;
      if (octet === SPACE || octet === TAB) white = true;
      else if (octet === CR && bytes[at + 1] === LF) {
        this.#lineEnds++;
        // White space at the end of a line is dropped; the LF is passed over below.
        white = false;
      } else if (octet !== LF || bytes[at - 1] !== CR) {
        if (this.#lineEnds > 0) filled = this.#endLines(filled);
        if (white) out[filled++] = SPACE;
        white = false;
        out[filled++] = octet;
        if (filled >= OUT_BYTES) filled = this.#flush(filled);
      }
    }
    this.#filled = filled;
    this.#white = white;
    this.#empty &&= filled === 0;
  }

  /** Writes the line ends that were held back, how many there may be. */
  #endLines(from: number): number {
    let filled = from;
    for (; this.#lineEnds > 0; this.#lineEnds--) {
      this.#out[filled++] = CR;
      this.#out[filled++] = LF;
      if (filled >= OUT_BYTES) filled = this.#flush(filled);
    }
    return filled;
  }

  #flush(filled: number): number {
    this.#hash.update(this.#out.subarray(0, filled));
    this.#empty = false;
    return 0;
  }

  /** Empty lines at the end are dropped; a body that is not empty ends with one line end, whether it came with one or not. */
  digest(): string {
    if (this.#filled > 0) this.#flush(this.#filled);
    if (!this.#empty) this.#hash.update("\r\n");
    return this.#hash.digest("base64");
  }
}
