// Disks that refuse: a full disk is an answer to the client, a settlement is written in the end, the log catches up.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { type Statement, StoreError } from "../../src/store/database.ts";
import type { LogEvent } from "../../src/store/log-record.ts";
import { failureOf } from "../store/temporary-database.ts";
import { Bench, byMx, HOUR, isDown, mail, refuses, takes } from "./queue-kit.ts";

let bench: Bench;
beforeEach(async () => {
  bench = await Bench.open();
});
afterEach(() => bench.close());

const full = () => {
  throw new StoreError("disk-full", "spool.db: the disk is full");
};

test("a full disk refuses the message, nothing is kept, and it heals by itself", async () => {
  const queue = await bench.start();
  bench.beforeCommit = async () => full();
  await expect(queue.accept(mail({ id: "m1" }))).rejects.toMatchObject({ kind: "disk-full" });
  expect(bench.deliverer.seen.length).toBe(0);
  expect(queue.figures()).toMatchObject({ bodyBytes: 0, active: 0 });
  bench.beforeCommit = async () => {};
  await queue.accept(mail({ id: "m2" }));
  await bench.run(1000);
  expect(bench.deliverer.delivered().map(({ attempt }) => attempt.messageId)).toEqual(["m2"]);
});

test("a settlement that cannot be written is written later; nothing is delivered twice and nothing new begun", async () => {
  bench.deliverer.script = async (attempt, now) => {
    bench.beforeCommit = async () => full();
    return takes(attempt, now);
  };
  const queue = await bench.start();
  await queue.accept(mail({ id: "m1" }));
  await bench.run(30_000);
  expect(bench.alarms.at(-1)?.name).toBe("spool");
  expect(bench.alarms.at(-1)?.words).toContain("the disk is full");
  expect(queue.figures().unsettled).toBe(1);
  bench.beforeCommit = async () => {};
  bench.deliverer.script = takes;
  await bench.run(60_000);
  expect(bench.alarms.findLast(({ name }) => name === "spool")?.words).toBeNull();
  expect(await queue.counts()).toEqual({ queued: 0, held: 0, oldestReceivedAt: null });
  expect(bench.deliverer.delivered().length).toBe(1);
  await bench.crash();
  await bench.start();
  await bench.run(60_000);
  expect(bench.deliverer.delivered().length).toBe(1);
});

test("mail flows on while gatepost.db is away, and the log catches up in order with bounded memory", async () => {
  const queue = await bench.start();
  bench.writeLog = async () => {
    throw new StoreError("failed", "gatepost.db is away");
  };
  // More events than the outbox keeps in memory.
  for (let i = 0; i < 2500; i++) await queue.accept(mail({ id: `m${String(i).padStart(5, "0")}` }));
  await bench.run(60_000);
  expect(bench.deliverer.delivered().length).toBe(2500);
  expect(bench.alarms.find(({ name }) => name === "message-log")?.words).toContain("gatepost.db is away");
  bench.writeLog = async (events) => void bench.events.push(...events);
  await bench.run(120_000);
  const messages = bench.events.flatMap((event) => (event.kind === "message" ? [event.record.id] : []));
  expect(messages.length).toBe(2500);
  expect(messages).toEqual(messages.toSorted());
  expect(bench.events.filter(({ kind }) => kind === "attempt").length).toBe(2500);
  expect(bench.alarms.findLast(({ name }) => name === "message-log")?.words).toBeNull();
  expect(await bench.spool.events({ afterSeq: 0, beforeSeq: 1e12, limit: 1 })).toEqual([]);
}, 60_000);

