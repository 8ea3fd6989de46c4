// A stop that leaves nothing behind: what was being taken from disk goes back there, and no try is counted that never was.
import { afterEach, beforeEach, expect, test } from "bun:test";
import type { RunningQueue } from "../../src/queue/run-queue.ts";
import { StoreError } from "../../src/store/database.ts";
import { Bench, defers, HOUR, mail } from "./queue-kit.ts";

let bench: Bench;
beforeEach(async () => {
  bench = await Bench.open();
});
afterEach(() => bench.close());

const turn = () => Bun.sleep(2);

/** Lets the clock run while real work may stand still. */
async function roll(done: () => boolean): Promise<void> {
  for (let n = 0; n < 500 && !done(); n++) {
    bench.clock.step(bench.clock.now() + 1000);
    await turn();
  }
}

/** Mail of so many destinations is due, and its claims stand in front of their commits. */
async function claiming(destinations: number): Promise<{ queue: RunningQueue; release: () => void }> {
  bench.deliverer.script = defers;
  const queue = await bench.start();
  for (let n = 0; n < destinations; n++) {
    await queue.accept(mail({ to: [`a@d${n}.example`] }));
    await queue.accept(mail({ to: [`b@d${n}.example`] }));
  }
  await bench.busy.rest();
  const held = Promise.withResolvers<void>();
  let standing = 0;
  bench.beforeCommit = () => {
    standing++;
    return held.promise;
  };
  await roll(() => standing >= destinations);
  expect(standing).toBeGreaterThanOrEqual(destinations);
  return { queue, release: held.resolve };
}

for (const destinations of [1, 5]) {
  test(`claims of ${destinations} destinations under way at the stop leave nothing active`, async () => {
    const { queue, release } = await claiming(destinations);
    let closed = false;
    const closing = queue.close(10_000).then(() => {
      closed = true;
    });
    await turn();
    expect(closed).toBe(false);
    release();
    await roll(() => closed);
    await closing;
    const rows = await bench.spool.page({ limit: 100, offset: 0 });
    expect(rows.map(({ recipient }) => [recipient.state, recipient.tries])).toEqual(
      Array.from({ length: 2 * destinations }, () => ["queued", 1]),
    );
    expect(await bench.spool.interrupted()).toEqual([]);
    expect(bench.deliverer.seen.length).toBe(2 * destinations);
  });
}

test("a claim that never ends holds up the stop for its grace, and no longer", async () => {
  const { queue, release } = await claiming(1);
  let closed = false;
  const closing = queue.close(1000).then(() => {
    closed = true;
  });
  await roll(() => closed);
  await closing;
  release();
});

test("a look at deadlines of which one could not be made goes on for the others, and the stop waits for them", async () => {
  bench.deliverer.script = defers;
  const queue = await bench.start();
  for (const id of ["m1", "m2"]) await queue.accept(mail({ id }));
  await bench.busy.rest();
  const { ofMessage } = bench.spool;
  const held = Promise.withResolvers<void>();
  let looks = 0;
  Object.assign(bench.spool, {
    async ofMessage(id: string) {
      looks++;
      if (id === "m1") throw new StoreError("failed", "disk I/O error");
      await held.promise;
      return ofMessage(id);
    },
  });
  await bench.run(4 * HOUR + 2000);
  expect(looks).toBe(2);
  let closed = false;
  const closing = queue.close(10_000).then(() => {
    closed = true;
  });
  await turn();
  expect(closed).toBe(false);
  held.resolve();
  await roll(() => closed);
  await closing;
  expect(await bench.spool.interrupted()).toEqual([]);
});
