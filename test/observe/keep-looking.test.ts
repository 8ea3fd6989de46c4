// What is looked at again and again: at once when asked, one look at a time, a rest between, nothing told after the stop.
import { expect, test } from "bun:test";
import { keepLooking } from "../../src/observe/keep-looking.ts";
import { TurnedClock } from "../queue/queue-kit.ts";

test("a look at the start, one when asked after the rest, one each minute, none after the stop", async () => {
  const clock = new TurnedClock(0);
  const told: number[] = [];
  let found = 0;
  let failure: unknown = null;
  const kept = keepLooking({
    find: () => (found < 0 ? Promise.reject(new Error("no")) : Promise.resolve(++found)),
    tell: (one) => told.push(one),
    onFailure: (error) => (failure = error),
    clock,
    everyMs: 60_000,
    restMs: 1000,
  });
  const go = async (ms: number): Promise<void> => {
    const until = clock.now() + ms;
    await Bun.sleep(0);
    while (clock.step(until)) await Bun.sleep(0);
  };
  await go(500);
  expect(told).toEqual([1]);
  for (let times = 0; times < 5; times++) kept.look();
  await go(400);
  expect(told).toEqual([1]);
  await go(200);
  expect(told).toEqual([1, 2]);
  await go(59_000);
  expect(told).toEqual([1, 2]);
  await go(2000);
  expect(told).toEqual([1, 2, 3]);
  found = -1;
  await go(60_000);
  expect(failure).toBeInstanceOf(Error);
  found = 9;
  await go(60_000);
  expect(told).toEqual([1, 2, 3, 10]);
  kept.stop();
  kept.look();
  await go(120_000);
  expect(told).toHaveLength(4);
});
