// A clock that jumps (NTP, a resumed machine): no mail is given up untried, none stalls, none is dialled without a pause.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { Bench, DAY, defers, HOUR, isDown, mail, takes } from "./queue-kit.ts";

let bench: Bench;
beforeEach(async () => {
  bench = await Bench.open();
});
afterEach(() => bench.close());

test("after a week without the gateway, mail is tried before it is given up", async () => {
  bench.deliverer.script = defers;
  bench.deliverer.places = 2;
  const before = await bench.start();
  // More than are dialled at once at the start.
  const ids = Array.from({ length: 60 }, (_, i) => `m${i}`);
  for (const id of ids) await before.accept(mail({ id }));
  await bench.run(HOUR);
  await bench.crash();
  bench.clock.jump(7 * DAY);
  bench.deliverer.script = async (attempt, now) => {
    await new Promise<void>((resolve) => void bench.clock.after(1000, resolve));
    return takes(attempt, now);
  };
  const queue = await bench.start();
  await bench.run(HOUR);
  expect(ids.filter((id) => bench.states(id).at(-1) !== "delivered")).toEqual([]);
  expect((await queue.counts()).queued).toBe(0);
});

test("the last try is the last: what fails then is returned", async () => {
  bench.deliverer.script = isDown;
  await (await bench.start()).accept(mail({ id: "m1" }));
  await bench.run(HOUR);
  await bench.crash();
  bench.clock.jump(7 * DAY);
  const queue = await bench.start();
  await bench.run(4 * HOUR);
  expect(bench.states("m1").at(-1)).toBe("failed");
  const [notice] = await queue.list({ limit: 5, offset: 0 });
  expect(notice).toMatchObject({ reversePath: "", recipient: "alice@example.test" });
});

test("times planned by a clock that ran ahead do not stall the queue once it is right", async () => {
  bench.clock.jump(300 * DAY);
  bench.deliverer.script = isDown;
  const queue = await bench.start();
  await queue.accept(mail({ id: "m1", mayBounce: false }));
  await queue.accept(mail({ id: "m2", to: ["x@example.net"], mayBounce: false }));
  await bench.run(6 * HOUR);
  await bench.crash();
  bench.clock.jump(-300 * DAY);
  bench.deliverer.script = takes;
  await bench.start();
  await bench.run(60_000);
  expect(bench.deliverer.delivered().length).toBe(2);
});

test("a clock set back while it runs neither stalls nor hammers a destination that is away", async () => {
  bench.deliverer.script = isDown;
  const queue = await bench.start();
  await queue.accept(mail({ id: "m1", mayBounce: false }));
  await bench.run(6 * HOUR);
  bench.clock.jump(-DAY);
  const before = bench.deliverer.seen.length;
  await bench.run(4 * HOUR);
  const tries = bench.deliverer.seen.length - before;
  expect(tries).toBeGreaterThan(5);
  expect(tries).toBeLessThan(60);
  bench.deliverer.script = takes;
  await bench.run(HOUR);
  expect(bench.deliverer.delivered().length).toBe(1);
  expect((await queue.counts()).queued).toBe(0);
});
