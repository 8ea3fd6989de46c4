// Accounts that change, the quarantine by sender, and the message log of one domain, on real files.
import { expect, test } from "bun:test";
import { join } from "node:path";
import type { MailAddress } from "../../src/message/address.ts";
import type { Direction } from "../../src/message/envelope.ts";
import { newMessageId } from "../../src/message/message-id.ts";
import { logEventStatements } from "../../src/store/apply-log-events.ts";
import type { LogEvent, MessageRecord } from "../../src/store/log-record.ts";
import { listQuarantine, quarantinedSenders } from "../../src/store/quarantine-rows.ts";
import { createMessageLog } from "../../src/store/read-message-log.ts";
import { createAccounts } from "../../src/store/run-accounts.ts";
import { openBodyVault } from "../../src/vault/body-vault.ts";
import { keepInQuarantine, type QuarantinedCopy } from "../../src/vault/keep-in-quarantine.ts";
import { openBooks, rows, temporaryDirectory } from "./temporary-database.ts";

const START = 1_795_000_000_000;

test("the last administrator can neither be removed nor become less, also by two changes at once", async () => {
  await using directory = temporaryDirectory();
  const database = await openBooks(directory.path);
  const accounts = createAccounts(database, () => START);
  const make = (login: string, role: "administrator" | "user") =>
    accounts.create({ login, role, domains: [], passwordHash: "$argon2id$x" });
  const first = await make("first", "administrator");
  expect(await accounts.remove(first.id)).toBe("last-administrator");
  expect(await accounts.change(first.id, { role: "user", domains: [] })).toBe("last-administrator");
  const second = await make("second", "administrator");
  const both = await Promise.all([accounts.remove(first.id), accounts.remove(second.id)]);
  expect(both.toSorted()).toEqual(["done", "last-administrator"]);
  const left = (await accounts.list())[0];
  expect(left?.role).toBe("administrator");
  expect(await accounts.remove("nobody")).toBe("gone");
  expect(await accounts.change("nobody", { role: "user", domains: [] })).toBe("gone");
  // Changing domains or the role of others is free.
  const user = await make("user", "user");
  expect(await accounts.change(user.id, { role: "administrator", domains: [] })).toBe("done");
  expect(await accounts.remove(left?.id ?? "")).toBe("done");
  await database.close();
});

test("a changed or removed account is logged out, others are not", async () => {
  await using directory = temporaryDirectory();
  const database = await openBooks(directory.path);
  const accounts = createAccounts(database, () => START);
  const rights = { role: "domain-administrator", domains: ["example.test"], passwordHash: "x" } as const;
  const one = await accounts.create({ ...rights, login: "one" });
  const other = await accounts.create({ ...rights, login: "other" });
  await accounts.create({ login: "root", role: "administrator", domains: [], passwordHash: "x" });
  const session = { expiresAt: START + 5000, ip: "", proven: "x" };
  for (const [tokenHash, accountId] of [
    ["a", one.id],
    ["b", one.id],
    ["c", other.id],
  ] as const)
    await accounts.createSession({ ...session, tokenHash, accountId });
  expect((await accounts.list()).map(({ login, sessions }) => `${login} ${sessions}`)).toEqual([
    "one 2",
    "other 1",
    "root 0",
  ]);
  expect(await accounts.change(one.id, { role: "user", domains: [] })).toBe("done");
  expect(await accounts.byId(one.id)).toEqual({ id: one.id, login: "one", role: "user", domains: [] });
  expect(await accounts.session("a", START)).toBeNull();
  expect((await accounts.session("c", START))?.login).toBe("other");
  expect(await accounts.remove(other.id)).toBe("done");
  expect(await rows(database, "select count(*) from console_session")).toEqual([[0]]);
  await database.close();
});

async function openQuarantine(directory: string) {
  const database = await openBooks(directory);
  const vault = await openBodyVault(join(directory, "vault"), () => START);
  let n = 0;
  const file = async (
    copy: Partial<QuarantinedCopy> & { readonly direction: Direction },
    senderDomain?: string,
  ) => {
    n++;
    const whole: QuarantinedCopy = {
      messageId: newMessageId(START + n),
      n: 0,
      recipient: "someone@example.org",
      reversePath: "alice@example.test",
      headerFrom: "alice@example.test",
      subject: `message ${n}`,
      rule: "spam",
      words: "",
      receivedAt: START + n,
      message: Buffer.from(`message ${n}`),
      ...copy,
    };
    const filing = { copy: whole, keepMs: 1000, ...(senderDomain === undefined ? {} : { senderDomain }) };
    await database.commit(await keepInQuarantine(vault, filing));
  };
  return { database, file };
}

