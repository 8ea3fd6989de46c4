// Tries that come before they are due are no steps down the retry schedule: after any order of hurried and due tries, the pause is that of
// the time the message has waited, or of its tries where they are fewer.
import { afterEach, beforeEach, expect, test } from "bun:test";
import fc from "fast-check";
import type { Destination } from "../../src/delivery/route.ts";
import { waitAtAgeMs } from "../../src/queue/back-off.ts";
import { answer, Bench, DAY, defers, HOUR, mail, START, takes } from "./queue-kit.ts";

const SECOND = 1000;
const MINUTE = 60_000;
const OWN: Destination = {
  kind: "routes",
  key: "routes:example.org",
  routes: [{ host: "mail.example.org", port: 25, priority: 10, tls: "none" }],
};

let bench: Bench;
beforeEach(async () => {
  bench = await Bench.open();
});
afterEach(() => bench.close());

const seconds = (...all: readonly number[]) => all.map((n) => n * SECOND);
const minutes = (...all: readonly number[]) => all.map((n) => n * MINUTE);

interface Case {
  readonly what: string;
  /** When somebody wants it tried, after it was accepted. */
  readonly hurriedAt: readonly number[];
  /** When it is tried, those included. */
  readonly triedAt: readonly number[];
}

const CASES: readonly Case[] = [
  { what: "nobody hurries it", hurriedAt: [], triedAt: minutes(0, 1, 6, 21, 51, 111, 231, 471, 711) },
  {
    what: "six hurried tries in half a minute",
    hurriedAt: seconds(6, 12, 17, 25, 30),
    triedAt: [...seconds(0, 6, 12, 17, 25, 30), ...minutes(1.5, 6.5, 21.5, 51.5, 111.5)],
  },
  {
    what: "hurried after one that was due",
    hurriedAt: seconds(61, 70, 80),
    triedAt: [...seconds(0, 60, 61, 70, 80, 380), ...seconds(380 + 900)],
  },
  {
    what: "hurried before and after due ones",
    hurriedAt: [...seconds(10, 20), ...minutes(7, 8, 9, 10)],
    triedAt: [...seconds(0, 10, 20, 80, 380), ...minutes(7, 8, 9, 10, 25, 55, 115)],
  },
  {
    what: "hurried all the time for ten minutes",
    hurriedAt: Array.from({ length: 59 }, (_, n) => (n + 1) * 10 * SECOND),
    triedAt: [...Array.from({ length: 60 }, (_, n) => n * 10 * SECOND), ...seconds(590 + 900)],
  },
  {
    what: "hurried once after hours",
    hurriedAt: minutes(120),
    triedAt: minutes(0, 1, 6, 21, 51, 111, 120, 240, 480),
  },
];

for (const { what, hurriedAt, triedAt } of CASES)
  test(`${what}: ${triedAt.length} tries`, async () => {
    bench.deliverer.script = defers;
    const queue = await bench.start();
    await queue.accept(mail({ id: "m1", mayBounce: false }));
    let at = 0;
    for (const next of hurriedAt) {
      await bench.run(next - at);
      at = next;
      await queue.retry("m1");
    }
    await bench.run((triedAt.at(-1) ?? 0) - at + SECOND);
    expect(bench.deliverer.seen.map((seen) => seen.at - START)).toEqual([...triedAt]);
  });

test("mail for a server of ours that is unwell over it while six others pass leaves a minute after the last of these tries", async () => {
  bench.destinationFor = () => OWN;
  bench.deliverer.script = (attempt, now) =>
    attempt.messageId === "late" && now < START + 50 * SECOND
      ? answer(attempt, "deferred", { code: 451, enhanced: "4.3.0", text: "451 4.3.0 queue busy" })
      : takes(attempt, now);
  const queue = await bench.start();
  const own = (id: string) =>
    mail({
      id,
      now: bench.clock.now(),
      disposition: () => ({ kind: "deliver", destination: OWN, edits: [] }),
    });
  await queue.accept(own("late"));
  for (let n = 0; n < 6; n++) {
    await bench.run(5 * SECOND);
    await queue.accept(own(`m${n}`));
  }
  const early = bench.deliverer.seen.filter(({ attempt }) => attempt.messageId === "late");
  expect(early.length).toBeGreaterThan(3);
  await bench.run(2 * MINUTE);
  expect(bench.states("late").at(-1)).toBe("delivered");
});

test("mail that was received a week before it came into the queue has the whole schedule", async () => {
  bench.deliverer.script = defers;
  const queue = await bench.start();
  await queue.accept(mail({ id: "m1", now: START - 7 * DAY }));
  for (let n = 0; n < 6; n++) {
    await bench.run(5 * SECOND);
    await queue.retry("m1");
  }
  await bench.run(HOUR);
  const after = bench.deliverer.seen.map((seen) => seen.at - START).slice(7);
  expect(after).toEqual([...seconds(90), ...minutes(6.5, 21.5, 51.5)]);
});

test("for any schedule, tries that are all due have its entries in turn, and a hundred at once the first", () => {
  const schedule = fc.array(fc.integer({ min: 1000, max: 86_400_000 }), { minLength: 1, maxLength: 12 });
  const chance = fc.double({ min: 0, max: 0.999_999, noNaN: true });
  fc.assert(
    fc.property(schedule, fc.array(chance, { minLength: 1, maxLength: 20 }), (retryMs, chances) => {
      let ageMs = 0;
      for (const [index, random] of chances.entries()) {
        const tries = index + 1;
        const wait = waitAtAgeMs(retryMs, { tries, ageMs }, () => random);
        const wanted = retryMs[Math.min(tries, retryMs.length) - 1] ?? 0;
        expect(Math.abs(wait - wanted)).toBeLessThanOrEqual(Math.ceil(wanted / 10));
        ageMs += wait;
      }
      expect(waitAtAgeMs(retryMs, { tries: 100, ageMs: 0 }, () => 0.5)).toBe(retryMs[0] ?? 0);
    }),
  );
});
