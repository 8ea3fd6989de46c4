// The message log: what the outbox writes is what people find, whatever the order and number of deliveries.
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { MailAddress } from "../../src/message/address.ts";
import { newMessageId } from "../../src/message/message-id.ts";
import { logEventStatements } from "../../src/store/apply-log-events.ts";
import { expireMessageLog } from "../../src/store/expire-message-log.ts";
import type { LogEvent, MessageRecord, RecipientState } from "../../src/store/log-record.ts";
import type { LogFilter } from "../../src/store/message-log.ts";
import { createMessageLog } from "../../src/store/read-message-log.ts";
import { openBooks, rows, temporaryDirectory } from "./temporary-database.ts";

const START = 1_795_000_000_000;

interface Sample {
  readonly at: number;
  readonly from?: string;
  readonly headerFrom?: string;
  readonly subject?: string;
  readonly to?: readonly {
    readonly address: string;
    readonly state?: RecipientState;
    readonly rule?: string;
  }[];
}

function sampleRecord(sample: Sample): MessageRecord {
  const from = sample.from ?? "alice@example.org";
  const id = newMessageId(sample.at);
  return {
    id,
    envelope: {
      id,
      listener: "mx",
      client: {
        ip: "192.0.2.1",
        port: 40_000,
        helo: "mail.example.org",
        hostname: null,
        tls: null,
        login: null,
      },
      reversePath: from === "" ? null : (from as MailAddress),
      smtpUtf8: false,
      body: "7bit",
      requireTls: false,
      dsnRet: null,
      dsnEnvid: null,
      receivedAt: sample.at,
    },
    recipients: (sample.to ?? [{ address: "bob@example.test" }]).map(({ address, state, rule }, n) => ({
      n,
      address,
      direction: "inbound",
      grant: { by: "relay-domain", domain: "example.test" },
      state: state ?? "queued",
      verdict: {
        action: "accept",
        rule: rule ?? null,
        words: "no rule objects",
        replyCode: 250,
        replyText: "ok",
        edits: [],
        redirectTo: null,
        copyTo: [],
        outcomes: [],
      },
      reply: "250 2.1.5 ok",
    })),
    size: 1234,
    subject: sample.subject ?? "Hello",
    headerFrom: sample.headerFrom ?? `"A" <${from}>`,
    headerMessageId: "<1@example.org>",
    findings: [{ check: "spf", fact: "spf.result", value: "pass", words: "SPF passes" }],
    reply: "250 2.0.0 queued",
    cause: null,
  };
}

function stateEvent(messageId: string, state: RecipientState, at: number, words: string = state): LogEvent {
  return { kind: "state", messageId, n: 0, state, at, nextAttemptAt: null, words };
}

function attemptEvent(messageId: string, id: string, at: number): LogEvent {
  return {
    kind: "attempt",
    record: {
      id,
      messageId,
      startedAt: at,
      endedAt: at + 5,
      destination: "mx:example.test",
      outcomes: [
        {
          n: 0,
          result: "deferred",
          code: 451,
          enhanced: "4.3.0",
          text: "later\u0000",
          server: "mx [192.0.2.9]:25",
          tls: null,
        },
      ],
    },
  };
}

test("events in any order and any number give one and the same log", async () => {
  await using directory = temporaryDirectory();
  const database = await openBooks(directory.path);
  const log = createMessageLog(database);
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.nat({ max: 4 }), { maxLength: 8 }),
      fc.boolean(),
      async (repeats, oneUnit) => {
        const record = sampleRecord({ at: START });
        const events: LogEvent[] = [
          { kind: "message", record },
          attemptEvent(record.id, "a1", START + 10),
          stateEvent(record.id, "queued", START + 20, "again later"),
          attemptEvent(record.id, "a2", START + 30),
          stateEvent(record.id, "delivered", START + 40),
        ];
        const order = [...repeats, 4, 3, 2, 1, 0].flatMap((index) => events[index] ?? []);
        const units = order.map((event) => logEventStatements(event));
        await (oneUnit
          ? database.commit(units.flat())
          : Promise.all(units.map((unit) => database.commit(unit))));
        const found = await log.get(record.id);
        expect(found?.record).toEqual(record);
        expect(found?.states).toEqual([
          { n: 0, state: "delivered", at: START + 40, nextAttemptAt: null, words: "delivered" },
        ]);
        expect(found?.attempts.map((attempt) => attempt.id)).toEqual(["a1", "a2"]);
        expect(found?.attempts[0]?.outcomes[0]?.code).toBe(451);
        const [line] = await log.search({ text: record.id, limit: 5 });
        expect(line).toMatchObject({
          id: record.id,
          receivedAt: START,
          clientIp: "192.0.2.1",
          reversePath: "alice@example.org",
          subject: "Hello",
          recipients: [{ address: "bob@example.test", state: "delivered", rule: null }],
        });
      },
    ),
    { numRuns: 30 },
  );
  expect(await log.get("no such id")).toBeNull();
  await database.close();
});

