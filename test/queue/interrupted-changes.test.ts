// The process dies while an administrator holds, drops or retries: held mail stays held, and nothing for the quarantine gets out.
import { afterEach, beforeEach, expect, test } from "bun:test";
import type { Statement } from "../../src/store/database.ts";
import { seize } from "../../src/store/spool-writing.ts";
import { Bench, byMx, DAY, defers, HOUR, mail, takes } from "./queue-kit.ts";

let bench: Bench;
beforeEach(async () => {
  bench = await Bench.open();
});
afterEach(() => bench.close());

/** Marks due mail as taken. */
const { sql: SEIZES } = seize([], 0, "queued");

const never = () => new Promise<never>(() => {});

/** From now on `count` commits reach the disk; with the next one the process is dead. */
function dieAfter(count: number): void {
  let left = count;
  bench.beforeCommit = async () => {
    if (left-- <= 0) await never();
  };
}

async function nextLife(): Promise<Awaited<ReturnType<Bench["start"]>>> {
  await new Promise<void>((resolve) => setTimeout(resolve, 20));
  await bench.crash();
  bench.beforeCommit = async () => {};
  return bench.start();
}

async function heldMail() {
  bench.deliverer.script = defers;
  const queue = await bench.start();
  await queue.accept(mail({ id: "m1", to: ["a@example.org", "b@example.org"] }));
  await bench.run(60_000);
  expect(await queue.hold("m1")).toBe(2);
  bench.deliverer.script = takes;
  return queue;
}

for (const commits of [0, 1]) {
  test(`a crash ${commits} commits into a drop of held mail leaves it held`, async () => {
    const queue = await heldMail();
    dieAfter(commits);
    void queue.drop("m1", "admin");
    const again = await nextLife();
    await bench.run(DAY);
    expect(bench.deliverer.delivered()).toEqual([]);
    expect(await again.counts()).toMatchObject({ queued: 0, held: 2 });
  });

  test(`a crash ${commits} commits into a retry of held mail leaves it held`, async () => {
    const queue = await heldMail();
    dieAfter(commits);
    void queue.retry("m1");
    const again = await nextLife();
    await bench.run(DAY);
    expect(bench.deliverer.delivered()).toEqual([]);
    expect(await again.counts()).toMatchObject({ queued: 0, held: 2 });
  });

  test(`a crash ${commits} commits into a hold of waiting mail did nothing, and the log is not worried`, async () => {
    bench.deliverer.script = defers;
    const queue = await bench.start();
    await queue.accept(mail({ id: "m1" }));
    await bench.run(1000);
    dieAfter(commits);
    void queue.hold("m1");
    const again = await nextLife();
    const [entry] = await again.list({ limit: 1, offset: 0 });
    expect(entry).toMatchObject({ state: "queued", tries: 1 });
    expect(
      bench.events.some((event) => event.kind === "state" && event.words.includes("may arrive twice")),
    ).toBe(false);
  });
}

const CHANGES = ["hold", "drop", "retry", "hold all", "retry all"] as const;

function ask(queue: Awaited<ReturnType<Bench["start"]>>, change: (typeof CHANGES)[number]): Promise<unknown> {
  switch (change) {
    case "hold":
      return queue.hold("m1");
    case "drop":
      return queue.drop("m1", "admin");
    case "retry":
      return queue.retry("m1");
    case "hold all":
      return queue.hold(null);
    case "retry all":
      return queue.retry(null);
  }
}

for (const change of CHANGES) {
  for (let commits = 0; commits < 5; commits++) {
    test(`held mail leaves after no crash ${commits} commits into "${change}", unless it was let go in full`, async () => {
      const queue = await heldMail();
      bench.deliverer.seen.length = 0;
      dieAfter(commits);
      let answered = false;
      void ask(queue, change).then(() => {
        answered = true;
      });
      const again = await nextLife();
      const { held, queued } = await again.counts();
      // Both recipients are settled in one unit: all of it happened, or nothing did.
      expect([0, 2]).toContain(held);
      if (held === 2 || change === "drop") expect(queued).toBe(0);
      if (change.startsWith("hold")) expect(held).toBe(2);
      else if (answered) expect(held).toBe(0);
      await bench.run(DAY);
      const isLetGo = held === 0 && change.startsWith("retry");
      expect(bench.deliverer.delivered().length > 0).toBe(isLetGo);
    });
  }
}

