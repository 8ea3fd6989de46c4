// The waits between tries, for any schedule.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { probeWaitMs, retryWaitMs } from "../../src/queue/back-off.ts";

const schedule = fc.array(fc.integer({ min: 1000, max: 86_400_000 }), { minLength: 1, maxLength: 12 });
const chance = fc.double({ min: 0, max: 0.999_999, noNaN: true });

test("a wait is the schedule's entry give or take a tenth, and the last one repeats", () => {
  fc.assert(
    fc.property(schedule, fc.integer({ min: 1, max: 1000 }), chance, (retryMs, tries, random) => {
      const wanted = retryMs[Math.min(tries, retryMs.length) - 1] ?? 0;
      const wait = retryWaitMs(retryMs, tries, () => random);
      expect(wait).toBeGreaterThanOrEqual(Math.floor(wanted * 0.9));
      expect(wait).toBeLessThanOrEqual(Math.ceil(wanted * 1.1));
      expect(Number.isInteger(wait)).toBe(true);
    }),
  );
});

test("a probe of an unreachable destination never waits longer than half an hour, nor longer than a retry", () => {
  fc.assert(
    fc.property(
      schedule,
      fc.integer({ min: 1, max: 1000 }),
      fc.constantFrom("routes" as const, "smarthost" as const, "mx" as const),
      (retryMs, failures, kind) => {
        const wait = probeWaitMs(retryMs, failures, { kind, random: () => 0.5 });
        expect(wait).toBeLessThanOrEqual(kind === "mx" ? 1_800_000 : 600_000);
        expect(wait).toBeLessThanOrEqual(retryWaitMs(retryMs, failures, () => 0.5));
      },
    ),
  );
});
