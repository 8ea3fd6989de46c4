// The alarm of a full disk: raised when mail finds no space, lifted by the next mail that does, or by a try of its own.
import { expect, test } from "bun:test";
import { createSpaceWatch } from "../../src/queue/watch-space.ts";
import { StoreError } from "../../src/store/database.ts";
import { START, TurnedClock } from "../queue/queue-kit.ts";

const FULL = new StoreError("disk-full", "spool.db cannot be written");

function bench() {
  const clock = new TurnedClock(START);
  const changes: (string | null)[] = [];
  const files: string[] = [];
  let full = true;
  const watch = createSpaceWatch({
    clock,
    onAlarm: (name, words) => changes.push(words === null ? null : `${name}: ${words}`),
    spool: {
      async keepBody(id, seq, body) {
        if (full) throw FULL;
        files.push(`+${id}-${seq} ${body.length > 65_536 ? "in a file" : "in a row"}`);
        return { file: `${id}-${seq}.eml`, inRow: null, body };
      },
      async removeBody(name) {
        files.push(`-${name}`);
      },
    },
  });
  return {
    watch,
    changes,
    files,
    free: () => {
      full = false;
    },
    async turn(ms: number) {
      const until = clock.now() + ms;
      while (clock.step(until)) await Bun.sleep(0);
      await Bun.sleep(0);
    },
  };
}

test("only a full disk raises it, and the next mail that is written lifts it", async () => {
  const { watch, changes } = bench();
  watch.written();
  watch.failed(new StoreError("failed", "locked"));
  watch.failed(new Error("something else"));
  expect(changes).toEqual([]);
  watch.failed(FULL);
  watch.failed(FULL);
  expect(changes).toHaveLength(2);
  expect(changes[0]).toStartWith("disk-full: There is no space for mail.");
  watch.written();
  watch.written();
  expect(changes.slice(2)).toEqual([null]);
});

test("without mail it tries by itself until there is space, and leaves nothing behind", async () => {
  const { watch, changes, files, free, turn } = bench();
  watch.failed(FULL);
  await turn(60_000);
  expect(changes).toHaveLength(1);
  free();
  await turn(60_000);
  expect(changes.slice(1)).toEqual([null]);
  const [, seq] = /-(\d+) in a file$/.exec(files[0] ?? "") ?? [];
  expect(files).toEqual([`+space-${seq} in a file`, `-space-${seq}.eml`]);
});

test("a stopped watch tries no more", async () => {
  const { watch, changes, files, free, turn } = bench();
  watch.failed(FULL);
  watch.stop();
  free();
  await turn(60_000);
  expect([changes.length, files.length]).toEqual([1, 0]);
});
