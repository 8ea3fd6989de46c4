// The state that a line of the log shows is the state it is found and counted by, with recipients and without, for all and for one domain.
import { expect, test } from "bun:test";
import type { MailAddress } from "../../src/message/address.ts";
import type { Direction } from "../../src/message/envelope.ts";
import { newMessageId } from "../../src/message/message-id.ts";
import { logEventStatements } from "../../src/store/apply-log-events.ts";
import { gatepostMigrations } from "../../src/store/gatepost-migrations.ts";
import type { MessageRecord, RecipientState } from "../../src/store/log-record.ts";
import type { LogFilter } from "../../src/store/message-log.ts";
import { createMessageLog } from "../../src/store/read-message-log.ts";
import { openBooks, rows, temporaryDirectory } from "./temporary-database.ts";

const START = 1_795_000_000_000;
const STATES: readonly RecipientState[] = [
  "queued",
  "held",
  "delivered",
  "failed",
  "quarantined",
  "released",
  "discarded",
  "refused",
  "put-off",
  "dropped",
];

interface Sample {
  readonly from?: string;
  readonly login?: string;
  readonly sender?: string;
  readonly reply: string;
  readonly to?: readonly (readonly [address: string, state: RecipientState])[];
  readonly direction?: Direction;
}

let samples = 0;
function recordOf({ from, login, sender, reply, to = [], direction }: Sample): MessageRecord {
  const receivedAt = START + samples++ * 1000;
  const id = newMessageId(receivedAt);
  return {
    id,
    envelope: {
      id,
      listener: "mx",
      client: { ip: "192.0.2.1", port: 1, helo: "x", hostname: null, tls: null, login: login ?? null },
      reversePath: (from ?? "stranger@elsewhere.example") as MailAddress,
      smtpUtf8: false,
      body: "7bit",
      requireTls: false,
      dsnRet: null,
      dsnEnvid: null,
      receivedAt,
    },
    recipients: to.map(([address, state], n) => ({
      n,
      address,
      direction: direction ?? "inbound",
      grant: null,
      state,
      verdict: null,
      reply,
    })),
    size: 0,
    subject: `sample ${samples}`,
    headerFrom: "",
    headerMessageId: "",
    findings: sender === undefined ? [] : [{ check: "identity", fact: "identity.sender", value: sender }],
    reply,
    cause: null,
  };
}

/** A hundred that were delivered and one more that was not. */
const MANY = Array.from({ length: 150 }, (_one, n): [string, RecipientState] => [
  n === 140 ? "late@b.test" : `p${n}@a.test`,
  n === 140 ? "put-off" : "delivered",
]);

const SAMPLES: readonly Sample[] = [
  { reply: "550 5.7.1 boss may not send", from: "boss@a.test", login: "anna@a.test" },
  { reply: "450 4.7.1 too many", from: "anna@a.test", login: "anna@a.test" },
  { reply: "452 4.3.1 No space" },
  { reply: "550 5.7.1 not yours", from: "evil@a.test", sender: "203.0.113.33/32" },
  { reply: "550 5.7.1 forged", from: "boss@a.test" },
  {
    reply: "250 ok",
    to: [
      ["x@a.test", "delivered"],
      ["y@b.test", "refused"],
    ],
  },
  {
    reply: "250 ok",
    to: [
      ["x@a.test", "put-off"],
      ["y@b.test", "quarantined"],
    ],
    from: "me@b.test",
  },
  {
    reply: "250 ok",
    to: [
      ["out@c.example", "failed"],
      ["y@b.test", "delivered"],
    ],
    from: "me@a.test",
    login: "me@a.test",
    direction: "outbound",
  },
  { reply: "250 ok", to: MANY },
  ...STATES.map((state): Sample => ({ reply: "250 ok", to: [["x@a.test", state]] })),
];

