// The engine on real files: units, groups, isolation of failures, values, closing.
import { describe, expect, test } from "bun:test";
import { statSync } from "node:fs";
import { join } from "node:path";
import { silentLog } from "../../src/observe/log.ts";
import { StoreError } from "../../src/store/database.ts";
import { openReader } from "../../src/store/open-database.ts";
import { failureOf, insertThing, openAt, rows, temporaryDirectory } from "./temporary-database.ts";

async function kindOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => "resolved",
    (error: unknown) => (error instanceof StoreError ? error.kind : String(error)),
  );
}

describe("units", () => {
  test("are all or none, and later ones are not touched by a failed one", async () => {
    await using directory = temporaryDirectory();
    const database = await openAt(join(directory.path, "a.db"));
    const results = await Promise.all([
      kindOf(database.commit([insertThing("a"), insertThing("b")])),
      kindOf(database.commit([insertThing("c"), insertThing("a")])),
      kindOf(database.commit([insertThing("d")])),
      kindOf(database.commit([{ sql: "insert into nothing values (1)", params: [] }])),
      kindOf(database.commit([insertThing("e")])),
    ]);
    expect(results).toEqual(["resolved", "constraint", "resolved", "failed", "resolved"]);
    expect(await rows(database, "select id from thing order by id")).toEqual([["a"], ["b"], ["d"], ["e"]]);
    await database.close();
  });

  test("answer the number of rows that each statement changed", async () => {
    await using directory = temporaryDirectory();
    const database = await openAt(join(directory.path, "a.db"));
    const [first, second, third] = await Promise.all([
      database.commit([insertThing("a", 1), insertThing("b", 1), insertThing("c", 2)]),
      database.commit([
        { sql: "update thing set n = 5 where n = ?", params: [1] },
        { sql: "delete from thing where n = ?", params: [9] },
        insertThing("d"),
      ]),
      database.commit([
        { sql: 'insert into "thing" ("id") values (?) on conflict do nothing', params: ["a"] },
      ]),
    ]);
    expect(first).toEqual([1, 1, 1]);
    expect(second).toEqual([2, 0, 1]);
    expect(third).toEqual([0]);
    await database.close();
  });

  test("of one turn share one commit", async () => {
    await using directory = temporaryDirectory();
    const path = join(directory.path, "a.db");
    const database = await openAt(path);
    const before = statSync(`${path}-wal`).size;
    await Promise.all(Array.from({ length: 300 }, (_, i) => database.commit([insertThing(`t${i}`, i)])));
    // Alone, each commit writes at least two pages of 4 KB to the log.
    expect(statSync(`${path}-wal`).size - before).toBeLessThan(300 * 4096);
    expect(await rows(database, "select count(*), sum(n) from thing")).toEqual([[300, 44_850]]);
    await database.close();
  });

  test("larger than a group's limits pass in several groups", async () => {
    await using directory = temporaryDirectory();
    const database = await openAt(join(directory.path, "a.db"));
    const body = new Uint8Array(3_000_000);
    await Promise.all([
      ...Array.from({ length: 1200 }, (_, i) => database.commit([insertThing(`t${i}`)])),
      ...Array.from({ length: 4 }, (_, i) => database.commit([insertThing(`big${i}`, 0, body)])),
    ]);
    expect(await rows(database, "select count(*), sum(length(body)) from thing")).toEqual([
      [1204, 12_000_000],
    ]);
    await database.close();
  });

  test("with thousands of rows are one unit still", async () => {
    await using directory = temporaryDirectory();
    const database = await openAt(join(directory.path, "a.db"));
    const many = Array.from({ length: 15_000 }, (_, i) => insertThing(`t${i}`, i));
    expect((await database.commit(many)).length).toBe(15_000);
    expect(
      await kindOf(
        database.commit([
          ...many.slice(0, 12_000).map((s) => ({ ...s, params: [`x${s.params[0]}`, 1, null] })),
          insertThing("t1"),
        ]),
      ),
    ).toBe("constraint");
    expect(await rows(database, "select count(*) from thing")).toEqual([[15_000]]);
    await database.close();
  });
});

