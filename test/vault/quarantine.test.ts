// The quarantine on real files: filed once, released once, deleted, expired, and whole after a crash at any point of a release.
import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { MailAddress } from "../../src/message/address.ts";
import { logEventStatements } from "../../src/store/apply-log-events.ts";
import type { MessageRecord } from "../../src/store/log-record.ts";
import { createMessageLog } from "../../src/store/read-message-log.ts";
import { createAccounts } from "../../src/store/run-accounts.ts";
import { openBodyVault } from "../../src/vault/body-vault.ts";
import { keepInQuarantine } from "../../src/vault/keep-in-quarantine.ts";
import { createQuarantine } from "../../src/vault/run-quarantine.ts";
import { noLargeBody, small } from "../message/small-body.ts";
import { openBooks, rows, temporaryDirectory } from "../store/temporary-database.ts";

const START = 1_795_000_000_000;
const DAY = 86_400_000;

function sampleRecord(id: string, at: number, recipients: readonly string[]): MessageRecord {
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
    recipients: recipients.map((address, n) => ({
      n,
      address,
      direction: "inbound",
      grant: null,
      state: "quarantined",
      verdict: null,
      reply: "250 2.0.0 ok",
    })),
    size: 9,
    subject: "Bad news",
    headerFrom: "alice@example.org",
    headerMessageId: "",
    findings: [],
    reply: "250 2.0.0 ok",
    cause: null,
  };
}

/** A quarantine in a directory; `restart` opens everything again as a new process would. */
async function open(directory: string) {
  let now = START;
  const released: string[] = [];
  let refuse: Error | null = null;
  const db = await openBooks(directory);
  const vault = await openBodyVault(join(directory, "vault"), () => now);
  const quarantine = createQuarantine({
    db,
    reader: db,
    vault,
    newBodyFile: noLargeBody,
    now: () => now,
    release: async (item, body) => {
      if (refuse !== null) throw refuse;
      released.push(`${item.id} ${small(body).toString()}`);
    },
  });
  const file = async (
    id: string,
    at: number,
    recipients: readonly string[],
    rule = "virus",
  ): Promise<void> => {
    const record = sampleRecord(id, at, recipients);
    await db.commit(logEventStatements({ kind: "message", record }));
    for (const [n, recipient] of recipients.entries()) {
      const copy = {
        messageId: id,
        n,
        recipient,
        reversePath: "alice@example.org",
        headerFrom: record.headerFrom,
        subject: record.subject,
        direction: "inbound" as const,
        receivedAt: at,
        rule,
        words: "it is bad",
        message: Buffer.from(`body of ${id}`),
      };
      // At least once: the outbox may file the same item again.
      for (let times = 0; times < 2; times++)
        await db.commit(await keepInQuarantine(vault, { copy, keepMs: DAY }));
    }
  };
  return {
    db,
    vault,
    quarantine,
    released,
    file,
    log: createMessageLog(db),
    audit: createAccounts(db),
    setNow: (at: number) => {
      now = at;
    },
    setRefuse: (error: Error | null) => {
      refuse = error;
    },
  };
}

function bodies(directory: string): number {
  return readdirSync(join(directory, "vault"), { recursive: true }).filter((name) =>
    String(name).endsWith(".zst"),
  ).length;
}

test("items are listed newest first, by any filter, in pages", async () => {
  await using directory = temporaryDirectory();
  const { quarantine, file, db } = await open(directory.path);
  await file("m1", START, ["Bob@example.test", "eve@other.test"]);
  await file("m2", START + 1, ["bob@example.test"], "spam");
  await file("m3", START + 1, ["dan@example.test"]);
  const ids = async (filter: object): Promise<string[]> =>
    (await quarantine.list({ limit: 10, ...filter })).map((item) => item.id);
  expect(await ids({})).toEqual(["m3-0", "m2-0", "m1-1", "m1-0"]);
  expect(await ids({ recipient: "BOB@example.test" })).toEqual(["m2-0", "m1-0"]);
  expect(await ids({ domain: "OTHER.test" })).toEqual(["m1-1"]);
  expect(await ids({ rule: "virus", domain: "example.test" })).toEqual(["m3-0", "m1-0"]);
  expect(await ids({ state: "released" })).toEqual([]);
  expect(await ids({ limit: 2 })).toEqual(["m3-0", "m2-0"]);
  expect(await ids({ before: { receivedAt: START + 1, id: "m2-0" } })).toEqual(["m1-1", "m1-0"]);
  expect(await quarantine.get("m1-0")).toEqual({
    id: "m1-0",
    messageId: "m1",
    n: 0,
    recipient: "Bob@example.test",
    reversePath: "alice@example.org",
    headerFrom: "alice@example.org",
    subject: "Bad news",
    direction: "inbound",
    sender: "",
    identity: "",
    senderDomain: "",
    rule: "virus",
    words: "it is bad",
    size: 10,
    receivedAt: START,
    expiresAt: START + DAY,
    state: "kept",
    class: "rule",
    server: "",
    answer: "",
    failedAt: null,
    seenAt: null,
    writtenFor: null,
  });
  expect(Buffer.from((await quarantine.body("m1-0")) ?? []).toString()).toBe("body of m1");
  expect(await quarantine.get("m9-0")).toBeNull();
  expect(await quarantine.body("m9-0")).toBeNull();
  expect(bodies(directory.path)).toBe(3);
  await db.close();
});

