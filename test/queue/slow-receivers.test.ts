// Receivers that take a message and never answer: however many there are and whatever is sent to them, mail for others leaves at once.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { MAX_BODY_IN_MEMORY } from "../../src/message/body.ts";
import { mailShare } from "../../src/message/mail-share.ts";
import { createBodyBudget } from "../../src/queue/body-budget.ts";
import {
  beginAttempt,
  endTalk,
  freePlace,
  newLane,
  nextReady,
  pushReady,
  takeReady,
} from "../../src/queue/lane.ts";
import type { RunningQueue } from "../../src/queue/run-queue.ts";
import { groupWork, type Work } from "../../src/queue/work.ts";
import { Bench, DAY, defers, HOUR, isDown, mail, takes } from "./queue-kit.ts";

let bench: Bench;
beforeEach(async () => {
  bench = await Bench.open();
});
afterEach(() => bench.close());

const never = () => new Promise<never>(() => {});
const LARGE = `Subject: x\r\n\r\n${"x".repeat(MAX_BODY_IN_MEMORY - 20_000)}`;

for (const [receivers, each, body] of [
  [4, 40, LARGE],
  [4, 40, "Subject: x\r\n\r\nsmall\r\n"],
  [20, 10, LARGE],
  [200, 8, "Subject: x\r\n\r\nsmall\r\n"],
] as const) {
  test(`${receivers} slow receivers, ${each} messages of ${body.length} octets for each`, async () => {
    bench.deliverer.script = (attempt, now) =>
      attempt.destination.key.includes("slow") ? never() : takes(attempt, now);
    const queue = await bench.start();
    for (let i = 0; i < each; i++)
      await Promise.all(
        Array.from({ length: receivers }, (_, n) => queue.accept(mail({ to: [`u@slow${n}.example`], body }))),
      );
    await queue.accept(mail({ id: "quick", to: ["bob@quick.example"] }));
    await queue.accept(mail({ id: "quick-large", to: ["bob@other.example"], body: LARGE }));
    await bench.busy.rest();
    const ids = bench.deliverer.delivered().map(({ attempt }) => attempt.messageId);
    expect(ids.toSorted()).toEqual(["quick", "quick-large"]);
    expect(queue.figures().bodyBytes).toBeLessThan(128 * 1024 * 1024);
  }, 60_000);
}

test("of the memory for bodies a destination has no more than it leaves, and each has its first", () => {
  const budget = createBodyBudget(1000, 400);
  const lanes = Array.from({ length: 15 }, (_, n) => newLane(`mx:${n}`));
  for (const lane of lanes) while (budget.take(lane, 60));
  expect(lanes.filter((lane) => lane.bytes === 0)).toEqual([]);
  expect(Math.max(...lanes.map((lane) => lane.bytes))).toBeLessThanOrEqual(400);
  for (const lane of lanes) while (lane.bytes > 0) budget.give(lane, 60);
  expect(budget.held()).toBe(0);
});

test("a large body counts with its pieces, not with its size", () => {
  const budget = createBodyBudget();
  const lane = newLane("mx:a");
  for (let n = 0; n < 20; n++) expect(budget.take(lane, 50_000_000)).toBe(true);
  expect(budget.held()).toBeLessThan(8 * 1024 * 1024);
});

test("of a destination's places large bodies take half, and small mail passes by", () => {
  const lane = newLane("mx:a");
  const sized = (size: number) =>
    groupWork(
      [
        {
          message: { size },
          recipient: { n: 1, detail: { destination: { kind: "mx", key: "mx:a" }, edits: [], sign: null } },
        } as never,
      ],
      null,
    );
  for (const size of [50_000_000, 50_000_000, 1000]) for (const work of sized(size)) pushReady(lane, work);
  expect(nextReady(lane, 20)).toBe(0);
  lane.talkingLarge = 10;
  expect(nextReady(lane, 20)).toBe(2);
  takeReady(lane, 2);
  expect(nextReady(lane, 20)).toBe(-1);
  // A single place serves large mail too.
  lane.talkingLarge = 0;
  expect(nextReady(lane, 1)).toBe(0);
});

