// However much is past its time: it goes in slices that hold the writer for a moment each, and all of it goes.
import { expect, test } from "bun:test";
import type { DatabaseWriter } from "../../src/store/database.ts";
import { SLICE_ROWS } from "../../src/store/delete-old.ts";
import { knownRecipientStatements } from "../../src/store/known-recipient-rows.ts";
import { expireLockEvents } from "../../src/store/outgoing-lock-rows.ts";
import { processorMs } from "../message/processor-time.ts";
import { openBooks, rows, temporaryDirectory } from "./temporary-database.ts";

const MANY = 200_000;
const MOST_MS = 50;
const COUNTED = `with recursive c (n) as (select 1 union all select n + 1 from c where n < ${MANY})`;

test("200,000 events of locks and 200,000 known recipients go in slices of 50 ms at the most", async () => {
  await using directory = temporaryDirectory();
  const database = await openBooks(directory.path);
  const run = (sql: string) => database.commit([{ sql, params: [] }]);
  await run(`${COUNTED} insert into outgoing_lock_event (sender, name, domain, at, what, by_whom, words)
    select 's' || n, '', 'example.test', n, 'locked', 'limit', 'words' from c`);
  await run(`${COUNTED} insert into known_recipient select 'r' || n || '@example.test', n from c`);
  const costs: number[] = [];
  const counted: DatabaseWriter = {
    query: (statement) => database.query(statement),
    async commit(statements) {
      const before = processorMs();
      const changed = await database.commit(statements);
      costs.push(processorMs() - before);
      for (const count of changed) expect(count).toBeLessThanOrEqual(SLICE_ROWS);
      return changed;
    },
  };
  await expireLockEvents(counted, MANY);
  expect(await rows(database, "select count(*) from outgoing_lock_event")).toEqual([[1]]);
  for (let n = 0; n < MANY / SLICE_ROWS; n++)
    await counted.commit(knownRecipientStatements({ confirmed: [], refused: [], before: MANY }));
  expect(await rows(database, "select count(*) from known_recipient")).toEqual([[1]]);
  costs.sort((a, b) => a - b);
  // The slowest hundredth may have copied the log into the file.
  expect(costs[Math.floor(costs.length * 0.99)]).toBeLessThan(MOST_MS);
}, 120_000);