test("a release happens once however often it is asked for, and is in both logs", async () => {
  await using directory = temporaryDirectory();
  const { quarantine, file, released, log, audit, db, setNow } = await open(directory.path);
  await file("m1", START, ["bob@example.test"]);
  setNow(START + 5000);
  const answers = await Promise.all([1, 2, 3].map(() => quarantine.release("m1-0", "admin")));
  expect(answers.filter((answer) => answer === "released").length).toBe(1);
  expect(answers.filter((answer) => answer === "already").length).toBe(2);
  expect(await quarantine.release("m1-0", "admin")).toBe("already");
  expect(await quarantine.release("m9-0", "admin")).toBe("gone");
  expect(await quarantine.remove("m1-0", "admin")).toBe(false);
  // Calls side by side may each hand it over: the queue takes it once, under an id made from the item's.
  expect(new Set(released)).toEqual(new Set(["m1-0 body of m1"]));
  expect((await quarantine.get("m1-0"))?.state).toBe("released");
  expect(await quarantine.body("m1-0")).toBeNull();
  expect((await log.get("m1"))?.states).toEqual([
    {
      n: 0,
      state: "released",
      at: START + 5000,
      nextAttemptAt: null,
      words: "released from quarantine by admin",
    },
  ]);
  expect(
    (await audit.auditLog({ limit: 9 })).map(({ actor, action, subject }) => [actor, action, subject]),
  ).toEqual([["admin", "quarantine.release", "m1-0"]]);
  await db.close();
});

test("a release that the queue refuses leaves the item as it was", async () => {
  await using directory = temporaryDirectory();
  const { quarantine, file, released, setRefuse, db } = await open(directory.path);
  await file("m1", START, ["bob@example.test"]);
  setRefuse(new Error("disk full"));
  const failed = await quarantine.release("m1-0", "admin").catch((error: Error) => error.message);
  expect(failed).toBe("disk full");
  expect((await quarantine.get("m1-0"))?.state).toBe("kept");
  setRefuse(null);
  expect(await quarantine.release("m1-0", "admin")).toBe("released");
  expect(released).toEqual(["m1-0 body of m1"]);
  await db.close();
});

test("a release cut off by a crash is finished at the next start; until then nothing removes the item", async () => {
  await using directory = temporaryDirectory();
  const before = await open(directory.path);
  await before.file("m1", START, ["bob@example.test"]);
  await before.file("m2", START, ["bob@example.test"]);
  // What a process that died between the two databases leaves behind.
  await before.db.commit([
    {
      sql: "update quarantine set release_asked_at = ?, release_asked_by = 'admin' where id = 'm1-0'",
      params: [START],
    },
  ]);
  await before.db.close();

  const after = await open(directory.path);
  expect(await after.quarantine.remove("m1-0", "admin")).toBe(false);
  expect(await after.quarantine.expire(START + 2 * DAY)).toBe(1);
  expect(await after.quarantine.resumeReleases()).toBe(1);
  expect(await after.quarantine.resumeReleases()).toBe(0);
  expect(after.released).toEqual(["m1-0 body of m1"]);
  expect((await after.quarantine.get("m1-0"))?.state).toBe("released");
  expect((await after.quarantine.get("m2-0"))?.state).toBe("expired");
  await after.db.close();
});

test("deleting and expiring end an item; a shared body stays until the last one is gone", async () => {
  await using directory = temporaryDirectory();
  const { quarantine, file, log, setNow, db } = await open(directory.path);
  await file("m1", START, ["bob@example.test", "eve@example.test"]);
  await file("m2", START + 10_000, ["dan@example.test"]);
  setNow(START + 2 * 3_600_000);
  expect(await quarantine.remove("m1-0", "admin")).toBe(true);
  expect(await quarantine.remove("m1-0", "admin")).toBe(false);
  expect(await quarantine.release("m1-0", "admin")).toBe("gone");
  expect(bodies(directory.path)).toBe(2);
  expect(await quarantine.body("m1-1")).not.toBeNull();
  expect(await quarantine.expire(START + DAY - 1)).toBe(0);
  expect(await quarantine.expire(START + DAY)).toBe(1);
  expect(bodies(directory.path)).toBe(1);
  expect((await quarantine.list({ limit: 9 })).map((item) => item.state)).toEqual([
    "kept",
    "expired",
    "deleted",
  ]);
  expect((await log.get("m1"))?.states.map(({ state, words }) => [state, words])).toEqual([
    ["dropped", "deleted from quarantine by admin"],
    ["dropped", "removed from quarantine: its time was over"],
  ]);
  expect(await quarantine.sweep()).toBe(0);
  expect(await quarantine.expire(START + 400 * DAY)).toBe(1);
  expect(await rows(db, "select count(*) from quarantine")).toEqual([[0]]);
  await db.close();
});

test("an item whose body was lost says so and stays", async () => {
  await using directory = temporaryDirectory();
  const { quarantine, file, vault, setNow, db } = await open(directory.path);
  await file("m1", START, ["bob@example.test"]);
  setNow(START + 7_200_000);
  const [[hash] = []] = await rows(db, "select body_hash from quarantine");
  await vault.removeUnlessReferenced(String(hash), () => Promise.resolve(false));
  const failed = await quarantine.release("m1-0", "admin").catch((error: Error) => error.message);
  expect(failed).toContain("the body of m1-0 is missing from the vault");
  expect(await quarantine.remove("m1-0", "admin")).toBe(true);
  await db.close();
});
