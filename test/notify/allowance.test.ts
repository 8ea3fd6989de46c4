// So many within a while for each target, then a wait that is told (O12).
import { expect, test } from "bun:test";
import { createAllowance } from "../../src/notify/allowance.ts";

test("each target has its own share, which comes back", () => {
  let now = 1_000_000;
  const allowance = createAllowance({ now: () => now }, { most: 2, windowMs: 1000 });
  expect([allowance.take("a"), allowance.take("a"), allowance.take("b")]).toEqual([null, null, null]);
  now += 400;
  expect(allowance.take("a")).toBe(600);
  expect(allowance.take("b")).toBeNull();
  now += 600;
  expect(allowance.take("a")).toBeNull();
  // A clock that was put back holds nothing up for longer than the window.
  now -= 500_000;
  expect(allowance.take("a")).toBeNull();
});

test("whoever asks for thousands of targets fills no memory, and a flood is held to its share", () => {
  const allowance = createAllowance({ now: () => 5 }, { most: 5, windowMs: 600_000 });
  for (let i = 0; i < 50_000; i++) allowance.take(`made up ${i}`);
  const granted = Array.from({ length: 1000 }, () => allowance.take("corp.test")).filter(
    (wait) => wait === null,
  );
  expect(granted.length).toBe(5);
});
