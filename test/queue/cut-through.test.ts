// Cut-through: the sender hears the mail server's own word; what it does not say in time is kept and settled like other mail.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Attempt } from "../../src/delivery/attempt.ts";
import type { HandedOver } from "../../src/queue/cut-through.ts";
import type { RunningQueue } from "../../src/queue/run-queue.ts";
import { StoreError } from "../../src/store/database.ts";
import { inbound, Later, largeBody, OWN, WAIT_MS } from "./cut-through-kit.ts";
import { answer, Bench, defers, HOUR, isDown, refuses, takes } from "./queue-kit.ts";

let bench: Bench;
let queue: RunningQueue;
beforeEach(async () => {
  bench = await Bench.open();
  bench.destinationFor = () => OWN;
  queue = await bench.start();
});
afterEach(async () => {
  await queue.close(0);
  await bench.close();
});

const inserts = () => bench.units.flat().filter(({ sql }) => /insert into "?message"?/i.test(sql)).length;
const stateWords = (id: string) =>
  bench.events.flatMap((event) =>
    event.kind === "state" && event.messageId === id ? [`${event.state}: ${event.words}`] : [],
  );
const onDisk = () => queue.list({ limit: 10, offset: 0 });

async function handOver(id: string, to?: readonly string[]): Promise<HandedOver> {
  const given = queue.handOver(inbound(id, bench.clock.now(), to), WAIT_MS);
  await bench.run(0);
  return given;
}

describe("while the sender waits", () => {
  test("taken: only the log is written", async () => {
    expect(await handOver("m1", ["a@example.org", "b@example.org"])).toEqual({ kind: "taken" });
    await bench.run(1000);
    expect(inserts()).toBe(0);
    expect(await onDisk()).toEqual([]);
    expect(bench.events.map(({ kind }) => kind)).toEqual(["message", "attempt", "state", "state"]);
    expect(stateWords("m1")).toEqual(
      Array(2).fill(
        "delivered: Taken by mx.example.org [192.0.2.7]:25 while the sender waited: 250 2.0.0 Ok",
      ),
    );
  });

  test("refused for all: nothing is kept, and its words are told", async () => {
    bench.deliverer.script = refuses;
    const given = await handOver("m1", ["a@example.org", "b@example.org"]);
    expect(given).toMatchObject({
      kind: "refused",
      reply: { code: 550, enhanced: "1.1", text: "No such user" },
    });
    await bench.run(HOUR);
    expect(inserts()).toBe(0);
    expect(bench.filed).toEqual([]);
    expect(stateWords("m1")[0]).toStartWith("refused: Refused by mx.example.org [192.0.2.7]:25 while");
    expect(bench.events[0]).toMatchObject({ kind: "message", record: { reply: "550 5.1.1 No such user" } });
    expect(bench.deliverer.seen).toHaveLength(1);
  });

  test.each([
    ["put off", defers],
    ["no connection", isDown],
    [
      "a broken connection",
      (attempt: Attempt) => answer(attempt, "deferred", { code: null, text: "the connection was lost" }),
    ],
  ] as const)("%s: kept, and tried again by the schedule", async (_, script) => {
    bench.deliverer.script = script;
    expect(await handOver("m1")).toEqual({ kind: "kept" });
    await bench.run(0);
    expect(await onDisk()).toMatchObject([{ messageId: "m1", state: "queued", tries: 1 }]);
    bench.deliverer.script = takes;
    await bench.run(HOUR);
    expect(bench.states("m1")).toEqual(["queued", "delivered"]);
    expect(bench.deliverer.delivered()).toHaveLength(1);
  });

  test("mixed: the one is delivered, the other undeliverable, the sender hears 250", async () => {
    bench.deliverer.script = async (attempt, now) => [
      ...(await takes(attempt, now)).slice(0, 1),
      ...(await refuses(attempt, now)).slice(1),
    ];
    expect(await handOver("m1", ["a@example.org", "b@example.org"])).toEqual({ kind: "kept" });
    await bench.run(1000);
    expect(stateWords("m1")[0]).toStartWith("delivered");
    expect(stateWords("m1")[1]).toStartWith("quarantined");
    expect(bench.filed).toHaveLength(1);
    expect(bench.deliverer.seen).toHaveLength(1);
    expect(await onDisk()).toEqual([]);
  });

  test("a rejected log does not turn the server's word", async () => {
    bench.beforeCommit = () => Promise.reject(new StoreError("disk-full", "no space"));
    expect(await handOver("m1")).toEqual({ kind: "taken" });
    bench.beforeCommit = async () => {};
  });
});

