// A copy of a database in use: whole, as of one moment, and nobody waits for it.
import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { silentLog } from "../../src/observe/log.ts";
import { copyDatabases } from "../../src/store/copy-database.ts";
import { failureOf, insertThing, openAt, rows, temporaryDirectory } from "./temporary-database.ts";

const MEGABYTES = 48;

test("writes go on while a large database is copied, and the copy is of one moment", async () => {
  await using directory = temporaryDirectory();
  const [path, file] = [join(directory.path, "a.db"), join(directory.path, "copy.db")];
  const database = await openAt(path);
  for (let i = 0; i < MEGABYTES; i++)
    await database.commit([insertThing(`large ${i}`, 0, new Uint8Array(1024 * 1024))]);

  let copied = false;
  const copying = copyDatabases([{ database, path, file }], silentLog).then(() => {
    copied = true;
  });
  // The two rows of a unit are both in the copy, or neither.
  let written = 0;
  let meanwhile = 0;
  while (!copied && written < 100_000) {
    await database.commit([insertThing(`a ${written}`), insertThing(`b ${written}`)]);
    written++;
    if (!copied) meanwhile++;
  }
  await copying;
  // On the writer's own Worker no commit would be answered before the copy is done.
  expect(meanwhile).toBeGreaterThan(1);

  const copy = await openAt(file);
  expect(await rows(copy, "pragma integrity_check")).toEqual([["ok"]]);
  const [[large, as, bs] = []] = await rows(
    copy,
    "select sum(id like 'large %'), sum(id like 'a %'), sum(id like 'b %') from thing",
  );
  expect(large).toBe(MEGABYTES);
  expect(as).toBe(bs ?? null);
  await copy.close();
  // The original takes writes as before.
  await database.commit([insertThing("after")]);
  await database.close();
});

test("a copy never overwrites, and one that fails leaves the database as it was", async () => {
  await using directory = temporaryDirectory();
  const [path, file] = [join(directory.path, "a.db"), join(directory.path, "copy.db")];
  const database = await openAt(path);
  await database.commit([insertThing("one")]);
  await copyDatabases([{ database, path, file }], silentLog);
  expect((await failureOf(copyDatabases([{ database, path, file }], silentLog))).message).toContain(
    "already exists",
  );
  const nowhere = join(directory.path, "no such folder", "copy.db");
  expect((await failureOf(copyDatabases([{ database, path, file: nowhere }], silentLog))).message).toContain(
    "a.db",
  );
  expect(existsSync(nowhere)).toBe(false);
  await database.commit([insertThing("two")]);
  expect(await rows(database, "select count(*) from thing")).toEqual([[2]]);
  await database.close();
});

test("copies of two databases are of the same moment, and nobody waits for them to be written", async () => {
  await using directory = temporaryDirectory();
  const at = (name: string) => join(directory.path, name);
  const [one, two] = [await openAt(at("1.db")), await openAt(at("2.db"))];
  for (let i = 0; i < MEGABYTES; i++)
    await two.commit([insertThing(`large ${i}`, 0, new Uint8Array(1024 * 1024))]);
  let copied = false;
  const copying = copyDatabases(
    [
      { database: one, path: at("1.db"), file: at("1.copy") },
      { database: two, path: at("2.db"), file: at("2.copy") },
    ],
    silentLog,
  ).then(() => {
    copied = true;
  });
  // Each number is first in the one, then in the other: a copy of one moment has at most one more there.
  let longest = 0;
  for (let n = 0; !copied && n < 100_000; n++) {
    const before = performance.now();
    await one.commit([insertThing(`n ${n}`)]);
    await two.commit([insertThing(`n ${n}`)]);
    longest = Math.max(longest, performance.now() - before);
  }
  await copying;
  const [first, second] = [await openAt(at("1.copy")), await openAt(at("2.copy"))];
  const count = async (database: typeof first) =>
    Number((await rows(database, "select count(*) from thing where id like 'n %'"))[0]?.[0]);
  const [a, b] = [await count(first), await count(second)];
  expect(a).toBeGreaterThan(0);
  expect([a, a - 1]).toContain(b);
  expect(longest).toBeLessThan(2000);
  for (const database of [first, second, one, two]) await database.close();
}, 60_000);

test("a paused database takes commits when it goes on, also one that is closed meanwhile", async () => {
  await using directory = temporaryDirectory();
  const database = await openAt(join(directory.path, "a.db"));
  const resume = await database.pause();
  let done = false;
  const writing = database.commit([insertThing("late")]).then(() => {
    done = true;
  });
  await Bun.sleep(30);
  expect(done).toBe(false);
  const closing = database.close();
  resume();
  resume();
  await writing;
  await closing;
});
