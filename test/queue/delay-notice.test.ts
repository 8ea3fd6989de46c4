// The delay notice comes when its time has passed: however short that is, once for a message, to who wants it, over crashes too.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { RecipientDsn } from "../../src/message/envelope.ts";
import type { QueueOptions } from "../../src/queue/run-queue.ts";
import { small } from "../message/small-body.ts";
import { Bench, DAY, defers, HOUR, isDown, mail, refuses, type Script, START, takes } from "./queue-kit.ts";

const MINUTE = 60_000;
const AFTER = 20_000;

let bench: Bench;
beforeEach(async () => {
  bench = await Bench.open();
});
afterEach(() => bench.close());

const retrying = (retryMs: readonly number[], delayNoticeAfterMs = AFTER): Partial<QueueOptions> => ({
  settings: () => ({ retryMs, giveUpAfterMs: 5 * DAY, delayNoticeAfterMs }),
});
/** The notices arrive, other mail meets `script`. */
const noticesPass =
  (script: Script): Script =>
  (attempt, now) =>
    attempt.reversePath === "" ? takes(attempt, now) : script(attempt, now);

interface Told {
  readonly at: number;
  readonly about: readonly string[];
}
function told(): readonly Told[] {
  return bench.deliverer.seen.flatMap(({ at, attempt, outcomes }) => {
    const text = attempt.reversePath === "" ? small(attempt.message).toString() : "";
    const about = [...text.matchAll(/^Final-Recipient: rfc822; (\S+)\r\nAction: delayed/gm)];
    const arrived = outcomes.some(({ result }) => result === "delivered");
    return about.length > 0 && arrived
      ? [{ at: at - START, about: about.map(([, address = ""]) => address).sort() }]
      : [];
  });
}

describe("soon after its time", () => {
  for (const [name, script] of [
    ["a server that defers", defers],
    ["a server that is away", isDown],
  ] as const)
    for (const after of [1000, 5000, AFTER, 70_000, 9 * MINUTE, 11 * MINUTE, 4 * HOUR])
      test(`${name}, after ${after / 1000} s`, async () => {
        bench.deliverer.script = noticesPass(script);
        const queue = await bench.start(retrying([2000, 3000, HOUR], after));
        // Not at the start: the queue has looked ahead already.
        await bench.run(90_000);
        await queue.accept(mail({ now: START + 90_000 }));
        await bench.run(after + 15 * MINUTE);
        expect(told()).toHaveLength(1);
        const lateMs = (told()[0]?.at ?? 0) - 90_000 - after;
        expect(lateMs).toBeGreaterThanOrEqual(0);
        expect(lateMs).toBeLessThan(5000);
      }, 60_000);

  test("when the attempt under way at that time has ended", async () => {
    bench.deliverer.script = noticesPass(async (attempt, now) => {
      await new Promise<void>((resolve) => void bench.clock.after(100_000, resolve));
      return defers(attempt, now);
    });
    const queue = await bench.start(retrying([HOUR]));
    await queue.accept(mail());
    await bench.run(HOUR / 2);
    expect(told()).toHaveLength(1);
    expect(told()[0]?.at).toBeLessThan(105_000);
  });

  for (const [retry, slow, after] of [
    [1000, 300, 19_300],
    [1000, 950, 18_800],
    [2000, 30_000, AFTER],
  ] as const)
    test(`tries that take ${slow} ms with pauses of ${retry} ms do not hold it up`, async () => {
      bench.deliverer.script = noticesPass(async (attempt, now) => {
        await new Promise<void>((resolve) => void bench.clock.after(slow, resolve));
        return defers(attempt, now);
      });
      // The pauses are as short as they can be, and it is being tried when its time comes.
      const queue = await bench.start({ ...retrying([retry], after), random: () => 0 });
      await queue.accept(mail({ to: ["a@one.example", "b@one.example", "c@one.example"] }));
      await bench.run(2 * MINUTE);
      expect(told()).toHaveLength(1);
      expect(told()[0]?.about).toHaveLength(3);
      expect(told()[0]?.at).toBeLessThan(after + slow + 1500);
    });

  test("mail that was held meanwhile: when it still cannot be delivered afterwards, and once", async () => {
    bench.deliverer.script = noticesPass(defers);
    const queue = await bench.start(retrying([12 * HOUR]));
    await queue.accept(mail({ id: "m1" }));
    await bench.run(5000);
    await queue.hold("m1");
    await bench.run(HOUR);
    expect(told()).toHaveLength(0);
    await queue.retry("m1");
    await bench.run(MINUTE);
    expect(told()).toHaveLength(1);
    // More time after it was told: no second notice where the first end would have been.
    await bench.run(4.5 * DAY);
    await queue.hold("m1");
    await bench.run(HOUR);
    await queue.retry("m1");
    await bench.run(DAY - 2 * HOUR);
    expect(told()).toHaveLength(1);
  }, 60_000);
});

