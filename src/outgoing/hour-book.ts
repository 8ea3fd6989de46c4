// What an identity did in each hour of the last day: a row of 32 octets for each hour in which it did anything.

const HOUR_MS = 3_600_000;
const HOURS = 24;
const FIELDS = ["messages", "recipients", "spam", "refused", "delivered", "rejected", "unknown"] as const;
const WIDTH = FIELDS.length + 1;

/** `refused`: messages we refused. `delivered`, `rejected`: recipients the far side took or not; `unknown`: those of them it does not know. */
export type HourField = (typeof FIELDS)[number];

/** The sums of the last 24 hours, by whole hours. */
export type DayTotals = Readonly<Record<HourField, number>>;

const NOTHING: DayTotals = {
  messages: 0,
  recipients: 0,
  spam: 0,
  refused: 0,
  delivered: 0,
  rejected: 0,
  unknown: 0,
};

/** Grows by one row an hour, to at most 25 of them. */
export class HourBook {
  /** Rows of the hour since 1970 and the fields, oldest first. */
  #rows = new Uint32Array(0);

  get bytes(): number {
    return 80 + this.#rows.byteLength;
  }

  add(now: number, field: HourField, count: number): void {
    const hour = Math.floor(now / HOUR_MS);
    let row = this.#rows.length - WIDTH;
    // A clock put back a little counts on in the newest hour; what lies further ahead was never true.
    while (row >= 0 && (this.#rows[row] ?? 0) > hour + 1) row -= WIDTH;
    if (row + WIDTH < this.#rows.length) this.#rows = this.#rows.slice(0, row + WIDTH);
    if (row < 0 || (this.#rows[row] ?? 0) < hour) {
      this.forget(now);
      row = this.#rows.length;
      const longer = new Uint32Array(row + WIDTH);
      longer.set(this.#rows);
      longer[row] = hour;
      this.#rows = longer;
    }
    const at = row + 1 + FIELDS.indexOf(field);
    this.#rows[at] = (this.#rows[at] ?? 0) + count;
  }

  /** Sums of the hour that runs and the 23 before it. */
  totals(now: number): DayTotals {
    const oldest = Math.floor(now / HOUR_MS) - HOURS + 1;
    const totals: Record<HourField, number> = { ...NOTHING };
    for (let row = 0; row < this.#rows.length; row += WIDTH) {
      if ((this.#rows[row] ?? 0) < oldest) continue;
      for (let i = 0; i < FIELDS.length; i++) {
        const field = FIELDS[i];
        if (field !== undefined) totals[field] += this.#rows[row + 1 + i] ?? 0;
      }
    }
    return totals;
  }

  /** Begins the fields anew. */
  clear(fields: readonly HourField[]): void {
    for (let row = 0; row < this.#rows.length; row += WIDTH)
      for (const field of fields) this.#rows[row + 1 + FIELDS.indexOf(field)] = 0;
  }

  /** Lets go of what is older than a day; true when nothing is left. */
  forget(now: number): boolean {
    const oldest = Math.floor(now / HOUR_MS) - HOURS;
    let first = 0;
    while (first < this.#rows.length && (this.#rows[first] ?? 0) < oldest) first += WIDTH;
    if (first > 0) this.#rows = this.#rows.slice(first);
    return this.#rows.length === 0;
  }

  /** For saving. */
  words(): Uint32Array {
    return this.#rows;
  }

  /** Puts what was saved before what is there. */
  restore(words: Uint32Array): void {
    if (words.length === 0 || words.length % WIDTH !== 0) return;
    const firstHour = this.#rows[0] ?? Number.POSITIVE_INFINITY;
    let end = words.length;
    while (end > 0 && (words[end - WIDTH] ?? 0) > firstHour) end -= WIDTH;
    const same = end > 0 && words[end - WIDTH] === firstHour ? end - WIDTH : -1;
    if (same >= 0) {
      for (let i = 1; i < WIDTH; i++) this.#rows[i] = (this.#rows[i] ?? 0) + (words[same + i] ?? 0);
      end = same;
    }
    const all = new Uint32Array(end + this.#rows.length);
    all.set(words.subarray(0, end));
    all.set(this.#rows, end);
    this.#rows = all;
  }
}

/** The sums of a book that may not be there. */
export function dayTotals(book: HourBook | null, now: number): DayTotals {
  return book?.totals(now) ?? NOTHING;
}
