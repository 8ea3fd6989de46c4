// A tally as octets, for the database and for memory while nobody asks for it, and back: numbers in sections, so that a later version
// can add some, and a sum at the end. What is damaged is left out: it is counts, and mail must go on.
import { EventLog } from "./event-log.ts";
import { HourBook } from "./hour-book.ts";
import { KnownHashes } from "./known-hashes.ts";
import { OctetReader, OctetWriter, withoutSum } from "./octet-writer.ts";
import { DAY_MS, type Tally } from "./tally.ts";

const FORM = 2;
/** The same without the sum at its end: what version 0.1.0 wrote. */
const FORM_WITHOUT_SUM = 1;
const MONTH_MS = 31 * DAY_MS;
const HOUR_MS = 3_600_000;
/** Fractions of recipients are kept in sixteenths. */
const PARTS = 16;
/** A log has no more entries, a count is no higher: more is damage. */
const MOST_ENTRIES = 100_000;
const MOST_COUNT = 0xffff_ffff;
/** A time outside of these years is damage; milliseconds UTC. */
const EARLIEST = Date.UTC(2000, 0);
const LATEST = Date.UTC(2200, 0);

/** Whom an identity wrote to: between half of this and this many. Enough for a newsletter; at most 128 KB an identity. */
export const MOST_KNOWN = 24_576;

const SECTION = {
  connections: 1,
  recipients: 2,
  fresh: 3,
  spam: 4,
  hours: 5,
  known: 6,
  habit: 7,
  waiting: 8,
} as const;

/** How far back each log can have to remember. What is in force is told to it when it is used. */
const KEEP = {
  connections: MONTH_MS,
  recipients: DAY_MS,
  fresh: HOUR_MS,
  spam: MONTH_MS,
} as const;

type LogName = keyof typeof KEEP;
const LOGS: readonly LogName[] = ["connections", "recipients", "fresh", "spam"];

const writer = new OctetWriter();

/** What of the tally must outlive the process. */
export function encodeTally(tally: Tally): Uint8Array {
  writer.reset();
  writer.octet(FORM);
  const put = (section: number, content: () => void): void => {
    writer.octet(section);
    writer.counted(content);
  };
  for (const name of LOGS) {
    const log = tally[name];
    if (log !== null && !log.isEmpty) put(SECTION[name], () => writeLog(log));
  }
  const { hours, known, habit, waiting } = tally;
  if (hours !== null) put(SECTION.hours, () => hours.words().forEach((word) => void writer.number(word)));
  if (known !== null) put(SECTION.known, () => known.values().forEach((hash) => void writer.word(hash)));
  if (habit !== null) {
    put(SECTION.habit, () => {
      for (const part of [habit.day, habit.peak, habit.peakNew]) writer.number(part);
      for (const part of [habit.usual, habit.usualNew]) writer.number(Math.round(part * PARTS));
    });
  }
  if (waiting !== null) {
    put(SECTION.waiting, () => {
      for (const part of [waiting.waits, waiting.until, waiting.allowance, waiting.toldAt])
        writer.number(part);
    });
  }
  // Most tallies of a day ago are empty: one octet each.
  if (writer.length > 1) writer.sum();
  return writer.taken();
}

function writeLog(log: EventLog): void {
  let before = 0;
  for (const [at, count] of log.entries()) {
    writer.number(at - before);
    writer.number(count);
    before = at;
  }
}

/** Puts what was saved into the tally; what was counted since stays. Of damaged octets nothing is taken. */
export function restoreTally(tally: Tally, state: Uint8Array): void {
  if (state.length < 2) return;
  const form = state[0];
  const whole = form === FORM ? withoutSum(state) : form === FORM_WITHOUT_SUM ? state : null;
  if (whole === null) return;
  const reader = new OctetReader(whole.subarray(1));
  while (!reader.isAtEnd) restoreSection(tally, reader.number(), reader.counted());
}

function restoreSection(tally: Tally, section: number, content: OctetReader): void {
  const log = LOGS.find((name) => SECTION[name] === section);
  if (log !== undefined) {
    const entries = logEntries(content);
    if (entries.length === 0) return;
    tally[log] ??= new EventLog(KEEP[log]);
    tally[log].restore(entries);
    return;
  }
  switch (section) {
    case SECTION.hours: {
      const words: number[] = [];
      while (!content.isAtEnd && words.length < MOST_ENTRIES) words.push(content.number());
      if (words.some((word) => word > MOST_COUNT)) return;
      tally.hours ??= new HourBook();
      tally.hours.restore(Uint32Array.from(words));
      return;
    }
    case SECTION.known: {
      const known = new KnownHashes(MOST_KNOWN);
      while (!content.isAtEnd) known.add(content.word());
      for (const hash of tally.known?.values() ?? []) known.add(hash);
      tally.known = known;
      return;
    }
    case SECTION.habit: {
      const now = tally.habit;
      const [day, peak, peakNew] = [content.number(), content.number(), content.number()];
      tally.habit = {
        day,
        peak: Math.max(peak, now?.peak ?? 0),
        peakNew: Math.max(peakNew, now?.peakNew ?? 0),
        usual: content.number() / PARTS,
        usualNew: content.number() / PARTS,
      };
      return;
    }
    case SECTION.waiting:
      tally.waiting ??= {
        waits: content.number(),
        until: content.number(),
        allowance: content.number(),
        toldAt: content.number(),
      };
      return;
    default:
      return;
  }
}

/** The entries in their order, or none: without a sum damage shows as times that are none, and what follows it cannot be trusted. */
function logEntries(content: OctetReader): (readonly [number, number])[] {
  const entries: (readonly [number, number])[] = [];
  let at = 0;
  while (!content.isAtEnd && entries.length < MOST_ENTRIES) {
    at += content.number();
    const count = content.number();
    if (at < EARLIEST || at > LATEST || count > MOST_COUNT) return [];
    entries.push([at, count]);
  }
  return entries;
}
