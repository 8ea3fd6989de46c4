// A set of hashes of 32 bits that forgets the longest unused when it is full: whom an identity wrote to, who wrote to us.
// Two generations: a full young one becomes the old one, whose members come over when they are met again.
import { addressKey } from "../message/address.ts";

const FIRST_SLOTS = 8;
const FULL = 0.75;

/** An address, or addresses together, as a hash that means the same after a restart. Never 0, which marks an empty place. */
export function hashOf(text: string): number {
  return Bun.hash.xxHash32(text) || 1;
}

/** A recipient as a hash; spellings that differ in case are one. */
export function recipientHash(address: string): number {
  return hashOf(addressKey(address));
}

/** Holds between `most` and half of that of the hashes used last. */
export class KnownHashes {
  readonly #mostYoung: number;
  #young = new Uint32Array(FIRST_SLOTS);
  #old: Uint32Array | null = null;
  #count = 0;

  constructor(most: number) {
    this.#mostYoung = Math.max(1, Math.floor(most / 2));
  }

  /** Octets of the set, roughly. */
  get bytes(): number {
    return 100 + this.#young.byteLength + (this.#old?.byteLength ?? 0);
  }

  has(hash: number): boolean {
    return placeOf(this.#young, hash).taken || (this.#old !== null && placeOf(this.#old, hash).taken);
  }

  add(hash: number): void {
    const found = placeOf(this.#young, hash);
    if (found.taken) return;
    if (this.#count >= this.#mostYoung) {
      this.#old = this.#young;
      this.#young = new Uint32Array(FIRST_SLOTS);
      this.#count = 0;
    } else if (this.#count + 1 > this.#young.length * FULL) this.#young = grown(this.#young);
    this.#young[placeOf(this.#young, hash).index] = hash;
    this.#count++;
  }

  /** All hashes, the longer unused first: for saving. */
  values(): readonly number[] {
    const young = this.#young.filter((hash) => hash !== 0);
    const old = (this.#old ?? new Uint32Array(0)).filter(
      (hash) => hash !== 0 && !placeOf(this.#young, hash).taken,
    );
    return [...old, ...young];
  }
}

const place = { index: 0, taken: false };

/** Where the hash is or would be. The answer holds until the next call. */
function placeOf(slots: Uint32Array, hash: number): { readonly index: number; readonly taken: boolean } {
  const mask = slots.length - 1;
  let index = hash & mask;
  for (;;) {
    const there = slots[index] ?? 0;
    if (there === 0 || there === hash) {
      place.index = index;
      place.taken = there === hash;
      return place;
    }
    index = (index + 1) & mask;
  }
}

function grown(slots: Uint32Array): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(slots.length * 2);
  for (const hash of slots) if (hash !== 0) larger[placeOf(larger, hash).index] = hash;
  return larger;
}
