// When domains were registered: millions of them in a few typed arrays. It keeps hashes of names, not the names. No I/O.

const MINUTE_MS = 60_000;
const FIRST_SLOTS = 1024;

/** An open hash table, at most half full. A slot is free while its date is 0. */
export class AgeTable {
  // Of its own for each table, so that no name can be made to collide with another.
  readonly #seed = Math.floor(Math.random() * 2 ** 31);
  #slots = FIRST_SLOTS;
  #high = new Uint32Array(FIRST_SLOTS);
  #low = new Uint32Array(FIRST_SLOTS);
  #minutes = new Uint32Array(FIRST_SLOTS);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** `at` in milliseconds UTC, after 1970; kept to the minute. The later entry of a domain counts. */
  set(domain: string, at: number): void {
    if (this.#size * 2 >= this.#slots) this.#grow();
    const [high, low] = this.#hash(domain);
    const slot = this.#find(high, low);
    if (this.#minutes[slot] === 0) this.#size++;
    this.#high[slot] = high;
    this.#low[slot] = low;
    this.#minutes[slot] = Math.max(1, Math.floor(at / MINUTE_MS));
  }

  /** Milliseconds UTC, or null when the domain is not in the table. */
  get(domain: string): number | null {
    const [high, low] = this.#hash(domain);
    const minutes = this.#minutes[this.#find(high, low)] ?? 0;
    return minutes === 0 ? null : minutes * MINUTE_MS;
  }

  #hash(domain: string): readonly [number, number] {
    return [Bun.hash.xxHash32(domain, this.#seed), Bun.hash.xxHash32(domain, this.#seed + 1)];
  }

  #find(high: number, low: number): number {
    const mask = this.#slots - 1;
    let slot = low & mask;
    while (this.#minutes[slot] !== 0 && (this.#high[slot] !== high || this.#low[slot] !== low)) {
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  #grow(): void {
    const [high, low, minutes] = [this.#high, this.#low, this.#minutes];
    this.#slots *= 2;
    this.#high = new Uint32Array(this.#slots);
    this.#low = new Uint32Array(this.#slots);
    this.#minutes = new Uint32Array(this.#slots);
    for (const [old, date] of minutes.entries()) {
      if (date === 0) continue;
      const slot = this.#find(high[old] ?? 0, low[old] ?? 0);
      this.#high[slot] = high[old] ?? 0;
      this.#low[slot] = low[old] ?? 0;
      this.#minutes[slot] = date;
    }
  }
}