test("one event that the log can never take does not stop the others", async () => {
  const queue = await bench.start();
  const isBad = (event: LogEvent) => event.kind === "message" && event.record.id === "bad";
  bench.writeLog = async (events) => {
    if (events.some(isBad)) throw new StoreError("constraint", "NOT NULL constraint failed");
    bench.events.push(...events);
  };
  for (const id of ["m1", "bad", "m2"]) await queue.accept(mail({ id }));
  await bench.run(60_000);
  const ids = new Set(bench.events.flatMap((event) => (event.kind === "message" ? [event.record.id] : [])));
  expect([...ids].toSorted()).toEqual(["m1", "m2"]);
  expect(bench.alarms.some(({ name }) => name === "message-log-event")).toBe(true);
});

test("refused transactions reach the log without anybody waiting", async () => {
  const queue = await bench.start();
  bench.units.length = 0;
  for (let i = 0; i < 50; i++) queue.record(mail({ id: `r${i}` }).record);
  await bench.run(1000);
  expect(bench.events.length).toBe(50);
  expect(bench.units.filter((unit) => unit.some(({ sql }) => sql.startsWith("insert"))).length).toBe(1);
});

test("a route that breaks costs neither the notice nor the other mail", async () => {
  bench.deliverer.script = (attempt, now) =>
    attempt.reversePath === "" ? takes(attempt, now) : refuses(attempt, now);
  bench.destinationFor = (address) => {
    if (address === "alice@example.test") throw new Error("no route");
    return byMx(address);
  };
  const queue = await bench.start();
  await queue.accept(mail());
  await bench.run(1000);
  expect(await queue.counts()).toEqual({ queued: 0, held: 0, oldestReceivedAt: null });
  const [notice] = bench.deliverer.delivered();
  expect(notice?.attempt.recipients[0]?.address).toBe("alice@example.test");
});

test("an address whose route breaks does not stop the others of its destination", async () => {
  bench.deliverer.script = isDown;
  const queue = await bench.start();
  for (const name of ["a", "bad", "c"]) await queue.accept(mail({ id: name, to: [`${name}@example.org`] }));
  await bench.run(60_000);
  bench.destinationFor = (address) => {
    if (address.startsWith("bad")) throw new Error("no route");
    return byMx(address);
  };
  bench.deliverer.script = takes;
  await queue.retry(null);
  await bench.run(1000);
  expect(bench.deliverer.delivered().length).toBe(3);
});

test("nothing is settled without the notice it owes, even when the disk takes no large notice for a while", async () => {
  bench.maxBodyInRowBytes = 100;
  let full = true;
  const queue = await bench.start();
  const { keepBody } = bench.spool;
  Object.assign(bench.spool, {
    keepBody: (id: string, seq: number, body: Uint8Array) =>
      full && id !== "m1" ? Promise.reject(new StoreError("disk-full", "no space")) : keepBody(id, seq, body),
  });
  bench.deliverer.script = (attempt, now) =>
    attempt.reversePath === "" ? takes(attempt, now) : refuses(attempt, now);
  await queue.accept(mail({ id: "m1" }));
  await bench.run(60_000);
  expect(await queue.counts()).toMatchObject({ queued: 1 });
  full = false;
  await bench.run(60_000);
  // Files are written in real time.
  await Bun.sleep(100);
  await bench.run(1000);
  expect(await queue.counts()).toMatchObject({ queued: 0 });
  expect(bench.deliverer.seen.map(({ attempt }) => attempt.reversePath)).toEqual(["alice@example.test", ""]);
});

test("a settlement that the data contradicts is set aside with an alarm; the others are not slowed down", async () => {
  const isBad = ({ params }: Statement) => params.some((param) => String(param).includes('"bad"'));
  let refusing = true;
  bench.beforeCommit = async (unit) => {
    const settles = unit.some(({ sql }) => sql.startsWith('delete from "recipient"'));
    if (refusing && settles && unit.some(isBad)) throw new StoreError("constraint", "refused for ever");
  };
  const queue = await bench.start();
  const ids = Array.from({ length: 100 }, (_, i) => (i === 50 ? "bad" : `m${i}`));
  await Promise.all(ids.map((id) => queue.accept(mail({ id }))));
  await bench.run(100);
  expect(bench.deliverer.delivered().length).toBe(100);
  expect(await queue.counts()).toMatchObject({ queued: 1 });
  expect(bench.alarms.findLast(({ name }) => name === "settlement")?.words).toContain("bad");
  expect(bench.alarms.some(({ name, words }) => name === "spool" && words !== null)).toBe(false);
  refusing = false;
  await bench.run(120_000);
  expect(await queue.counts()).toMatchObject({ queued: 0 });
  expect(bench.deliverer.delivered().length).toBe(100);
  expect(bench.alarms.findLast(({ name }) => name === "settlement")?.words).toBeNull();
});

