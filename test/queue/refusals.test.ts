// Refused transactions on their way to the log: in bounded memory, and late rather than never when the store refuses.
import { afterEach, beforeEach, expect, test } from "bun:test";
import type { MailAddress } from "../../src/message/address.ts";
import { silentLog } from "../../src/observe/log.ts";
import type { LoggedEvent } from "../../src/queue/outbox.ts";
import { createRefusalLog } from "../../src/queue/refusal-log.ts";
import { StoreError } from "../../src/store/database.ts";
import type { MessageRecord } from "../../src/store/log-record.ts";
import { Bench, mail, START, TurnedClock } from "./queue-kit.ts";

/** A refusal with so many recipients; each takes up some 200 characters. */
function refusal(id: string, recipients = 1): MessageRecord {
  const { record } = mail({ id });
  const [first] = record.recipients;
  if (first === undefined) throw new Error("no recipient");
  return {
    ...record,
    recipients: Array.from({ length: recipients }, (_, n) => ({
      ...first,
      n,
      address: `user${n}@example.org` as MailAddress,
      state: "refused" as const,
    })),
  };
}

/** A log whose disk does as the test says. */
function bench() {
  const clock = new TurnedClock(START);
  const rows: { readonly ids: readonly string[]; readonly characters: number }[] = [];
  const disk: { fails: StoreError | null; refuses: string | null } = { fails: null, refuses: null };
  const refusals = createRefusalLog({
    clock,
    log: silentLog,
    outbox: {
      async commitLogged(_unit, events: readonly Required<LoggedEvent>[]) {
        const ids = events.flatMap(({ event }) => (event.kind === "message" ? [event.record.id] : []));
        if (disk.fails !== null) throw disk.fails;
        if (disk.refuses !== null && ids.includes(disk.refuses)) throw new StoreError("constraint", "no");
        rows.push({ ids, characters: events.reduce((sum, { json }) => sum + json.length, 0) });
        return [];
      },
    },
  });
  return {
    refusals,
    rows,
    disk,
    ids: () => rows.flatMap(({ ids }) => ids),
    async turn(ms: number) {
      const until = clock.now() + ms;
      while (clock.step(until)) await new Promise<void>((resolve) => setImmediate(resolve));
      await new Promise<void>((resolve) => setImmediate(resolve));
    },
  };
}

const FULL = new StoreError("disk-full", "no space");

test("many share a row, large ones do not, and each comes once and in order", async () => {
  const { refusals, rows, ids, turn } = bench();
  for (let i = 0; i < 250; i++)
    refusals.add(refusal(`r${String(i).padStart(3, "0")}`, i % 50 === 49 ? 4000 : 1));
  await turn(1000);
  expect(ids()).toEqual(ids().toSorted());
  expect(ids().length).toBe(250);
  expect(rows.length).toBeLessThan(15);
  for (const { ids: own, characters } of rows) expect(own.length === 1 || characters <= 1_000_000).toBe(true);
});

test("a store that refuses is asked again until it takes them", async () => {
  const { refusals, disk, ids, turn } = bench();
  disk.fails = FULL;
  refusals.add(refusal("r1"));
  await turn(120_000);
  refusals.add(refusal("r2"));
  await turn(120_000);
  expect(ids()).toEqual([]);
  disk.fails = null;
  await turn(60_000);
  expect(ids()).toEqual(["r1", "r2"]);
});

test("what waits is bounded by number and by size", async () => {
  const few = bench();
  few.disk.fails = FULL;
  for (let i = 0; i < 6000; i++) few.refusals.add(refusal(`r${i}`));
  few.disk.fails = null;
  await few.turn(60_000);
  expect(few.ids().length).toBe(5000);

  const large = bench();
  large.disk.fails = FULL;
  for (let i = 0; i < 200; i++) large.refusals.add(refusal(`r${i}`, 2000));
  await large.turn(5000);
  large.disk.fails = null;
  await large.turn(60_000);
  const total = large.rows.reduce((sum, { characters }) => sum + characters, 0);
  expect(total).toBeLessThanOrEqual(16_000_000);
  expect(total).toBeGreaterThan(14_000_000);
  // There is room again.
  large.refusals.add(refusal("after"));
  await large.turn(1000);
  expect(large.ids().at(-1)).toBe("after");
});

test("records that the data contradicts are left out, the others are not", async () => {
  const { refusals, disk, ids, turn } = bench();
  disk.refuses = "bad";
  refusals.add(refusal("bad"));
  await turn(1000);
  refusals.add(refusal("good"));
  await turn(1000);
  expect(ids()).toEqual(["good"]);
});

let real: Bench;
beforeEach(async () => {
  real = await Bench.open();
});
afterEach(() => real.close());

test("what a full disk refused stands in the log as soon as there is space", async () => {
  const queue = await real.start();
  real.beforeCommit = async () => {
    throw FULL;
  };
  queue.record(refusal("r1"));
  await real.run(10_000);
  expect(real.events).toEqual([]);
  real.beforeCommit = async () => {};
  await real.run(60_000);
  expect(real.events.map((event) => (event.kind === "message" ? event.record.id : ""))).toEqual(["r1"]);
});

test("closing tries once more and waits for no disk", async () => {
  const queue = await real.start();
  real.beforeCommit = async () => {
    throw FULL;
  };
  queue.record(refusal("r1"));
  let closed = false;
  const closing = queue.close(1000).then(() => {
    closed = true;
  });
  await real.run(10_000);
  expect(closed).toBe(true);
  await closing;
});
