// spool.db on a real file: the schema Drizzle believes in, the indexes the queue lives by, bodies in rows and files.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getTableColumns, getTableName, sql } from "drizzle-orm";
import { wirePieces } from "../../src/delivery/dot-stuffing.ts";
import { isLarge } from "../../src/message/body.ts";
import { silentLog } from "../../src/observe/log.ts";
import { wholeBody } from "../../src/store/body-file.ts";
import type { Statement } from "../../src/store/database.ts";
import { type Database, openDatabase } from "../../src/store/open-database.ts";
import { openSpool } from "../../src/store/spool.ts";
import type { SpooledMessage, SpooledRecipient } from "../../src/store/spool-entry.ts";
import { spoolMigrations } from "../../src/store/spool-migrations.ts";
import { spoolReader } from "../../src/store/spool-reading.ts";
import * as schema from "../../src/store/spool-schema.ts";
import {
  giveBack,
  insertArchiveCopy,
  insertMessage,
  insertRecipient,
  putBack,
  removeArchiveCopies,
  removeRecipients,
  removeSettledMessages,
  seize,
} from "../../src/store/spool-writing.ts";
import { sqlStatement } from "../../src/store/statement.ts";
import { small } from "../message/small-body.ts";
import { readyDatabase } from "./ready-database.ts";
import { failureOf } from "./temporary-database.ts";

let folder: string;
let database: Database;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "spool-test-"));
  const path = join(folder, "spool.db");
  await readyDatabase(path, spoolMigrations);
  database = await openDatabase({
    path,
    migrations: spoolMigrations,
    log: silentLog,
    onBroken: () => {},
  });
});
afterEach(async () => {
  await database.close();
  await rm(folder, { recursive: true, force: true });
});

const bodiesFolder = () => join(folder, "bodies");
const encoder = new TextEncoder();

function message(seq: number, bodyFile: string | null = null, size = 5): SpooledMessage {
  const envelope = {
    reversePath: "",
    smtpUtf8: false,
    eightBit: false,
    requireTls: false,
    dsnRet: null,
    dsnEnvid: null,
  };
  return { seq, id: `id${seq}`, receivedAt: 1, size, envelope, bodyFile };
}

function recipient(n: number, state: SpooledRecipient["state"] = "queued"): SpooledRecipient {
  const destination = { kind: "mx" as const, key: "mx:example.org", domain: "example.org" };
  const detail = { destination, edits: [], sign: null, dsn: null, mayBounce: true, quarantine: null };
  return {
    n,
    state,
    address: "a@example.org",
    detail,
    nextAttemptAt: n,
    tries: 0,
    deadlineAt: 9,
    expiresAt: 9,
    lastOutcome: null,
  };
}

test("the tables are as the schema says", async () => {
  for (const table of [
    schema.message,
    schema.recipient,
    schema.unreachable,
    schema.released,
    schema.outbox,
    schema.archiveCopy,
    schema.unreported,
    schema.waiting,
  ]) {
    const name = getTableName(table);
    const rows = await database.query(
      sqlStatement(sql`select name, type, "notnull", pk from pragma_table_info(${name})`),
    );
    const real = rows.map(([column, type, notNull, key]) => [
      column,
      String(type).toLowerCase(),
      notNull === 1 || Number(key) > 0,
    ]);
    const columns = Object.values(getTableColumns(table));
    const believed = columns.map((column) => [
      column.name,
      column.getSQLType(),
      column.notNull || column.primary,
    ]);
    expect({ name, columns: real }).toEqual({ name, columns: believed });
  }
});

/** The plans SQLite makes for what a piece of code asks. */
async function plans(
  run: (spy: { query: Database["query"]; commit: Database["commit"] }) => Promise<unknown>,
): Promise<string> {
  const asked: Statement[] = [];
  await run({
    query: async (one) => {
      asked.push(one);
      return [];
    },
    commit: async (unit) => {
      asked.push(...unit);
      return [];
    },
  });
  const words: string[] = [];
  for (const { sql: text, params } of asked) {
    const rows = await database.query({ sql: `explain query plan ${text}`, params });
    words.push(...rows.map((row) => String(row[3])));
  }
  return words.join("\n");
}

