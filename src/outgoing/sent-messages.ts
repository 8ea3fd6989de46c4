// The messages under way: recipients reserved while one is being checked, and whose it was when the far side has answered.
// Both are bounded: what is older or more than that is forgotten.
import type { OutgoingMessage } from "./outgoing.ts";
import type { Tally } from "./tally.ts";

/** No check takes longer; the session of whatever is older is gone. */
const RESERVED_MS = 600_000;
const MOST_SENT = 50_000;

interface Reservation {
  readonly until: number;
  readonly count: number;
  readonly tallies: readonly Tally[];
}

/** Whose message it was. */
export interface SentBy {
  readonly sender: string;
  readonly name: string | null;
  /** Recipients that were counted, and when. */
  readonly count: number;
  readonly at: number;
}

export class SentMessages {
  /** By message id, oldest first. */
  readonly #reserved = new Map<string, Reservation>();
  #sent = new Map<string, SentBy>();
  #sentBefore: ReadonlyMap<string, SentBy> = new Map();

  /** Holds room for the message's recipients until it is settled, so that many at once do not share the same room. */
  reserve({ id, recipients }: OutgoingMessage, tallies: readonly Tally[], now: number): void {
    this.release(id);
    for (const [old, { until }] of this.#reserved) {
      if (until > now) break;
      this.release(old);
    }
    if (tallies.length === 0) return;
    for (const tally of tallies) tally.reserved += recipients.length;
    this.#reserved.set(id, { until: now + RESERVED_MS, count: recipients.length, tallies });
  }

  release(id: string): void {
    const reservation = this.#reserved.get(id);
    if (reservation === undefined) return;
    this.#reserved.delete(id);
    for (const tally of reservation.tallies) tally.reserved = Math.max(0, tally.reserved - reservation.count);
  }

  /** Remembers whose it was. */
  note(id: string, by: SentBy): void {
    if (this.#sent.size >= MOST_SENT / 2) {
      this.#sentBefore = this.#sent;
      this.#sent = new Map();
    }
    this.#sent.set(id, by);
  }

  /** It was not sent after all. */
  forget(id: string): void {
    this.#sent.delete(id);
  }

  by(id: string): SentBy | null {
    return this.#sent.get(id) ?? this.#sentBefore.get(id) ?? null;
  }
}
