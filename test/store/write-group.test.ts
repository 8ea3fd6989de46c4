// Which statements of a group are joined, and that joining never changes the outcome.
import { expect, test } from "bun:test";
import { join } from "node:path";
import fc from "fast-check";
import type { Statement } from "../../src/store/database.ts";
import { UNCOUNTED } from "../../src/store/statement.ts";
import { knownSql, planGroup } from "../../src/store/write-group.ts";
import { openAt, rows, temporaryDirectory } from "./temporary-database.ts";

const insertA = 'insert into "a" ("x", "y") values (?, ?)';
const insertB = 'insert into "b" ("x") values (?)';
const upsertA = `${UNCOUNTED}insert into "a" ("x", "y") values (?, null) on conflict do nothing`;

test("only inserts that nobody can tell apart are joined", () => {
  expect(knownSql(insertA).insert).toMatchObject({ row: "(?, ?)", tail: "" });
  expect(knownSql(upsertA).insert?.tail).toBe(" on conflict do nothing");
  for (const sql of [
    'insert into "a" ("x") values (?) on conflict do nothing',
    'insert into "a" ("x") values (?) returning "x"',
    'insert into "a" ("x") values (?), (?)',
    'insert into "a" ("x") select ?',
    `${UNCOUNTED}insert into "a" ("x") values (?) on conflict ("x") do update set "y" = ?`,
    'update "a" set "x" = ?',
  ]) {
    expect(knownSql(sql).insert).toBeNull();
  }
});

test("runs of inserts become one statement per text; anything else ends the run", () => {
  const catalogue = [insertA, insertB, "delete from a where x = ?"].map(knownSql);
  const plan = planGroup(
    [
      [0, [1, 2], 1, [3]],
      [0, [4, 5]],
      [2, [1]],
      [0, [6, 7]],
    ],
    catalogue,
  );
  expect(plan.statements).toEqual([
    { sql: `${insertA}, (?, ?)`, args: [1, 2, 4, 5] },
    { sql: insertB, args: [3] },
    { sql: "delete from a where x = ?", args: [1] },
    { sql: insertA, args: [6, 7] },
  ]);
  expect(plan.counts).toEqual([[-1, -1], [-1], [2], [-1]]);
});

test("a group ends as the same units one by one", async () => {
  await using directory = temporaryDirectory();
  const key = fc.integer({ min: 0, max: 6 }).map((n) => `k${n}`);
  const step = fc.oneof(
    key.map((id): Statement => ({ sql: 'insert into "thing" ("id", "n") values (?, ?)', params: [id, 1] })),
    key.map(
      (id): Statement => ({
        sql: `${UNCOUNTED}insert into "thing" ("id", "n") values (?, ?) on conflict do nothing`,
        params: [id, 2],
      }),
    ),
    key.map(
      (id): Statement => ({ sql: 'insert into "other" ("thing", "words") values (?, ?)', params: [id, "w"] }),
    ),
    key.map((id): Statement => ({ sql: "delete from other where thing = ?", params: [id] })),
    key.map((id): Statement => ({ sql: "delete from thing where id = ?", params: [id] })),
    key.map((id): Statement => ({ sql: "update thing set n = n + 10 where id = ?", params: [id] })),
  );
  let run = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(step, { minLength: 1, maxLength: 4 }), { maxLength: 12 }),
      async (units) => {
        const outcomes: unknown[] = [];
        for (const together of [true, false]) {
          const database = await openAt(join(directory.path, `${++run}.db`));
          const done: boolean[] = [];
          const commits: Promise<unknown>[] = [];
          for (const [index, unit] of units.entries()) {
            const commit = database.commit(unit).then(
              () => {
                done[index] = true;
              },
              () => {
                done[index] = false;
              },
            );
            if (together) commits.push(commit);
            else await commit;
          }
          await Promise.all(commits);
          const things = await rows(database, "select id, n from thing order by id");
          const others = await rows(database, "select thing from other order by thing");
          outcomes.push({ done, things, others });
          await database.close();
        }
        expect(outcomes[0]).toEqual(outcomes[1]);
      },
    ),
    { numRuns: 25 },
  );
});
