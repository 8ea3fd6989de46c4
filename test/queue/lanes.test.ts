// Destinations do not delay one another, and memory stays bounded whatever the queue's length.
import { afterEach, beforeEach, expect, test } from "bun:test";
import type { Destination } from "../../src/delivery/route.ts";
import { small } from "../message/small-body.ts";
import { answer, Bench, byMx, HOUR, isDown, mail, takes } from "./queue-kit.ts";

let bench: Bench;
beforeEach(async () => {
  bench = await Bench.open();
});
afterEach(() => bench.close());

const never = () => new Promise<never>(() => {});

test("a destination that hangs delays no other", async () => {
  bench.deliverer.script = (attempt, now) =>
    attempt.destination.key === "mx:slow.example" ? never() : takes(attempt, now);
  const queue = await bench.start();
  for (let i = 0; i < 2000; i++) await queue.accept(mail({ to: [`u${i}@slow.example`] }));
  await queue.accept(mail({ id: "quick", to: ["bob@quick.example"] }));
  await bench.busy.rest();
  expect(bench.deliverer.delivered().map(({ attempt }) => attempt.messageId)).toEqual(["quick"]);
  expect(bench.deliverer.underWay).toBe(20);
  // Forty wait in memory for a place, the others on disk.
  expect(queue.figures().bodyBytes).toBeLessThan(100 * 1024);
}, 30_000);

test("after a restart with a long queue for a dead server, mail for another leaves at once", async () => {
  bench.deliverer.script = isDown;
  const first = await bench.start();
  const many = Array.from({ length: 1000 }, (_, i) => `u${i}@dead.example`);
  for (let i = 0; i < 20; i++) await first.accept(mail({ to: many, mayBounce: false }));
  await first.accept(mail({ id: "other", to: ["bob@quick.example"], mayBounce: false }));
  await bench.busy.rest();
  await bench.crash();
  bench.deliverer.seen.length = 0;
  bench.deliverer.script = (attempt, now) =>
    attempt.destination.key === "mx:dead.example" ? isDown(attempt, now) : takes(attempt, now);
  const queue = await bench.start();
  expect((await queue.counts()).queued).toBe(20_001);
  await bench.run(2 * 60_000);
  expect(bench.deliverer.delivered().map(({ attempt }) => attempt.messageId)).toEqual(["other"]);
  // The dead one cost a probe or two, not twenty thousand.
  expect(bench.deliverer.seen.length).toBeLessThan(5);
}, 60_000);

test("no more attempts side by side than the destination has places", async () => {
  bench.deliverer.places = 3;
  bench.deliverer.script = async (attempt, now) => {
    await new Promise<void>((resolve) => setImmediate(resolve));
    return takes(attempt, now);
  };
  const queue = await bench.start();
  await Promise.all(Array.from({ length: 60 }, () => queue.accept(mail())));
  await bench.run(1000);
  expect(bench.deliverer.delivered().length).toBe(60);
  expect(bench.deliverer.mostUnderWay).toBe(3);
});

test("recipients with the same destination and edits leave together, others apart", async () => {
  const queue = await bench.start();
  const to = ["a@example.org", "b@example.org", "c@example.net", "marked@example.org"];
  await queue.accept(
    mail({
      to,
      disposition: (address) => ({
        kind: "deliver",
        destination: byMx(address),
        edits: address.startsWith("marked") ? [{ kind: "add", name: "X-Gatepost", value: "spf-fail" }] : [],
      }),
    }),
  );
  await bench.busy.rest();
  const seen = bench.deliverer.seen.map(({ attempt }) => attempt.recipients.map(({ address }) => address));
  expect(seen).toEqual([["a@example.org", "b@example.org"], ["c@example.net"], ["marked@example.org"]]);
  const marked = new TextDecoder().decode(small(bench.deliverer.seen[2]?.attempt.message));
  expect(marked).toContain("X-Gatepost: spf-fail\r\n");
  expect(new TextDecoder().decode(small(bench.deliverer.seen[0]?.attempt.message))).not.toContain(
    "X-Gatepost",
  );
  expect((await queue.counts()).queued).toBe(0);
});

test("a message that makes its server hang up does not close the destination for others", async () => {
  bench.deliverer.script = (attempt, now) =>
    attempt.messageId === "poison"
      ? answer(attempt, "deferred", { code: null, text: "the connection was closed after DATA" })
      : takes(attempt, now);
  const queue = await bench.start();
  await queue.accept(mail({ id: "poison", mayBounce: false }));
  await bench.run(24 * HOUR);
  await queue.accept(mail({ id: "good" }));
  await bench.busy.rest();
  expect(bench.deliverer.delivered().map(({ attempt }) => attempt.messageId)).toEqual(["good"]);
});

test("large bodies are read from their files when their turn comes, and the files go with the message", async () => {
  const body = `Subject: large\r\n\r\n${"x".repeat(300_000)}\r\n`;
  bench.deliverer.places = 2;
  const queue = await bench.start();
  for (let i = 0; i < 8; i++) await queue.accept(mail({ body }));
  await bench.run(1000);
  expect(bench.deliverer.delivered().length).toBe(8);
  expect(bench.deliverer.delivered().every(({ attempt }) => attempt.message.length === body.length)).toBe(
    true,
  );
  await new Promise<void>((resolve) => setTimeout(resolve, 20));
  expect(await bench.bodyFiles()).toEqual([]);
  expect(queue.figures().bodyBytes).toBe(0);
});

test("waiting mail follows a changed route", async () => {
  const routes = (port: number): Destination => ({
    kind: "routes",
    key: `routes:192.0.2.9:${port}`,
    routes: [{ host: "192.0.2.9", port, priority: 10, tls: "none" }],
  });
  bench.destinationFor = () => routes(25);
  bench.deliverer.script = (attempt, now) =>
    attempt.destination.key.endsWith(":26") ? takes(attempt, now) : isDown(attempt, now);
  const queue = await bench.start();
  await queue.accept(mail({ disposition: () => ({ kind: "deliver", destination: routes(25), edits: [] }) }));
  await bench.run(HOUR);
  expect(bench.deliverer.delivered().length).toBe(0);
  bench.destinationFor = () => routes(26);
  await bench.run(HOUR);
  expect(bench.deliverer.delivered().map(({ attempt }) => attempt.destination.key)).toEqual([
    "routes:192.0.2.9:26",
  ]);
  expect((await queue.counts()).queued).toBe(0);
});
