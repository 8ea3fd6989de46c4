// Regression tests for what was found to lose or stall mail: T1 (lock poisoning), T2 (bun:sqlite), T3 (stalls), T4 (busy timeout).
import { expect, test } from "bun:test";
import { join } from "node:path";
import { Glob } from "bun";
import { StoreError } from "../../src/store/database.ts";
import { failureOf, insertThing, openAt, rows, temporaryDirectory } from "./temporary-database.ts";

/** Starts a process that holds the write lock; resolves when it has it. */
async function holdLock(path: string, holdMs: number): Promise<{ readonly freed: Promise<number> }> {
  const child = Bun.spawn([process.execPath, "test/store/child/hold-lock.ts", path, String(holdMs)], {
    stdout: "pipe",
    stderr: "inherit",
  });
  const reader = child.stdout.getReader();
  await reader.read();
  reader.releaseLock();
  return { freed: child.exited };
}

test("T1: writes during a foreign lock wait for it, and are really there", async () => {
  await using directory = temporaryDirectory();
  const path = join(directory.path, "a.db");
  const database = await openAt(path, { busyTimeoutMs: 300 });
  await database.commit([insertThing("before")]);
  const lock = await holdLock(path, 500);
  // The first try runs into SQLITE_BUSY after 300 ms; the next one gets the lock.
  const during = Array.from({ length: 20 }, (_, i) => database.commit([insertThing(`during${i}`)]));
  await Promise.all(during);
  await lock.freed;
  await database.commit([insertThing("after")]);
  await database.close();
  const again = await openAt(path);
  expect(await rows(again, "select count(*) from thing")).toEqual([[22]]);
  await again.close();
});

test("T1: writes that outlast the patience are rejected, not lost; later ones are kept", async () => {
  await using directory = temporaryDirectory();
  const path = join(directory.path, "a.db");
  const database = await openAt(path, { busyTimeoutMs: 50 });
  const lock = await holdLock(path, 2000);
  const outcomes = new Map<string, boolean>();
  const attempt = async (id: string): Promise<void> => {
    outcomes.set(id, false);
    try {
      await database.commit([insertThing(id)]);
      outcomes.set(id, true);
    } catch (error) {
      expect(error).toBeInstanceOf(StoreError);
      expect(String(error)).toContain("locked by another process");
    }
  };
  for (let i = 0; i < 4; i++) await Promise.all([attempt(`a${i}`), attempt(`b${i}`)]);
  expect([...outcomes.values()]).toEqual(new Array(8).fill(false));
  await lock.freed;
  for (let i = 4; i < 8; i++) await attempt(`a${i}`);
  await database.close();
  const again = await openAt(path);
  const kept = (await rows(again, "select id from thing order by id")).map((row) => String(row[0]));
  expect(kept).toEqual(
    [...outcomes]
      .filter(([, ok]) => ok)
      .map(([id]) => id)
      .sort(),
  );
  expect(kept).toEqual(["a4", "a5", "a6", "a7"]);
  await again.close();
});

test("T2: no file imports Bun's own SQLite", async () => {
  const forbidden = /(?:from|import|import\(|require\()\s*["']bun:sqlite["']/;
  const found: string[] = [];
  for (const folder of ["src", "test", "appliance"]) {
    for await (const name of new Glob(`${folder}/**/*.{ts,tsx}`).scan(".")) {
      if (forbidden.test(await Bun.file(name).text())) found.push(name);
    }
  }
  expect(found).toEqual([]);
});

test("T3: a slow query does not stall the main thread", async () => {
  await using directory = temporaryDirectory();
  const database = await openAt(join(directory.path, "a.db"));
  let longestGap = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    longestGap = Math.max(longestGap, performance.now() - last);
    last = performance.now();
  }, 5);
  const started = performance.now();
  await rows(
    database,
    "with recursive c(x) as (select 1 union all select x + 1 from c where x < 6000000) select sum(x) from c",
  );
  const tookMs = performance.now() - started;
  clearInterval(timer);
  expect(tookMs).toBeGreaterThan(200);
  expect(longestGap).toBeLessThan(tookMs / 2);
  await database.close();
});

test("T4: busy timeout and durability hold on the first connection and on the one after a failure", async () => {
  await using directory = temporaryDirectory();
  const database = await openAt(join(directory.path, "a.db"), { busyTimeoutMs: 1234 });
  const settings = async (): Promise<unknown[]> => [
    (await rows(database, "pragma busy_timeout"))[0]?.[0],
    (await rows(database, "pragma journal_mode"))[0]?.[0],
    (await rows(database, "pragma synchronous"))[0]?.[0],
    (await rows(database, "pragma foreign_keys"))[0]?.[0],
  ];
  expect(await settings()).toEqual([1234, "wal", 2, 1]);
  expect((await failureOf(rows(database, "select nonsense"))).kind).toBe("failed");
  expect(await settings()).toEqual([1234, "wal", 2, 1]);
  const orphan = { sql: 'insert into "other" ("thing", "words") values (?, ?)', params: ["nobody", "w"] };
  expect((await failureOf(database.commit([orphan]))).kind).toBe("constraint");
  expect(await settings()).toEqual([1234, "wal", 2, 1]);
  await database.close();
});
