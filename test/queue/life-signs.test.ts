// Servers of ours that were down: their mail leaves within seconds once they answer, the oldest first, and each message once.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { createServer } from "node:net";
import type { Destination } from "../../src/delivery/route.ts";
import { systemClock } from "../../src/observe/clock.ts";
import type { RunningQueue } from "../../src/queue/run-queue.ts";
import { makeDeliverer } from "../delivery/deliverer-fixture.ts";
import { startScriptedPeer, usualServer } from "../delivery/scripted-peer.ts";
import { answer, Bench, defers, HOUR, isDown, mail, type Script, START, takes } from "./queue-kit.ts";

const SECOND = 1000;
const OWN: Destination = {
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

let bench: Bench;
let queue: RunningQueue;
beforeEach(async () => {
  bench = await Bench.open();
  bench.destinationFor = () => OWN;
});
afterEach(async () => {
  await queue.close(0);
  await bench.close();
});

function ownMail(id: string, destination: Destination = OWN) {
  return mail({
    id,
    now: bench.clock.now(),
    mayBounce: false,
    disposition: () => ({ kind: "deliver", destination, edits: [] }),
  });
}

const deliveredIds = () => bench.deliverer.delivered().map(({ attempt }) => attempt.messageId);

describe.each([
  ["a route", OWN],
  ["a smart host", SMART],
] as const)("%s that was down for hours", (_, destination) => {
  test("gets its mail within half a minute of its return, the oldest first, each once", async () => {
    bench.destinationFor = () => destination;
    queue = await bench.start();
    bench.deliverer.script = isDown;
    bench.deliverer.places = 1;
    const ids = ["01h000000000000000aa", "01h000000000000000ab", "01h000000000000000ac"];
    for (const id of ids) {
      await queue.accept(ownMail(id, destination));
      await bench.run(HOUR / 2);
    }
    const attempts = bench.deliverer.seen.length;
    // Looks cost the log nothing: the attempts are those of the schedule.
    expect(attempts).toBeLessThan(25);
    expect(bench.deliverer.looks).toBeGreaterThan(150);
    bench.deliverer.script = takes;
    bench.deliverer.greets = () => true;
    await bench.run(31 * SECOND);
    expect(deliveredIds()).toEqual(ids);
    expect(bench.deliverer.seen.length).toBe(attempts + ids.length);
  }, 30_000);
});

test("a server found by MX is not looked at", async () => {
  const byMx: Destination = { kind: "mx", key: "mx:example.org", domain: "example.org" };
  bench.destinationFor = () => byMx;
  queue = await bench.start();
  bench.deliverer.script = isDown;
  await queue.accept(ownMail("01h000000000000000aa", byMx));
  await bench.run(HOUR);
  expect(bench.deliverer.looks).toBe(0);
});

test("mail that lost its connection to a server in trouble waits for the server, not for the schedule", async () => {
  queue = await bench.start();
  // 421 to everybody: reached, and useless. One message alone would not close the destination.
  bench.deliverer.script = (attempt) =>
    answer(attempt, "deferred", { code: 421, enhanced: "4.3.2", text: "421 4.3.2 shutting down" });
  await queue.accept(ownMail("01h000000000000000aa"));
  await bench.run(3 * HOUR);
  bench.deliverer.script = takes;
  bench.deliverer.greets = () => true;
  await bench.run(31 * SECOND);
  expect(deliveredIds()).toEqual(["01h000000000000000aa"]);
}, 30_000);

test("a message that a healthy server hangs up on keeps to the schedule", async () => {
  queue = await bench.start();
  bench.deliverer.greets = () => true;
  bench.deliverer.script = (attempt) =>
    answer(attempt, "deferred", { code: null, text: "the server closed the connection" });
  await queue.accept(ownMail("01h000000000000000aa"));
  await bench.run(10 * HOUR);
  expect(bench.deliverer.seen.length).toBeLessThan(12);
});

test("what the server itself put off keeps its time when the server comes back from a break", async () => {
  queue = await bench.start();
  bench.deliverer.script = defers;
  await queue.accept(ownMail("01h000000000000000aa"));
  await bench.run(10 * 60 * SECOND);
  bench.deliverer.script = isDown;
  await queue.accept(ownMail("01h000000000000000ab"));
  await bench.run(30 * SECOND);
  bench.deliverer.script = takes;
  bench.deliverer.greets = () => true;
  await bench.run(31 * SECOND);
  expect(deliveredIds()).toEqual(["01h000000000000000ab"]);
});

const saysOf = (code: number, enhanced: string | null, text: string): Script => {
  const words = enhanced === null ? `${code} ${text}` : `${code} ${enhanced} ${text}`;
  return (attempt) =>
    answer(attempt, "deferred", { code, text: words, ...(enhanced === null ? {} : { enhanced }) });
};

describe.each([
  [451, "4.3.0", "Temporary lookup failure"],
  [451, null, "Requested action aborted: local error in processing"],
  [452, "4.3.1", "Insufficient system storage"],
  [450, "4.3.2", "Please try again later"],
  [432, "4.3.2", "STOREDRV"],
  [451, "4.4.1", "no answer from the store"],
  [451, "4.7.1", "Service unavailable - try again later"],
  [421, "4.3.2", "shutting down"],
] as const)("a server that returns and is not well yet: %p %p %s", (code, enhanced, text) => {
  test("its mail leaves within seconds once it is well, though nothing new comes", async () => {
    queue = await bench.start();
    bench.deliverer.script = isDown;
    const ids = ["01h000000000000000aa", "01h000000000000000ab", "01h000000000000000ac"];
    for (const id of ids) await queue.accept(ownMail(id));
    await bench.run(HOUR);
    bench.deliverer.greets = () => true;
    bench.deliverer.script = saysOf(code, enhanced, text);
    await bench.run(40 * SECOND);
    bench.deliverer.greets = () => false;
    bench.deliverer.script = isDown;
    await bench.run(10 * SECOND);
    bench.deliverer.greets = () => true;
    bench.deliverer.script = takes;
    await bench.run(61 * SECOND);
    expect(deliveredIds().toSorted()).toEqual(ids);
  });

  test("what was put off is not overtaken for long by new mail", async () => {
    queue = await bench.start();
    bench.deliverer.script = saysOf(code, enhanced, text);
    await queue.accept(ownMail("01h000000000000000aa"));
    await bench.run(3 * HOUR);
    bench.deliverer.script = takes;
    await queue.accept(ownMail("01h000000000000000ab"));
    await bench.run(30 * SECOND);
    expect(deliveredIds().toSorted()).toEqual(["01h000000000000000aa", "01h000000000000000ab"]);
  });
});

test("what was put off is not overtaken after a restart either", async () => {
  queue = await bench.start();
  bench.deliverer.script = saysOf(451, "4.3.0", "not now");
  await queue.accept(ownMail("01h000000000000000aa"));
  await bench.run(3 * HOUR + 60 * SECOND);
  await queue.close(0);
  queue = await bench.start();
  bench.deliverer.script = takes;
  await queue.accept(ownMail("01h000000000000000ab"));
  await bench.run(30 * SECOND);
  expect(deliveredIds().length).toBe(2);
});

test.each([
  [451, "4.7.1", "Greylisted, please try again"],
  [450, null, "greylisting in action"],
  [451, null, "grey-listed, come back later"],
  [452, "4.2.2", "mailbox full"],
  [450, "4.1.1", "not verified yet"],
  [450, null, "mailbox unavailable"],
] as const)("%p %p %s keeps its time, whatever else goes through", async (code, enhanced, text) => {
  queue = await bench.start();
  bench.deliverer.script = saysOf(code, enhanced, text);
  await queue.accept(ownMail("01h000000000000000aa"));
  await bench.run(10 * SECOND);
  const own = bench.deliverer.script;
  bench.deliverer.script = (attempt, now) => (attempt.messageId.endsWith("aa") ? own : takes)(attempt, now);
  for (let n = 0; n < 4; n++) {
    await queue.accept(ownMail(`01h0000000000000000${n}`));
    await bench.run(10 * SECOND);
  }
  const tries = bench.deliverer.seen.filter(({ attempt }) => attempt.messageId.endsWith("aa"));
  expect(tries.length).toBe(1);
});

test.each([1, 8])(
  "%p messages that a healthy server is unwell over stop no others and are tried rarely",
  async (many) => {
    queue = await bench.start();
    bench.deliverer.script = isDown;
    for (let n = 0; n < many; n++) await queue.accept(ownMail(`01h000000000000bad${n}`));
    await queue.accept(ownMail("01h000000000000000aa"));
    await bench.run(60 * SECOND);
    bench.deliverer.greets = () => true;
    const unwell = saysOf(451, "4.3.0", "the filter broke");
    bench.deliverer.script = (attempt, now) =>
      (attempt.messageId.includes("bad") ? unwell : takes)(attempt, now);
    await bench.run(120 * SECOND);
    expect(deliveredIds()).toEqual(["01h000000000000000aa"]);
    const before = bench.deliverer.seen.length;
    for (let n = 0; n < 200; n++) {
      await queue.accept(ownMail(`01h00000000000000${n}`));
      await bench.run(10 * SECOND);
    }
    expect(deliveredIds().length).toBe(201);
    expect(bench.deliverer.seen.length - before - 200).toBeLessThan(15 * many);
  },
  60_000,
);

test("a server that only greets is not tried every few seconds", async () => {
  queue = await bench.start();
  bench.deliverer.script = isDown;
  bench.deliverer.greets = () => true;
  await queue.accept(ownMail("01h000000000000000aa"));
  await bench.run(6 * HOUR);
  expect(bench.deliverer.seen.length).toBeLessThan(100);
}, 30_000);

test("after a restart the watch goes on", async () => {
  queue = await bench.start();
  bench.deliverer.script = isDown;
  await queue.accept(ownMail("01h000000000000000aa"));
  await bench.run(3 * HOUR);
  await queue.close(0);
  queue = await bench.start();
  await bench.run(45 * SECOND);
  bench.deliverer.script = takes;
  bench.deliverer.greets = () => true;
  await bench.run(31 * SECOND);
  expect(deliveredIds()).toEqual(["01h000000000000000aa"]);
});

test("another route is another chance: at once, and also where the new one is found by MX", async () => {
  queue = await bench.start();
  bench.deliverer.script = isDown;
  await queue.accept(ownMail("01h000000000000000aa"));
  await bench.run(HOUR);
  bench.deliverer.script = (attempt, now) => (attempt.destination === OWN ? isDown : takes)(attempt, now);
  const elsewhere: Destination = { kind: "mx", key: "mx:example.org", domain: "example.org" };
  bench.destinationFor = () => elsewhere;
  queue.lookForLife();
  await bench.run(2 * SECOND);
  expect(deliveredIds()).toEqual(["01h000000000000000aa"]);
});

test("a sign of life brings a look at once", async () => {
  queue = await bench.start();
  bench.deliverer.script = isDown;
  await queue.accept(ownMail("01h000000000000000aa"));
  await bench.run(HOUR + 5 * SECOND);
  bench.deliverer.script = takes;
  bench.deliverer.greets = () => true;
  queue.lookForLife();
  await bench.run(1 * SECOND);
  expect(deliveredIds()).toEqual(["01h000000000000000aa"]);
  expect(bench.clock.now()).toBeGreaterThan(START);
});

test("a server that connects to us is looked at, another one's connection says nothing", async () => {
  queue = await bench.start();
  bench.deliverer.script = isDown;
  await queue.accept(ownMail("01h000000000000000aa"));
  await bench.run(HOUR + 5 * SECOND);
  bench.deliverer.script = takes;
  bench.deliverer.greets = () => true;
  const looks = bench.deliverer.looks;
  queue.heardFrom("192.0.2.99");
  await bench.run(100);
  expect(bench.deliverer.looks).toBe(looks);
  queue.heardFrom("192.0.2.7");
  await bench.run(1 * SECOND);
  expect(deliveredIds()).toEqual(["01h000000000000000aa"]);
});

test("a server that sends all day and takes nothing is not looked at each time", async () => {
  queue = await bench.start();
  bench.deliverer.script = isDown;
  bench.deliverer.greets = () => true;
  await queue.accept(ownMail("01h000000000000000aa"));
  for (let n = 0; n < 3600; n++) {
    await bench.run(SECOND);
    queue.heardFrom("192.0.2.7");
  }
  expect(bench.deliverer.seen.length).toBeLessThan(100);
}, 60_000);

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" && address !== null ? address.port : 0;
}

