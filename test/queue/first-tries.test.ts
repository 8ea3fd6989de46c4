// A server is back and takes for ever over one's mail: until anything has gone through, everybody else's mail has its turn all the same.
import { afterEach, beforeEach, expect, test } from "bun:test";
import type { Attempt } from "../../src/delivery/attempt.ts";
import type { Outcome } from "../../src/delivery/outcome.ts";
import type { Destination } from "../../src/delivery/route.ts";
import { MAX_BODY_IN_MEMORY } from "../../src/message/body.ts";
import { mailShare } from "../../src/message/mail-share.ts";
import type { RunningQueue } from "../../src/queue/run-queue.ts";
import { answer, Bench, byMx, isDown, mail, type Script, takes } from "./queue-kit.ts";

const SECOND = 1000;
const ROUTES: Destination = {
  kind: "routes",
  key: "routes:example.org",
  routes: [{ host: "192.0.2.7", port: 25, priority: 10, tls: "none" }],
};
const MX = byMx("bob@example.org");
const SMALL = "Subject: x\r\n\r\nsmall\r\n";
const LARGE = `Subject: x\r\n\r\n${"x".repeat(MAX_BODY_IN_MEMORY + 20_000)}`;
const NETWORK = mailShare("198.51.0.0/16", "good.test");

let bench: Bench;
let queue: RunningQueue;
let destination: Destination;
beforeEach(async () => {
  bench = await Bench.open();
  destination = ROUTES;
  bench.destinationFor = () => destination;
});
afterEach(() => bench.close());

const accept = (share: string, id: string, body = SMALL) =>
  queue.accept({
    ...mail({
      id,
      body,
      now: bench.clock.now(),
      mayBounce: false,
      disposition: () => ({ kind: "deliver", destination, edits: [] }),
    }),
    share,
  });

/** Greeted, and no answer to what is called slow. */
const hangsOnSlow: Script = (attempt: Attempt, now): readonly Outcome[] | Promise<readonly Outcome[]> => {
  attempt.onReached?.();
  return attempt.messageId.startsWith("slow") ? new Promise(() => {}) : takes(attempt, now);
};

function isBack(script: Script = hangsOnSlow): void {
  bench.deliverer.script = script;
  bench.deliverer.greets = () => true;
}

const left = () => bench.deliverer.delivered().map(({ attempt }) => attempt.messageId);
const OTHERS = [
  ["h1", mailShare("203.0.113.0/24", "a.test"), SMALL],
  ["h2", "login ann@example.test", SMALL],
  ["h3", mailShare("198.51.0.0/16", "other.test"), SMALL],
  ["h4", mailShare("sender example.test", "ann@example.test"), LARGE],
  ["h5", "", SMALL],
  ["h6", mailShare("192.0.2.0/24", ""), LARGE],
] as const;
const IDS = OTHERS.map(([id]) => id);

/** The mail of those, in the queue with the server away, or new after its return. */
for (const [what, kind] of [
  ["a server of ours", ROUTES],
  ["a server found by MX", MX],
] as const)
  for (const [whose, slow] of [
    ["a network", () => NETWORK],
    ["a log-in", () => "login bob@example.test"],
    ["a mailbox", () => mailShare("sender example.test", "hacked@example.test")],
    ["four mailboxes of a sender", (n: number) => mailShare("sender example.test", `m${n % 4}@example.test`)],
    ["three networks", (n: number) => mailShare(`198.51.${n % 3}.0/24`, "good.test")],
  ] as const)
    test(`${what} is back, and slow mail of ${whose} is the oldest`, async () => {
      destination = kind;
      queue = await bench.start();
      bench.deliverer.script = isDown;
      for (let n = 0; n < 40; n++) await accept(slow(n), `slow${n}`);
      for (const [id, share, body] of OTHERS) await accept(share, id, body);
      await bench.run(10 * SECOND);
      isBack();
      await bench.run(55 * SECOND);
      expect(left().toSorted()).toEqual(IDS);
      expect(bench.deliverer.underWay).toBeLessThan(19);
    }, 30_000);

for (const [size, body] of [
  ["small", SMALL],
  ["large", LARGE],
] as const)
  test(`mail that comes while ${size} slow mail is tried passes within seconds`, async () => {
    queue = await bench.start();
    bench.deliverer.script = isDown;
    for (let n = 0; n < 40; n++) await accept(NETWORK, `slow${n}`, body);
    await bench.run(8 * SECOND);
    isBack();
    // Nothing but slow mail: it has not shown yet that it is back.
    await bench.run(70 * SECOND);
    expect(bench.deliverer.underWay).toBeLessThan(17);
    for (const [id, share, its] of OTHERS) await accept(share, id, its);
    await bench.run(4 * SECOND);
    expect(left().toSorted()).toEqual(IDS);
  }, 30_000);

test("who waits for one slow message goes on with the next after a while, the oldest first", async () => {
  queue = await bench.start();
  bench.deliverer.script = isDown;
  for (const id of ["slow1", "a", "b"]) await accept(NETWORK, id);
  await bench.run(8 * SECOND);
  isBack();
  await bench.run(30 * SECOND);
  expect(left()).toEqual(["a", "b"]);
});

test("a server that greets and fails again is tried with one message of each at most, and then not for a while", async () => {
  queue = await bench.start();
  bench.deliverer.script = isDown;
  for (let n = 0; n < 100; n++) await accept(mailShare(`203.0.${n % 50}.0/24`, "a.test"), `m${n}`);
  await bench.run(8 * SECOND);
  isBack((attempt) => {
    attempt.onReached?.();
    return answer(attempt, "deferred", { code: 451, enhanced: "4.3.0", text: "not well" });
  });
  const before = bench.deliverer.seen.length;
  await bench.run(31 * SECOND);
  expect(bench.deliverer.seen.length - before).toBeLessThan(100);
  expect(bench.deliverer.mostUnderWay).toBeLessThan(21);
  isBack(takes);
  await bench.run(300 * SECOND);
  expect(left().length).toBe(100);
}, 30_000);

test("slow attempts from before it went down do not keep anybody's mail", async () => {
  queue = await bench.start();
  isBack();
  for (let n = 0; n < 40; n++) await accept(NETWORK, `slow${n}`);
  await bench.busy.rest();
  const hanging = bench.deliverer.underWay;
  expect(hanging).toBeLessThan(17);
  bench.deliverer.script = isDown;
  for (const [id, share, body] of OTHERS) await accept(share, id, body);
  await bench.busy.rest();
  isBack();
  await bench.run(62 * SECOND);
  expect(left().toSorted()).toEqual(IDS);
}, 30_000);
