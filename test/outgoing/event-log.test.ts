// The sliding windows against a model that forgets nothing, and their edges to the millisecond.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { EventLog } from "../../src/outgoing/event-log.ts";
import { DAY, HOUR, MINUTE, START } from "./outgoing-kit.ts";

type Event = readonly [at: number, count: number];

function counted(events: readonly Event[], now: number, windowMs: number): number {
  return events.reduce((sum, [at, count]) => (at + windowMs > now ? sum + count : sum), 0);
}

const WINDOWS = [MINUTE, HOUR, DAY, 7 * DAY, 30 * DAY];
const gap = fc.oneof(
  fc.integer({ min: 0, max: 3 }),
  fc.integer({ min: 0, max: 5000 }),
  fc.integer({ min: 0, max: 20 * MINUTE }),
  fc.constantFrom(MINUTE, HOUR, DAY, 7 * DAY, 30 * DAY, MINUTE - 1, HOUR + 1),
);
const steps = (maxLength: number) =>
  fc.array(fc.record({ gap, count: fc.integer({ min: 1, max: 5 }), window: fc.constantFrom(...WINDOWS) }), {
    maxLength,
    size: "max",
  });

test("few events: every window is exact at every moment", () => {
  fc.assert(
    fc.property(steps(60), (all) => {
      const log = new EventLog(30 * DAY);
      const events: Event[] = [];
      let now = START;
      for (const { gap: wait, count, window } of all) {
        now += wait;
        expect(log.sum(now, window)).toBe(counted(events, now, window));
        log.add(now, count);
        events.push([now, count]);
        for (const each of WINDOWS) expect(log.sum(now, each)).toBe(counted(events, now, each));
      }
    }),
    { numRuns: 200 },
  );
});

test("many events: never fewer than there were, and none is held a minute too long; the window of a minute is exact", () => {
  fc.assert(
    fc.property(steps(600), fc.boolean(), (all, saves) => {
      let log = new EventLog(30 * DAY);
      const events: Event[] = [];
      let now = START;
      for (const [index, { gap: wait, count, window }] of all.entries()) {
        now += wait;
        log.add(now, count);
        events.push([now, count]);
        if (saves && index % 97 === 0) {
          const again = new EventLog(30 * DAY);
          again.restore(log.entries());
          log = again;
        }
        if (index % 50 === 0) log.forget(now);
        const least = counted(events, now, window);
        const most = counted(events, now, window + MINUTE);
        const sum = log.sum(now, window);
        expect(sum).toBeGreaterThanOrEqual(least);
        expect(sum).toBeLessThanOrEqual(most);
        expect(log.sum(now, MINUTE)).toBe(counted(events, now, MINUTE));
      }
    }),
    { numRuns: 100 },
  );
});

test("freeAt is the first moment at which so many have left", () => {
  fc.assert(
    fc.property(steps(40), fc.integer({ min: 1, max: 60 }), (all, excess) => {
      const log = new EventLog(30 * DAY);
      let now = START;
      for (const { gap: wait, count } of all) {
        now += wait;
        log.add(now, count);
      }
      for (const window of WINDOWS) {
        const before = log.sum(now, window);
        const at = log.freeAt(now, window, excess);
        if (at === null) expect(before).toBeLessThan(excess);
        else {
          expect(log.sum(at - 1, window)).toBeGreaterThan(before - excess);
          expect(log.sum(at, window)).toBeLessThanOrEqual(before - excess);
        }
      }
    }),
    { numRuns: 200 },
  );
});

test("a month of an event every second stays small", () => {
  const log = new EventLog(30 * DAY);
  let now = START;
  // Ten days are enough to see how it grows.
  for (; now < START + 10 * DAY; now += 1000) log.add(now, 1);
  const used = log.sum(now, 30 * DAY);
  expect(used).toBe((10 * DAY) / 1000);
  expect(log.bytes).toBeLessThan(400_000);
});

test("a burst of a hundred thousand in a minute stays small and frees in time", () => {
  const log = new EventLog(HOUR);
  for (let i = 0; i < 100_000; i++) log.add(START + Math.floor(i / 2), 1);
  expect(log.sum(START + 50_000, MINUTE)).toBe(100_000);
  expect(log.bytes).toBeLessThan(200_000);
  const at = START + 49_999 + MINUTE;
  expect(log.sum(at + 250, MINUTE)).toBe(0);
});

test("what is taken back does not count, in a short log and in a merged one", () => {
  for (const before of [3, 500]) {
    const log = new EventLog(30 * DAY);
    const at = START + before * 5000;
    const now = at + before * 5000;
    for (let i = 0; i < before; i++) log.add(START + i * 5000, 1);
    log.add(at, 7);
    for (let i = 1; i <= before; i++) log.add(at + i * 5000, 1);
    expect(log.sum(now, DAY)).toBe(2 * before + 7);
    log.takeBack(at, 7);
    expect(log.sum(now, DAY)).toBe(2 * before);
    log.takeBack(START - DAY, 1_000_000);
    expect(log.sum(now, DAY)).toBeLessThanOrEqual(2 * before);
    log.takeBack(now + 1, 5);
    expect(log.sum(now + DAY, DAY)).toBe(0);
    log.add(now + DAY, 2);
    expect(log.sum(now + DAY, HOUR)).toBe(2);
  }
});

test("a clock put back an hour opens no window and fills none", () => {
  for (const every of [1000, 5 * MINUTE]) {
    const log = new EventLog(31 * DAY);
    const end = START + 3 * HOUR;
    for (let at = START; at <= end; at += every) log.add(at, 1);
    const windows = [MINUTE, HOUR, DAY];
    const before = windows.map((windowMs) => log.sum(end, windowMs));
    expect(windows.map((windowMs) => log.sum(end - HOUR, windowMs))).toEqual(before);
    // Time goes on from there.
    expect(log.sum(end - HOUR + MINUTE, MINUTE)).toBe(0);
    expect(log.sum(end - HOUR + 2 * HOUR, DAY)).toBe(before[2] ?? 0);
    expect(log.sum(end + 31 * DAY, 31 * DAY)).toBe(0);
  }
});

test("a clock put back loses nothing and holds nobody for ever", () => {
  const log = new EventLog(HOUR);
  log.add(START + 365 * DAY, 3);
  log.add(START, 1);
  expect(log.sum(START, MINUTE)).toBe(4);
  expect(log.sum(START + MINUTE, MINUTE)).toBe(0);
  log.add(START + 100 * DAY, 1);
  expect(log.sum(START + 100 * DAY, HOUR)).toBe(1);
});

test("what was added under a longer wish stays while that one looks back, whatever shorter ones come between", () => {
  const log = new EventLog(HOUR);
  log.keep(DAY, START);
  log.add(START, 3);
  // Mail of the same identity under a shorter limit, all day long.
  for (let at = START + HOUR; at < START + DAY; at += HOUR) {
    log.keep(HOUR, at);
    log.add(at, 1);
    log.forget(at);
  }
  expect(log.sum(START + DAY - 1, DAY)).toBe(26);
  // Once it looks back no further, the shorter wish is what counts.
  const later = START + 2 * DAY;
  log.keep(HOUR, later);
  log.add(later, 1);
  log.forget(later);
  expect(log.sum(later, DAY)).toBe(1);
});
