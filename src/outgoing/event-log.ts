// When something happened, and how often: a run-length log in eight octets an entry, summed over sliding windows.
// Never forgets early: an entry that stands for several events has the time of the last of them.

const MINUTE_MS = 60_000;
/** Below so many entries each keeps its own millisecond. */
const MERGE_FROM = 64;
/** Entries younger than this keep their millisecond even in a long log: the window of a minute stays exact. */
const YOUNG_MS = 2 * MINUTE_MS;
/** More young entries than this are merged to steps of `CROWDED_STEP_MS`. */
const CROWDED = 2048;
const CROWDED_STEP_MS = 250;
const FIRST_ROOM = 4;
/** Up to so many entries are added up by walking over them; longer logs keep a running sum for each window asked for. */
const WALK = 48;
const MAX_OFFSET = 0xffff_ffff;
/** A clock that goes back by less is one that is being adjusted. */
const PUT_BACK_MS = 2000;

/** The running sum of a window: of the entries from `index` on. */
interface Cursor {
  readonly windowMs: number;
  index: number;
  sum: number;
}

/** A log that remembers at least `keepMs` back, at most 31 days. Times are milliseconds UTC and may not be given out of order. */
export class EventLog {
  /** Pairs of milliseconds since `#base` and count. */
  #entries = new Uint32Array(2 * FIRST_ROOM);
  #base = 0;
  #first = 0;
  #end = 0;
  #cursors: Cursor[] | null = null;
  #keepMs: number;
  /** So long a wish to remember further back stands. */
  #keepUntil = 0;

  constructor(keepMs: number) {
    this.#keepMs = keepMs;
  }

  get isEmpty(): boolean {
    return this.#first === this.#end;
  }

  /** Octets of the log, roughly. */
  get bytes(): number {
    return 150 + this.#entries.byteLength + 60 * (this.#cursors?.length ?? 0);
  }

