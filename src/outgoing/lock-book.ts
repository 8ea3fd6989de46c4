// The locks of senders and identities in memory, with what is remembered of those that ended by time-out. No I/O, no clock.
import type { LockRow } from "../store/outgoing-lock-rows.ts";
import type { Lock, LockKey } from "./outgoing.ts";

/** A stranger behind a smart host may make up identities and have each of them locked. */
const MOST = 100_000;

/** By sender, then by identity; "" is the sender itself. */
export class LockBook {
  readonly #rows = new Map<string, Map<string, LockRow>>();
  #size = 0;

  get(sender: string, name: string): LockRow | null {
    return this.#rows.get(sender)?.get(name) ?? null;
  }

  /** Whether there is nothing to look for. */
  get isEmpty(): boolean {
    return this.#size === 0;
  }

  set(row: LockRow): void {
    const names = this.#rows.get(row.sender) ?? new Map<string, LockRow>();
    this.#rows.set(row.sender, names);
    if (!names.has(row.name)) this.#size++;
    names.set(row.name, row);
  }

  delete({ sender, name }: Pick<LockRow, "sender" | "name">): void {
    if (this.#rows.get(sender)?.delete(name) === true) this.#size--;
  }

  *all(): Generator<LockRow> {
    for (const names of this.#rows.values()) yield* names.values();
  }

  /** The active locks, newest first. */
  active(domain?: string): readonly LockRow[] {
    const rows = [...this.all()].filter((row) => row.active && (domain ?? row.domain) === row.domain);
    return rows.sort((a, b) => b.since - a.since);
  }

  /** How many identities of the sender are locked at that time. */
  identitiesLocked(sender: string, now: number): number {
    let count = 0;
    for (const { name, active, until } of this.#rows.get(sender)?.values() ?? [])
      if (name !== "" && active && (until === null || until > now)) count++;
    return count;
  }

  /** When the next lock ends by itself; null: none does. */
  nextEnd(): number | null {
    let next: number | null = null;
    for (const { active, until } of this.all())
      if (active && until !== null && (next === null || until < next)) next = until;
    return next;
  }

  /** What must go before a further lock is held: former locks first, then the timed one that ends first. null: there is room, or only a person can make some. */
  toGiveUp(): LockRow | null {
    if (this.#size < MOST) return null;
    let first: LockRow | null = null;
    for (const row of this.all()) {
      if (!row.active) return row;
      if (row.until !== null && (first === null || row.until < (first.until ?? Number.POSITIVE_INFINITY)))
        first = row;
    }
    return first;
  }

  /** Full of locks that only a person lifts. */
  get isFull(): boolean {
    return this.#size >= MOST;
  }
}

/** The row's key as the rest of the gateway names it. */
export function lockKey({ sender, name }: Pick<LockRow, "sender" | "name">): LockKey {
  return { sender, identity: name === "" ? null : name };
}

export function lockOf({ sender, name, active, ...rest }: LockRow): Lock {
  return { ...lockKey({ sender, name }), ...rest };
}
