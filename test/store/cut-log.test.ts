// The log of a database that is open and is cut short by somebody: nothing more is acknowledged into it, and what is left stays as it is.
// A log that is begun anew, again and again, is no such thing.
import { expect, test } from "bun:test";
import { readFileSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { isLogShort } from "../../src/store/log-mark.ts";
import { logFlaw } from "../../src/store/write-ahead-log.ts";
import { failureOf, insertThing, openAt, rows, temporaryDirectory } from "./temporary-database.ts";

const FRAME_BYTES = 24 + 4096;

const CUTS: readonly (readonly [what: string, left: (bytes: number) => number])[] = [
  ["to nothing", () => 0],
  ["to one octet", () => 1],
  ["to its header", () => 32],
  ["to half", (bytes) => Math.floor(bytes / 2)],
  ["by two frames", (bytes) => bytes - 2 * FRAME_BYTES],
  ["by one frame", (bytes) => bytes - FRAME_BYTES],
  ["by one octet", (bytes) => bytes - 1],
];

test.each(CUTS)(
  "cut %s: what comes is refused, what was in the file stays, the next start is told",
  async (_what, left) => {
    await using directory = temporaryDirectory();
    const path = join(directory.path, "a.db");
    const log = `${path}-wal`;
    const database = await openAt(path);
    for (let n = 0; n < 20; n++) await database.commit([insertThing(`t${n}`, n, new Uint8Array(3000))]);
    const file = readFileSync(path);
    expect(isLogShort(path)).toBe(false);
    const cut = left(statSync(log).size);
    truncateSync(log, cut);
    expect(isLogShort(path)).toBe(true);
    for (let n = 0; n < 3; n++) {
      const { kind, message } = await failureOf(database.commit([insertThing(`after ${n}`)]));
      expect([kind, message]).toEqual(["failed", expect.stringContaining("a.db-wal was cut short while")]);
    }
    expect([statSync(log).size, isLogShort(path)]).toEqual([cut, true]);
    await database.close();
    expect([statSync(log).size, readFileSync(path).equals(file)]).toEqual([cut, true]);
    expect(logFlaw(path, { sameBoot: false })).not.toBeNull();
  },
);

test("a cut that falls between two looks leaves a hole, and is found after the next commit", async () => {
  await using directory = temporaryDirectory();
  const path = join(directory.path, "a.db");
  const database = await openAt(path);
  for (let n = 0; n < 10; n++) await database.commit([insertThing(`t${n}`, n, new Uint8Array(3000))]);
  const bytes = statSync(`${path}-wal`).size;
  truncateSync(`${path}-wal`, Math.floor(bytes / 2));
  truncateSync(`${path}-wal`, bytes);
  expect((await failureOf(database.commit([insertThing("after")]))).message).toContain("was cut short");
  expect((await failureOf(database.commit([insertThing("later")]))).message).toContain("was cut short");
  await database.close();
});

test("logs that are copied into the file, begun anew and emptied under load are not cut", async () => {
  await using directory = temporaryDirectory();
  const path = join(directory.path, "a.db");
  const database = await openAt(path, { checkpointPages: 40 });
  let looks = 0;
  for (let n = 0; n < 250; n++) {
    const commits = Array.from({ length: 1 + (n % 4) }, (_, i) =>
      database.commit([insertThing(`${n} ${i}`, n, new Uint8Array((n * 613) % 9000))]),
    );
    if (isLogShort(path)) throw new Error(`a false alarm at ${n}, while it commits`);
    await Promise.all(commits);
    if (isLogShort(path)) throw new Error(`a false alarm at ${n}`);
    looks += 2;
    if (n % 50 === 0) await rows(database, "pragma wal_checkpoint(restart)");
  }
  expect(looks).toBe(500);
  await database.close();
  expect(isLogShort(path)).toBe(false);
}, 60_000);