describe("when the wait runs out", () => {
  let later: Later;
  beforeEach(() => {
    later = new Later();
    bench.deliverer.script = later.script;
  });

  test.each([
    ["takes", takes, ["delivered"]],
    ["refuses", refuses, ["quarantined"]],
    ["puts off", defers, ["queued", "delivered"]],
  ] as const)("the message is kept, and what the server %s later settles it", async (_, script, states) => {
    const given = queue.handOver(inbound("m1", bench.clock.now()), WAIT_MS);
    await bench.run(WAIT_MS - 1);
    expect(inserts()).toBe(0);
    await bench.run(1);
    expect(await given).toEqual({ kind: "kept" });
    expect(await onDisk()).toMatchObject([{ messageId: "m1", state: "active" }]);
    expect(bench.deliverer.underWay).toBe(1);
    await later.say(script);
    bench.deliverer.script = takes;
    await bench.run(HOUR);
    expect(bench.states("m1")).toEqual([...states]);
    expect(await onDisk()).toEqual([]);
    expect(queue.figures()).toMatchObject({ active: 0, bodyBytes: 0, unsettled: 0 });
  });

  test("an answer that comes while it is being stored is not lost", async () => {
    let store: () => void = () => {};
    bench.beforeCommit = () =>
      new Promise((resolve) => {
        store = resolve;
      });
    const given = queue.handOver(inbound("m1", bench.clock.now()), WAIT_MS);
    // The clock stands while a commit hangs.
    const until = bench.clock.now() + WAIT_MS;
    while (bench.clock.step(until));
    await new Promise((resolve) => setImmediate(resolve));
    await later.say(takes);
    await new Promise((resolve) => setImmediate(resolve));
    bench.beforeCommit = async () => {};
    store();
    expect(await given).toEqual({ kind: "kept" });
    await bench.run(1000);
    expect(bench.states("m1")).toEqual(["delivered"]);
    expect(await onDisk()).toEqual([]);
  });

  test("a crash then: it is tried again, as any message whose attempt was interrupted", async () => {
    const given = queue.handOver(inbound("m1", bench.clock.now()), WAIT_MS);
    await bench.run(WAIT_MS);
    expect(await given).toEqual({ kind: "kept" });
    await bench.crash();
    bench.deliverer.script = takes;
    queue = await bench.start();
    await bench.run(1000);
    expect(bench.states("m1")).toEqual(["queued", "delivered"]);
  });

  test("a crash before: nothing was promised, nothing is there", async () => {
    void queue.handOver(inbound("m1", bench.clock.now()), WAIT_MS).catch(() => {});
    await bench.run(WAIT_MS - 1);
    await bench.crash();
    queue = await bench.start();
    await bench.run(1000);
    expect(await onDisk()).toEqual([]);
  });

  test("a message too long for the row goes with its file when it is settled", async () => {
    await queue.close(0);
    bench.maxBodyInRowBytes = 10;
    queue = await bench.start();
    const given = queue.handOver(inbound("m1", bench.clock.now()), WAIT_MS);
    await bench.run(WAIT_MS);
    expect(await given).toEqual({ kind: "kept" });
    expect(await bench.bodyFiles()).toHaveLength(1);
    await later.say(takes);
    await bench.run(1000);
    expect(await bench.bodyFiles()).toEqual([]);
  });

  test("held by hand: it is held", async () => {
    const given = queue.handOver(inbound("m1", bench.clock.now()), WAIT_MS);
    await bench.run(WAIT_MS);
    await given;
    await queue.hold("m1");
    await later.say(defers);
    await bench.run(HOUR);
    expect(await onDisk()).toMatchObject([{ messageId: "m1", state: "held" }]);
  });

  test("stopping keeps what senders wait for", async () => {
    const given = queue.handOver(inbound("m1", bench.clock.now()), WAIT_MS);
    await bench.run(10);
    const closing = queue.close(20_000);
    await bench.run(WAIT_MS);
    expect(await given).toEqual({ kind: "kept" });
    await later.say(defers);
    await bench.run(20_000);
    await closing;
    queue = await bench.start();
    expect(await onDisk()).toMatchObject([{ messageId: "m1", state: "queued" }]);
  });
});

describe("not asked at all", () => {
  test("a destination that backs off: kept at once", async () => {
    bench.deliverer.script = isDown;
    await handOver("m1");
    await bench.run(0);
    expect(await handOver("m2")).toEqual({ kind: "kept" });
    expect(bench.deliverer.seen).toHaveLength(1);
    bench.deliverer.script = takes;
    bench.deliverer.greets = () => true;
    await bench.run(60_000);
    expect(bench.deliverer.delivered().map(({ attempt }) => attempt.messageId)).toEqual(["m1", "m2"]);
  });

  test("recipients with different edits, a report of success, a copy for the archive", async () => {
    const two = inbound("m1", bench.clock.now(), ["a@example.org", "b@example.org"]);
    const [first, second] = two.recipients;
    if (first === undefined || second === undefined) throw new Error("two recipients were made");
    const edits = [{ kind: "remove" as const, name: "X-A" }];
    const edited = { ...second, disposition: { kind: "deliver" as const, destination: OWN, edits } };
    const wishes = { ...first, dsn: { notify: ["SUCCESS" as const], orcpt: null } };
    for (const acceptance of [
      { ...two, recipients: [first, edited] },
      { ...two, recipients: [wishes] },
      { ...two, archive: { domain: "example.org", sender: "x" } },
    ]) {
      const given = queue.handOver(acceptance, WAIT_MS);
      await bench.run(0);
      expect(await given).toEqual({ kind: "kept" });
    }
    expect(inserts()).toBe(3);
  });
});

