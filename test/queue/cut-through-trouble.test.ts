// Cut-through when an administrator steps in, the disk says no, or the message is none of the queue's yet.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { HandedOver } from "../../src/queue/cut-through.ts";
import type { QueueOptions, RunningQueue } from "../../src/queue/run-queue.ts";
import { StoreError } from "../../src/store/database.ts";
import { inbound, Later, OWN, WAIT_MS } from "./cut-through-kit.ts";
import { Bench, defers, HOUR, isDown, refuses, takes } from "./queue-kit.ts";

let bench: Bench;
let queue: RunningQueue;
let later: Later;
beforeEach(async () => {
  bench = await Bench.open();
  bench.destinationFor = () => OWN;
  later = new Later();
  bench.deliverer.script = later.script;
  // The second message waits for a place.
  bench.deliverer.places = 1;
});
afterEach(async () => {
  await queue.close(0);
  await bench.close();
});

const NO_SPACE = new StoreError("disk-full", "no space");
const noDisk = () => Promise.reject(NO_SPACE);
const hand = (id: string, to?: readonly string[]) =>
  queue.handOver(inbound(id, bench.clock.now(), to), WAIT_MS);
const onDisk = () => queue.list({ limit: 10, offset: 0 });
const tried = () => bench.deliverer.seen.map(({ attempt }) => attempt.messageId);

/** The same, its failure as a value. */
function asked(id: string, to?: readonly string[]): Promise<HandedOver | unknown> {
  return hand(id, to).catch((error: unknown) => error);
}

describe("stored after the wait, and not dialled yet", () => {
  const wishes = [
    ["hold", "held", () => queue.hold("m2")],
    ["hold all", "held", () => queue.hold(null)],
    ["drop", "dropped", () => queue.drop("m2", "admin")],
  ] as const;
  const ways: readonly (readonly [string, () => Promise<unknown>])[] = [
    ["its turn comes", () => later.say(takes)],
    ["its server goes away", () => later.say(isDown)],
    [
      "the gateway stops",
      async () => {
        const closing = queue.close(100);
        await bench.run(5000);
        await closing;
        bench.deliverer.script = takes;
        queue = await bench.start();
      },
    ],
  ];
  for (const [wish, state, ask] of wishes) {
    for (const [way, happens] of ways) {
      test(`${wish}, then ${way}: it is ${state}`, async () => {
        queue = await bench.start();
        const given = [hand("m1"), hand("m2")];
        await bench.run(WAIT_MS);
        expect(await Promise.all(given)).toEqual([{ kind: "kept" }, { kind: "kept" }]);
        expect(await ask()).toBe(wish === "hold all" ? 2 : 1);
        bench.deliverer.script = takes;
        bench.deliverer.greets = () => true;
        await happens();
        await bench.run(HOUR);
        expect(bench.states("m2")).toEqual([state]);
        expect(tried()).not.toContain("m2");
        const left = (await onDisk()).filter(({ messageId }) => messageId === "m2");
        expect(left.map((entry) => entry.state)).toEqual(state === "held" ? ["held"] : []);
        expect(queue.figures()).toMatchObject({ active: 0, bodyBytes: 0, unsettled: 0 });
      });
    }
  }
});

describe("the wait ran out and it cannot be stored: the answer of the attempt under way counts", () => {
  /** The sender still waits after it. */
  async function waitInVain(given: readonly Promise<unknown>[]): Promise<void> {
    let told = 0;
    for (const one of given) void one.then(() => told++);
    bench.beforeCommit = noDisk;
    await bench.run(WAIT_MS + 60_000);
    expect(told).toBe(0);
    bench.beforeCommit = async () => {};
  }
  afterEach(async () => {
    await bench.run(HOUR);
    expect(await onDisk()).toEqual([]);
    expect(queue.figures()).toMatchObject({ active: 0, bodyBytes: 0, unsettled: 0 });
  });

  const finals = [
    ["taken", takes, "delivered"],
    ["refused", refuses, "refused"],
  ] as const;
  for (const [kind, script, state] of finals) {
    test(`${kind}: so it is told and logged`, async () => {
      queue = await bench.start();
      const given = asked("m1");
      await waitInVain([given]);
      await later.say(script);
      expect(await given).toMatchObject({ kind });
      await bench.run(1000);
      expect(bench.events.map((event) => event.kind)).toEqual(["message", "attempt", "state"]);
      expect(bench.states("m1")).toEqual([state]);
    });
  }

  test("the answer comes while the disk is about to say no", async () => {
    queue = await bench.start();
    let sayNo: () => void = () => {};
    bench.beforeCommit = () =>
      new Promise((_, reject) => {
        sayNo = () => reject(NO_SPACE);
      });
    const given = asked("m1");
    // The clock stands while a commit hangs.
    const until = bench.clock.now() + WAIT_MS;
    await new Promise((resolve) => setImmediate(resolve));
    while (bench.clock.step(until));
    await new Promise((resolve) => setImmediate(resolve));
    await later.say(takes);
    await new Promise((resolve) => setImmediate(resolve));
    bench.beforeCommit = async () => {};
    sayNo();
    expect(await given).toEqual({ kind: "taken" });
  });

  test("put off: the sender hears of the disk and sends again; the attempt is logged", async () => {
    queue = await bench.start();
    const given = asked("m1");
    await waitInVain([given]);
    await later.say(defers);
    expect(await given).toBe(NO_SPACE);
    await bench.run(1000);
    expect(bench.events.map((event) => event.kind)).toEqual(["attempt"]);
    expect(tried()).toEqual(["m1"]);
  });

  test("put off while it could not be stored at once: the same", async () => {
    queue = await bench.start();
    const given = asked("m1");
    await bench.run(0);
    bench.beforeCommit = noDisk;
    await later.say(defers);
    expect(await given).toBe(NO_SPACE);
    bench.beforeCommit = async () => {};
  });

  test("taken for one only: the sender sends again, the log has who got it", async () => {
    queue = await bench.start();
    const given = asked("m1", ["a@example.org", "b@example.org"]);
    await waitInVain([given]);
    await later.say(async (attempt, now) => [
      ...(await takes(attempt, now)).slice(0, 1),
      ...(await defers(attempt, now)).slice(1),
    ]);
    expect(await given).toBe(NO_SPACE);
    await bench.run(1000);
    expect(bench.events.map((event) => event.kind)).toEqual(["attempt", "state"]);
    expect(bench.states("m1")).toEqual(["delivered"]);
  });

  test("not dialled yet: it never is, and its sender is told when its turn comes", async () => {
    queue = await bench.start();
    const given = [asked("m1"), asked("m2")] as const;
    await waitInVain(given);
    await later.say(takes);
    expect(await Promise.all(given)).toEqual([{ kind: "taken" }, NO_SPACE]);
    await bench.run(1000);
    expect(tried()).toEqual(["m1"]);
  });
});