test("a process that dies while due mail is being taken keeps nobody waiting", async () => {
  const queue = await heldMail();
  // The commit is on its way to the disk, and its answer still reaches the process that dies: it goes on to read the body.
  const taking = new Promise<readonly Statement[]>((resolve) => {
    bench.beforeCommit = async (unit) => {
      if (unit.some(({ sql }) => sql === SEIZES)) resolve(unit);
    };
  });
  void queue.retry("m1");
  const unit = await taking;
  while (!bench.units.includes(unit)) await Promise.resolve();
  await bench.crash();
  bench.beforeCommit = async () => {};
  const again = await bench.start();
  await bench.run(DAY);
  expect(await again.counts()).toMatchObject({ queued: 0, held: 0 });
}, 10_000);

for (const wish of ["hold", "drop"] as const) {
  test(`a ${wish} of mail that is being dialled outlives the process`, async () => {
    bench.deliverer.script = never;
    const queue = await bench.start();
    await queue.accept(mail({ id: "m1" }));
    await bench.busy.rest();
    expect(wish === "hold" ? await queue.hold("m1") : await queue.drop("m1", "admin")).toBe(1);
    const again = await nextLife();
    bench.deliverer.script = takes;
    await bench.run(DAY);
    expect(bench.deliverer.delivered()).toEqual([]);
    expect(await again.counts()).toMatchObject({ queued: 0, held: 1 });
    expect(bench.states("m1").at(-1)).toBe("held");
  });
}

test("a retry takes the wish back", async () => {
  bench.deliverer.script = never;
  const queue = await bench.start();
  await queue.accept(mail({ id: "m1" }));
  await bench.busy.rest();
  await queue.hold("m1");
  await queue.retry("m1");
  await nextLife();
  bench.deliverer.script = takes;
  await bench.run(HOUR);
  expect(bench.deliverer.delivered().length).toBe(1);
});

test("a crash while mail for the quarantine is dropped leaves it for the quarantine", async () => {
  bench.file = async () => {
    throw new Error("gatepost.db is away");
  };
  const disposition = () => ({
    kind: "quarantine" as const,
    destination: byMx("a@example.org"),
    rule: "virus",
    words: "",
  });
  const queue = await bench.start();
  await queue.accept(mail({ id: "m1", disposition }));
  await bench.busy.rest();
  dieAfter(1);
  void queue.drop("m1", "admin");
  bench.file = async (copy) => void bench.filed.push(copy);
  await nextLife();
  await bench.run(DAY);
  expect(bench.filed.length).toBe(1);
  expect(bench.deliverer.seen.length).toBe(0);
});

test("a message that is there at each crash waits longer each time", async () => {
  bench.deliverer.script = never;
  await (await bench.start()).accept(mail({ id: "m1" }));
  await bench.busy.rest();
  for (let life = 0; life < 3; life++) {
    await nextLife();
    await bench.busy.rest();
    if (life > 0) await bench.run(HOUR);
  }
  const [entry] = await bench.spool.ofMessage("m1");
  expect(entry?.recipient.tries).toBe(3);
  // Before the third start it was tried twice; now its turn comes by the schedule, not at once.
  const waits = bench.events.flatMap((event) =>
    event.kind === "state" && event.state === "queued" ? [(event.nextAttemptAt ?? 0) - event.at] : [],
  );
  expect(waits[0]).toBe(0);
  expect(waits.slice(1).every((wait) => wait > 60_000)).toBe(true);
});

test("an attempt keeps its place until its result is on disk: no more are unsettled than there are connections", async () => {
  bench.deliverer.places = 3;
  const queue = await bench.start();
  for (let i = 0; i < 3; i++) await queue.accept(mail({ id: `m${i}` }));
  await bench.busy.rest();
  // From here on settlements hang on their way to the disk.
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  bench.beforeCommit = (unit) =>
    unit.some(({ sql }) => sql.startsWith('delete from "recipient"')) ? held : Promise.resolve();
  const before = bench.deliverer.seen.length;
  for (let i = 3; i < 13; i++) void queue.accept(mail({ id: `m${i}` }));
  await new Promise<void>((resolve) => setTimeout(resolve, 200));
  expect(bench.deliverer.seen.length - before).toBe(3);
  release();
  await bench.run(1000);
  expect(bench.deliverer.delivered().length).toBe(13);
});
