// A body in its row that is not what was written: its message is held and an alarm names it, as with a damaged file.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { Bench, DAY, defers, mail, takes } from "./queue-kit.ts";

let bench: Bench;
beforeEach(async () => {
  bench = await Bench.open();
});
afterEach(() => bench.close());

test("a row that is damaged: held at the next try, an alarm, no bounce, nothing of it is sent", async () => {
  bench.deliverer.script = defers;
  const queue = await bench.start();
  await queue.accept(mail({ id: "m1" }));
  await queue.accept(mail({ id: "m2" }));
  await bench.run(1000);
  await bench.database.commit([
    { sql: "update message set body = zeroblob(length(body)) where id = 'm1'", params: [] },
  ]);
  bench.deliverer.script = takes;
  await bench.run(10 * DAY);
  expect(bench.deliverer.delivered().map(({ attempt }) => attempt.messageId)).toEqual(["m2"]);
  expect(await queue.counts()).toMatchObject({ queued: 0, held: 1 });
  expect(bench.alarms.findLast(({ name }) => name === "lost-bodies")?.words).toContain("m1");
  expect(await queue.drop("m1", "admin")).toBe(1);
  expect(bench.alarms.findLast(({ name }) => name === "lost-bodies")?.words).toBeNull();
});