describe("the watch over the disk", () => {
  class Watch implements Pick<QueueOptions["storage"], "refusal" | "written" | "failed"> {
    why: StoreError | null = null;
    readonly heard: string[] = [];
    readonly asked: number[] = [];
    refusal(bytes: number): StoreError | null {
      this.asked.push(bytes);
      return this.why;
    }
    written(): void {
      this.heard.push("written");
    }
    failed(): void {
      this.heard.push("failed");
    }
  }
  let watch: Watch;
  beforeEach(async () => {
    watch = new Watch();
    queue = await bench.start({ storage: watch });
  });

  test("is asked before a message is stored after the wait; its own refusal is no failed write", async () => {
    const given = asked("m1");
    watch.why = NO_SPACE;
    const before = bench.units.length;
    await bench.run(WAIT_MS);
    expect(watch.asked).toEqual([inbound("m1", 0).message.length]);
    expect(bench.units.length).toBe(before);
    await later.say(defers);
    expect(await given).toBe(NO_SPACE);
    expect(watch.heard).toEqual([]);
  });

  test("hears that it was stored, and once that it was not", async () => {
    const first = hand("m1");
    await bench.run(WAIT_MS);
    expect(await first).toEqual({ kind: "kept" });
    expect(watch.heard).toEqual(["written"]);
    await later.say(takes);
    await bench.run(1000);
    const second = asked("m2");
    await bench.run(0);
    bench.beforeCommit = noDisk;
    await later.say(defers);
    expect(await second).toBe(NO_SPACE);
    bench.beforeCommit = async () => {};
    expect(watch.heard).toEqual(["written", "failed"]);
  });

  test("what is kept at once and refused by it is no failed write either; a failed one is told once", async () => {
    bench.deliverer.script = isDown;
    const closing = hand("m1");
    await bench.run(0);
    await closing;
    watch.heard.length = 0;
    watch.why = NO_SPACE;
    expect(await asked("m2")).toBe(NO_SPACE);
    expect(watch.heard).toEqual([]);
    watch.why = null;
    bench.beforeCommit = noDisk;
    expect(await asked("m3")).toBe(NO_SPACE);
    bench.beforeCommit = async () => {};
    expect(watch.heard).toEqual(["failed"]);
  });
});

describe("whose sender has no answer yet", () => {
  test("is not counted, and not held with the rest", async () => {
    queue = await bench.start();
    const given = [hand("m1"), hand("m2")];
    await bench.run(WAIT_MS - 1);
    expect(await queue.counts()).toMatchObject({ queued: 0, held: 0 });
    expect(await queue.hold(null)).toBe(0);
    expect(await queue.hold("m2")).toBe(0);
    bench.deliverer.script = takes;
    await later.say(takes);
    await bench.run(0);
    expect(await Promise.all(given)).toEqual([{ kind: "taken" }, { kind: "taken" }]);
  });

  test("is counted once it is stored", async () => {
    queue = await bench.start();
    const given = [hand("m1"), hand("m2")];
    await bench.run(WAIT_MS);
    await Promise.all(given);
    expect(await queue.counts()).toMatchObject({ queued: 2, held: 0 });
    expect(await queue.hold(null)).toBe(2);
    await later.say(takes);
    await bench.run(1000);
    expect(await queue.counts()).toMatchObject({ queued: 0, held: 1 });
  });
});

test("what is not handed over is prepared for the disk once", async () => {
  bench.deliverer.script = isDown;
  queue = await bench.start();
  const closing = hand("m1");
  await bench.run(0);
  await closing;
  const before = bench.spool.lastMessageSeq();
  expect(await hand("m2")).toEqual({ kind: "kept" });
  expect(bench.spool.lastMessageSeq() - before).toBe(1);
});