test("search by every field, together, in pages, newest first", async () => {
  await using directory = temporaryDirectory();
  const database = await openBooks(directory.path);
  const log = createMessageLog(database, { now: () => START + 100_000 });
  const samples: Sample[] = [
    { at: START, subject: "Invoice 100% due", to: [{ address: "Bob@example.test", state: "delivered" }] },
    { at: START + 1000, from: "", headerFrom: "Mailer <daemon@example.net>", subject: "Failure" },
    {
      at: START + 2000,
      from: "Carol@Example.net",
      subject: "Über Geld",
      to: [
        { address: "bob@example.test", state: "quarantined", rule: "virus" },
        { address: "dan@other.test", state: "refused" },
      ],
    },
    {
      at: START + 3000,
      from: "bounce@list.example.net",
      headerFrom: "News <news@example.com>",
      subject: "invoice_list",
      to: [{ address: "eve@other.test", state: "quarantined", rule: "spam" }],
    },
  ];
  const records = samples.map(sampleRecord);
  await database.commit(records.flatMap((record) => logEventStatements({ kind: "message", record })));
  const find = async (filter: Omit<Parameters<typeof log.search>[0], "limit">): Promise<number[]> =>
    (await log.search({ ...filter, limit: 10 })).map((line) =>
      records.findIndex((record) => record.id === line.id),
    );

  expect(await find({})).toEqual([3, 2, 1, 0]);
  expect(await find({ sender: "ALICE@example.org" })).toEqual([0]);
  expect(await find({ sender: "carol@example.net" })).toEqual([2]);
  expect(await find({ sender: "" })).toEqual([1]);
  expect(await find({ sender: "news@example.com" })).toEqual([3]);
  expect(await find({ sender: "example.net" })).toEqual([2]);
  expect(await find({ recipient: "bob@example.test" })).toEqual([2, 1, 0]);
  expect(await find({ recipient: "@other.test" })).toEqual([3, 2]);
  expect(await find({ state: "quarantined" })).toEqual([3, 2]);
  expect(await find({ state: "quarantined", recipient: "eve@other.test" })).toEqual([3]);
  expect(await find({ rule: "virus" })).toEqual([2]);
  expect(await find({ rule: "virus", state: "delivered" })).toEqual([]);
  expect(await find({ text: "invoice" })).toEqual([3, 0]);
  expect(await find({ text: "100%" })).toEqual([0]);
  expect(await find({ text: "e_list" })).toEqual([3]);
  expect(await find({ text: "ÜBER geld" })).toEqual([2]);
  expect(await find({ text: "über geld" })).toEqual([2]);
  expect(await find({ text: "dan" })).toEqual([2]);
  expect(await find({ text: "bob@example.test", state: "quarantined" })).toEqual([2]);
  expect(await find({ text: "other.test" })).toEqual([3, 2]);
  expect(await find({ text: records[1]?.id ?? "" })).toEqual([1]);
  expect(await find({ text: records[1]?.id ?? "", since: START + 5000 })).toEqual([]);
  expect(await find({ since: START + 1000, until: START + 2000 })).toEqual([2, 1]);
  expect(await find({ before: records[2]?.id ?? "" })).toEqual([1, 0]);
  expect((await log.search({ limit: 1 })).length).toBe(1);
  for (const text of [
    "'; drop table message; --",
    "\\",
    "%".repeat(5000),
    "\u0000",
    "a ".repeat(500),
    "@",
    "@@",
    ".",
  ]) {
    await find({ text, sender: text, recipient: text, rule: text });
    await find({ text });
  }
  expect(await find({})).toEqual([3, 2, 1, 0]);
  expect(await log.volume({ sinceMs: START, bucketMs: 2000 })).toEqual([
    { at: START, state: "delivered", count: 1 },
    { at: START, state: "queued", count: 1 },
    { at: START + 2000, state: "quarantined", count: 2 },
    { at: START + 2000, state: "refused", count: 1 },
  ]);
  await database.close();
});

test("what is past its time is removed, and nothing else", async () => {
  await using directory = temporaryDirectory();
  const database = await openBooks(directory.path);
  const records = Array.from({ length: 1300 }, (_, i) => sampleRecord({ at: START + i * 1000 }));
  await database.commit(
    records.flatMap((record) => [
      ...logEventStatements({ kind: "message", record }),
      ...logEventStatements(attemptEvent(record.id, "a", START)),
    ]),
  );
  expect(await expireMessageLog(database, START + 1_200_000)).toBe(1200);
  expect(await expireMessageLog(database, START + 1_200_000)).toBe(0);
  for (const table of ["message", "message_detail", "message_recipient", "attempt"]) {
    expect(await rows(database, `select count(*) from ${table}`)).toEqual([[100]]);
  }
  await database.close();
});