  /**
   * Remembers from now on so far back, and no shorter while what was added under a longer wish is within that one's window: the mail of
   * one identity may meet several limits.
   */
  keep(keepMs: number, now: number): void {
    if (keepMs < this.#keepMs && now < this.#keepUntil) return;
    this.#keepMs = keepMs;
    this.#keepUntil = now + keepMs;
  }

  /** `count` events now. */
  add(now: number, count: number): void {
    this.#turnBack(now);
    if (this.isEmpty || now - this.#base > MAX_OFFSET) this.#rebase(now);
    let last = this.#end - 1;
    if (last < this.#first || this.#timeAt(last) !== now) {
      if (2 * this.#end === this.#entries.length) this.#makeRoom(now);
      if (this.isEmpty) this.#base = now;
      last = this.#end++;
      this.#entries[2 * last] = now - this.#base;
      this.#entries[2 * last + 1] = 0;
    }
    this.#entries[2 * last + 1] = this.#countAt(last) + count;
    for (const cursor of this.#cursors ?? []) cursor.sum += count;
  }

  /** `count` events of that time did not happen. The entry stays. */
  takeBack(at: number, count: number): void {
    // Merged entries have the time of the last of their events.
    let i = this.#first;
    while (i < this.#end && this.#timeAt(i) < at) i++;
    if (i < this.#end) this.#entries[2 * i + 1] = Math.max(0, this.#countAt(i) - count);
    this.#cursors = null;
  }

  /** How many events there were within the window that ends now. An event leaves it exactly `windowMs` after it was. */
  sum(now: number, windowMs: number): number {
    if (this.isEmpty) return 0;
    this.#turnBack(now);
    if (this.#end - this.#first > WALK) return this.#cursor(now, windowMs).sum;
    let sum = 0;
    for (let i = this.#end - 1; i >= this.#first && this.#timeAt(i) + windowMs > now; i--)
      sum += this.#countAt(i);
    return sum;
  }

  /** When `excess` of the events in the window will have left it; null when there are not so many. */
  freeAt(now: number, windowMs: number, excess: number): number | null {
    let left = excess;
    for (let i = this.#first; i < this.#end; i++) {
      const at = this.#timeAt(i) + windowMs;
      if (at <= now) continue;
      left -= this.#countAt(i);
      if (left <= 0) return at;
    }
    return null;
  }

  /** Lets go of what is older than is to be remembered; true when nothing is left. */
  forget(now: number): boolean {
    while (this.#first < this.#end && this.#timeAt(this.#first) + this.#keepMs <= now) this.#first++;
    if (this.isEmpty) {
      this.clear();
      return true;
    }
    if (this.#first > 0) this.#rewrite(this.#pairs());
    return false;
  }

  clear(): void {
    if (this.#entries.length > 2 * FIRST_ROOM) this.#entries = new Uint32Array(2 * FIRST_ROOM);
    this.#first = 0;
    this.#end = 0;
    this.#cursors = null;
  }

  /** The times and counts, oldest first: for saving. */
  entries(): readonly (readonly [at: number, count: number])[] {
    return this.#pairs();
  }

  /** Puts in what was saved; what is in the log already stays. */
  restore(saved: readonly (readonly [at: number, count: number])[]): void {
    if (saved.length === 0) return;
    const all = [...saved, ...this.#pairs()].sort((a, b) => a[0] - b[0]);
    const newest = all[all.length - 1]?.[0] ?? 0;
    this.#rewrite(all.filter(([at]) => newest - at < MAX_OFFSET));
  }

  #timeAt(index: number): number {
    return this.#base + (this.#entries[2 * index] ?? 0);
  }

  #countAt(index: number): number {
    return this.#entries[2 * index + 1] ?? 0;
  }

  #pairs(): [number, number][] {
    const pairs: [number, number][] = [];
    for (let i = this.#first; i < this.#end; i++) pairs.push([this.#timeAt(i), this.#countAt(i)]);
    return pairs;
  }

  /** The running sum of the window, brought up to `now`. */
  #cursor(now: number, windowMs: number): Cursor {
    this.#cursors ??= [];
    let cursor = this.#cursors.find((one) => one.windowMs === windowMs);
    if (cursor === undefined) {
      cursor = { windowMs, index: this.#first, sum: 0 };
      for (let i = this.#first; i < this.#end; i++) cursor.sum += this.#countAt(i);
      this.#cursors.push(cursor);
    }
    while (cursor.index < this.#end && this.#timeAt(cursor.index) + windowMs <= now) {
      cursor.sum -= this.#countAt(cursor.index);
      cursor.index++;
    }
    return cursor;
  }

  /**
   * The clock was put back: the newest event happened now at the latest, and the others as long before it as they did. Every window
   * holds what it held, so that nobody is locked out and nothing is free too soon. A moment is no reason to move all.
   */
  #turnBack(now: number): void {
    const last = this.#end - 1;
    if (last < this.#first) return;
    const ahead = this.#timeAt(last) - now;
    if (ahead <= 0) return;
    if (ahead >= PUT_BACK_MS && this.#base >= ahead) {
      this.#base -= ahead;
      this.#cursors = null;
      return;
    }
    const pairs = this.#pairs();
    const past = pairs.filter(([at]) => at < now);
    const count = pairs.slice(past.length).reduce((sum, [, one]) => sum + one, 0);
    this.#rewrite([...past, [now, count]]);
  }

  /** The log begins anew at `now`, or with what of it is within reach of an offset of 32 bits. */
  #rebase(now: number): void {
    const kept = this.#pairs().filter(([at]) => at + this.#keepMs > now);
    if (kept.length === 0) {
      this.clear();
      this.#base = now;
    } else this.#rewrite(kept);
  }

  /** Drops what is past, merges what is old, and doubles the room when that was not enough. */
  #makeRoom(now: number): void {
    const kept = this.#pairs().filter(([at]) => at + this.#keepMs > now);
    this.#rewrite(kept.length < MERGE_FROM ? kept : merged(kept, now));
  }

  #rewrite(pairs: readonly (readonly [number, number])[]): void {
    let room = FIRST_ROOM;
    while (room * 0.75 < pairs.length + 1) room *= 2;
    this.#entries = new Uint32Array(2 * room);
    this.#base = pairs[0]?.[0] ?? 0;
    this.#first = 0;
    this.#end = pairs.length;
    this.#cursors = null;
    for (const [index, [at, count]] of pairs.entries()) {
      this.#entries[2 * index] = at - this.#base;
      this.#entries[2 * index + 1] = count;
    }
  }
}

/** Neighbours within one step of time become one entry with the time of the last of them. */
function merged(pairs: readonly (readonly [number, number])[], now: number): [number, number][] {
  const young = pairs.filter(([at]) => at + YOUNG_MS > now).length;
  const youngStep = young > CROWDED ? CROWDED_STEP_MS : 1;
  const all: [number, number][] = [];
  let lastStep = -1;
  for (const [at, count] of pairs) {
    const stepMs = at + YOUNG_MS > now ? youngStep : MINUTE_MS;
    // Steps of different lengths never have the same number: they are told apart by the fraction.
    const step = Math.floor(at / stepMs) + (stepMs === MINUTE_MS ? 0.5 : 0);
    const last = all.at(-1);
    if (last !== undefined && step === lastStep) {
      last[0] = at;
      last[1] += count;
    } else all.push([at, count]);
    lastStep = step;
  }
  return all;
}