test("claims, deadlines and settlements walk indexes, never the whole queue", async () => {
  const due = await plans((spy) => spoolReader(spy).waiting("mx:example.org", 10));
  expect(due).toContain("recipient_due");
  expect(due).not.toContain("SCAN");
  expect(due).not.toContain("TEMP B-TREE");
  for (const share of [
    await plans((spy) => spoolReader(spy).waitingSenders("mx:example.org", "", 10)),
    await plans((spy) =>
      spoolReader(spy).waitingShares("mx:example.org", { sender: "192.0.2.1", after: "", limit: 10 }),
    ),
    await plans((spy) =>
      spoolReader(spy).waitingOf("mx:example.org", { share: "192.0.2.0/24", limit: 10, maxSize: null }),
    ),
  ]) {
    expect(share).toContain("recipient_share");
    expect(share).not.toMatch(/SCAN (recipient|message)/);
    expect(share).not.toContain("TEMP B-TREE");
  }
  const deadline = await plans((spy) => spoolReader(spy).pastDeadline(1, 10));
  expect(deadline).toContain("recipient_deadline");
  expect(deadline).not.toContain("TEMP B-TREE");
  const quarantine = await plans((spy) => spoolReader(spy).toQuarantine(0, 10));
  expect(quarantine).toContain("recipient_quarantine");
  const keys = [{ seq: 1, n: 1 }];
  for (const one of [seize(keys, 1, "queued"), seize(keys, 1, "queued or held"), removeRecipients(keys)]) {
    const plan = await plans((spy) => spy.commit([one]));
    expect(plan).toContain("SEARCH recipient USING PRIMARY KEY");
    expect(plan).not.toContain("SCAN recipient");
  }
  const settled = await plans((spy) => spy.commit([removeSettledMessages([1])]));
  expect(settled).toContain("SEARCH message USING INTEGER PRIMARY KEY");
  expect(settled).not.toContain("SCAN message");
  expect(settled).not.toContain("SCAN recipient");
  expect(settled).toContain("SEARCH unreported USING PRIMARY KEY (message_seq=?)");
  expect(settled).toContain("SEARCH archive_copy USING INTEGER PRIMARY KEY");
});

test("counting reads two rows and one message, however long the queue is", async () => {
  const plan = await plans((spy) => spoolReader(spy).counts());
  // The two rows of `waiting`, and the first row of `message`: a walk in its own order, ended after one.
  expect(plan.split("\n").toSorted()).toEqual(["SCAN message", "SCAN waiting"]);
  const asked: Statement[] = [];
  const spy = {
    query: async (one: Statement) => {
      asked.push(one);
      return [];
    },
  };
  await spoolReader(spy).counts();
  const oldest = asked.find(({ sql: text }) => text.includes('from "message"'));
  expect(oldest?.sql).toContain('order by "message"."seq" limit ?');
  expect(oldest?.params).toEqual([1]);
  expect(await database.query(sqlStatement(sql`select count(*) from waiting`))).toEqual([[2]]);
});

