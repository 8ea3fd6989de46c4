// One of many behind a sender (a mailbox behind the mail server in the house, a stranger behind a second MX) has slow messages: the mail of
// the others behind it has its turn within seconds, and that of other senders.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { MAX_BODY_IN_MEMORY } from "../../src/message/body.ts";
import { mailShare, senderOfShare } from "../../src/message/mail-share.ts";
import type { RunningQueue } from "../../src/queue/run-queue.ts";
import { count, endTurn, mayHaveMore, type ShareUses } from "../../src/queue/share-use.ts";
import { Bench, DAY, defers, HOUR, mail, takes } from "./queue-kit.ts";

let bench: Bench;
let queue: RunningQueue;
beforeEach(async () => {
  bench = await Bench.open();
});
afterEach(() => bench.close());

const SETTINGS = { giveUpAfterMs: 5 * DAY, delayNoticeAfterMs: 4 * HOUR, retryMs: [600_000] };
const SMALL = "Subject: x\r\n\r\nsmall\r\n";
const MIDDLE = `Subject: x\r\n\r\n${"x".repeat(MAX_BODY_IN_MEMORY - 20_000)}`;
const LARGE = `Subject: x\r\n\r\n${"x".repeat(MAX_BODY_IN_MEMORY + 20_000)}`;
const HACKED = mailShare("sender e.test", "hacked@e.test");
/** Whose the slow mail is: beside what stands behind it a sender may have mail of its own, as a log-in that writes as itself, or one queued before an upgrade. */
const SLOW_ONES = [
  ["one behind the sender", HACKED],
  ["the sender itself", senderOfShare(HACKED)],
] as const;
const PEOPLE = ["ann", "bob", "cy", "dee"].map((name) => mailShare("sender e.test", `${name}@e.test`));
const OTHERS = [...PEOPLE, mailShare("sender i.test", "third@i.test"), "login d@i.test", ""];

const accept = (share: string, id: string, body = SMALL) =>
  queue.accept({ ...mail({ id, now: bench.clock.now(), mayBounce: false, body }), share });

function hangsOnSlow(): void {
  bench.deliverer.script = (attempt, now) =>
    attempt.messageId.startsWith("slow") ? new Promise(() => {}) : takes(attempt, now);
}

const left = () =>
  bench.deliverer
    .delivered()
    .map(({ attempt }) => attempt.messageId)
    .toSorted();
const ids = (many: number) => Array.from({ length: many }, (_, n) => `h${n}`).toSorted();

// With fewer than six places one alone behind a sender is for large mail: that of the others has its turn when an attempt ends.
for (const [size, body] of [
  ["small", SMALL],
  ["middle", MIDDLE],
  ["large", LARGE],
] as const)
  for (const [whose, slow] of SLOW_ONES)
    for (const places of size === "middle" ? [20] : [6, 20])
      test(`new mail of colleagues passes by 100 ${size} slow messages of ${whose} (${places} places)`, async () => {
        bench.deliverer.places = places;
        hangsOnSlow();
        queue = await bench.start();
        for (let n = 0; n < 100; n++) await accept(slow, `slow${n}`, body);
        for (const [n, share] of OTHERS.entries()) {
          await accept(share, `h${n}`, n === 0 ? body : SMALL);
          await bench.busy.rest();
        }
        await bench.run(4000);
        expect(left()).toEqual(ids(OTHERS.length));
      }, 60_000);

for (const [size, body] of [
  ["small", SMALL],
  ["large", LARGE],
] as const)
  for (const [whose, slow] of SLOW_ONES)
    for (const places of size === "small" ? [5] : [6, 10])
      test(`from disk, after a restart, it passes by ${size} ones of ${whose} too (${places} places)`, async () => {
        bench.deliverer.places = places;
        bench.deliverer.script = defers;
        queue = await bench.start({ settings: () => SETTINGS });
        for (let n = 0; n < 300; n++) await accept(slow, `slow${n}`, body);
        for (const [n, share] of OTHERS.entries()) await accept(share, `h${n}`, n % 2 === 0 ? body : SMALL);
        await bench.busy.rest();
        hangsOnSlow();
        await bench.crash();
        queue = await bench.start({ settings: () => SETTINGS });
        await bench.run(600_000 + 8000);
        expect(left()).toEqual(ids(OTHERS.length));
      }, 60_000);

