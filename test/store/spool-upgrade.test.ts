// A queue that an older version wrote.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLog } from "../../src/observe/log.ts";
import { openDatabase } from "../../src/store/open-database.ts";
import { openSpool } from "../../src/store/spool.ts";
import { spoolMigrations } from "../../src/store/spool-migrations.ts";
import { spoolReader } from "../../src/store/spool-reading.ts";
import { removeRecipients } from "../../src/store/spool-writing.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "spool-upgrade-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** A recipient as the first version wrote it. */
function oldRow(n: number, state: string, outcome: object | null) {
  return {
    sql: "insert into recipient values (1, ?, ?, 'a@example.org', 'mx:example.org', '{}', 1, 1, 9, 9, null, ?)",
    params: [n, state, outcome === null ? null : JSON.stringify(outcome)],
  };
}

test("a queue of the first version is counted when it is opened", async () => {
  const path = join(folder, "old.db");
  const open = (migrations: typeof spoolMigrations) =>
    openDatabase({ path, migrations, log: silentLog, onBroken: () => {} });
  const old = await open(spoolMigrations.slice(0, 1));
  await old.commit([
    {
      sql: "insert into message (seq, id, received_at, size, envelope, body) values (1, 'id1', 1, 5, '{}', ?)",
      params: [Buffer.from("hello")],
    },
    oldRow(1, "queued", { code: null, enhanced: null, text: "refused" }),
    oldRow(2, "queued", { code: 451, enhanced: "4.7.1", text: "Greylisted" }),
    oldRow(3, "held", null),
  ]);
  await old.close();
  const now = await open(spoolMigrations);
  // What waits because nobody answered is known for it.
  expect(await now.query({ sql: "select n from recipient where awaits_server = 1", params: [] })).toEqual([
    [1],
  ]);
  expect(await spoolReader(now).counts()).toEqual({ queued: 2, held: 1, oldest: 1 });
  await now.commit([removeRecipients([{ seq: 1, n: 1 }])]);
  expect(await spoolReader(now).counts()).toMatchObject({ queued: 1, held: 1 });
  // Its body, which has no sum, comes as it is.
  const spool = await openSpool({ database: now, bodiesFolder: join(folder, "bodies") });
  expect(await spool.body({ seq: 1, size: 5, bodyFile: null })).toEqual(new Uint8Array(Buffer.from("hello")));
  await now.close();
});

test("a password that an earlier build kept with waiting mail is taken out", async () => {
  const path = join(folder, "old.db");
  const open = (migrations: typeof spoolMigrations) =>
    openDatabase({ path, migrations, log: silentLog, onBroken: () => {} });
  const before = spoolMigrations.findIndex(({ name }) => name === "0007_no_login");
  const old = await open(spoolMigrations.slice(0, before));
  const destination = { kind: "smarthost", key: "smart", host: "smart.example.test" };
  const detailOf = (more: object) =>
    JSON.stringify({ direction: "outbound", destination: { ...destination, ...more } });
  const insert = (n: number, detail: string) => ({
    sql: `insert into recipient (message_seq, n, state, address, destination_key, detail, next_attempt_at, tries, deadline_at, expires_at)
          values (1, ?, 'queued', 'a@example.org', 'smart', ?, 1, 1, 9, 9)`,
    params: [n, detail],
  });
  await old.commit([
    {
      sql: "insert into message (seq, id, received_at, size, envelope, body) values (1, 'id1', 1, 5, '{}', ?)",
      params: [Buffer.from("hello")],
    },
    insert(1, detailOf({ login: { user: "u", password: "first-pass-aaa1" } })),
    insert(2, detailOf({})),
    ...Array.from({ length: 200 }, (_, n) =>
      insert(n + 3, detailOf({ login: { user: "u", password: `first-pass-aaa1${"x".repeat(500)}` } })),
    ),
  ]);
  // As the earlier build left it: a file of before this was done, with rows that are delivered.
  await old.commit([
    { sql: "delete from recipient where n > 2", params: [] },
    { sql: "pragma user_version = 0", params: [] },
  ]);
  await old.close();
  expect(readFileSync(path).includes("first-pass-aaa1")).toBe(true);
  const now = await open(spoolMigrations);
  expect(await now.query({ sql: "select detail from recipient order by n", params: [] })).toEqual([
    [detailOf({})],
    [detailOf({})],
  ]);
  // Neither in what is used of the files nor in what is not, while it is open: rows that were deleted before are gone from them too.
  for (const name of readdirSync(folder))
    expect([name, readFileSync(join(folder, name)).includes("first-pass-aaa1")]).toEqual([name, false]);
  await now.close();
});

test("a database of an earlier version is told of before it is brought up to date, a new one is not", async () => {
  const lines: string[] = [];
  const log = { ...silentLog, info: (_fields: unknown, words: string) => void lines.push(words) };
  const told = { table: "message", words: "the queue" };
  const open = (migrations: typeof spoolMigrations) =>
    openDatabase({ path: join(folder, "told.db"), migrations, log, told, onBroken: () => {} });
  await (await open(spoolMigrations.slice(0, 2))).close();
  expect(lines).toEqual([]);
  await (await open(spoolMigrations)).close();
  expect(lines).toEqual(["the queue of 0 rows is being brought to this version; mail is taken afterwards"]);
  await (await open(spoolMigrations)).close();
  expect(lines.length).toBe(1);
});
