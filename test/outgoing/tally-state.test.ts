// What is saved of a tally comes back as it was; damaged octets cost counts and nothing else. The sets and books behind it.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { EventLog } from "../../src/outgoing/event-log.ts";
import { HourBook } from "../../src/outgoing/hour-book.ts";
import { KnownHashes } from "../../src/outgoing/known-hashes.ts";
import { newTally, type Tally } from "../../src/outgoing/tally.ts";
import { encodeTally, MOST_KNOWN, restoreTally } from "../../src/outgoing/tally-state.ts";
import { checkProperty, type KeptSeed } from "../property.ts";
import { DAY, HOUR, MINUTE, START } from "./outgoing-kit.ts";

/** Seeds that once failed. */
const OLD_FORM_FAILED: readonly KeptSeed[] = [{ seed: 949507812 }, { seed: 2 }];

const KNOWN = [1, 0xffff_ffff, 77];

function busyTally(): Tally {
  const tally = newTally("s", "a", START);
  for (const log of ["connections", "recipients", "fresh", "spam"] as const) {
    tally[log] = new EventLog(DAY);
    tally[log].add(START, 3);
    tally[log].add(START + MINUTE, 2);
  }
  tally.hours = new HourBook();
  tally.hours.add(START, "messages", 4);
  tally.hours.add(START + HOUR, "unknown", 5);
  tally.known = new KnownHashes(MOST_KNOWN);
  for (const hash of KNOWN) tally.known.add(hash);
  tally.habit = { day: 20_778, peak: 12, peakNew: 3, usual: 100.5, usualNew: 0.25 };
  tally.waiting = { waits: 3, until: START + 5, allowance: 7, toldAt: START };
  return tally;
}

test("a tally comes back as it was", () => {
  const tally = busyTally();
  const back = newTally("s", "a", START);
  restoreTally(back, encodeTally(tally));
  const now = START + HOUR;
  for (const log of ["connections", "recipients", "fresh", "spam"] as const)
    expect(back[log]?.entries()).toEqual([
      [START, 3],
      [START + MINUTE, 2],
    ]);
  expect(back.hours?.totals(now)).toEqual(busyTally().hours?.totals(now) ?? expect.unreachable());
  expect(KNOWN.every((hash) => back.known?.has(hash))).toBe(true);
  expect(back.known?.has(2)).toBe(false);
  expect(back.habit).toEqual(tally.habit);
  expect(back.waiting).toEqual(tally.waiting);
  expect(encodeTally(newTally("s", "a", START)).byteLength).toBe(1);
});

test("what was counted before the saved state was read is added to it", () => {
  const back = newTally("s", "a", START);
  back.recipients = new EventLog(DAY);
  back.recipients.add(START + HOUR, 1);
  back.hours = new HourBook();
  back.hours.add(START + HOUR, "unknown", 1);
  restoreTally(back, encodeTally(busyTally()));
  expect(back.recipients.sum(START + HOUR, 2 * HOUR)).toBe(6);
  expect(back.hours.totals(START + HOUR)).toMatchObject({ messages: 4, unknown: 6 });
});

/** The state as version 0.1.0 wrote it: no sum at its end. */
function inOldForm(state: Uint8Array): Uint8Array {
  const old = state.slice(0, -4);
  old[0] = 1;
  return old;
}

test("what version 0.1.0 saved comes back as it was", () => {
  const back = newTally("s", "a", START);
  restoreTally(back, inOldForm(encodeTally(busyTally())));
  expect(encodeTally(back)).toEqual(encodeTally(busyTally()));
});

/** A tally goes on counting after it was restored from these octets. */
function expectUsable(octets: Uint8Array): Tally {
  const tally = newTally("s", "a", START);
  restoreTally(tally, octets);
  for (const log of [tally.connections, tally.recipients, tally.fresh, tally.spam]) {
    log?.add(START + DAY, 1);
    expect(log === null || log.sum(START + DAY, DAY) >= 1).toBe(true);
  }
  tally.hours?.add(START + DAY, "messages", 1);
  encodeTally(tally);
  return tally;
}

const good = encodeTally(busyTally());
const damage = fc.tuple(
  fc.array(fc.tuple(fc.nat(good.byteLength - 1), fc.nat(255)), { maxLength: 20 }),
  fc.nat(good.byteLength),
);

function damaged(state: Uint8Array, [changes, length]: [[number, number][], number]): Uint8Array {
  const bad = state.slice(0, length);
  for (const [at, octet] of changes) if (at < bad.length) bad[at] = octet;
  return bad;
}

test("of damaged octets nothing is taken", async () => {
  const nothing = encodeTally(newTally("s", "a", START));
  await checkProperty(
    fc.property(damage, (how) => {
      const bad = damaged(good, how);
      // Two things at once, the form and the sum, are not hit by a failing disk.
      fc.pre(bad[0] === good[0] && !Buffer.from(bad).equals(good));
      const tally = newTally("s", "a", START);
      restoreTally(tally, bad);
      expect(encodeTally(tally)).toEqual(nothing);
      expectUsable(bad);
    }),
    { numRuns: 1000 },
  );
});

test("damaged octets of the old form are read as far as they make sense, and never throw", async () => {
  const old = inOldForm(good);
  await checkProperty(
    fc.property(damage, (how) => void expectUsable(damaged(old, how))),
    { numRuns: 1000, kept: OLD_FORM_FAILED },
  );
  // The same by hand, as shrunk: a time that was no number any more.
  const changes: [number, number][] = [
    [16, 0],
    [107, 128],
    [15, 225],
  ];
  expectUsable(damaged(old, [changes, 114]));
});

test("a full set of hashes forgets the longest unused", () => {
  const known = new KnownHashes(1000);
  for (let hash = 1; hash <= 500; hash++) known.add(hash);
  // Those met again stay, however many others come.
  for (let other = 1000; other < 10_000; other++) {
    known.add(other);
    if (other % 400 === 0) for (let hash = 1; hash <= 50; hash++) known.add(hash);
  }
  for (let hash = 1; hash <= 50; hash++) expect(known.has(hash)).toBe(true);
  expect(known.has(60)).toBe(false);
  expect(known.has(9_999)).toBe(true);
  expect(known.values().length).toBeLessThanOrEqual(1000);
  expect(known.bytes).toBeLessThan(20_000);
});

test("a set of hashes holds what it was given", () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer({ min: 1, max: 0xffff_ffff }), { maxLength: 400 }), (hashes) => {
      const known = new KnownHashes(2000);
      const half = hashes.slice(0, hashes.length / 2);
      for (const hash of half) known.add(hash);
      expect(hashes.filter((hash) => known.has(hash))).toEqual(half);
      expect([...known.values()].sort()).toEqual([...half].sort());
    }),
  );
});

test("the hour book adds up 24 hours, and a clock put back loses nothing of value", () => {
  const book = new HourBook();
  for (let hour = 0; hour < 100; hour++) book.add(START + hour * HOUR, "recipients", 1);
  expect(book.totals(START + 99 * HOUR).recipients).toBe(24);
  expect(book.bytes).toBeLessThan(1000);
  book.add(START, "recipients", 5);
  expect(book.totals(START).recipients).toBe(5);
  expect(book.forget(START + 30 * HOUR)).toBe(true);
});