test("a server that hangs keeps no more senders waiting than it has places for", async () => {
  let wake: () => void = () => {};
  const woken = new Promise<void>((resolve) => {
    wake = resolve;
  });
  bench.deliverer.script = (attempt, now) => woken.then(() => takes(attempt, now));
  bench.deliverer.places = 2;
  const given = Array.from({ length: 30 }, (_, n) =>
    queue.handOver(inbound(`m${n}`, bench.clock.now()), WAIT_MS),
  );
  await bench.run(0);
  // Two under way, eight more that wait for a place; the others are on disk at once.
  expect(await onDisk()).toHaveLength(10);
  await bench.run(WAIT_MS);
  expect(await Promise.all(given)).toEqual(Array(30).fill({ kind: "kept" }));
  wake();
  await bench.run(1000);
  expect(bench.deliverer.delivered()).toHaveLength(30);
});

const step = fc.record({
  op: fc.constantFrom(
    "hand-over",
    "large",
    "accept",
    "hold-all",
    "retry-all",
    "drop",
    "wait",
    "disk",
    "crash",
  ),
  which: fc.nat({ max: 29 }),
});

test("each message that was answered with 250 is delivered, kept, dropped by hand or undeliverable; none twice without a crash", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 10, maxLength: 60 }),
      fc.infiniteStream(fc.nat({ max: 19 })),
      async (steps, luck) => {
        const own = await Bench.open();
        own.destinationFor = () => OWN;
        own.deliverer.places = 2;
        own.deliverer.greets = () => true;
        own.deliverer.script = async (attempt, now) => {
          const draw = luck.next().value;
          if (draw % 4 === 0)
            await new Promise<void>((resolve) => void own.clock.after(draw * 1000, resolve));
          if (draw < 3) return isDown(attempt, now);
          if (draw < 6) return defers(attempt, now);
          if (draw < 8) return refuses(attempt, now);
          return takes(attempt, now);
        };
        let process = await own.start();
        const told = new Map<string, string>();
        let crashes = 0;
        const asked: Promise<unknown>[] = [];
        for (const [n, { op, which }] of steps.entries()) {
          const id = `m${n}`;
          const one = inbound(id, own.clock.now());
          if (op === "hand-over" || op === "large")
            asked.push(
              process
                .handOver(op === "large" ? { ...one, message: await largeBody(own) } : one, WAIT_MS)
                .then(
                  ({ kind }) => told.set(id, kind),
                  () => told.set(id, "4xx"),
                ),
            );
          if (op === "accept")
            asked.push(
              process.accept(one).then(
                () => told.set(id, "kept"),
                () => told.set(id, "4xx"),
              ),
            );
          if (op === "hold-all") asked.push(process.hold(null).catch(() => 0));
          if (op === "retry-all") asked.push(process.retry(null).catch(() => 0));
          if (op === "drop") asked.push(process.drop(`m${which}`, "admin").catch(() => 0));
          if (op === "wait") await own.run(which * 1000);
          if (op === "disk") {
            own.beforeCommit = () => Promise.reject(new StoreError("disk-full", "no space"));
            await own.run(which * 100);
            own.beforeCommit = async () => {};
          }
          if (op === "crash") {
            crashes++;
            await own.crash();
            process = await own.start();
          }
        }
        own.deliverer.script = takes;
        await own.run(60_000);
        await process.retry(null);
        await own.run(6 * HOUR);
        const left = await process.list({ limit: 100, offset: 0 });
        const delivered = new Map<string, number>();
        for (const { attempt, outcomes } of own.deliverer.delivered())
          for (const { result } of outcomes)
            if (result === "delivered")
              delivered.set(attempt.messageId, (delivered.get(attempt.messageId) ?? 0) + 1);
        const ended = new Set([
          ...left.map(({ messageId }) => messageId),
          ...own.filed.map(({ messageId }) => messageId),
          ...own.events.flatMap((event) =>
            event.kind === "state" && event.state === "dropped" ? [event.messageId] : [],
          ),
        ]);
        for (const [id, kind] of told) {
          if (kind === "kept") expect([id, delivered.has(id) || ended.has(id)]).toEqual([id, true]);
          if (kind === "taken") expect([id, delivered.get(id)]).toEqual([id, 1]);
          if (kind === "refused") expect([id, delivered.has(id)]).toEqual([id, false]);
          if (crashes === 0) expect(delivered.get(id) ?? 0).toBeLessThanOrEqual(1);
        }
        if (crashes === 0) expect(process.figures()).toMatchObject({ active: 0, bodyBytes: 0, unsettled: 0 });
        // No file stays behind; what a crash left is gone after the start.
        if (left.length === 0) expect(await own.bodyFiles()).toEqual([]);
        await process.close(0);
        await own.close();
      },
    ),
    { numRuns: 12 },
  );
}, 120_000);
