// Alarms of what has happened to a single message and is over: told for their time, and not until the gateway is started anew.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { createAlarms } from "../../src/observe/alarms.ts";
import { silentLog } from "../../src/observe/log.ts";
import type { QueueOptions } from "../../src/queue/run-queue.ts";
import { StoreError } from "../../src/store/database.ts";
import { Bench, DAY, HOUR, mail, refuses, takes } from "./queue-kit.ts";

let bench: Bench;
beforeEach(async () => {
  bench = await Bench.open();
});
afterEach(() => bench.close());

async function started(options: Partial<QueueOptions> = {}) {
  const ended: unknown[] = [];
  const log = { ...silentLog, info: ({ alarm }: { readonly alarm?: unknown }) => void ended.push(alarm) };
  const alarms = createAlarms(bench.clock, log);
  const queue = await bench.start({ ...options, onAlarm: alarms.set });
  return { queue, ended, names: () => alarms.list().map(({ name }) => name as string) };
}

test("a sender who could not be told", async () => {
  bench.deliverer.script = (attempt, now) =>
    attempt.reversePath === "" ? takes(attempt, now) : refuses(attempt, now);
  const { queue, names, ended } = await started({
    ownSign() {
      throw new Error("a mistake");
    },
  });
  await queue.accept(mail({ id: "m1" }));
  await bench.run(HOUR);
  expect(names()).toEqual(["notices"]);
  await bench.run(DAY);
  expect([names(), ended]).toEqual([[], ["notices"]]);
});

test("an event that the log refused", async () => {
  bench.writeLog = async (events) => {
    if (events.some((event) => event.kind === "message" && event.record.id === "bad"))
      throw new StoreError("constraint", "NOT NULL constraint failed");
    bench.events.push(...events);
  };
  const { queue, names, ended } = await started();
  await queue.accept(mail({ id: "bad" }));
  await bench.run(HOUR);
  expect(names()).toEqual(["message-log-event"]);
  await bench.run(DAY);
  expect([names(), ended]).toEqual([[], ["message-log", "message-log-event"]]);
});

test("a fault of ours: ended by an attempt that goes well, or by an hour without any", async () => {
  let faulty = true;
  bench.deliverer.script = (attempt, now) => {
    if (faulty) throw new Error("a mistake");
    return takes(attempt, now);
  };
  const { queue, names, ended } = await started();
  await queue.accept(mail({ id: "m1" }));
  await bench.run(1000);
  expect(names()).toEqual(["delivery"]);
  expect(await queue.drop("m1", "admin")).toBe(1);
  await bench.run(59 * 60_000);
  expect(names()).toEqual(["delivery"]);
  await bench.run(2 * 60_000);
  expect([names(), ended]).toEqual([[], ["delivery"]]);
  await queue.accept(mail({ id: "m2" }));
  await bench.run(1000);
  expect(names()).toEqual(["delivery"]);
  faulty = false;
  await queue.accept(mail({ id: "m3" }));
  await bench.run(1000);
  expect([names(), ended]).toEqual([[], ["delivery", "delivery"]]);
});