test("over sockets: 1,000 messages wait for a stopped server; it starts, and all arrive once, the oldest first", async () => {
  const port = await freePort();
  const own: Destination = {
    ...OWN,
    routes: [{ host: "127.0.0.1", port, priority: 10, tls: "none" }],
  };
  bench.destinationFor = () => own;
  const deliverer = makeDeliverer();
  queue = await bench.start({ deliverer, clock: systemClock });
  const idOf = (n: number) => `01h00000000000${String(n).padStart(6, "0")}`;
  for (let n = 0; n < 1000; n++) {
    const one = mail({
      id: idOf(n),
      now: Date.now(),
      disposition: () => ({ kind: "deliver", destination: own, edits: [] }),
      body: `From: <alice@example.test>\r\nSubject: ${n}\r\n\r\nHello.\r\n`,
    });
    await queue.accept(one);
  }
  await Bun.sleep(3 * SECOND);
  const arrived: number[] = [];
  const peer = await startScriptedPeer(
    usualServer({
      final(message) {
        arrived.push(Number(/Subject: (\d+)/.exec(message)?.[1]));
        return "250 2.0.0 Ok";
      },
    }),
    port,
  );
  const startedAt = Date.now();
  while (arrived.length < 1000 && Date.now() - startedAt < 60 * SECOND) await Bun.sleep(50);
  await queue.close(5 * SECOND);
  await deliverer.close(0);
  await peer.close();
  expect(arrived.length).toBe(1000);
  expect(new Set(arrived).size).toBe(1000);
  // Twenty connections side by side: a message may overtake those next to it, not more.
  const worst = Math.max(...arrived.map((n, at) => Math.abs(n - at)));
  expect(worst).toBeLessThan(120);
}, 90_000);