test("the filter finds the lines that show its word, and the chart counts them", async () => {
  await using directory = temporaryDirectory();
  const database = await openBooks(directory.path);
  const records = SAMPLES.map(recordOf);
  await database.commit(records.flatMap((record) => logEventStatements({ kind: "message", record })));
  const log = createMessageLog(database, { now: () => START + 1_000_000 });
  const find = async (filter: Omit<LogFilter, "limit">) => log.search({ ...filter, limit: 100 });
  for (const domain of [undefined, "a.test", "b.test", "c.example", "nobody.test"]) {
    const about = domain === undefined ? {} : { domain };
    const all = await find(about);
    for (const state of STATES)
      expect((await find({ ...about, state })).map(({ id }) => id)).toEqual(
        all.filter(({ states }) => states.includes(state)).map(({ id }) => id),
      );
  }
  const shown = async (n: number, domain?: string) =>
    (await find(domain === undefined ? {} : { domain })).find(({ id }) => id === records[n]?.id)?.states;
  expect(await shown(0)).toEqual(["refused"]);
  expect(await shown(0, "a.test")).toEqual(["refused"]);
  expect(await shown(1)).toEqual(["put-off"]);
  expect(await shown(2)).toEqual(["put-off"]);
  expect(await shown(3, "a.test")).toEqual(["refused"]);
  // What an outsider claims is nobody's.
  expect(await shown(4, "a.test")).toBeUndefined();
  expect(await shown(5, "a.test")).toEqual(["delivered"]);
  expect(await shown(5, "b.test")).toEqual(["refused"]);
  expect(await shown(6, "b.test")).toEqual(["quarantined"]);
  // All of what somebody of the domain sent.
  expect(await shown(7, "a.test")).toEqual(["delivered", "failed"]);
  expect(await shown(7, "b.test")).toEqual(["delivered"]);
  expect(await shown(8)).toEqual(["delivered", "put-off"]);
  expect(await shown(8, "b.test")).toEqual(["put-off"]);
  const many = (await find({ domain: "b.test" })).find(({ id }) => id === records[8]?.id);
  expect(many?.recipients.map(({ address }) => address)).toEqual(["late@b.test"]);
  expect((await find({})).find(({ id }) => id === records[8]?.id)?.recipients.length).toBe(100);
  // Who else got it is not found out by looking for them.
  expect(await find({ domain: "b.test", recipient: "p3@a.test" })).toEqual([]);
  expect((await find({ domain: "b.test", text: "p3" })).length).toBe(0);
  expect((await find({ domain: "a.test", recipient: "out@c.example" })).length).toBe(1);

  const counted = await log.volume({ sinceMs: START, bucketMs: 2_000_000 });
  const expected = STATES.map((state) => ({
    at: START,
    state,
    count:
      records.flatMap(({ recipients }) => recipients).filter((one) => one.state === state).length +
      (state === "refused" ? 3 : state === "put-off" ? 2 : 0),
  }));
  expect(counted.toSorted((a, b) => a.state.localeCompare(b.state))).toEqual(
    expected.toSorted((a, b) => a.state.localeCompare(b.state)),
  );
  await database.close();
});

test("what an older log holds is found by its state too", async () => {
  await using directory = temporaryDirectory();
  const database = await openBooks(directory.path);
  const records = SAMPLES.map(recordOf);
  await database.commit(records.flatMap((record) => logEventStatements({ kind: "message", record })));
  const before = await rows(database, "select id, state from message order by id");
  const sql = gatepostMigrations.find(({ name }) => name === "0011_whole_state")?.sql ?? "";
  const fill = sql.slice(sql.indexOf("UPDATE message"), sql.indexOf("CREATE INDEX"));
  // Older still: without our answer beside it.
  for (const forgotten of ["state = null", "state = null, refusal = null"]) {
    await database.commit([{ sql: `update message set ${forgotten}`, params: [] }]);
    await database.commit([{ sql: fill, params: [] }]);
    expect(await rows(database, "select id, state from message order by id")).toEqual(before);
  }
  await database.close();
});
