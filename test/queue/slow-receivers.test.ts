// Receivers that take a message and never answer: however many there are and whatever is sent to them, mail for others leaves at once.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { MAX_BODY_IN_MEMORY } from "../../src/message/body.ts";
import { createBodyBudget } from "../../src/queue/body-budget.ts";
import { newLane, nextReady } from "../../src/queue/lane.ts";
import { groupWork } from "../../src/queue/work.ts";
import { Bench, mail, takes } from "./queue-kit.ts";

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
  lane.ready.push(...sized(50_000_000), ...sized(50_000_000), ...sized(1000));
  expect(nextReady(lane, 20)).toBe(0);
  lane.activeLarge = 10;
  expect(nextReady(lane, 20)).toBe(2);
  lane.ready.length = 2;
  expect(nextReady(lane, 20)).toBe(-1);
  // A single place serves large mail too.
  lane.activeLarge = 0;
  expect(nextReady(lane, 1)).toBe(0);
});