test("the outgoing quarantine is found by sender and by the sender's domain; inbound mail has neither", async () => {
  await using directory = temporaryDirectory();
  const { database, file } = await openQuarantine(directory.path);
  await file({ direction: "outbound", sender: "alice@example.test", identity: "alice@example.test" });
  await file({ direction: "outbound", sender: "alice@example.test" }, "example.test");
  // A smart host of example.test that sends for a customer: its own domain's administrators handle it.
  await file(
    { direction: "outbound", sender: "192.0.2.0/28", reversePath: "x@customer.test", identity: "x" },
    "example.test",
  );
  await file({ direction: "internal", recipient: "bob@shop.test", reversePath: "carol@Shop.test" });
  // An outsider who claims to be alice.
  await file(
    { direction: "inbound", recipient: "bob@example.test", sender: "alice@example.test" },
    "example.test",
  );
  const list = async (filter: object) =>
    (await listQuarantine(database, { limit: 9, ...filter })).map(({ subject }) => subject);
  expect(await list({ senderDomain: "example.test" })).toEqual(["message 3", "message 2", "message 1"]);
  expect(await list({ senderDomain: "customer.test" })).toEqual([]);
  expect(await list({ senderDomain: "SHOP.test" })).toEqual(["message 4"]);
  expect(await list({ senderDomain: "" })).toEqual([]);
  expect(await list({ sender: "alice@example.test" })).toEqual(["message 2", "message 1"]);
  expect(await list({ direction: "outgoing" })).toHaveLength(4);
  expect(await list({ direction: "incoming" })).toEqual(["message 5", "message 4"]);
  const inbound = (await listQuarantine(database, { limit: 1, direction: "incoming" }))[0];
  expect(inbound).toMatchObject({ sender: "", identity: "", senderDomain: "" });
  expect(await quarantinedSenders(database, { limit: 9 })).toEqual([
    { sender: "alice@example.test", items: 2, latestAt: START + 2 },
    { sender: "192.0.2.0/28", items: 1, latestAt: START + 3 },
    { sender: "carol@shop.test", items: 1, latestAt: START + 4 },
  ]);
  expect(await quarantinedSenders(database, { limit: 9, senderDomain: "shop.test" })).toHaveLength(1);
  await database.close();
});

test("lists of one sender and of one domain walk their own index", async () => {
  await using directory = temporaryDirectory();
  const { database, file } = await openQuarantine(directory.path);
  await file({ direction: "outbound" });
  const asked: string[] = [];
  const watching = {
    query: (query: { readonly sql: string; readonly params: readonly unknown[] }) => {
      asked.push(query.sql);
      return database.query(query);
    },
  };
  for (const filter of [{ sender: "alice@example.test" }, { senderDomain: "example.test" }]) {
    await listQuarantine(watching, { limit: 5, ...filter });
    const plan = await database.query({
      sql: `explain query plan ${asked.at(-1)}`,
      params: Object.values(filter).flatMap((value) => [value, 5]),
    });
    expect(plan.map(String).join("\n")).toContain(
      "sender" in filter ? "quarantine_sender (" : "quarantine_sender_domain (",
    );
    expect(plan.map(String).join("\n")).not.toContain("TEMP B-TREE");
  }
  await database.close();
});

function logRecord(sample: {
  readonly at: number;
  readonly from: string;
  readonly to: readonly string[];
  readonly direction: Direction;
  readonly login?: string;
}): MessageRecord {
  const id = newMessageId(sample.at);
  const { login = null } = sample;
  return {
    id,
    envelope: {
      id,
      listener: "mx",
      client: { ip: "192.0.2.1", port: 1, helo: "h", hostname: null, tls: null, login },
      reversePath: sample.from as MailAddress,
      smtpUtf8: false,
      body: "7bit",
      requireTls: false,
      dsnRet: null,
      dsnEnvid: null,
      receivedAt: sample.at,
    },
    recipients: sample.to.map((address, n) => ({
      n,
      address,
      direction: sample.direction,
      grant: null,
      state: "queued",
      verdict: null,
      reply: "250 2.1.5 ok",
    })),
    size: 9,
    subject: `from ${sample.from}`,
    headerFrom: sample.from,
    headerMessageId: "",
    findings: [],
    reply: "250 2.0.0 ok",
    cause: null,
  };
}

test("the log of a domain holds what it sent and got, and nothing that outsiders claim to send from it", async () => {
  await using directory = temporaryDirectory();
  const database = await openBooks(directory.path);
  const samples = [
    { at: START, from: "alice@example.test", to: ["x@example.org"], direction: "outbound" },
    { at: START + 1000, from: "x@example.org", to: ["alice@example.test"], direction: "inbound" },
    { at: START + 2000, from: "alice@example.test", to: ["bob@shop.test"], direction: "inbound" },
    {
      at: START + 3000,
      from: "alice@example.test",
      to: [],
      direction: "outbound",
      login: "alice@example.test",
    },
    { at: START + 4000, from: "alice@example.test", to: [], direction: "outbound" },
    {
      at: START + 5000,
      from: "bob@shop.test",
      to: ["carol@shop.test", "alice@example.test"],
      direction: "internal",
    },
  ] as const;
  for (const sample of samples) {
    const event: LogEvent = { kind: "message", record: logRecord(sample) };
    await database.commit(logEventStatements(event, JSON.stringify(event)));
  }
  const log = createMessageLog(database, { now: () => START + 9000 });
  const times = async (filter: object) =>
    (await log.search({ limit: 9, ...filter })).map(({ receivedAt }) => receivedAt - START);
  expect(await times({ domain: "example.test" })).toEqual([5000, 3000, 1000, 0]);
  expect(await times({ domain: "Shop.test" })).toEqual([5000, 2000]);
  expect(await times({ domain: "nothing.test" })).toEqual([]);
  expect(await times({ domain: "" })).toEqual([]);
  expect(await times({ domain: "example.test", recipient: "x@example.org" })).toEqual([0]);
  expect(await times({ domain: "example.test", text: "bob@shop.test" })).toEqual([5000]);
  await database.close();
});
