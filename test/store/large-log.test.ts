// A log so large that a search runs out of its time says where it stopped and goes on from there; what is old goes away in small steps.
import { expect, test } from "bun:test";
import { newMessageId } from "../../src/message/message-id.ts";
import { expireMessageLog } from "../../src/store/expire-message-log.ts";
import { createMessageLog } from "../../src/store/read-message-log.ts";
import { openBooks, rows, temporaryDirectory } from "./temporary-database.ts";

const START = 1_795_000_000_000;
const MESSAGES = 20_000;

/** Rows straight into the table: what matters is how many there are. The oldest one is the one that is looked for. */
async function fill(database: Awaited<ReturnType<typeof openBooks>>): Promise<void> {
  const names = (await rows(database, "select name from pragma_table_info('message')")).map(([name]) =>
    String(name),
  );
  const numbers = new Set(
    (await rows(database, "select name from pragma_table_info('message') where type = 'INTEGER'")).map(
      ([name]) => String(name),
    ),
  );
  const sql = `insert into message (${names.join(", ")}) values (${names.map(() => "?").join(", ")})`;
  for (let n = 0; n < MESSAGES; n += 500) {
    await database.commit(
      Array.from({ length: 500 }, (_one, k) => {
        const at = START + (n + k) * 1000;
        const params = names.map((name) => {
          if (name === "id") return newMessageId(at);
          if (name === "received_at") return at;
          if (name === "subject") return n + k === 0 ? "the needle" : `hay ${n + k}`;
          return numbers.has(name) ? 1 : "x";
        });
        return { sql, params };
      }),
    );
  }
}

test("a search that runs out of time says so and is gone on with; expiring yields between small steps", async () => {
  await using directory = temporaryDirectory();
  const database = await openBooks(directory.path);
  await fill(database);
  const log = createMessageLog(database, { searchMs: 0 });
  let page = await log.find({ text: "needle", limit: 10 });
  expect(page.lines).toEqual([]);
  expect(page.cutAt).not.toBeNull();
  let pages = 1;
  for (; page.cutAt !== null && page.lines.length === 0; pages++)
    page = await log.find({ text: "needle", limit: 10, before: page.cutAt });
  expect(page.lines.map(({ subject }) => subject)).toEqual(["the needle"]);
  expect(pages).toBeGreaterThan(2);
  // Time enough: all was looked at.
  expect(await createMessageLog(database).find({ text: "nothing of the kind", limit: 10 })).toEqual({
    lines: [],
    cutAt: null,
  });

  // Others' commits get their turn while the old end goes away.
  let done = false;
  const expiring = expireMessageLog(database, START + 5000 * 1000).then((count) => {
    done = true;
    return count;
  });
  const waits: number[] = [];
  while (!done) {
    const before = performance.now();
    await database.commit([{ sql: "update message set subject = subject where id = ''", params: [] }]);
    waits.push(performance.now() - before);
    await Bun.sleep(5);
  }
  expect(await expiring).toBe(5000);
  waits.sort((a, b) => a - b);
  expect(waits[Math.floor(waits.length / 2)] ?? 0).toBeLessThan(100);
  expect(await rows(database, "select count(*) from message")).toEqual([[MESSAGES - 5000]]);
  // Asked to stop, it leaves the rest to the next time.
  let steps = 0;
  expect(await expireMessageLog(database, START + 9000 * 1000, () => ++steps <= 2)).toBeLessThan(4000);
  await database.close();
}, 120_000);
