// Housekeeping on real files with a turned clock: a minute after the start, then every hour; a failure is an alarm, not the end.
import { expect, test } from "bun:test";
import { renameSync } from "node:fs";
import { join } from "node:path";
import type { MailAddress } from "../../src/message/address.ts";
import { newMessageId } from "../../src/message/message-id.ts";
import { silentLog } from "../../src/observe/log.ts";
import { logEventStatements } from "../../src/store/apply-log-events.ts";
import type { DatabaseWriter } from "../../src/store/database.ts";
import type { MessageRecord } from "../../src/store/log-record.ts";
import { createMessageLog } from "../../src/store/read-message-log.ts";
import { openBodyVault } from "../../src/vault/body-vault.ts";
import { startHousekeeping } from "../../src/vault/housekeeping.ts";
import { keepInQuarantine } from "../../src/vault/keep-in-quarantine.ts";
import { createQuarantine } from "../../src/vault/run-quarantine.ts";
import { noLargeBody } from "../message/small-body.ts";
import { waitUntil } from "../peers/run-command.ts";
import { DAY, HOUR, START, TurnedClock } from "../queue/queue-kit.ts";
import { openBooks, temporaryDirectory } from "../store/temporary-database.ts";

const MINUTE = 60_000;

function recordAt(at: number): MessageRecord {
  const id = newMessageId(at);
  return {
    id,
    envelope: {
      id,
      listener: "mx",
      client: { ip: "192.0.2.1", port: 1, helo: "h", hostname: null, tls: null, login: null },
      reversePath: "alice@example.org" as MailAddress,
      smtpUtf8: false,
      body: "7bit",
      requireTls: false,
      dsnRet: null,
      dsnEnvid: null,
      receivedAt: at,
    },
    recipients: [
      {
        n: 0,
        address: "bob@example.test",
        direction: "inbound",
        grant: null,
        state: "quarantined",
        verdict: null,
        reply: "250 2.1.5 Recipient ok",
      },
    ],
    size: 9,
    subject: "Sample",
    headerFrom: "alice@example.org",
    headerMessageId: "",
    findings: [],
    reply: "250 2.0.0 ok",
    cause: null,
  };
}

async function open(directory: string, keepLogMs: number) {
  const clock = new TurnedClock(START);
  const db = await openBooks(directory);
  const vault = await openBodyVault(join(directory, "vault"), () => clock.now());
  let releasing = true;
  const quarantine = createQuarantine({
    db,
    reader: db,
    vault,
    newBodyFile: noLargeBody,
    now: () => clock.now(),
    release: async () => {
      if (!releasing) throw new Error("the queue takes nothing");
    },
  });
  const alarms = new Map<string, string>();
  const log = createMessageLog(db);
  let failing = false;
  const database: DatabaseWriter = {
    query: (statement) => db.query(statement),
    commit: (statements) => (failing ? Promise.reject(new Error("the disk is full")) : db.commit(statements)),
  };
  let runs = 0;
  const stop = startHousekeeping({
    quarantine,
    database,
    clock,
    log: silentLog,
    keepLogMs: () => keepLogMs,
    onAlarm(name, words) {
      // Each run ends by raising or lifting this one.
      if (name === "housekeeping") runs += 1;
      if (words === null) alarms.delete(name);
      else alarms.set(name, words);
    },
  });
  return {
    clock,
    db,
    alarms,
    stop,
    fail: (now: boolean) => {
      failing = now;
    },
    release: (now: boolean) => {
      releasing = now;
    },
    subjects: async () => (await log.search({ limit: 100 })).length,
    items: async () => (await quarantine.list({ limit: 100 })).map(({ state }) => state),
    /** Keeps a message in log and quarantine as if it had come then. */
    async keep(at: number, keepMs: number) {
      const record = recordAt(at);
      await db.commit(logEventStatements({ kind: "message", record }));
      const copy = {
        messageId: record.id,
        n: 0,
        recipient: "bob@example.test",
        reversePath: "alice@example.org",
        headerFrom: "alice@example.org",
        subject: "Sample",
        direction: "inbound" as const,
        rule: "spam",
        words: "Quarantined by rule spam",
        receivedAt: at,
        message: Buffer.from(`Subject: ${record.id}\r\n\r\nbody\r\n`),
      };
      await db.commit(await keepInQuarantine(vault, { copy, keepMs }));
    },
    /** Turns the clock so far and waits for the run that this starts. */
    async turn(ms: number) {
      const before = runs;
      if (clock.step(clock.now() + ms)) await waitUntil("the run has ended", () => runs > before);
      return runs;
    },
  };
}

test("what is past its time goes, hour by hour; what is not stays", async () => {
  await using directory = temporaryDirectory();
  const house = await open(directory.path, 30 * DAY);
  await house.keep(START - 31 * DAY, 365 * DAY);
  await house.keep(START - 2 * DAY, 2 * DAY + 2 * HOUR);
  await house.keep(START, 30 * DAY);
  expect(await house.turn(MINUTE - 1)).toBe(0);
  expect(await house.subjects()).toBe(3);
  expect(await house.turn(1)).toBe(1);
  expect(await house.subjects()).toBe(2);
  expect((await house.items()).sort()).toEqual(["kept", "kept", "kept"]);
  expect(await house.turn(HOUR - 1)).toBe(1);
  expect(await house.turn(1)).toBe(2);
  expect(await house.turn(HOUR)).toBe(3);
  expect((await house.items()).sort()).toEqual(["expired", "kept", "kept"]);
  await house.stop();
  expect(await house.turn(DAY)).toBe(3);
  await house.db.close();
});

test("a failure raises an alarm, which the next run that works lifts", async () => {
  await using directory = temporaryDirectory();
  const house = await open(directory.path, DAY);
  await house.keep(START - 3 * DAY, 30 * DAY);
  house.fail(true);
  await house.turn(MINUTE);
  expect([...house.alarms]).toEqual([["housekeeping", expect.stringContaining("the disk is full")]]);
  expect(await house.subjects()).toBe(1);
  house.fail(false);
  await house.turn(HOUR);
  expect(house.alarms.size).toBe(0);
  expect(await house.subjects()).toBe(0);
  await house.stop();
  await house.db.close();
});

test("a release that cannot be finished, and bodies that are gone, are alarms until an hour that finds them well", async () => {
  await using directory = temporaryDirectory();
  const house = await open(directory.path, 365 * DAY);
  await house.keep(START, 30 * DAY);
  await house.keep(START + 1, 30 * DAY);
  await house.db.commit([
    {
      sql: "update quarantine set release_asked_at = ?, release_asked_by = 'admin' where n = 0",
      params: [START],
    },
  ]);
  house.release(false);
  await house.turn(MINUTE);
  expect([...house.alarms.keys()]).toEqual(["releases"]);
  const vault = join(directory.path, "vault");
  renameSync(vault, `${vault}.away`);
  await house.turn(HOUR);
  expect([...house.alarms.keys()]).toContain("vault-bodies");
  renameSync(`${vault}.away`, vault);
  house.release(true);
  await house.turn(HOUR);
  expect([...house.alarms]).toEqual([]);
  expect(await house.items()).toEqual(["released", "released"]);
  await house.stop();
  await house.db.close();
});
