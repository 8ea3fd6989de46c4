// A settlement that the data contradicts waits for itself: whatever else the queue has to do goes on without it.
import { afterEach, beforeEach, expect, test } from "bun:test";
import type { Acceptance } from "../../src/queue/queue.ts";
import { Bench, byMx, HOUR, isDown, type MailOptions, mail, takes } from "./queue-kit.ts";

let bench: Bench;
const MINUTE = 60_000;
beforeEach(async () => {
  bench = await Bench.open();
});
afterEach(() => bench.close());

const RULES = {
  settled: `before delete on recipient when old.message_seq = SEQ`,
  kept: `before update on recipient when old.message_seq = SEQ and old.state = 'active' and new.state <> 'active'`,
  archived: `before delete on archive_copy when old.message_seq = SEQ`,
};

/** From now on the data contradicts whatever settles the message of that number: they count up from 1. */
async function contradict(seq: number): Promise<void> {
  const refuse = Object.entries(RULES).map(([name, rule]) => ({
    sql: `create trigger no_${name} ${rule.replace("SEQ", String(seq))} begin select raise(abort, 'refused'); end`,
    params: [],
  }));
  await bench.database.commit(refuse);
}

async function relent(): Promise<void> {
  await bench.database.commit(
    Object.keys(RULES).map((name) => ({ sql: `drop trigger no_${name}`, params: [] })),
  );
}

function quarantined(options: MailOptions): Acceptance {
  return mail({
    ...options,
    disposition: (address) => ({ kind: "quarantine", destination: byMx(address), rule: "spam", words: "" }),
  });
}

const settlementAlarm = () => bench.alarms.findLast(({ name }) => name === "settlement")?.words;
const notices = () =>
  bench.deliverer.delivered().filter(({ attempt: { reversePath } }) => reversePath === "");

test("time goes on for the others: their notices and their ends come", async () => {
  bench.deliverer.script = (attempt, now) =>
    attempt.reversePath === "" ? takes(attempt, now) : isDown(attempt, now);
  const settings = () => ({ retryMs: [50 * MINUTE], giveUpAfterMs: 6 * HOUR, delayNoticeAfterMs: 2 * HOUR });
  const queue = await bench.start({ settings });
  for (const id of ["m1", "bad", "m2"])
    await queue.accept(mail({ id, from: `${id}@example.test`, to: [`${id}@example.org`] }));
  await bench.run(105 * MINUTE);
  await contradict(2);
  await bench.run(25 * MINUTE);
  const told = () => notices().map(({ attempt }) => attempt.recipients[0]?.address);
  expect(told()).toEqual(["m1@example.test", "m2@example.test"]);
  expect(settlementAlarm()).toContain("bad");
  await bench.run(7 * HOUR);
  expect(told().filter((address) => address === "m2@example.test").length).toBe(2);
  expect(await queue.counts()).toMatchObject({ queued: 1 });
  await relent();
  await bench.run(2 * HOUR);
  expect(told().filter((address) => address === "bad@example.test").length).toBe(2);
  expect(await queue.counts()).toEqual({ queued: 0, held: 0, oldestReceivedAt: null });
  expect(settlementAlarm()).toBeNull();
});

for (const count of [1, 250]) {
  test(`the others are filed in the quarantine (${count} copies of it)`, async () => {
    const queue = await bench.start();
    const to = Array.from({ length: count }, (_, n) => `r${n}@example.org`);
    let isFirst = true;
    bench.file = async (copy) => {
      if (isFirst) {
        isFirst = false;
        await contradict(1);
      }
      bench.filed.push(copy);
    };
    await queue.accept(quarantined({ id: "bad", to }));
    for (const id of ["q1", "q2", "q3"]) await queue.accept(quarantined({ id }));
    await bench.run(200_000);
    const ids = () => bench.filed.map(({ messageId }) => messageId).filter((id) => id !== "bad");
    expect(ids()).toEqual(["q1", "q2", "q3"]);
    expect((await bench.spool.toQuarantine(0, 1000)).every(({ message }) => message.id === "bad")).toBe(true);
    await relent();
    await bench.run(200_000);
    expect(ids()).toEqual(["q1", "q2", "q3"]);
    const bad = bench.filed.filter(({ messageId }) => messageId === "bad").map(({ n }) => n);
    expect(new Set(bad).size).toBe(count);
    expect(bad.length).toBe(count);
    expect(await bench.spool.toQuarantine(0, 1000)).toEqual([]);
  });
}

