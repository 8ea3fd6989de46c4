// What is counted of one sender or identity. Plain memory; what counts, and what follows from it, is decided elsewhere.
import type { EventLog } from "./event-log.ts";
import type { HourBook } from "./hour-book.ts";
import type { KnownHashes } from "./known-hashes.ts";

/** Volume since it was last saved, to be added to the day's row. */
export interface DayVolume {
  /** Days since 1970, UTC. */
  readonly day: number;
  messages: number;
  recipients: number;
  spam: number;
  refused: number;
}

/** What an identity used to send, in its busy hours. */
export interface Habit {
  /** Days since 1970, UTC: the day `peak` and `peakNew` are of. */
  day: number;
  /** Recipients of the day's busiest hour so far, and the new ones of its most curious hour. */
  peak: number;
  peakNew: number;
  /** The same of the days before, smoothed. */
  usual: number;
  usualNew: number;
}

/** How often an identity was told to wait, and until when. */
export interface Waiting {
  waits: number;
  until: number;
  /** New recipients that may still pass before the next wait. */
  allowance: number;
  /** When it was told last. */
  toldAt: number;
}

/** Everything held of one sender (`name` "") or identity. Parts that have nothing to say are null. */
export interface Tally {
  readonly sender: string;
  readonly name: string;
  domain: string;
  firstSeen: number;
  lastSeen: number;
  connections: EventLog | null;
  recipients: EventLog | null;
  /** Recipients of the last hour to whom it had never written. */
  fresh: EventLog | null;
  spam: EventLog | null;
  hours: HourBook | null;
  known: KnownHashes | null;
  habit: Habit | null;
  waiting: Waiting | null;
  /** By day, oldest first. */
  unsaved: DayVolume[] | null;
  /** Recipients of messages that are being checked now. */
  reserved: number;
  /** Counts up with each change; `savedAs` is what it was when it was last kept. */
  changes: number;
  savedAs: number;
  /** Octets it took when it was last weighed. */
  weight: number;
}

/** A sender or identity that was never seen before. */
export function newTally(sender: string, name: string, now: number): Tally {
  return {
    sender,
    name,
    domain: "",
    firstSeen: now,
    lastSeen: now,
    connections: null,
    recipients: null,
    fresh: null,
    spam: null,
    hours: null,
    known: null,
    habit: null,
    waiting: null,
    unsaved: null,
    reserved: 0,
    changes: 0,
    savedAs: 0,
    weight: 0,
  };
}

const OWN_BYTES = 350;

/** Roughly the octets it takes in memory. */
export function weigh(tally: Tally): number {
  return (
    OWN_BYTES +
    2 * tally.name.length +
    (tally.connections?.bytes ?? 0) +
    (tally.recipients?.bytes ?? 0) +
    (tally.fresh?.bytes ?? 0) +
    (tally.spam?.bytes ?? 0) +
    (tally.hours?.bytes ?? 0) +
    (tally.known?.bytes ?? 0) +
    (tally.habit === null ? 0 : 56) +
    (tally.waiting === null ? 0 : 48)
  );
}

/** Lets go of everything that is past. */
export function trim(tally: Tally, now: number): void {
  if (tally.connections?.forget(now) === true) tally.connections = null;
  if (tally.recipients?.forget(now) === true) tally.recipients = null;
  if (tally.fresh?.forget(now) === true) tally.fresh = null;
  if (tally.spam?.forget(now) === true) tally.spam = null;
  if (tally.hours?.forget(now) === true) tally.hours = null;
}

export const DAY_MS = 86_400_000;
const MOST_UNSAVED_DAYS = 31;

/** Adds to the volume of today. */
export function addVolume(
  tally: Tally,
  now: number,
  field: "messages" | "recipients" | "spam" | "refused",
  count: number,
): void {
  const day = Math.floor(now / DAY_MS);
  tally.unsaved ??= [];
  let today = tally.unsaved.at(-1);
  // A clock put back counts on in the newest day; a database that takes nothing for a month costs the days before.
  if (today === undefined || today.day < day) {
    if (tally.unsaved.length >= MOST_UNSAVED_DAYS) tally.unsaved.shift();
    today = { day, messages: 0, recipients: 0, spam: 0, refused: 0 };
    tally.unsaved.push(today);
  }
  today[field] += count;
}

/** Volume that could not be saved, put before what came since. */
export function putBackVolume(tally: Tally, volumes: readonly DayVolume[]): void {
  if (volumes.length === 0) return;
  const all = [...volumes];
  for (const since of tally.unsaved ?? []) {
    const same = all.find(({ day }) => day === since.day);
    if (same === undefined) {
      all.push(since);
      continue;
    }
    same.messages += since.messages;
    same.recipients += since.recipients;
    same.spam += since.spam;
    same.refused += since.refused;
  }
  tally.unsaved = all.slice(-MOST_UNSAVED_DAYS);
}

/** `2026-11-21` of days since 1970. */
export function dayText(day: number): string {
  return new Date(day * DAY_MS).toISOString().slice(0, 10);
}
