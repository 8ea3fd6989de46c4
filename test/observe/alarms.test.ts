// Alarms: raised and lifted by name, each change logged once, with the time since when.
import { expect, test } from "bun:test";
import { createAlarms } from "../../src/observe/alarms.ts";
import { type Log, silentLog } from "../../src/observe/log.ts";

function bench() {
  const lines: string[] = [];
  const said: string[] = [];
  let now = 1000;
  const log: Log = {
    ...silentLog,
    info: (fields, message) => lines.push(`info ${String(fields.alarm)} ${message}`),
    error: (fields, message) => {
      lines.push(`error ${String(fields.alarm)} ${message}`);
      said.push(String(fields.words));
    },
  };
  const timers = new Set<{ readonly at: number; readonly wake: () => void }>();
  const after = (ms: number, wake: () => void) => {
    const timer = { at: now + ms, wake };
    timers.add(timer);
    return () => void timers.delete(timer);
  };
  const alarms = createAlarms({ now: () => now, after }, log);
  const turn = (ms: number) => {
    now += ms;
    for (const timer of [...timers]) if (timer.at <= now && timers.delete(timer)) timer.wake();
  };
  return { alarms, lines, said, timers, turn, setBack: (ms: number) => (now -= ms) };
}

const mail = (name: string, address: string) => `Mail for ${name} waits: ${address} refuses`;

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
  alarms.set("locks", null);
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

test.each([
  ["a name and an address", mail("mx1.example", "198.51.100.7"), mail("mx2.example", "203.0.113.9")],
  ["a name", mail("mx1.example", "x"), mail("mx22.example", "x")],
  ["an IPv6 address", mail("x", "2001:db8::1"), mail("x", "2001:db8::2")],
  ["a port", mail("x", "192.0.2.1:25"), mail("x", "192.0.2.1:587")],
  ["a figure", "1 waiting", "2 waiting"],
])("the last words of a minute are logged when it is over: %s", (_what, first, last) => {
  const { alarms, said, timers, turn } = bench();
  alarms.set("delivery", first);
  turn(5000);
  alarms.set("delivery", last);
  turn(54_999);
  expect(said).toEqual([first]);
  turn(1);
  expect(said).toEqual([first, last]);
  turn(500_000);
  alarms.set("delivery", last);
  turn(500_000);
  expect(said).toEqual([first, last]);
  expect(timers.size).toBe(0);
});

test("words that came back within the minute, or of an alarm that was lifted, are not logged again", () => {
  const { alarms, said, timers, turn } = bench();
  alarms.set("reports", "1 waits");
  alarms.set("reports", "2 waits");
  alarms.set("reports", "1 waits");
  turn(60_000);
  expect(said).toEqual(["1 waits"]);
  alarms.set("reports", "3 waits");
  alarms.set("reports", "4 waits");
  alarms.set("reports", null);
  expect(timers.size).toBe(0);
  alarms.set("reports", "5 waits");
  turn(100_000);
  expect(said).toEqual(["1 waits", "3 waits", "5 waits"]);
});

test("other words end the wait, and a clock that was set back makes it no longer", () => {
  const { alarms, said, timers, turn, setBack } = bench();
  alarms.set("reports", "1 waits");
  alarms.set("reports", "2 waits");
  alarms.set("reports", "nothing can be counted");
  expect(timers.size).toBe(0);
  alarms.set("reports", "7 waits");
  setBack(3_600_000);
  alarms.set("reports", "8 waits");
  turn(60_000);
  expect(said).toEqual(["1 waits", "nothing can be counted", "7 waits", "8 waits"]);
});

test("an alarm about something that is set ends, told, when the settings have it no more, and is not raised then", () => {
  const { alarms, lines } = bench();
  const set = new Set(["a.test", "b.test"]);
  const raise = (domain: string) =>
    alarms.set(`call-out ${domain}`, "It takes every address.", { isSet: () => set.has(domain) });
  const names = () => alarms.list().map(({ name }) => name);
  raise("a.test");
  raise("b.test");
  alarms.set("disk-full", "No space.");
  set.delete("a.test");
  alarms.review();
  expect(names()).toEqual(["call-out b.test", "disk-full"]);
  // A dialogue that began before the change ends after it.
  raise("a.test");
  set.delete("b.test");
  raise("b.test");
  expect(names()).toEqual(["disk-full"]);
  expect(lines.slice(3)).toEqual(["info call-out a.test alarm lifted", "info call-out b.test alarm lifted"]);
  set.add("a.test");
  raise("a.test");
  expect(names()).toEqual(["disk-full", "call-out a.test"]);
});

test("what has happened is told for its time after it was last so, and its end is told", () => {
  const { alarms, lines, timers, turn } = bench();
  alarms.set("notices", "One could not be told.", { forMs: 1000 });
  turn(600);
  alarms.set("notices", "One could not be told.", { forMs: 1000 });
  turn(600);
  expect(alarms.list()).toHaveLength(1);
  turn(400);
  expect(alarms.list()).toEqual([]);
  expect(lines).toEqual(["error notices alarm raised", "info notices alarm lifted"]);
  // What goes on has no end of its own, also where it had one before; what somebody lifted wakes nobody.
  alarms.set("notices", "One could not be told.", { forMs: 1000 });
  alarms.set("notices", "None can be told.");
  turn(5000);
  expect(alarms.list()).toHaveLength(1);
  alarms.set("notices", "One could not be told.", { forMs: 1000 });
  alarms.set("notices", null);
  expect(timers.size).toBe(0);
});
