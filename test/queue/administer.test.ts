// What people do with the queue: list, try now, hold, drop; and the quarantine's way in and out.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { StoreError } from "../../src/store/database.ts";
import { small } from "../message/small-body.ts";
import { Bench, BODY, byMx, DAY, defers, HOUR, isDown, mail, takes } from "./queue-kit.ts";

let bench: Bench;
beforeEach(async () => {
  bench = await Bench.open();
});
afterEach(() => bench.close());

test("retry tries now, also behind a closed destination", async () => {
  bench.deliverer.script = isDown;
  const queue = await bench.start();
  for (const id of ["m1", "m2", "m3"]) await queue.accept(mail({ id, mayBounce: false }));
  await bench.run(6 * HOUR);
  bench.deliverer.script = takes;
  const retrying = queue.retry(null);
  await bench.run(10);
  expect(await retrying).toBe(3);
  await bench.run(1000);
  expect(bench.deliverer.delivered().length).toBe(3);
});

test("held mail waits until it is tried again, however long", async () => {
  bench.deliverer.script = defers;
  const queue = await bench.start();
  await queue.accept(mail({ id: "m1" }));
  await bench.run(60_000);
  expect(await queue.hold("m1")).toBe(1);
  bench.deliverer.script = takes;
  await bench.run(7 * DAY);
  expect(bench.deliverer.delivered().length).toBe(0);
  expect(await queue.counts()).toMatchObject({ queued: 0, held: 1 });
  expect((await queue.list({ limit: 10, offset: 0 }))[0]?.state).toBe("held");
  expect(await queue.retry("m1")).toBe(1);
  await bench.run(60_000);
  expect(bench.deliverer.delivered().map(({ attempt }) => attempt.messageId)).toEqual(["m1"]);
  expect(bench.states("m1")).toEqual(["queued", "queued", "held", "queued", "delivered"]);
});

test("hold during an attempt counts when the attempt does not deliver", async () => {
  let finish = () => {};
  bench.deliverer.script = async (attempt, now) => {
    await new Promise<void>((resolve) => {
      finish = resolve;
    });
    return defers(attempt, now);
  };
  const queue = await bench.start();
  await queue.accept(mail({ id: "m1" }));
  expect(await queue.hold(null)).toBe(1);
  finish();
  await bench.run(1000);
  expect(await queue.counts()).toMatchObject({ queued: 0, held: 1 });
});

test("dropped mail is gone without a notice, and the log says who did it", async () => {
  bench.deliverer.script = defers;
  const queue = await bench.start();
  await queue.accept(mail({ id: "m1", to: ["a@example.org", "b@example.net"] }));
  await bench.run(60_000);
  expect(await queue.drop("m1", "admin@example.test")).toBe(2);
  expect(await queue.drop("m1", "admin@example.test")).toBe(0);
  const before = bench.deliverer.seen.length;
  await bench.run(6 * DAY);
  expect(bench.deliverer.seen.length).toBe(before);
  expect(await queue.counts()).toEqual({ queued: 0, held: 0, oldestReceivedAt: null });
  const dropped = bench.events.filter((event) => event.kind === "state" && event.state === "dropped");
  expect(dropped.length).toBe(2);
  expect(dropped[0]).toMatchObject({ words: "Dropped by admin@example.test" });
});

test("quarantined copies are filed and leave the spool, the other recipients get theirs", async () => {
  const queue = await bench.start();
  await queue.accept(
    mail({
      id: "m1",
      to: ["a@example.org", "bad@example.org", "silent@example.org"],
      disposition: (address) =>
        address.startsWith("a")
          ? { kind: "deliver", destination: byMx(address), edits: [] }
          : address.startsWith("bad")
            ? { kind: "quarantine", destination: byMx(address), rule: "virus", words: "Eicar found" }
            : { kind: "discard" },
    }),
  );
  await bench.run(1000);
  expect(
    bench.filed.map(({ recipient, rule, direction, subject }) => ({ recipient, rule, direction, subject })),
  ).toEqual([{ recipient: "bad@example.org", rule: "virus", direction: "outbound", subject: "Offer" }]);
  expect(new TextDecoder().decode(small(bench.filed[0]?.message))).toBe(BODY);
  expect(bench.deliverer.delivered().length).toBe(1);
  expect(await queue.counts()).toEqual({ queued: 0, held: 0, oldestReceivedAt: null });
});

test("a copy that cannot be filed waits in the spool, raises an alarm, survives a restart", async () => {
  bench.file = async () => {
    throw new StoreError("disk-full", "gatepost.db: the disk is full");
  };
  const quarantine = () => ({
    kind: "quarantine" as const,
    destination: byMx("a@example.org"),
    rule: "virus",
    words: "",
  });
  const queue = await bench.start();
  await queue.accept(mail({ id: "m1", disposition: quarantine }));
  await bench.run(10_000);
  expect(bench.alarms.some(({ name, words }) => name === "quarantine" && words !== null)).toBe(true);
  expect((await queue.list({ limit: 1, offset: 0 }))[0]?.state).toBe("quarantine");
  await bench.crash();
  bench.file = async (copy) => void bench.filed.push(copy);
  await bench.start();
  await bench.run(1000);
  expect(bench.filed.length).toBe(1);
  expect(await bench.spool.ofMessage("m1")).toEqual([]);
});

test("a message discarded for all leaves only its record", async () => {
  const queue = await bench.start();
  bench.units.length = 0;
  await queue.accept(mail({ disposition: () => ({ kind: "discard" }) }));
  expect(bench.units.length).toBe(1);
  await bench.run(1000);
  expect(bench.events.map(({ kind }) => kind)).toEqual(["message"]);
  expect(bench.deliverer.seen.length).toBe(0);
});

test("a quarantine item is delivered once, however often and whenever it is released", async () => {
  const item = {
    id: "m1-1",
    messageId: "m1",
    n: 1,
    recipient: "bob@example.org",
    reversePath: "outsider@example.net",
    direction: "inbound" as const,
    receivedAt: bench.clock.now() - DAY,
  };
  const body = new TextEncoder().encode(BODY);
  const queue = await bench.start();
  const both = Promise.all([queue.acceptReleased(item, body), queue.acceptReleased(item, body)]);
  await bench.run(1000);
  expect((await both).toSorted()).toEqual(["already", "released"]);
  expect(await queue.acceptReleased(item, body)).toBe("already");
  await bench.crash();
  const again = await bench.start();
  await bench.run(1000);
  expect(await again.acceptReleased(item, body)).toBe("already");
  await bench.run(1000);
  expect(bench.deliverer.delivered().map(({ attempt }) => attempt.messageId)).toEqual(["m1"]);
  expect(bench.states("m1")).toEqual(["released", "delivered"]);
});
