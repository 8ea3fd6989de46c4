// The courier: in order and one at a time on each way, bounded, apart from other ways, and gone within its time when all stops.
import { expect, test } from "bun:test";
import { createCourier, type Handed, RETRY_MS } from "../../src/notify/courier.ts";
import { createMailer } from "../../src/notify/mail-errand.ts";
import { createAlarms } from "../../src/observe/alarms.ts";
import { silentLog } from "../../src/observe/log.ts";
import { TurnedClock } from "../queue/queue-kit.ts";

const OK: Handed = { ok: true, words: "done" };
const LATER: Handed = { ok: false, words: "not now", retry: true };

function open() {
  const clock = new TurnedClock(0);
  const alarms = new Map<string, string>();
  const onAlarm = (name: string, words: string | null) =>
    void (words === null ? alarms.delete(name) : alarms.set(name, words));
  const courier = createCourier({ clock, log: silentLog, onAlarm });
  const rest = async () => {
    for (let i = 0; i < 500; i++) await Promise.resolve();
  };
  const turn = async (ms: number) => {
    const until = clock.now() + ms;
    await rest();
    while (clock.step(until)) await rest();
  };
  return { clock, alarms, courier, rest, turn };
}

test("a way that fails holds up its own errands only; a rejection is a failure that may pass", async () => {
  const { courier, turn, alarms } = open();
  const told: string[] = [];
  let broken = true;
  for (const n of [1, 2, 3]) {
    courier.hand({
      way: "web hook of broken",
      words: `b${n}`,
      run: async () => {
        if (broken) throw new Error("no such host");
        told.push(`b${n}`);
        return OK;
      },
    });
    courier.hand({
      way: "web hook of fine",
      words: `f${n}`,
      run: async () => {
        told.push(`f${n}`);
        return OK;
      },
    });
  }
  await turn(1000);
  expect(told).toEqual(["f1", "f2", "f3"]);
  expect(alarms.size).toBe(0);
  await turn(5000);
  expect(alarms.get("web hook of broken")).toContain("no such host");
  broken = false;
  await turn(60_000);
  expect(told).toEqual(["f1", "f2", "f3", "b1", "b2", "b3"]);
  expect(alarms.size).toBe(0);
});

test("the line is bounded: the oldest that waits goes, never the one under way", async () => {
  const { courier, turn, alarms } = open();
  const told: number[] = [];
  let works = false;
  for (let n = 0; n < 1000; n++) {
    courier.hand({
      way: "web hook of slow",
      words: `errand ${n}`,
      run: async () => {
        if (!works) return LATER;
        told.push(n);
        return OK;
      },
    });
  }
  await turn(1000);
  expect(alarms.get("web hook of slow")).toContain("900 notices were dropped");
  works = true;
  await turn(60_000);
  expect(alarms.size).toBe(0);
  expect(told).toEqual([0, ...Array.from({ length: 99 }, (_, n) => 901 + n)]);
});

test("gives up after its tries", async () => {
  const { courier, turn, alarms } = open();
  let tries = 0;
  courier.hand({
    way: "web hook of dead",
    words: "alert x",
    run: async () => {
      tries++;
      return LATER;
    },
  });
  await turn(86_400_000);
  expect(tries).toBe(RETRY_MS.length + 1);
  expect(alarms.get("web hook of dead")).toBe("The web hook of dead does not work: not now. Lost: alert x.");
  courier.works("web hook of dead");
  expect(alarms.size).toBe(0);
});

test("at the end everything is tried once more, and what hangs is not waited for", async () => {
  const { courier, turn, clock, rest, alarms } = open();
  let tries = 0;
  courier.hand({ way: "web hook of later", words: "x", run: async () => (++tries < 2 ? LATER : OK) });
  await turn(1000);
  let done = false;
  await courier.close(3000).then(() => {
    done = true;
  });
  expect({ tries, done }).toEqual({ tries: 2, done: true });

  const hanging = open();
  hanging.courier.hand({ way: "web hook of hangs", words: "x", run: () => new Promise(() => undefined) });
  let closed = false;
  const closing = hanging.courier.close(3000).then(() => {
    closed = true;
  });
  await hanging.turn(2999);
  expect(closed).toBe(false);
  await hanging.turn(1);
  await closing;
  expect(closed).toBe(true);
  await rest();
  expect(clock.now()).toBe(1000);
  expect(alarms.size).toBe(0);
});

test("mail of notices that is lost for good is told for its time: the next notice may be long in coming", async () => {
  const clock = new TurnedClock(0);
  const alarms = createAlarms(clock, silentLog);
  const courier = createCourier({ clock, log: silentLog, onAlarm: alarms.set });
  const send = () => Promise.reject(new Error("the disk is full"));
  const mailer = createMailer({ send, courier, clock, hostname: "gate.example.test" });
  mailer.hand("lock notice", () => {
    throw new Error("it cannot be written");
  });
  const turn = async (ms: number) => {
    const until = clock.now() + ms;
    do for (let i = 0; i < 100; i++) await Promise.resolve();
    while (clock.step(until));
  };
  await turn(3_600_000);
  expect(alarms.list()).toMatchObject([
    { name: "mail of notices", words: expect.stringContaining("Lost: lock notice") },
  ]);
  await turn(86_400_000);
  expect(alarms.list()).toEqual([]);
});