test("of 60 colleagues whose mail waits on disk behind one's, and of 30 other senders, each has its turn within seconds", async () => {
  bench.deliverer.script = defers;
  queue = await bench.start({ settings: () => SETTINGS });
  for (let n = 0; n < 200; n++) await accept(HACKED, `slow${n}`);
  for (let n = 0; n < 60; n++) await accept(mailShare("sender e.test", `c${n}@e.test`), `h${n}`);
  for (let n = 60; n < 90; n++) await accept(mailShare(`sender s${n}.test`, `c@s${n}.test`), `h${n}`);
  await bench.busy.rest();
  hangsOnSlow();
  await bench.run(600_000 + 40_000);
  expect(left()).toEqual(ids(90));
}, 60_000);

test("ten with slow mail behind one sender, new and from disk, leave a place for the next behind it", async () => {
  bench.deliverer.script = defers;
  queue = await bench.start({ settings: () => SETTINGS });
  for (let n = 0; n < 400; n++) await accept(mailShare("sender e.test", `m${n % 10}@e.test`), `slow${n}`);
  await accept(PEOPLE[0] ?? "", "h0");
  await bench.busy.rest();
  hangsOnSlow();
  await bench.run(600_000 + 8000);
  expect(left()).toEqual(ids(1));
  await accept(PEOPLE[1] ?? "", "h1");
  await accept("login d@i.test", "h2");
  await bench.run(3000);
  expect(left()).toEqual(ids(3));
}, 60_000);

test("a hundred names invented behind one sender take no more than one sender may have", async () => {
  hangsOnSlow();
  queue = await bench.start();
  for (let n = 0; n < 300; n++) await accept(mailShare("sender e.test", `m${n}@e.test`), `slow${n}`);
  expect(bench.deliverer.underWay).toBe(16);
  await accept(mailShare("sender i.test", "third@i.test"), "h0");
  await accept("login d@i.test", "h1");
  await bench.run(3000);
  expect(left()).toEqual(ids(2));
}, 60_000);

for (const [places, most] of [
  [1, 1],
  [2, 1],
  [5, 3],
  [10, 6],
  [20, 12],
] as const)
  test(`one alone behind a sender has ${most} of ${places} places`, async () => {
    bench.deliverer.places = places;
    hangsOnSlow();
    queue = await bench.start();
    for (let n = 0; n < 60; n++) await accept(HACKED, `slow${n}`);
    await bench.run(3000);
    expect(bench.deliverer.underWay).toBe(most);
  });

test("senders take turns, and those behind one take turns", async () => {
  bench.deliverer.places = 5;
  const ends: (() => void)[] = [];
  const begun: string[] = [];
  bench.deliverer.script = async (attempt, now) => {
    begun.push(attempt.messageId[0] ?? "");
    await new Promise<void>((resolve) => ends.push(resolve));
    return takes(attempt, now);
  };
  queue = await bench.start();
  for (let n = 0; n < 20; n++) await accept(HACKED, `a${n}`);
  for (let n = 0; n < 20; n++) await accept(PEOPLE[0] ?? "", `b${n}`);
  for (let n = 0; n < 20; n++) await accept("login d@i.test", `c${n}`);
  for (let n = 0; n < 40; n++) {
    ends.shift()?.();
    await bench.run(1000);
  }
  const next = begun.slice(5, 37);
  const of = (one: string) => next.filter((who) => who === one).length;
  // Half for the one sender, of which each of the two has half; half for the other.
  expect(Math.abs(of("c") - 16)).toBeLessThan(4);
  expect(Math.abs(of("a") - of("b"))).toBeLessThan(4);
  while (ends.length > 0) {
    for (const end of ends.splice(0)) end();
    await bench.busy.rest();
  }
  expect(left().length).toBe(60);
});

test("a hundred thousand behind one sender leave nothing behind", () => {
  const uses: ShareUses = new Map();
  for (let n = 0; n < 100_000; n++) {
    const counted = { size: 1000, share: mailShare("sender e.test", `m${n}@e.test`) };
    count(uses, counted, { what: "active", by: 1 });
    endTurn(uses, counted.share);
    if (n >= 20) {
      const old = { size: 1000, share: mailShare("sender e.test", `m${n - 20}@e.test`) };
      count(uses, old, { what: "active", by: -1 });
    }
  }
  expect(uses.size).toBe(1);
  expect(uses.get("sender e.test")).toMatchObject({ active: 20 });
  expect(uses.get("sender e.test")?.behind.size).toBe(20);
  const wanted = { of: (use: { active: number }) => use.active, all: 20, most: 40 };
  expect(mayHaveMore(uses, mailShare("sender e.test", "new@e.test"), wanted)).toBe(true);
});