test("every search walks an index or the log in order, never a whole table", async () => {
  await using directory = temporaryDirectory();
  const database = await openBooks(directory.path);
  const asked: string[] = [];
  const log = createMessageLog({
    query: async (statement) => {
      const plan = await database.query({ ...statement, sql: `explain query plan ${statement.sql}` });
      asked.push(...plan.map((row) => String(row[3])));
      return database.query(statement);
    },
  });
  await database.commit(logEventStatements({ kind: "message", record: sampleRecord({ at: START }) }));
  const filters = [
    {},
    { sender: "a@b.c" },
    { sender: "b.c" },
    { recipient: "a@b.c" },
    { recipient: "b.c" },
    { rule: "x" },
    { state: "held" as const },
    { text: "a@b.c" },
    { text: "word" },
    { client: "192.0.2.1" },
    { client: "192.0.2.0/24" },
    { server: "mx" },
    { reply: "later" },
    { since: START, until: START + 1 },
  ];
  for (const filter of filters) await log.search({ ...filter, limit: 10 });
  await log.volume({ sinceMs: START, bucketMs: 1000 });
  expect(
    asked.filter((step) => /^SCAN (message_recipient|message_detail|attempt|r)\b(?! USING)/.test(step)),
  ).toEqual([]);
  expect(asked.some((step) => step.includes("message_recipient_state"))).toBe(true);
  await database.close();
});

test("finds by client, network, mail server and the words of replies", async () => {
  await using directory = temporaryDirectory();
  const database = await openBooks(directory.path);
  const clients = [
    "203.0.113.10",
    "203.0.113.11",
    "203.0.113.100",
    "203.0.114.1",
    "10.9.0.2",
    "2001:db8:1::5",
    "2001:db8:2::5",
    "",
  ];
  const replies = ["250 2.0.0 queued", "554 5.6.0 no such person", "450 4.7.1 Relaying later"];
  const records = clients.map((ip, i) => {
    const record = sampleRecord({ at: START + i * 1000 });
    const client = { ...record.envelope.client, ip };
    // What the mail server said when it was asked is not what was answered.
    const cause = i === 4 ? "550 5.1.1 gone fishing" : null;
    return { ...record, reply: replies[i] ?? "250 ok", cause, envelope: { ...record.envelope, client } };
  });
  const [first] = records;
  if (first === undefined) throw new Error("no record");
  await database.commit([
    ...records.flatMap((record) => logEventStatements({ kind: "message", record })),
    ...logEventStatements(attemptEvent(first.id, "a", START)),
  ]);
  const log = createMessageLog(database);
  const find = async (filter: Omit<LogFilter, "limit">) =>
    (await log.search({ ...filter, limit: 10 }))
      .map(({ id }) => records.findIndex((one) => one.id === id))
      .reverse();
  expect(await find({ text: "203.0.113.10" })).toEqual([0]);
  expect(await find({ client: "203.0.113.11" })).toEqual([1]);
  expect(await find({ text: "203.0.113.0/24" })).toEqual([0, 1, 2]);
  expect(await find({ client: "203.0.113.8/30" })).toEqual([0, 1]);
  expect(await find({ client: "203.0.112.0/22" })).toEqual([0, 1, 2, 3]);
  expect(await find({ client: "0.0.0.0/0" })).toEqual([0, 1, 2, 3, 4]);
  expect(await find({ client: "2001:db8:1::/48" })).toEqual([5]);
  expect(await find({ client: "2001:db8::/32" })).toEqual([5, 6]);
  expect(await find({ text: "2001:db8:2::5" })).toEqual([6]);
  expect(await find({ client: "not an address" })).toEqual([]);
  expect(await find({ server: "192.0.2.9" })).toEqual([0]);
  expect(await find({ server: "mx [" })).toEqual([0]);
  expect(await find({ reply: "no such person" })).toEqual([1]);
  expect(await find({ text: "mx [192.0.2.9]" })).toEqual([0]);
  expect(await find({ text: "554 5.6.0" })).toEqual([1]);
  expect(await find({ text: "5.6.0" })).toEqual([1]);
  expect(await find({ text: "relaying" })).toEqual([2]);
  expect(await find({ reply: "gone fishing" })).toEqual([4]);
  expect(await find({ text: "GONE fishing" })).toEqual([4]);
  expect(await find({ reply: "gone shopping" })).toEqual([]);
  expect(await find({ server: "MX." })).toEqual(await find({ server: "mx" }));
  expect(await find({ reply: "later" })).toEqual([0, 2]);
  expect(await find({ reply: "later", client: "203.0.113.0/24", server: "mx" })).toEqual([0]);
  expect((await log.search({ client: "203.0.113.11", limit: 1 }))[0]?.refusal).toBe(
    "554 5.6.0 no such person",
  );
  const plan = await rows(
    database,
    "explain query plan select distinct id from message where client_ip = '10.9.0.2' and id < 'z' order by id desc limit 9",
  );
  expect(plan.map((row) => String(row[3])).join("; ")).toContain("message_client (client_ip=? AND id<?)");
  await database.close();
});
