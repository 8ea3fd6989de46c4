// A server that chews on one message for long: the others go on, on time, also after it was down for a moment.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { Attempt } from "../../src/delivery/attempt.ts";
import type { Outcome } from "../../src/delivery/outcome.ts";
import type { Destination } from "../../src/delivery/route.ts";
import { systemClock } from "../../src/observe/clock.ts";
import type { RunningQueue } from "../../src/queue/run-queue.ts";
import { makeDeliverer } from "../delivery/deliverer-fixture.ts";
import { startScriptedPeer, usualServer } from "../delivery/scripted-peer.ts";
import { Bench, byMx, defers, isDown, mail, type Script, takes } from "./queue-kit.ts";

const SECOND = 1000;
const ROUTES: Destination = {
  kind: "routes",
  key: "routes:example.org",
  routes: [{ host: "192.0.2.7", port: 25, priority: 10, tls: "none" }],
};
const SMART: Destination = {
  kind: "smarthost",
  key: "smarthost:smart.example:587",
  route: { host: "192.0.2.8", port: 587, priority: 0, tls: "none" },
  login: null,
};
const KINDS = [
  ["routes", ROUTES],
  ["a smart host", SMART],
  ["servers found by MX", byMx("bob@example.org")],
] as const;

let bench: Bench;
let queue: RunningQueue;
let destination: Destination;
beforeEach(async () => {
  bench = await Bench.open();
  destination = ROUTES;
  bench.destinationFor = () => destination;
  bench.deliverer.greets = () => true;
});
afterEach(() => bench.close());

/** The far side has greeted and says nothing more. */
const hangs = (attempt: Attempt): Promise<readonly Outcome[]> => {
  attempt.onReached?.();
  return new Promise(() => {});
};
/** Messages named "hang…" hang, the others fare as they do. */
const besides =
  (script: Script): Script =>
  (attempt, now) =>
    attempt.messageId.startsWith("hang") ? hangs(attempt) : script(attempt, now);
const accept = (id: string, body?: string) =>
  queue.accept(
    mail({
      id,
      now: bench.clock.now(),
      mayBounce: false,
      disposition: () => ({ kind: "deliver", destination, edits: [] }),
      ...(body === undefined ? {} : { body }),
    }),
  );
const delivered = () => bench.deliverer.delivered().map(({ attempt }) => attempt.messageId);

describe.each(KINDS)("%s", (_, kind) => {
  beforeEach(async () => {
    destination = kind;
    queue = await bench.start();
  });

  test("retries come on time while an answer is open", async () => {
    bench.deliverer.script = besides(defers);
    await accept("hang");
    await accept("a");
    await accept("b");
    bench.deliverer.script = besides(takes);
    await bench.run(61 * SECOND);
    expect(delivered().toSorted()).toEqual(["a", "b"]);
  });

  test("after it was down for a moment the others leave, and new mail is not stopped", async () => {
    bench.deliverer.script = besides(takes);
    await accept("hang");
    bench.deliverer.script = besides(isDown);
    await accept("a");
    await accept("b");
    bench.deliverer.script = besides(takes);
    await bench.run(62 * SECOND);
    await accept("c");
    await bench.busy.rest();
    expect(delivered()).toEqual(["a", "b", "c"]);
  });

  for (const [what, body] of [
    ["small", undefined],
    ["large", `Subject: x\r\n\r\n${"x".repeat(2_000_000)}\r\n`],
  ] as const)
    test(`messages that hang are the oldest that wait when it is back: ${what}`, async () => {
      bench.deliverer.script = isDown;
      for (const id of ["hang1", "hang2", "hang3"]) await accept(id, body);
      await accept("a");
      await accept("b");
      bench.deliverer.script = besides(takes);
      await bench.run(75 * SECOND);
      expect(delivered().toSorted()).toEqual(["a", "b"]);
      await accept("c");
      await bench.busy.rest();
      expect(delivered().at(-1)).toBe("c");
    });

  test("a server that does not even greet gets one attempt at a time", async () => {
    bench.deliverer.script = isDown;
    for (let n = 0; n < 20; n++) await accept(`m${n}`);
    bench.deliverer.mostUnderWay = 0;
    bench.deliverer.script = () => new Promise(() => {});
    await bench.run(600 * SECOND);
    expect(bench.deliverer.mostUnderWay).toBe(1);
  });
});

test("over sockets: the answer to one message is open, the server restarts, and the rest of its mail arrives", async () => {
  const arrived: string[] = [];
  const server = usualServer({
    final(message) {
      const subject = /Subject: (\w+)/.exec(message)?.[1] ?? "";
      arrived.push(subject);
      return subject === "hang" ? "" : "250 2.0.0 Ok";
    },
  });
  // The open connection outlives the listening socket, as with a server that reloads.
  let closing = false;
  const peer = await startScriptedPeer((talk) => (closing ? Promise.resolve() : server(talk)));
  destination = {
    kind: "routes",
    key: "routes:example.org",
    routes: [{ host: "127.0.0.1", port: peer.port, priority: 10, tls: "none" }],
  };
  const deliverer = makeDeliverer();
  queue = await bench.start({
    deliverer,
    clock: systemClock,
    settings: () => ({
      retryMs: [2 * SECOND, 60 * SECOND],
      giveUpAfterMs: 3_600_000,
      delayNoticeAfterMs: 3_600_000,
    }),
  });
  const send = (id: string) =>
    queue.accept(
      mail({
        id,
        now: Date.now(),
        disposition: () => ({ kind: "deliver", destination, edits: [] }),
        body: `From: <alice@example.test>\r\nSubject: ${id}\r\n\r\nHello.\r\n`,
      }),
    );
  await send("hang");
  while (arrived.length < 1) await Bun.sleep(20);
  closing = true;
  for (const id of ["a", "b", "c", "d", "e", "f"]) await send(id);
  await Bun.sleep(SECOND);
  closing = false;
  const startedAt = Date.now();
  while (arrived.length < 7 && Date.now() - startedAt < 20 * SECOND) await Bun.sleep(50);
  await send("later");
  while (arrived.length < 8 && Date.now() - startedAt < 22 * SECOND) await Bun.sleep(50);
  await peer.close();
  await queue.close(SECOND);
  await deliverer.close(0);
  expect(arrived.toSorted()).toEqual(["a", "b", "c", "d", "e", "f", "hang", "later"]);
}, 40_000);
