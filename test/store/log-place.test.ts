// A database and its log keep their places whatever fails; a file that cannot be looked at has nothing written twice.
import { expect, test } from "bun:test";
import { linkSync, renameSync, rmSync, statSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import type { FromWorker, ToWorker } from "../../src/store/worker-message.ts";
import { insertThing, openAt, rows, temporaryDirectory } from "./temporary-database.ts";

/** Where the log is; a second name keeps its inode from being used again, so that a log made anew shows. */
function placeOfLog(path: string): number {
  linkSync(`${path}-wal`, `${path}-second-name`);
  return statSync(`${path}-wal`).ino;
}

const KEPT: FromWorker = { kind: "committed", results: [[1]], trouble: null };

/** A database whose Worker collects what is no longer used all the time; "first" is in it, and the place of its log is known. */
async function collecting(path: string, timeoutMs: number) {
  const worker = new Worker(`${import.meta.dir}/child/collecting-worker.ts`);
  const ask = async (message: ToWorker): Promise<FromWorker> => {
    const answer = Promise.withResolvers<FromWorker>();
    worker.onmessage = (event: MessageEvent<FromWorker>) => answer.resolve(event.data);
    worker.postMessage(message);
    const answered = await answer.promise;
    // Time for the collector.
    await Bun.sleep(40);
    return answered;
  };
  const migrations = [{ name: "0001_thing", sql: "CREATE TABLE thing (id TEXT PRIMARY KEY) STRICT;" }];
  expect((await ask({ kind: "open", path, migrations, timeoutMs })).kind).toBe("opened");
  const sql = 'insert into "thing" values (?)';
  expect(await ask({ kind: "commit", sql: [sql], units: [[0, ["first"]]] })).toEqual(KEPT);
  return {
    ask,
    insert: (id: string) => ask({ kind: "commit", sql: [], units: [[0, [id]]] }),
    logAtFirst: placeOfLog(path),
    log: () => statSync(`${path}-wal`).ino,
    async close() {
      expect((await ask({ kind: "close" })).kind).toBe("closed");
      worker.terminate();
    },
  };
}

test("units that are refused for what is in them leave the log where it is, and what follows is committed", async () => {
  await using directory = temporaryDirectory();
  const database = await collecting(join(directory.path, "a.db"), 1000);
  for (let i = 0; i < 10; i++) {
    expect(JSON.stringify(await database.insert("first"))).toContain('"kind":"constraint"');
    const sql = "select no_such_column from thing";
    if (i % 2 === 1)
      expect((await database.ask({ kind: "query", id: i, sql, params: [] })).kind).toBe("query-failed");
    expect(await database.insert(`n${i}`)).toEqual(KEPT);
    expect(database.log()).toBe(database.logAtFirst);
  }
  await database.close();
});

test("a connection that is replaced after a foreign lock leaves the log where it is", async () => {
  await using directory = temporaryDirectory();
  const path = join(directory.path, "a.db");
  const database = await collecting(path, 5);
  for (let i = 0; i < 3; i++) {
    const child = Bun.spawn([process.execPath, "test/store/child/hold-lock.ts", path, "150"], {
      stdout: "pipe",
      stderr: "inherit",
    });
    await child.stdout.getReader().read();
    expect(JSON.stringify(await database.insert("no"))).toContain("locked by another");
    await child.exited;
    expect(await database.insert(`n${i}`)).toEqual(KEPT);
    expect(database.log()).toBe(database.logAtFirst);
  }
  await database.close();
});

test("a file that cannot be looked at: what was committed is not done again, and nothing is said to be kept", async () => {
  await using directory = temporaryDirectory();
  const path = join(directory.path, "a.db");
  const database = await openAt(path);
  await database.commit([insertThing("first")]);
  renameSync(path, `${path}-elsewhere`);
  // To look at it fails with ELOOP, which is not "no such file".
  symlinkSync(path, path);
  const results = await Promise.allSettled([
    database.commit([insertThing("second")]),
    database.commit([insertThing("third")]),
    database.commit([insertThing("first")]),
  ]);
  const words = results.map((result) => (result.status === "rejected" ? String(result.reason) : "kept"));
  expect(words[0]).toContain("cannot be looked at");
  expect(words[1]).toContain("cannot be looked at");
  expect(words[2]).toContain("refused a change");
  rmSync(path);
  renameSync(`${path}-elsewhere`, path);
  await database.commit([insertThing("fourth")]);
  expect(await rows(database, "select count(*) from thing")).toEqual([[4]]);
  await database.close();
});