test("the others are filed in the archive", async () => {
  const queue = await bench.start();
  const archive = { domain: "example.test", sender: "alice@example.test" };
  bench.archive = async (copy) => {
    if (copy.messageId === "bad") await contradict(1);
    bench.archived.push(copy);
  };
  await queue.accept({ ...mail({ id: "bad" }), archive });
  await bench.run(1000);
  for (const id of ["a1", "a2", "a3"]) await queue.accept({ ...mail({ id }), archive });
  await bench.run(200_000);
  const ids = () => bench.archived.map(({ messageId }) => messageId);
  expect(ids()).toEqual(["bad", "a1", "a2", "a3"]);
  expect((await bench.spool.toArchive(0, 10)).map(({ message }) => message.id)).toEqual(["bad"]);
  await relent();
  await bench.run(100_000);
  expect(ids()).toEqual(["bad", "a1", "a2", "a3"]);
  expect(await bench.spool.toArchive(0, 10)).toEqual([]);
});

for (const what of ["hold", "drop", "retry"] as const) {
  test(`an administrator who would ${what} it hears that it was not done yet`, async () => {
    bench.deliverer.script = isDown;
    const queue = await bench.start();
    for (const id of ["bad", "m1"]) await queue.accept(mail({ id }));
    await bench.run(60_000);
    if (what === "retry") await queue.hold(null);
    await contradict(1);
    const act = (id: string) => (what === "drop" ? queue.drop(id, "admin") : queue[what](id));
    expect(await Promise.race([act("bad"), Bun.sleep(2000).then(() => "hangs")])).toBe(0);
    expect(await act("m1")).toBe(1);
    expect(settlementAlarm()).toContain("bad");
    await relent();
    await bench.run(100_000);
    expect(settlementAlarm()).toBeNull();
    const { queued, held } = await queue.counts();
    expect({ queued, held }).toEqual(
      { hold: { queued: 0, held: 2 }, drop: { queued: 0, held: 0 }, retry: { queued: 2, held: 0 } }[what],
    );
  });
}

test("its place at the server is for the next message, and it is sent once", async () => {
  bench.deliverer.places = 1;
  const queue = await bench.start();
  bench.deliverer.script = async (attempt, now) => {
    if (attempt.messageId === "bad") await contradict(1);
    return takes(attempt, now);
  };
  const ids = ["bad", "m1", "m2", "m3"];
  for (const id of ids) await queue.accept(mail({ id }));
  await bench.run(200_000);
  const left = () => bench.deliverer.delivered().map(({ attempt }) => attempt.messageId);
  expect(left()).toEqual(ids);
  expect(bench.deliverer.underWay).toBe(0);
  await relent();
  await bench.run(100_000);
  await queue.accept(mail({ id: "m4" }));
  await bench.run(1000);
  expect(left()).toEqual([...ids, "m4"]);
  expect(queue.figures()).toMatchObject({ active: 0, unsettled: 0 });
});

test("a stop does not wait for it", async () => {
  const queue = await bench.start();
  await contradict(1);
  await queue.accept(mail({ id: "bad" }));
  await bench.run(1000);
  expect(queue.figures().unsettled).toBe(1);
  const closing = queue.close(30_000).then(() => "closed");
  const before = bench.clock.now();
  await bench.run(2000);
  expect(await Promise.race([closing, Bun.sleep(1000).then(() => "waits")])).toBe("closed");
  expect(bench.clock.now() - before).toBeLessThanOrEqual(2000);
});
