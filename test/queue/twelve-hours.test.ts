// Queue life over hours and days on a turned clock: back-off, delay notice, giving up, a server that comes back.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { small } from "../message/small-body.ts";
import { answer, Bench, DAY, defers, HOUR, isDown, mail, refuses, START, takes } from "./queue-kit.ts";

let bench: Bench;
beforeEach(async () => {
  bench = await Bench.open();
});
afterEach(() => bench.close());

const minutes = (at: number) => Math.round((at - START) / 60_000);

test("a message that is taken at once needs two commits, and nothing stays", async () => {
  const queue = await bench.start();
  await bench.run(1000);
  bench.units.length = 0;
  await queue.accept(mail());
  await bench.busy.rest();
  expect(bench.units.length).toBe(2);
  expect(bench.deliverer.delivered().length).toBe(1);
  expect(await queue.counts()).toEqual({ queued: 0, held: 0, oldestReceivedAt: null });
  await bench.run(1000);
  expect(bench.events.map((event) => event.kind)).toEqual(["message", "attempt", "state"]);
  expect(await bench.spool.events({ afterSeq: 0, beforeSeq: 1e9, limit: 10 })).toEqual([]);
});

test("a server that defers is tried by the schedule, the last wait repeating", async () => {
  bench.deliverer.script = defers;
  const queue = await bench.start();
  await queue.accept(mail());
  await bench.run(16 * HOUR);
  const toBob = bench.deliverer.seen.filter(({ attempt }) => attempt.reversePath !== "");
  expect(toBob.map(({ at }) => minutes(at))).toEqual([0, 1, 6, 21, 51, 111, 231, 471, 711, 951]);
});

test("the delay notice goes out once after four hours, the failure after five days", async () => {
  bench.deliverer.script = (attempt, now) =>
    attempt.reversePath === "" ? takes(attempt, now) : defers(attempt, now);
  const queue = await bench.start();
  await queue.accept(mail({ id: "m1" }));
  await bench.run(12 * HOUR);
  const notices = () => bench.deliverer.seen.filter(({ attempt }) => attempt.reversePath === "");
  expect(notices().length).toBe(1);
  expect(notices()[0]?.attempt.recipients[0]?.address).toBe("alice@example.test");
  expect(minutes(notices()[0]?.at ?? 0)).toBe(240);
  const text = new TextDecoder().decode(small(notices()[0]?.attempt.message));
  expect(text).toContain("Action: delayed");
  expect(text).toContain("Will-Retry-Until: Thu, 26 Nov 2026 12:00:00 +0000");

  await bench.run(5 * DAY - 12 * HOUR + HOUR);
  expect(notices().length).toBe(2);
  const failure = new TextDecoder().decode(small(notices()[1]?.attempt.message));
  expect(failure).toContain("Action: failed");
  expect(failure).toContain("Status: 5.4.7");
  expect(failure).toContain("451 4.7.1 Greylisted");
  expect(minutes(notices()[1]?.at ?? 0)).toBe(5 * 24 * 60);
  expect((await queue.counts()).queued).toBe(0);
  expect(bench.states("m1").at(-1)).toBe("failed");
});

test("a server that was down for twelve hours gets all its mail at once when it is back", async () => {
  bench.deliverer.script = isDown;
  const queue = await bench.start();
  for (let i = 0; i < 300; i++) await queue.accept(mail({ to: [`user${i}@example.org`], mayBounce: false }));
  await bench.run(12 * HOUR);
  // One probe at a time, not three hundred messages each on its own schedule.
  expect(bench.deliverer.seen.length).toBeLessThan(20 + 60);
  expect((await queue.counts()).queued).toBe(300);
  bench.deliverer.script = takes;
  const back = bench.clock.now();
  await bench.run(40 * 60_000);
  const delivered = bench.deliverer.delivered();
  expect(delivered.length).toBe(300);
  expect(new Set(delivered.map(({ attempt }) => attempt.messageId)).size).toBe(300);
  const first = delivered[0]?.at ?? 0;
  expect(first - back).toBeLessThanOrEqual(33 * 60_000);
  expect((delivered.at(-1)?.at ?? 0) - first).toBeLessThan(1000);
  expect((await queue.counts()).queued).toBe(0);
});

test("mail behind a dead server is given up after five days though it was hardly ever tried itself", async () => {
  bench.deliverer.script = (attempt, now) =>
    attempt.reversePath === "" ? takes(attempt, now) : isDown(attempt, now);
  const queue = await bench.start();
  for (let i = 0; i < 60; i++) await queue.accept(mail({ to: [`user${i}@example.org`] }));
  await bench.run(5 * DAY + HOUR);
  const notices = bench.deliverer.seen.filter(({ attempt }) => attempt.reversePath === "");
  const texts = notices.map(({ attempt }) => new TextDecoder().decode(small(attempt.message)));
  expect(texts.filter((text) => text.includes("Action: delayed")).length).toBe(60);
  expect(texts.filter((text) => text.includes("Action: failed")).length).toBe(60);
  expect(texts.every((text) => text.includes("connection to 192.0.2.7:25 refused"))).toBe(true);
  expect((await queue.counts()).queued).toBe(0);
}, 60_000);

test("a refused recipient becomes a notice in the same commit that settles it", async () => {
  bench.deliverer.script = (attempt, now) =>
    attempt.reversePath === "" ? takes(attempt, now) : refuses(attempt, now);
  const queue = await bench.start();
  await queue.accept(mail({ id: "m1" }));
  await bench.busy.rest();
  const settle = bench.units.find((unit) =>
    unit.some(({ sql }) => sql.startsWith('delete from "recipient"')),
  );
  expect(settle?.some(({ sql }) => sql.startsWith('insert into "message"'))).toBe(true);
  expect(bench.deliverer.delivered().map(({ attempt }) => attempt.recipients[0]?.address)).toEqual([
    "alice@example.test",
  ]);
});

test("no notice to the null reverse-path, nor when the sender is not to be told", async () => {
  bench.deliverer.script = refuses;
  const queue = await bench.start();
  await queue.accept(mail({ from: null }));
  await queue.accept(mail({ mayBounce: false }));
  await queue.accept(mail({ dsn: { notify: ["NEVER"], orcpt: null } }));
  await queue.accept(mail({ dsn: { notify: ["DELAY", "SUCCESS"], orcpt: null } }));
  await bench.run(HOUR);
  expect(bench.deliverer.seen.length).toBe(4);
  expect((await queue.counts()).queued).toBe(0);
});

test("a success is reported when the sender asks and the next server does not report itself", async () => {
  bench.deliverer.script = (attempt) =>
    answer(attempt, "delivered", { code: 250, text: "250 Ok" }).map((outcome) => ({
      ...outcome,
      dsnPassedOn: attempt.messageId === "m2",
    }));
  const queue = await bench.start();
  const dsn = { notify: ["SUCCESS" as const, "FAILURE" as const], orcpt: null };
  await queue.accept(mail({ id: "m1", dsn }));
  await queue.accept(mail({ id: "m2", dsn }));
  await bench.run(1000);
  const notices = bench.deliverer.seen.filter(({ attempt }) => attempt.reversePath === "");
  expect(notices.map(({ attempt }) => attempt.recipients[0]?.address)).toEqual(["alice@example.test"]);
  const text = new TextDecoder().decode(small(notices[0]?.attempt.message));
  expect(text).toContain("Action: relayed");
  expect(text).toContain("Queue id:   m1");
});
