// While a stored setting cannot be read nothing is given up for it: neither what is held for it, nor what nobody knows how long to try.
import { afterEach, beforeEach, expect, test } from "bun:test";
import type { Destination } from "../../src/delivery/route.ts";
import { Bench, DAY, isDown, mail, takes } from "./queue-kit.ts";

let bench: Bench;
beforeEach(async () => {
  bench = await Bench.open();
});
afterEach(() => bench.close());

const HELD: Destination = {
  kind: "routes",
  key: "held:delivery",
  routes: [],
  held: "Mail waits here",
  awaitsSettings: true,
};

test("what is held for an unread setting outlives its time, and leaves when the setting is mended", async () => {
  const wayBefore = bench.destinationFor;
  bench.deliverer.script = isDown;
  const queue = await bench.start({
    settings: () => ({ retryMs: [DAY / 4], giveUpAfterMs: DAY, delayNoticeAfterMs: DAY }),
  });
  await queue.accept(mail({ id: "m1" }));
  bench.destinationFor = () => HELD;
  await bench.run(2.5 * DAY);
  expect(bench.states("m1")).not.toContain("failed");
  expect((await queue.counts()).queued).toBe(1);
  bench.destinationFor = wayBefore;
  bench.deliverer.script = takes;
  await bench.run(DAY / 2);
  expect(bench.states("m1").at(-1)).toBe("delivered");
}, 120_000);

test("nothing is given up while nobody knows how long to try; then it is, within a day", async () => {
  bench.deliverer.script = isDown;
  let unread = true;
  const queue = await bench.start({
    settings: () => ({
      retryMs: [DAY / 4],
      giveUpAfterMs: 2 * DAY,
      delayNoticeAfterMs: 2 * DAY,
      ...(unread ? { givesNothingUp: true } : {}),
    }),
  });
  await queue.accept(mail({ id: "m1" }));
  await bench.run(5 * DAY);
  expect(bench.states("m1").at(-1)).toBe("queued");
  unread = false;
  await bench.run(2 * DAY);
  expect(bench.states("m1").at(-1)).toBe("failed");
}, 120_000);
