// Whole numbers as octets and back: seven bits an octet, the last one without its high bit. What cannot be read is 0.

const FIRST_ROOM = 4096;

/** Writes numbers one after another into memory of its own, which is used again for the next lot. */
export class OctetWriter {
  #octets = new Uint8Array(FIRST_ROOM);
  #length = 0;

  /** Begins anew. */
  reset(): void {
    this.#length = 0;
  }

  /** Octets written since `reset`. */
  get length(): number {
    return this.#length;
  }

  octet(value: number): void {
    this.#room(1);
    this.#octets[this.#length++] = value;
  }

  /** A whole number from 0 to 2^53. */
  number(value: number): void {
    this.#room(8);
    let rest = Number.isSafeInteger(value) && value > 0 ? value : 0;
    while (rest >= 0x80) {
      this.#octets[this.#length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#octets[this.#length++] = rest;
  }

  /** A number of 32 bits in four octets: for hashes, which seven bits an octet would make longer. */
  word(value: number): void {
    this.#room(4);
    for (let shift = 0; shift < 32; shift += 8) this.#octets[this.#length++] = (value >>> shift) & 0xff;
  }

  /** Writes how many octets `content` will write, then those. */
  counted(content: () => void): void {
    const start = this.#length;
    content();
    const length = this.#length - start;
    this.number(length);
    const head = this.#octets.slice(start + length, this.#length);
    this.#octets.copyWithin(start + head.length, start, start + length);
    this.#octets.set(head, start);
  }

  /** Writes a sum over what was written since `reset`, in four octets. */
  sum(): void {
    this.word(Bun.hash.xxHash32(this.#octets.subarray(0, this.#length)));
  }

  /** A copy of what was written since `reset`. */
  taken(): Uint8Array {
    return this.#octets.slice(0, this.#length);
  }

  #room(octets: number): void {
    if (this.#length + octets <= this.#octets.length) return;
    const larger = new Uint8Array(2 * this.#octets.length);
    larger.set(this.#octets);
    this.#octets = larger;
  }
}

/** What was written before `sum`, or null when the octets are not those that were summed up. */
export function withoutSum(octets: Uint8Array): Uint8Array | null {
  const content = octets.subarray(0, Math.max(0, octets.length - 4));
  const sum = new OctetReader(octets.subarray(content.length)).word();
  return octets.length >= 4 && sum === Bun.hash.xxHash32(content) ? content : null;
}

/** Reads what an OctetWriter wrote. Reading past the end gives 0 and never throws. */
export class OctetReader {
  readonly #octets: Uint8Array;
  #at = 0;

  constructor(octets: Uint8Array) {
    this.#octets = octets;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#octets.length;
  }

  number(): number {
    let value = 0;
    for (let factor = 1; factor <= 2 ** 49; factor *= 0x80) {
      const octet = this.#octets[this.#at++] ?? 0;
      value += (octet & 0x7f) * factor;
      if (octet < 0x80) break;
    }
    return Number.isSafeInteger(value) ? value : 0;
  }

  word(): number {
    let value = 0;
    for (let shift = 0; shift < 32; shift += 8) value |= (this.#octets[this.#at++] ?? 0) << shift;
    return value >>> 0;
  }

  /** The octets that `counted` wrote; as many as there are. */
  counted(): OctetReader {
    const length = this.number();
    const content = this.#octets.subarray(this.#at, this.#at + length);
    this.#at += length;
    return new OctetReader(content);
  }
}
