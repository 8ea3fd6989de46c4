// Cut-through of what is in a file already, and of recipients of several domains that one server takes.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { RunningQueue } from "../../src/queue/run-queue.ts";
import { wholeBody } from "../../src/store/body-file.ts";
import { StoreError } from "../../src/store/database.ts";
import { inbound, Later, largeBody, OWN, WAIT_MS } from "./cut-through-kit.ts";
import { Bench, defers, HOUR, isDown, type Script, takes } from "./queue-kit.ts";

const OTHER = { ...OWN, key: "routes:example.net" };
const NO_SPACE = new StoreError("disk-full", "no space");
const noDisk = () => Promise.reject(NO_SPACE);

let bench: Bench;
let queue: RunningQueue;
let later: Later;
beforeEach(async () => {
  bench = await Bench.open();
  bench.destinationFor = (address) => (address.endsWith("@example.net") ? OTHER : OWN);
  later = new Later();
  bench.deliverer.script = later.script;
  bench.deliverer.places = 1;
  queue = await bench.start();
});
afterEach(async () => {
  await queue.close(0);
  await bench.close();
});

const tried = () => bench.deliverer.seen.map(({ attempt }) => attempt.messageId);
const onDisk = () => queue.list({ limit: 50, offset: 0 });
/** The attempt finds the whole of it. */
const reads =
  (script: Script): Script =>
  async (attempt, now) => {
    await wholeBody(attempt.message);
    return script(attempt, now);
  };

/** The answer, or the failure as a value, once that is there. */
async function large(id: string): Promise<{ readonly given: Promise<unknown> }> {
  const message = await largeBody(bench);
  const given = queue
    .handOver({ ...inbound(id, bench.clock.now()), message }, WAIT_MS)
    .catch((error: unknown) => error);
  await bench.run(0);
  return { given };
}

describe("a message in a file", () => {
  test.each([
    ["taken", takes, { kind: "taken" }],
    ["put off", defers, NO_SPACE],
  ] as const)(
    "cannot be stored after the wait; then it is %s: the file stays so long, and goes",
    async (_, script, answer) => {
      const { given } = await large("m1");
      bench.beforeCommit = noDisk;
      await bench.run(WAIT_MS);
      bench.beforeCommit = async () => {};
      expect(await bench.bodyFiles()).toHaveLength(1);
      await later.say(reads(script));
      expect(await given).toEqual(answer);
      await bench.run(HOUR);
      expect(await bench.bodyFiles()).toEqual([]);
      expect(await onDisk()).toEqual([]);
      expect(tried()).toEqual(["m1"]);
      expect(queue.figures()).toMatchObject({ active: 0, bodyBytes: 0 });
    },
  );

  test("its file cannot be kept: nobody is asked, and nothing is held", async () => {
    const keep = bench.spool.keepBody;
    Object.assign(bench.spool, { keepBody: noDisk });
    const { given } = await large("m1");
    expect(await given).toBe(NO_SPACE);
    expect(tried()).toEqual([]);
    expect(bench.alarms).toMatchObject([{ name: "disk-full" }]);
    Object.assign(bench.spool, { keepBody: keep });
    expect(queue.figures()).toMatchObject({ active: 0, bodyBytes: 0 });
  });

  test("its server goes away before its turn: kept, and delivered later", async () => {
    await large("m1");
    const { given: second } = await large("m2");
    await later.say(isDown);
    await bench.run(0);
    expect(await second).toEqual({ kind: "kept" });
    expect(await onDisk()).toHaveLength(2);
    bench.deliverer.script = reads(takes);
    await bench.run(HOUR);
    expect(tried().toSorted()).toEqual(["m1", "m1", "m2"]);
    expect(await bench.bodyFiles()).toEqual([]);
  });

  test("the gateway stops before its turn: kept, and delivered after the start", async () => {
    await large("m1");
    const { given: second } = await large("m2");
    const closing = queue.close(20_000);
    await bench.run(0);
    expect(await second).toEqual({ kind: "kept" });
    await later.say(takes);
    await bench.run(20_000);
    await closing;
    bench.deliverer.script = reads(takes);
    queue = await bench.start();
    await bench.run(HOUR);
    expect(tried()).toEqual(["m1", "m2"]);
    expect(await bench.bodyFiles()).toEqual([]);
  });

  test("a crash before: nothing was promised, and the next start removes the file", async () => {
    await large("m1");
    await bench.crash();
    queue = await bench.start();
    await bench.run(1000);
    expect(await onDisk()).toEqual([]);
    expect(await bench.bodyFiles()).toEqual([]);
  });

  test("a server that hangs keeps no more of their senders waiting than large mail has places", async () => {
    bench.deliverer.places = 4;
    let wake: () => void = () => {};
    const woken = new Promise<void>((resolve) => {
      wake = resolve;
    });
    bench.deliverer.script = (attempt, now) => woken.then(() => takes(attempt, now));
    const given: Promise<unknown>[] = [];
    for (let n = 0; n < 12; n++) given.push((await large(`m${n}`)).given);
    // Two under way and four ready; the others are on disk at once.
    expect(await onDisk()).toHaveLength(6);
    expect(bench.deliverer.underWay).toBe(2);
    await bench.run(WAIT_MS);
    expect(await Promise.all(given)).toEqual(Array(12).fill({ kind: "kept" }));
    wake();
    await bench.run(HOUR);
    expect(tried().toSorted()).toEqual(Array.from({ length: 12 }, (_, n) => `m${n}`).toSorted());
  });
});

describe("recipients of two domains with the same routes", () => {
  const hand = async () => {
    const made = inbound("m1", bench.clock.now(), ["a@example.org", "b@example.net"]);
    const recipients = made.recipients.map((one, n) => ({
      ...one,
      disposition: { kind: "deliver" as const, destination: n === 0 ? OWN : OTHER, edits: [] },
    }));
    const given = queue.handOver({ ...made, recipients }, WAIT_MS);
    await bench.run(0);
    return given;
  };
  const states = () => bench.states("m1").filter((state) => state === "delivered");

  test("put off: each waits at its own destination", async () => {
    bench.deliverer.script = defers;
    expect(await hand()).toEqual({ kind: "kept" });
    await bench.run(0);
    expect(tried()).toEqual(["m1"]);
    expect((await onDisk()).map(({ destination }) => destination)).toEqual([OWN.key, OTHER.key]);
    bench.deliverer.script = takes;
    await bench.run(HOUR);
    expect(states()).toHaveLength(2);
    expect(tried()).toEqual(["m1", "m1", "m1"]);
  });

  test("their server goes away before their turn: the same", async () => {
    const { given: first } = await large("m0");
    const given = queue.handOver(inbound("m2", bench.clock.now()), 1);
    const two = hand();
    await bench.run(2);
    expect(await given).toEqual({ kind: "kept" });
    await bench.run(WAIT_MS);
    expect([await first, await two]).toEqual([{ kind: "kept" }, { kind: "kept" }]);
    await later.say(isDown);
    bench.deliverer.script = takes;
    await bench.run(HOUR);
    expect(states()).toHaveLength(2);
    expect(await onDisk()).toEqual([]);
  });
});
