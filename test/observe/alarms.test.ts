// Alarms: raised and lifted by name, each change logged once, with the time since when.
import { expect, test } from "bun:test";
import { createAlarms } from "../../src/observe/alarms.ts";
import { type Log, silentLog } from "../../src/observe/log.ts";

function bench() {
  const lines: string[] = [];
  let now = 1000;
  const log: Log = {
    ...silentLog,
    info: (fields, message) => lines.push(`info ${String(fields.alarm)} ${message}`),
    error: (fields, message) => lines.push(`error ${String(fields.alarm)} ${message}`),
  };
  const alarms = createAlarms({ now: () => now, after: () => () => {} }, log);
  return { alarms, lines, turn: (ms: number) => (now += ms) };
}

test("an alarm stands until it is lifted, from the time it was first raised", () => {
  const { alarms, lines, turn } = bench();
  alarms.set("disk-full", "No space.");
  turn(500);
  alarms.set("disk-full", "No space.");
  alarms.set("disk-full", "Still no space.");
  alarms.set("metrics", "Port taken.");
  expect(alarms.list()).toEqual([
    { name: "disk-full", since: 1000, words: "Still no space." },
    { name: "metrics", since: 1500, words: "Port taken." },
  ]);
  alarms.set("disk-full", null);
  alarms.set("disk-full", null);
  alarms.set("never-raised", null);
  expect(alarms.list().map(({ name }) => name)).toEqual(["metrics"]);
  expect(lines).toEqual([
    "error disk-full alarm raised",
    "error disk-full alarm raised",
    "error metrics alarm raised",
    "info disk-full alarm lifted",
  ]);
});

test("raised again after it was lifted, it is a new one", () => {
  const { alarms, turn } = bench();
  alarms.set("spool", "first");
  alarms.set("spool", null);
  turn(60_000);
  alarms.set("spool", "second");
  expect(alarms.list()).toEqual([{ name: "spool", since: 61_000, words: "second" }]);
});

test("figures that change with every message are logged once a minute, other words at once", () => {
  const { alarms, lines, turn } = bench();
  for (let items = 2; items < 1002; items++) {
    turn(100);
    alarms.set("undeliverable", `${items} messages could not be delivered`);
  }
  expect(lines).toHaveLength(2);
  alarms.set("undeliverable", "They cannot be counted");
  alarms.set("undeliverable", "9 messages could not be delivered");
  expect(lines).toHaveLength(4);
  alarms.set("undeliverable", null);
  alarms.set("undeliverable", "10 messages could not be delivered");
  expect(lines).toHaveLength(6);
  expect(alarms.list()[0]?.words).toBe("10 messages could not be delivered");
});
