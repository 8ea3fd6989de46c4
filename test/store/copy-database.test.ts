// A copy of a database in use: whole, as of one moment, and nobody waits for it.
import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { silentLog } from "../../src/observe/log.ts";
import { copyDatabase } from "../../src/store/copy-database.ts";
import { failureOf, insertThing, openAt, rows, temporaryDirectory } from "./temporary-database.ts";

const MEGABYTES = 48;

test("writes go on while a large database is copied, and the copy is of one moment", async () => {
  await using directory = temporaryDirectory();
  const [path, file] = [join(directory.path, "a.db"), join(directory.path, "copy.db")];
  const database = await openAt(path);
  for (let i = 0; i < MEGABYTES; i++)
    await database.commit([insertThing(`large ${i}`, 0, new Uint8Array(1024 * 1024))]);

  let copied = false;
  const copying = copyDatabase({ path, file, log: silentLog }).then(() => {
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
  await copyDatabase({ path, file, log: silentLog });
  expect((await failureOf(copyDatabase({ path, file, log: silentLog }))).message).toContain("already exists");
  const nowhere = join(directory.path, "no such folder", "copy.db");
  expect((await failureOf(copyDatabase({ path, file: nowhere, log: silentLog }))).message).toContain("a.db");
  expect(existsSync(nowhere)).toBe(false);
  await database.commit([insertThing("two")]);
  expect(await rows(database, "select count(*) from thing")).toEqual([[2]]);
  await database.close();
});