test("who has been answered counts for nobody's share before the answer is on disk, and one alone uses all places of a quick server", () => {
  const lane = newLane("mx:a");
  const of = (share: string): Work =>
    ({
      message: { size: 1000 },
      recipients: [{ n: 1 }],
      share,
    }) as never;
  const one = mailShare("sender e.test", "ann@e.test");
  const begin = (share: string): Work | null => {
    const work = of(share);
    pushReady(lane, work);
    const at = nextReady(lane, 20);
    takeReady(lane, lane.ready.length - 1);
    if (at < 0 || lane.active >= 20) return null;
    beginAttempt(lane, work);
    return work;
  };
  const talking: Work[] = [];
  for (let work = begin(one); work !== null; work = begin(one)) talking.push(work);
  expect(talking).toHaveLength(12);
  for (const work of talking.splice(0, 8)) endTalk(lane, work);
  for (let work = begin(one); work !== null; work = begin(one)) talking.push(work);
  expect([talking.length, lane.active]).toEqual([12, 20]);
  // A hanging server: what was only being written is written, and the others find their places.
  for (let n = 0; n < 8; n++) freePlace(lane, of(one));
  expect(begin(one)).toBeNull();
  expect(begin(mailShare("sender e.test", "bob@e.test"))).not.toBeNull();
  expect(begin(mailShare("sender i.test", "third@i.test"))).not.toBeNull();
});

/** More than may wait in memory for a place, for a server whose large mail never ends. */
const OVERSIZE = `Subject: x\r\n\r\n${"x".repeat(MAX_BODY_IN_MEMORY)}`;
const SETTINGS = { giveUpAfterMs: 5 * DAY, delayNoticeAfterMs: 4 * HOUR };
const SMALL_IDS = ["s1", "s2", "s3", "s4", "s5"];

function hangsOnLarge(): void {
  bench.deliverer.places = 5;
  bench.deliverer.script = (attempt, now) =>
    attempt.message.length > MAX_BODY_IN_MEMORY ? never() : takes(attempt, now);
}

function small(ids: readonly string[]) {
  return ids.map((id) => mail({ id, now: bench.clock.now() }));
}

async function fillWithLarge(queue: RunningQueue, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await queue.accept(mail({ body: OVERSIZE, now: bench.clock.now() }));
}

const leftIds = () =>
  bench.deliverer
    .delivered()
    .map(({ attempt }) => attempt.messageId)
    .toSorted();

for (const count of [1, 2, 3, 15, 30, 130]) {
  test(`small mail passes by ${count} large messages that hang`, async () => {
    hangsOnLarge();
    const queue = await bench.start();
    await fillWithLarge(queue, count);
    for (const one of small(SMALL_IDS)) await queue.accept(one);
    await bench.busy.rest();
    expect(leftIds()).toEqual(SMALL_IDS);
    expect(bench.deliverer.underWay).toBe(Math.min(count, 2));
  });

  test(`from disk small mail passes by ${count} large messages that hang`, async () => {
    hangsOnLarge();
    const queue = await bench.start({ settings: () => ({ ...SETTINGS, retryMs: [600_000] }) });
    bench.deliverer.script = defers;
    await fillWithLarge(queue, count);
    for (const one of small(SMALL_IDS)) await queue.accept(one);
    await bench.busy.rest();
    hangsOnLarge();
    await bench.crash();
    await bench.start();
    await bench.run(2 * HOUR);
    expect(leftIds()).toEqual(SMALL_IDS);
    expect(bench.deliverer.underWay).toBe(Math.min(count, 2));
  });
}

test("small mail that was put off is tried again in its time while large mail hangs", async () => {
  hangsOnLarge();
  const queue = await bench.start();
  await fillWithLarge(queue, 30);
  const { script } = bench.deliverer;
  bench.deliverer.script = defers;
  for (const one of small(SMALL_IDS)) await queue.accept(one);
  await bench.busy.rest();
  bench.deliverer.script = script;
  await bench.run(10 * 60_000);
  expect(leftIds()).toEqual(SMALL_IDS);
});

test("large mail takes half of the places, in its order, and all of it leaves", async () => {
  bench.deliverer.places = 6;
  let together = 0;
  let most = 0;
  bench.deliverer.script = async (attempt, now) => {
    most = Math.max(most, ++together);
    // Long enough for the next one to come from disk.
    await bench.busy.track(Bun.sleep(20));
    together--;
    return takes(attempt, now);
  };
  const queue = await bench.start();
  const ids = Array.from({ length: 40 }, (_, n) => `l${String(n).padStart(2, "0")}`);
  await Promise.all(ids.map((id) => queue.accept(mail({ id, body: OVERSIZE }))));
  await bench.run(60_000);
  expect(leftIds()).toEqual(ids);
  expect(most).toBe(3);
});

test("a server that hangs on large mail and was away since is tried with small mail", async () => {
  hangsOnLarge();
  const queue = await bench.start();
  await fillWithLarge(queue, 30);
  const { script } = bench.deliverer;
  bench.deliverer.script = isDown;
  for (const one of small(SMALL_IDS)) await queue.accept(one);
  await bench.busy.rest();
  bench.deliverer.script = script;
  await bench.run(2 * HOUR);
  expect(leftIds()).toEqual(SMALL_IDS);
});