describe("once for a message", () => {
  const TO = ["a@one.example", "b@two.example", "c@three.example"];

  test("several destinations", async () => {
    bench.deliverer.script = noticesPass((attempt, now) =>
      attempt.destination.key === "mx:two.example" ? isDown(attempt, now) : defers(attempt, now),
    );
    const queue = await bench.start(retrying([2000, 3000, 10 * MINUTE]));
    await queue.accept(mail({ to: TO }));
    await bench.run(HOUR);
    expect(told().map(({ about }) => about)).toEqual([TO]);
  }, 60_000);

  test("one of them is slow to answer just then", async () => {
    bench.deliverer.script = noticesPass(async (attempt, now) => {
      if (attempt.destination.key === "mx:two.example")
        await new Promise<void>((resolve) => void bench.clock.after(50_000, resolve));
      return defers(attempt, now);
    });
    const queue = await bench.start(retrying([5000, 10_000, 10 * MINUTE]));
    await queue.accept(mail({ to: TO }));
    await bench.run(25 * MINUTE);
    expect(told().map(({ about }) => about)).toEqual([TO]);
    expect(told()[0]?.at).toBeLessThan(AFTER + 5000);
  });

  for (const [name, script, about] of [
    ["deferred", defers, ["a@one.example", "b@two.example"]],
    ["delivered", takes, ["a@one.example"]],
    ["refused", refuses, ["a@one.example"]],
  ] as const)
    test(`an attempt of another recipient ends while it is made: ${name}`, async () => {
      let end = () => {};
      bench.deliverer.script = noticesPass(async (attempt, now) => {
        if (attempt.destination.key === "mx:one.example") return defers(attempt, now);
        await new Promise<void>((resolve) => {
          end = resolve;
        });
        return script(attempt, now);
      });
      const queue = await bench.start(retrying([5000, HOUR]));
      const { bodyStart } = bench.spool;
      Object.assign(bench.spool, {
        async bodyStart(...of: Parameters<typeof bodyStart>) {
          const { length } = bench.units;
          end();
          while (bench.units.length === length) await new Promise((resolve) => setImmediate(resolve));
          return bodyStart(...of);
        },
      });
      await queue.accept(mail({ to: TO.slice(0, 2) }));
      await bench.run(HOUR / 2);
      expect(told().map((one) => one.about)).toEqual([about]);
    });

  test("who has it already is not named", async () => {
    bench.deliverer.script = noticesPass((attempt, now) =>
      attempt.destination.key === "mx:two.example" ? takes(attempt, now) : defers(attempt, now),
    );
    const queue = await bench.start(retrying([5000, 10 * MINUTE]));
    await queue.accept(mail({ to: TO }));
    await bench.run(15 * MINUTE);
    expect(told().map(({ about }) => about)).toEqual([["a@one.example", "c@three.example"]]);
  });
});