describe("values", () => {
  test("come back as they went in", async () => {
    await using directory = temporaryDirectory();
    const database = await openAt(join(directory.path, "a.db"));
    const pooled = Buffer.from("a part of a larger pool");
    const bytes = new Uint8Array(256).map((_, i) => i);
    const text = "ümlaut, 漢字, \u{1f4ee}, '; drop table thing; --";
    await database.commit([
      insertThing(text, 2 ** 53 - 1, bytes),
      insertThing("b", -1, pooled),
      insertThing("c", 0, new Uint8Array(0)),
    ]);
    const found = await rows(database, "select id, n, body from thing order by n desc");
    expect(found).toEqual([
      [text, 2 ** 53 - 1, bytes],
      ["c", 0, new Uint8Array(0)],
      ["b", -1, new Uint8Array(pooled)],
    ]);
    await database.close();
  });

  test("with a NUL keep what follows it", async () => {
    await using directory = temporaryDirectory();
    const database = await openAt(join(directory.path, "a.db"));
    await database.commit([insertThing("before\0after")]);
    expect(await rows(database, "select id from thing")).toEqual([["before\ufffdafter"]]);
    await database.close();
  });

  test("that no column can hold reject the unit before anything is sent", async () => {
    await using directory = temporaryDirectory();
    const database = await openAt(join(directory.path, "a.db"));
    for (const bad of [undefined, Number.NaN, Number.POSITIVE_INFINITY, { a: 1 }, () => 1, Symbol("s")]) {
      expect(
        (
          await failureOf(
            database.commit([insertThing("a"), { sql: "update thing set n = ?", params: [bad] }]),
          )
        ).message,
      ).toMatch(/parameter 1 of "update thing set n = \?" is/);
    }
    expect(await rows(database, "select count(*) from thing")).toEqual([[0]]);
    await database.close();
  });
});

describe("closing", () => {
  test("finishes what was asked before and refuses what comes after", async () => {
    await using directory = temporaryDirectory();
    const path = join(directory.path, "a.db");
    const database = await openAt(path);
    const last = database.commit([insertThing("last")]);
    const closed = database.close();
    expect((await failureOf(database.commit([insertThing("late")]))).message).toMatch(/is closed/);
    await last;
    await closed;
    await database.close();
    expect((await failureOf(rows(database, "select 1"))).message).toMatch(/is closed/);
    expect(database.broken).toEqual([]);
    const again = await openAt(path);
    expect(await rows(again, "select id from thing")).toEqual([["last"]]);
    await again.close();
  });
});

describe("a damaged file", () => {
  test("is refused at opening with words", async () => {
    await using directory = temporaryDirectory();
    const path = join(directory.path, "a.db");
    await Bun.write(path, "this is no database, ".repeat(500));
    expect((await failureOf(openAt(path))).message).toMatch(/a\.db is damaged: .*restore a backup/);
    expect((await failureOf(openAt(join(directory.path, "no", "folder.db")))).kind).toBe("failed");
  });

  test("found while running refuses everything pending and raises the alarm once", async () => {
    await using directory = temporaryDirectory();
    const path = join(directory.path, "a.db");
    const database = await openAt(path);
    await Promise.all(
      Array.from({ length: 300 }, (_, i) => database.commit([insertThing(`t${i}`, i, new Uint8Array(4000))])),
    );
    await database.close();
    const file = Bun.file(path);
    const bytes = new Uint8Array(await file.arrayBuffer());
    bytes.fill(0xff, 10 * 4096);
    await Bun.write(path, bytes);
    const damaged = await openAt(path);
    const pending = await Promise.all([
      kindOf(rows(damaged, "select sum(length(body)) from thing")),
      kindOf(damaged.commit([insertThing("new")])),
      kindOf(rows(damaged, "select 1")),
    ]);
    expect(pending).toEqual(["failed", "failed", "failed"]);
    expect(damaged.broken.map((error) => error.message)).toEqual([expect.stringContaining("is damaged")]);
    await damaged.close();
  });
});

test("a reader sees what is committed and cannot write", async () => {
  await using directory = temporaryDirectory();
  const path = join(directory.path, "a.db");
  const database = await openAt(path);
  const reader = await openReader({ path, log: silentLog });
  await database.commit([insertThing("a")]);
  expect(await rows(reader, "select id from thing")).toEqual([["a"]]);
  expect((await failureOf(rows(reader, "delete from thing"))).kind).toBe("failed");
  await database.commit([insertThing("b")]);
  expect(await rows(reader, "select count(*) from thing")).toEqual([[2]]);
  await reader.close();
  await database.close();
});