test("the counts are what counting every row gives, after any changes", async () => {
  const states = ["queued", "active", "held", "quarantine"] as const;
  const spool = await openSpool({ database, bodiesFolder: bodiesFolder() });
  let dice = 7;
  const roll = (sides: number) => {
    dice = (dice * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((dice / 2_147_483_648) * sides);
  };
  const pick = () => states[roll(states.length)] ?? "queued";
  for (let seq = 1; seq <= 60; seq++) {
    await database.commit([
      insertMessage(message(seq), encoder.encode("hello")),
      ...[1, 2, 3, 4, 5].map((n) => insertRecipient(seq, recipient(n, pick()), null)),
    ]);
    const keys = Array.from({ length: 4 }, () => ({ seq: 1 + roll(seq), n: 1 + roll(5) }));
    await database.commit([
      seize(keys.slice(0, 1), 5, "queued or held"),
      giveBack(keys.slice(1, 3)),
      putBack(keys[2]?.seq ?? 0, recipient(keys[2]?.n ?? 0, pick())),
      removeRecipients(keys.slice(3)),
    ]);
  }
  const counted = new Map(
    (await database.query(sqlStatement(sql`select state, count(*) from recipient group by state`))).map(
      ([state, count]) => [String(state), Number(count)],
    ),
  );
  expect(counted.size).toBe(4);
  expect(await spool.counts()).toEqual({
    queued: counted.get("queued") ?? 0,
    held: counted.get("held") ?? 0,
    oldest: 1,
  });
});

test("a message stays until its copy for the archive is filed", async () => {
  const spool = await openSpool({ database, bodiesFolder: bodiesFolder() });
  const about = { domain: "example.test", sender: "alice@example.test", recipients: ["a@example.org"] };
  const detail = { ...about, direction: "outbound" as const, headerFrom: "", subject: "x" };
  await database.commit([
    insertMessage(message(1), encoder.encode("hello")),
    insertRecipient(1, recipient(1), null),
    insertArchiveCopy(1, detail),
  ]);
  expect(await database.commit([removeRecipients([{ seq: 1, n: 1 }]), removeSettledMessages([1])])).toEqual([
    1, 0,
  ]);
  expect(await spool.toArchive(0, 10)).toEqual([{ message: message(1), detail }]);
  expect(await spool.toArchive(1, 10)).toEqual([]);
  expect(await database.commit([removeArchiveCopies([1]), removeSettledMessages([1])])).toEqual([1, 1]);
  const plan = await plans((spy) => spy.commit([removeArchiveCopies([1])]));
  expect(plan).not.toContain("SCAN archive_copy");
});

test("a message goes when its last recipient does", async () => {
  await database.commit([
    insertMessage(message(1), encoder.encode("hello")),
    insertRecipient(1, recipient(1), null),
    insertRecipient(1, recipient(2, "held"), null),
  ]);
  const spool = await openSpool({ database, bodiesFolder: bodiesFolder() });
  expect(await database.commit([removeRecipients([{ seq: 1, n: 1 }]), removeSettledMessages([1])])).toEqual([
    1, 0,
  ]);
  expect((await spool.ofMessage("id1")).map((entry) => entry.recipient)).toEqual([recipient(2, "held")]);
  expect(await database.commit([removeRecipients([{ seq: 1, n: 2 }]), removeSettledMessages([1])])).toEqual([
    1, 1,
  ]);
});

test("rows are seized all together or not at all", async () => {
  await database.commit([
    insertMessage(message(1), null),
    insertRecipient(1, recipient(1), null),
    insertRecipient(1, recipient(2, "held"), null),
    insertRecipient(1, recipient(3, "active"), 7),
  ]);
  const keys = [1, 2, 3].map((n) => ({ seq: 1, n }));
  const [first, second, third] = keys.map((key) => [key]);
  expect(await database.commit([seize(keys, 8, "queued")])).toEqual([0]);
  expect(await database.commit([seize(keys.slice(0, 2), 8, "queued")])).toEqual([0]);
  expect(
    await database.commit([seize(second ?? [], 8, "queued"), seize(third ?? [], 8, "queued or held")]),
  ).toEqual([0, 0]);
  expect(await database.commit([seize(keys.slice(0, 2), 8, "queued or held")])).toEqual([2]);
  expect(await database.commit([seize(first ?? [], 8, "queued or held")])).toEqual([0]);
});

test("bodies come back octet for octet, from the row and from the file, whole and in part", async () => {
  const spool = await openSpool({ database, bodiesFolder: bodiesFolder(), maxBodyInRowBytes: 100 });
  const every = Uint8Array.from({ length: 512 }, (_, i) => i % 256);
  for (const body of [every.slice(0, 100), every]) {
    const seq = spool.nextMessageSeq();
    const { file } = await spool.keepBody(`id${seq}`, seq, body);
    expect(file === null).toBe(body.length <= 100);
    await database.commit([
      insertMessage(message(seq, file, body.length), file === null ? body : null),
      insertRecipient(seq, recipient(1), null),
    ]);
    const stored = { seq, size: body.length, bodyFile: file };
    expect(await spool.body(stored)).toEqual(body);
    expect(await spool.bodyStart(stored, 7)).toEqual(body.slice(0, 7));
    expect((await failureOf(spool.body({ ...stored, size: body.length + 1 }))).kind).toBe("lost");
  }
  expect((await failureOf(spool.body({ seq: 99, size: 5, bodyFile: null }))).kind).toBe("lost");
});

test.each([1, 100, 4096, 65_536])(
  "a body of %i octets in its row that was changed anywhere is lost",
  async (size) => {
    const spool = await openSpool({ database, bodiesFolder: bodiesFolder() });
    const seq = spool.nextMessageSeq();
    const body = crypto.getRandomValues(new Uint8Array(size));
    await database.commit([
      insertMessage(message(seq, null, size), body),
      insertRecipient(seq, recipient(1), null),
    ]);
    const stored = { seq, size, bodyFile: null };
    expect(await spool.body(stored)).toEqual(body);
    const put = (bytes: Uint8Array, sum: string) =>
      database.commit([
        { sql: `update message set body = ?, body_sum = ${sum} where seq = ?`, params: [bytes, seq] },
      ]);
    for (const at of new Set([0, size >> 1, size - 1])) {
      const damaged = body.slice();
      damaged[at] = (damaged[at] ?? 0) ^ 0x20;
      await put(damaged, "body_sum");
      const failure = await failureOf(spool.body(stored));
      expect([failure.kind, failure.message]).toEqual([
        "lost",
        expect.stringContaining("spool.db is damaged"),
      ]);
    }
    await put(body, "body_sum");
    expect(await spool.body(stored)).toEqual(body);
    // A row of an older version has no sum.
    await put(body.slice().fill(65), "null");
    expect(await spool.body(stored)).toEqual(body.slice().fill(65));
  },
);

test("at start, numbers go on and files of messages that were never committed are swept", async () => {
  const spool = await openSpool({ database, bodiesFolder: bodiesFolder(), maxBodyInRowBytes: 10 });
  const seq = spool.nextMessageSeq();
  const { file } = await spool.keepBody("id1", seq, encoder.encode("a body of some length"));
  await database.commit([insertMessage(message(seq, file), null), insertRecipient(seq, recipient(1), null)]);
  await writeFile(join(bodiesFolder(), "id9-9.eml"), "orphan");
  await writeFile(join(bodiesFolder(), "README"), "not ours");
  const again = await openSpool({ database, bodiesFolder: bodiesFolder() });
  expect((await readdir(bodiesFolder())).toSorted()).toEqual(["README", String(file)]);
  expect(again.nextMessageSeq()).toBeGreaterThan(seq);
});

test("many large bodies kept at the same time are all there", async () => {
  const spool = await openSpool({ database, bodiesFolder: bodiesFolder(), maxBodyInRowBytes: 10 });
  const kept = await Promise.all(
    Array.from({ length: 40 }, (_, i) =>
      spool.keepBody(`id${i}`, i, encoder.encode(`body number ${i}, long enough`)),
    ),
  );
  const names = kept.map(({ file }) => file);
  expect(new Set(names).size).toBe(40);
  for (const [i, bodyFile] of names.entries()) {
    const text = `body number ${i}, long enough`;
    expect(new TextDecoder().decode(small(await spool.body({ seq: i, size: text.length, bodyFile })))).toBe(
      text,
    );
  }
});

test.each([65_537, 200_000, 327_680, 327_681, 400_000, 900_001])(
  "a file of %i octets that was damaged anywhere is found before the end is sent",
  async (size) => {
    const spool = await openSpool({ database, bodiesFolder: bodiesFolder() });
    const text = Buffer.from("Subject: x\r\n\r\n".padEnd(size, "a line of text\r\n"));
    const { file } = await spool.keepBody("id1", 1, text);
    if (file === null) throw new Error("it is in no file");
    const path = join(bodiesFolder(), file);
    const stored = { seq: 1, size, bodyFile: file };
    expect(text.equals(await wholeBody(await spool.body(stored)))).toBe(true);
    for (const at of [100, 65_536, size - 70_000, size - 1].filter((one) => one >= 0)) {
      const bytes = await readFile(path);
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      await writeFile(path, bytes);
      let ended = false;
      const sending = (async () => {
        const body = await spool.body(stored);
        // One that fits into memory is looked at before anything is sent.
        if (!isLarge(body)) ended = true;
        else for await (const { isLast } of wirePieces(body)) ended ||= isLast;
      })();
      expect((await failureOf(sending)).kind).toBe("lost");
      expect(ended).toBe(false);
      await writeFile(path, text);
    }
  },
);