describe("to who wants it", () => {
  const asked = (...notify: NonNullable<RecipientDsn["notify"]>): RecipientDsn => ({ notify, orcpt: null });
  for (const [name, options, count] of [
    ["no NOTIFY", {}, 1],
    ["NOTIFY=DELAY", { dsn: asked("DELAY") }, 1],
    ["NOTIFY=SUCCESS,DELAY,FAILURE", { dsn: asked("SUCCESS", "DELAY", "FAILURE") }, 1],
    ["NOTIFY=NEVER", { dsn: asked("NEVER") }, 0],
    ["NOTIFY=FAILURE", { dsn: asked("FAILURE") }, 0],
    ["NOTIFY=SUCCESS", { dsn: asked("SUCCESS") }, 0],
    ["NOTIFY=SUCCESS,FAILURE", { dsn: asked("SUCCESS", "FAILURE") }, 0],
    ["the null reverse-path", { from: null }, 0],
    ["the null reverse-path with NOTIFY=DELAY", { from: null, dsn: asked("DELAY") }, 0],
    ["a sender who proves nothing", { mayBounce: false }, 0],
    ["a sender who proves nothing, with NOTIFY=DELAY", { mayBounce: false, dsn: asked("DELAY") }, 0],
  ] as const)
    test(name, async () => {
      bench.deliverer.script = (attempt, now) =>
        attempt.messageId === "m1" ? defers(attempt, now) : takes(attempt, now);
      const queue = await bench.start(retrying([5000, HOUR]));
      await queue.accept(mail({ id: "m1", ...options }));
      await bench.run(20 * MINUTE);
      expect(told()).toHaveLength(count);
      expect((await queue.counts()).queued).toBe(1);
    });

  test("a notice that is itself delayed: nobody is told of that", async () => {
    bench.deliverer.script = defers;
    const queue = await bench.start(retrying([5000, HOUR]));
    await queue.accept(mail({ id: "m1" }));
    await bench.run(HOUR / 2);
    expect((await queue.counts()).queued).toBe(2);
  });
});

describe("over a crash", () => {
  test("its time passes while the gateway is off", async () => {
    bench.deliverer.script = noticesPass(defers);
    const queue = await bench.start(retrying([HOUR]));
    await queue.accept(mail());
    await bench.run(5000);
    await bench.crash();
    await bench.run(HOUR / 2);
    await bench.start(retrying([HOUR]));
    await bench.run(5000);
    expect(told()).toHaveLength(1);
  });

  test("at any commit around it: one notice in the queue, never none, never two", async () => {
    for (let dying = 0; dying < 8; dying++) {
      await bench.close();
      bench = await Bench.open();
      bench.deliverer.script = noticesPass(defers);
      const queue = await bench.start(retrying([15_000, HOUR]));
      await queue.accept(mail({ to: ["a@one.example", "b@two.example"] }));
      await bench.run(AFTER - 6000);
      let commits = 0;
      bench.beforeCommit = () => (commits++ < dying ? Promise.resolve() : new Promise(() => {}));
      // What never answers is not waited for.
      await Promise.race([bench.run(20_000), Bun.sleep(200)]);
      bench.beforeCommit = async () => {};
      await bench.crash();
      await bench.start(retrying([15_000, HOUR]));
      await bench.run(2 * MINUTE);
      // A notice whose delivery was not written down in time may arrive again; it is the same one.
      const ids = bench.deliverer.seen.flatMap(({ attempt, outcomes }) =>
        attempt.reversePath === "" && outcomes.some(({ result }) => result === "delivered")
          ? [attempt.messageId]
          : [],
      );
      expect([dying, new Set(ids).size]).toEqual([dying, 1]);
    }
  }, 60_000);
});

test("a long queue that waits costs one look at its deadlines, not one for each message", async () => {
  bench.deliverer.script = isDown;
  const queue = await bench.start(retrying([HOUR], 4 * HOUR));
  await Promise.all(Array.from({ length: 300 }, (_, i) => queue.accept(mail({ id: `m${i}` }))));
  await bench.busy.rest();
  let looks = 0;
  const { pastDeadline } = bench.spool;
  Object.assign(bench.spool, {
    pastDeadline(until: number, limit: number) {
      looks++;
      return pastDeadline(until, limit);
    },
  });
  await bench.run(HOUR);
  expect(looks).toBeLessThanOrEqual(7);
});
