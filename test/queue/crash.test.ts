// The process dies at each commit boundary: nothing that was answered 250 is lost, only what was in flight may arrive twice.
import { afterEach, beforeEach, expect, test } from "bun:test";
import type { Acceptance } from "../../src/queue/queue.ts";
import { small } from "../message/small-body.ts";
import { Bench, BODY, defers, HOUR, mail, refuses, takes } from "./queue-kit.ts";

let bench: Bench;
beforeEach(async () => {
  bench = await Bench.open();
});
afterEach(() => bench.close());

const never = () => new Promise<never>(() => {});

/** Runs a life that ends with a crash around the given commit, then a second life to the end. */
async function twoLives(life: {
  readonly mails: readonly Acceptance[];
  readonly crashAt: number;
  readonly when: "before" | "after";
}): Promise<{ readonly accepted: ReadonlySet<string>; readonly deliveries: ReadonlyMap<string, number> }> {
  const first = await bench.start();
  const accepted = new Set<string>();
  let commits = 0;
  let crashed = false;
  const crash = new Promise<void>((resolve) => {
    bench.beforeCommit = async () => {
      if (++commits < life.crashAt) return;
      if (life.when === "before" || commits > life.crashAt) {
        crashed = true;
        resolve();
        await never();
      }
    };
  });
  const work = (async () => {
    for (const one of life.mails) {
      await first.accept(one);
      accepted.add(one.envelope.id);
    }
    for (let turn = 0; turn < 400 && !crashed; turn++) {
      bench.clock.step(bench.clock.now() + 10_000);
      await new Promise<void>((resolve) => setTimeout(resolve, 1));
    }
  })();
  await Promise.race([crash, work]);
  await new Promise<void>((resolve) => setTimeout(resolve, 5));
  await bench.crash();
  bench.beforeCommit = async () => {};
  const second = await bench.start();
  await bench.run(24 * HOUR);
  expect(await second.counts()).toEqual({ queued: 0, held: 0, oldestReceivedAt: null });
  const deliveries = new Map<string, number>();
  for (const { attempt } of bench.deliverer.delivered()) {
    expect(new TextDecoder().decode(small(attempt.message))).toBe(BODY);
    deliveries.set(attempt.messageId, (deliveries.get(attempt.messageId) ?? 0) + 1);
  }
  return { accepted, deliveries };
}

for (const when of ["before", "after"] as const) {
  for (let crashAt = 1; crashAt <= 12; crashAt++) {
    test(`a crash ${when} commit ${crashAt} loses nothing`, async () => {
      const mails = [1, 2, 3].map((i) => mail({ id: `m${i}`, to: [`bob${i}@example.org`] }));
      const { accepted, deliveries } = await twoLives({ mails, crashAt, when });
      for (const id of accepted) expect(deliveries.get(id) ?? 0).toBeGreaterThanOrEqual(1);
      for (const count of deliveries.values()) expect(count).toBeLessThanOrEqual(2);
    });
  }
}

test("an attempt that a crash interrupted is tried again and the log says so", async () => {
  const queue = await bench.start();
  bench.deliverer.script = never;
  await queue.accept(mail({ id: "m1" }));
  await bench.busy.rest();
  await bench.crash();
  bench.deliverer.script = takes;
  const again = await bench.start();
  await bench.run(HOUR);
  expect(bench.deliverer.delivered().length).toBe(1);
  const interrupted = bench.events.find((event) => event.kind === "state" && event.state === "queued");
  expect(interrupted).toMatchObject({ messageId: "m1", words: expect.stringContaining("may arrive twice") });
  expect((await again.counts()).queued).toBe(0);
});

test("the back-off and the tries survive a restart", async () => {
  bench.deliverer.script = defers;
  await (await bench.start()).accept(mail({ id: "m1" }));
  await bench.run(2 * HOUR);
  const [entry] = await bench.spool.ofMessage("m1");
  await bench.crash();
  const tried = bench.deliverer.seen.length;
  const queue = await bench.start();
  await bench.run(60_000);
  expect(bench.deliverer.seen.length).toBe(tried);
  const [line] = await queue.list({ limit: 10, offset: 0 });
  expect(line).toMatchObject({
    messageId: "m1",
    tries: tried,
    nextAttemptAt: entry?.recipient.nextAttemptAt ?? 0,
  });
  expect(line?.lastReply).toBe("451 4.7.1 Greylisted");
});

test("a notice is on disk as soon as its message is not: a crash right after loses neither", async () => {
  const queue = await bench.start();
  bench.deliverer.script = (attempt, now) => (attempt.reversePath === "" ? never() : refuses(attempt, now));
  await queue.accept(mail({ id: "m1" }));
  await bench.busy.rest();
  expect(await bench.spool.ofMessage("m1")).toEqual([]);
  await bench.crash();
  bench.deliverer.script = takes;
  await bench.start();
  await bench.run(HOUR);
  expect(bench.deliverer.delivered().map(({ attempt }) => attempt.recipients[0]?.address)).toEqual([
    "alice@example.test",
  ]);
});

test("events that did not reach the log before the crash reach it after", async () => {
  const queue = await bench.start();
  bench.writeLog = async () => {
    throw new Error("gatepost.db is away");
  };
  await queue.accept(mail({ id: "m1" }));
  await bench.run(1000);
  expect(bench.events.length).toBe(0);
  await bench.crash();
  bench.writeLog = async (events) => void bench.events.push(...events);
  await bench.start();
  await bench.run(1000);
  expect(bench.events.map((event) => event.kind)).toEqual(["message", "attempt", "state"]);
});

test("close waits for attempts under way and leaves the rest on disk for the next start", async () => {
  bench.deliverer.places = 1;
  let finish = () => {};
  bench.deliverer.script = async (attempt, now) => {
    await new Promise<void>((resolve) => {
      finish = resolve;
    });
    return takes(attempt, now);
  };
  const queue = await bench.start();
  await queue.accept(mail({ id: "m1" }));
  await queue.accept(mail({ id: "m2" }));
  await bench.busy.rest();
  const closing = queue.close(10_000);
  await expect(queue.accept(mail({ id: "m3" }))).rejects.toThrow("closed");
  finish();
  await bench.run(1000);
  await closing;
  expect(bench.deliverer.delivered().map(({ attempt }) => attempt.messageId)).toEqual(["m1"]);
  const [left] = await bench.spool.ofMessage("m2");
  expect(left?.recipient.state).toBe("queued");
  await bench.crash();
  bench.deliverer.script = takes;
  await bench.start();
  await bench.run(1000);
  expect(bench.deliverer.delivered().map(({ attempt }) => attempt.messageId)).toEqual(["m1", "m2"]);
});