test("a large commit that fails although it reached the disk keeps its body file", async () => {
  bench.maxBodyInRowBytes = 10;
  const queue = await bench.start();
  const { commit } = bench.database;
  let lie = true;
  Object.assign(bench.database, {
    commit: async (unit: readonly Statement[]) => {
      const changed = await commit.call(bench.database, unit);
      if (lie && unit.some(({ sql }) => sql.startsWith('insert into "message"'))) {
        lie = false;
        throw new StoreError("failed", "the answer was lost");
      }
      return changed;
    },
  });
  expect((await failureOf(queue.accept(mail({ id: "m1" })))).message).toBe("the answer was lost");
  await bench.run(1000);
  await Bun.sleep(50);
  expect((await bench.bodyFiles()).length).toBe(1);
  await bench.crash();
  await bench.start();
  await bench.run(1000);
  expect(bench.deliverer.delivered().length).toBe(1);
});

test("large records do not pile up in memory while the log is away, and all reach it", async () => {
  const queue = await bench.start();
  bench.writeLog = async () => {
    throw new StoreError("failed", "gatepost.db is away");
  };
  const heap = () => {
    Bun.gc(true);
    return process.memoryUsage().heapUsed;
  };
  const before = heap();
  for (let i = 0; i < 100; i++) {
    const acceptance = mail({ id: `m${String(i).padStart(3, "0")}` });
    const cause = `${i}${"long words ".repeat(70_000)}`;
    await queue.accept({ ...acceptance, record: { ...acceptance.record, cause } });
    bench.units.length = 0;
  }
  await bench.run(60_000);
  // 77 MB of JSON in all.
  expect(heap() - before).toBeLessThan(60_000_000);
  const seen: string[] = [];
  let largest = 0;
  bench.writeLog = async (events) => {
    largest = Math.max(largest, JSON.stringify(events).length);
    for (const event of events) if (event.kind === "message") seen.push(event.record.id);
  };
  await bench.run(200_000);
  expect(seen.length).toBe(100);
  expect(seen).toEqual(seen.toSorted());
  expect(largest).toBeLessThan(6_000_000);
}, 120_000);

test("a deliverer that hangs is cut at the close; what it did not deliver waits, and is not called doubtful", async () => {
  let cut = () => {};
  bench.deliverer.script = async (attempt, now) => {
    await new Promise<void>((resolve) => {
      cut = resolve;
    });
    return isDown(attempt, now);
  };
  bench.deliverer.close = async () => cut();
  const queue = await bench.start();
  await queue.accept(mail({ id: "m1" }));
  await bench.busy.rest();
  let closed = false;
  void queue.close(10_000).then(() => {
    closed = true;
  });
  for (let s = 0; s < 100 && !closed; s++) await bench.run(1000);
  expect(closed).toBe(true);
  expect((await bench.spool.ofMessage("m1"))[0]?.recipient).toMatchObject({ state: "queued", tries: 1 });
  await bench.crash();
  bench.deliverer.script = takes;
  await bench.start();
  await bench.run(HOUR);
  expect(bench.deliverer.delivered().length).toBe(1);
  expect(
    bench.events.some((event) => event.kind === "state" && event.words.includes("may arrive twice")),
  ).toBe(false);
});
