// Shares: whoever takes, something is left for the next, and what is kept for known users strangers never get.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { FairQueue } from "../../src/observe/fair-queue.ts";
import { createShares } from "../../src/observe/shares.ts";

const stranger = (key: string) => ({ key, known: false });
const friend = (key: string) => ({ key, known: true });

test("one user alone gets half, and the next finds room", () => {
  const shares = createShares({ limit: () => 1000, reserve: 0.25 });
  const a = stranger("192.0.2.0/24");
  let taken = 0;
  while (shares.take(a, 10)) taken += 10;
  expect(taken).toBeGreaterThanOrEqual(370);
  expect(taken).toBeLessThanOrEqual(375);
  expect(shares.take(stranger("198.51.100.0/24"), 100)).toBe(true);
  expect(shares.take(friend("login alice"), 200)).toBe(true);
});

test("a hundred strangers together leave the reserve", () => {
  const shares = createShares({ limit: () => 1000, reserve: 0.25 });
  for (let round = 0; round < 100; round++)
    for (let n = 0; n < 100; n++) shares.take(stranger(`network ${n}`), 1);
  expect(shares.used()).toBeLessThanOrEqual(750);
  expect(shares.take(friend("10.0.0.1"), 100)).toBe(true);
});

test("whatever is taken and given, nothing goes over the limit, and all that was taken comes back", () => {
  const act = fc.record({ user: fc.nat(4), known: fc.boolean(), amount: fc.integer({ min: 1, max: 400 }) });
  fc.assert(
    fc.property(fc.array(act, { maxLength: 60 }), (acts) => {
      const shares = createShares({ limit: () => 1000, reserve: 0.25 });
      const held: { user: ReturnType<typeof stranger>; amount: number }[] = [];
      for (const { user, known, amount } of acts) {
        const who = { key: `user ${user}`, known };
        if (shares.take(who, amount)) held.push({ user: who, amount });
        expect(shares.used()).toBeLessThanOrEqual(1000);
      }
      for (const { user, amount } of held) shares.give(user, amount);
      expect(shares.used()).toBe(0);
      expect(shares.take(stranger("fresh"), 375)).toBe(true);
    }),
  );
});

test("users of a queue take turns; each keeps its order", () => {
  const queue = new FairQueue<string>();
  for (let n = 0; n < 1000; n++) queue.push("many", `many ${n}`);
  queue.push("one", "one 0");
  queue.push("two", "two 0");
  const first = [queue.shift(), queue.shift(), queue.shift(), queue.shift(), queue.shift()];
  expect(first).toEqual(["many 0", "one 0", "two 0", "many 1", "many 2"]);
  expect(queue.length).toBe(997);
  expect(queue.drain()).toHaveLength(997);
  expect(queue.shift()).toBeUndefined();
});
