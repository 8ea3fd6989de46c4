// Copies for the archive: durable with the 250, filed once, and delivery does not wait for them.
import { afterEach, beforeEach, expect, test } from "bun:test";
import type { Acceptance } from "../../src/queue/queue.ts";
import { StoreError } from "../../src/store/database.ts";
import { small } from "../message/small-body.ts";
import { Bench, BODY, byMx, HOUR, isDown, type MailOptions, mail, takes } from "./queue-kit.ts";

let bench: Bench;
beforeEach(async () => {
  bench = await Bench.open();
});
afterEach(() => bench.close());

const never = () => new Promise<never>(() => {});

function archived(options: MailOptions = {}): Acceptance {
  return { ...mail(options), archive: { domain: "example.test", sender: "alice@example.test" } };
}

const copies = () => bench.archived.map(({ messageId }) => messageId);

test("a copy is filed as it came, and the message leaves the spool when it is delivered too", async () => {
  const queue = await bench.start();
  await queue.accept(archived({ id: "m1", to: ["a@example.org", "b@example.org"] }));
  await queue.accept(mail({ id: "m2" }));
  await bench.run(1000);
  expect(copies()).toEqual(["m1"]);
  const [copy] = bench.archived;
  expect(copy).toMatchObject({
    domain: "example.test",
    sender: "alice@example.test",
    reversePath: "alice@example.test",
    recipients: ["a@example.org", "b@example.org"],
    subject: "Offer",
    headerFrom: "<alice@example.test>",
    direction: "outbound",
  });
  expect(new TextDecoder().decode(small(copy?.message))).toBe(BODY);
  expect(bench.deliverer.delivered().length).toBe(2);
  expect(await bench.spool.toArchive(0, 10)).toEqual([]);
  expect(await queue.counts()).toEqual({ queued: 0, held: 0, oldestReceivedAt: null });
});

for (const large of [false, true]) {
  test(`an archive that cannot be written delays no delivery; the copy waits, ${large ? "a file" : "in the row"}`, async () => {
    bench.maxBodyInRowBytes = large ? 10 : 65_536;
    bench.archive = async () => {
      throw new StoreError("disk-full", "gatepost.db: the disk is full");
    };
    const queue = await bench.start();
    await queue.accept(archived({ id: "m1" }));
    await bench.run(10_000);
    expect(bench.deliverer.delivered().length).toBe(1);
    expect(bench.alarms.some(({ name, words }) => name === "archive" && words !== null)).toBe(true);
    expect(await bench.spool.ofMessage("m1")).toEqual([]);
    expect((await bench.bodyFiles()).length).toBe(large ? 1 : 0);
    await bench.crash();
    bench.archive = async (copy) => void bench.archived.push(copy);
    const again = await bench.start();
    await bench.run(1000);
    expect(copies()).toEqual(["m1"]);
    expect(bench.deliverer.delivered().length).toBe(1);
    expect(await again.counts()).toEqual({ queued: 0, held: 0, oldestReceivedAt: null });
    expect(await bench.bodyFiles()).toEqual([]);
  });
}

test("a copy that is filed first leaves the message to be delivered", async () => {
  bench.deliverer.script = isDown;
  const queue = await bench.start();
  await queue.accept(archived({ id: "m1" }));
  await bench.run(60_000);
  expect(copies()).toEqual(["m1"]);
  expect(await queue.counts()).toMatchObject({ queued: 1 });
  bench.deliverer.script = takes;
  await bench.run(HOUR);
  expect(bench.deliverer.delivered().length).toBe(1);
  expect(copies()).toEqual(["m1"]);
});

test("what is discarded, quarantined or dropped for its recipients is archived all the same", async () => {
  bench.deliverer.script = isDown;
  let late = () => {};
  bench.archive = async (copy) => {
    if (copy.messageId === "dropped")
      await new Promise<void>((resolve) => {
        late = resolve;
      });
    bench.archived.push(copy);
  };
  const queue = await bench.start();
  await queue.accept(archived({ id: "discarded", disposition: () => ({ kind: "discard" }) }));
  await queue.accept(
    archived({
      id: "quarantined",
      disposition: (address) => ({ kind: "quarantine", destination: byMx(address), rule: "spam", words: "" }),
    }),
  );
  await bench.run(1000);
  await queue.accept(archived({ id: "dropped" }));
  await bench.run(1000);
  expect(await queue.drop("dropped", "admin")).toBe(1);
  late();
  await bench.run(1000);
  expect(copies().toSorted()).toEqual(["discarded", "dropped", "quarantined"]);
  expect(bench.filed.map(({ messageId }) => messageId)).toEqual(["quarantined"]);
  expect(await queue.counts()).toEqual({ queued: 0, held: 0, oldestReceivedAt: null });
});

for (const when of ["before", "after"] as const) {
  for (let crashAt = 1; crashAt <= 6; crashAt++) {
    test(`dying ${when} commit ${crashAt}: what was answered 250 is archived and delivered`, async () => {
      const queue = await bench.start();
      let commits = 0;
      bench.beforeCommit = async () => {
        if (++commits > crashAt || (when === "before" && commits === crashAt)) await never();
      };
      let accepted = false;
      void queue.accept(archived({ id: "m1" })).then(() => {
        accepted = true;
      });
      await new Promise<void>((resolve) => setTimeout(resolve, 30));
      bench.clock.step(bench.clock.now() + 1000);
      await new Promise<void>((resolve) => setTimeout(resolve, 30));
      await bench.crash();
      bench.beforeCommit = async () => {};
      const again = await bench.start();
      await bench.run(HOUR);
      if (accepted) expect(new Set(copies())).toEqual(new Set(["m1"]));
      expect(bench.deliverer.delivered().length).toBeGreaterThanOrEqual(accepted ? 1 : 0);
      expect(await again.counts()).toEqual({ queued: 0, held: 0, oldestReceivedAt: null });
    });
  }
}

test("while the archive is away a walk gives up soon, and catches up when it is back", async () => {
  let away = true;
  let asked = 0;
  bench.archive = async (copy) => {
    asked++;
    if (away) throw new StoreError("failed", "gatepost.db is away");
    bench.archived.push(copy);
  };
  const queue = await bench.start();
  await Promise.all(Array.from({ length: 300 }, (_, i) => queue.accept(archived({ id: `m${i}` }))));
  await bench.run(30_000);
  expect(asked).toBeLessThan(400);
  away = false;
  await bench.run(120_000);
  expect(new Set(copies()).size).toBe(300);
  expect(bench.alarms.findLast(({ name }) => name === "archive")?.words).toBeNull();
  expect(await bench.spool.toArchive(0, 10)).toEqual([]);
});

test("many copies are filed side by side, and one that fails keeps no other waiting", async () => {
  let most = 0;
  let now = 0;
  bench.archive = async (copy) => {
    most = Math.max(most, ++now);
    await new Promise<void>((resolve) => setImmediate(resolve));
    now--;
    if (copy.messageId === "m7") throw new Error("cannot be read");
    bench.archived.push(copy);
  };
  const queue = await bench.start();
  await Promise.all(Array.from({ length: 300 }, (_, i) => queue.accept(archived({ id: `m${i}` }))));
  await bench.run(500);
  expect(bench.archived.length).toBe(299);
  expect(most).toBeGreaterThan(5);
  expect(most).toBeLessThanOrEqual(20);
  expect((await bench.spool.toArchive(0, 10)).map(({ message }) => message.id)).toEqual(["m7"]);
});
