// Recipients while their mail server is away, and what a server's answer to a call-out says about an address at all.
import { afterEach, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createKnownRecipients, type KnownRecipientStore } from "../../src/delivery/known-recipients.ts";
import { recipientVerdict } from "../../src/delivery/recipient-verdict.ts";
import { createRecipientVerifier } from "../../src/delivery/recipient-verify.ts";
import { parseReply } from "../../src/delivery/remote-reply.ts";
import type { Clock } from "../../src/observe/clock.ts";
import { silentLog } from "../../src/observe/log.ts";
import { gatepostMigrations } from "../../src/store/gatepost-migrations.ts";
import { knownRecipientStatements, loadKnownRecipients } from "../../src/store/known-recipient-rows.ts";
import { openDatabase } from "../../src/store/open-database.ts";
import { readyDatabase } from "../store/ready-database.ts";
import { noDns, SHORT } from "./deliverer-fixture.ts";
import { type ScriptedPeer, startScriptedPeer, usualServer } from "./scripted-peer.ts";

const DAY = 86_400_000;
const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

describe("an answer to RCPT", () => {
  test.each([
    "550 5.1.1 No such user",
    "550 no such user here",
    "550 <sales@example.test>: Recipient address rejected: User unknown in local recipient table",
    "550 <relay-policy-blocked@example.test> unknown user",
    "550 5.1.0 Address rejected",
    "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup",
    "551 User not local",
    "551 5.1.6 moved away",
    "553 sorry, no mailbox here by that name",
    "553 5.1.3 Invalid address",
    "550unknown",
    "550 Requested action not taken: mailbox unavailable",
    "550 Invalid recipient",
    "550 5.1.1 <x@y.test> is not allowed; account blocked",
    // Exchange Online's directory-based edge blocking: "the recipient's email address is invalid" (Microsoft, NDR 550 5.4.1).
    "550 5.4.1 [x@y.test]: Recipient address rejected: Access denied. AS(201806281) [BN1NAM02FT022.eop-nam02.prod.protection.outlook.com]",
    "550 5.4.1 Recipient address rejected: Access denied",
    "550 5.4.1 x@y.test: Access denied",
    // Other servers' codes for the same; qmail's chkuser, Google, Yahoo, outlook.com, sendmail (seen in bounces).
    "511 sorry, no mailbox here by that name (#5.1.1 - chkuser)",
    "511 5.1.1 sorry, no mailbox here by that name",
    "554 5.1.1 no mailbox",
    "554 5.1.0 Address rejected",
    "554 delivery error: dd This user doesn't have a y.test account (x@y.test) [0] - mta1009.y.test",
    "554 Invalid recipient",
    "554 5.7.1 <x@y.test>: Recipient address rejected: User unknown",
    "550 5.2.1 The email account that you tried to reach is disabled. Learn more at https://support.example/mail/?p=DisabledUser-policy",
    "550 5.2.1 mailbox disabled",
    "550 5.0.0 User unknown",
    "550 5.0.0 x@y.test... rejected",
    "550 5.3.0 x@y.test... User unknown",
    "550 5.5.0 Requested action not taken: mailbox unavailable (S2017062302)",
    "550 5.7.1 User unknown",
    "550 5.7.1 No such user",
    "550 5.7.1 The address does not exist",
    "550 5.2.0 no such mailbox",
    "550 sorry, no mailbox here by that name. (#5.7.17)",
    "550 5.1.351 Remote server returned unknown recipient or mailbox unavailable",
    "501 5.1.3 Bad recipient address syntax",
    "553 5.6.7 Non-ASCII addresses not permitted for that recipient",
    "556 5.1.10 Recipient address has null MX",
  ])("%s: unknown", (text) => {
    expect(recipientVerdict(parseReply(text))).toBe("no");
  });

  test.each([
    "550 5.7.1 Your address is on a list",
    "550 5.7.60 SMTP; Client does not have permissions to send as this sender",
    "550 5.2.2 over quota",
    "550 5.2.1 The user you are trying to contact is receiving mail at a rate that prevents additional messages",
    // Postfix, Exim and sendmail where the client is shut out: every recipient hears it.
    "554 5.7.1 <x@y.test>: Recipient address rejected: Access denied",
    "550 5.7.1 Access denied",
    "550 Access denied",
    "550 5.0.0 Access denied",
    "550 Administrative prohibition",
    "554 5.7.1 <gate.test[192.0.2.1]>: Client host rejected: Access denied",
    "550 5.7.1 your IP is blocked",
    "550 5.7.606 Access denied, banned sending IP [192.0.2.1]",
    "550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Part of their network is on our block list",
    "550 5.4.1 Relay Access Denied",
    "550 5.4.1 no answer from host",
    "550 5.4.6 routing loop",
    "550 5.7.1 Unable to relay for unknown user",
    "550 5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup",
    "550 5.1.1 <x@y.test> - 192.0.2.1 has sent to too many recipients this hour",
    "550 5.1.0 Null sender not accepted",
    "550 5.3.0 Rejected",
    "550 5.5.0 Rejected",
    "554 5.0.0 Service unavailable",
    "554 5.3.0 Rejected",
    "521 5.3.2 No mail here",
    "501 5.5.4 Syntax",
    "555 5.5.4 Unsupported option",
    "552 5.2.2 mailbox full",
    "552 Mailbox is full",
    "550 mailbox full",
    "550 Mailbox quota exceeded",
    "554 5.7.1 Service unavailable; client host blocked using zen.spamhaus.org",
    "554 no",
    "550 blocked using zen.spamhaus.org",
    "550 Your IP is listed in the RBL",
    "550 Authentication is required",
    "550 authentication required for relay",
    "550 relaying denied",
    "550 Relay not permitted",
    "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain",
    "550 Administrative prohibition by policy",
    "550 Sender verify failed",
    "550 5.1.8 sender address has no MX",
    "553 5.1.7 the sender's address is not valid",
    "553 sender rejected",
    "550 Reverse DNS lookup failed",
    "550 HELO name is not valid",
    "550 try again later",
    "550 too many connections from your host",
    "550 Must issue a STARTTLS command first",
    "530 5.7.0 Must issue STARTTLS first",
    "530 5.7.1 Authentication required",
    "535 5.7.8 bad credentials",
    "503 MAIL first",
    "500 what",
    "501 syntax",
    "450 4.2.1 later",
    "421 bye",
    "yes please",
  ])("%s: says nothing about the address", (text) => {
    expect(recipientVerdict(parseReply(text))).toBe("unsure");
  });

  test.each(["250 ok", "250", "251 will forward", "252 cannot verify"])("%s: known", (text) => {
    expect(recipientVerdict(parseReply(text))).toBe("yes");
  });
});

interface Server {
  readonly peer: ScriptedPeer;
  /** How it answers: as a server that knows anna, as one that takes all, or not at all. */
  mode: "knows" | "takes all" | "down" | "slow" | "full" | "anna left";
}

async function startServer(): Promise<Server> {
  const server: { mode: Server["mode"] } = { mode: "knows" };
  const peer = await startScriptedPeer(async (talk) => {
    if (server.mode === "down") return;
    if (server.mode === "slow") await new Promise(() => {});
    await usualServer({
      rcpt(line) {
        if (server.mode === "down") return null;
        if (server.mode === "full") return "452 4.3.1 out of space";
        if (server.mode === "takes all") return "250 ok";
        return line.includes("<anna@") && server.mode === "knows" ? "250 ok" : "550 5.1.1 No such user";
      },
    })(talk);
  });
  open.push(() => peer.close());
  return Object.assign(server, { peer });
}

async function openStore(): Promise<KnownRecipientStore> {
  const folder = await mkdtemp(join(tmpdir(), "known-"));
  const path = join(folder, "gatepost.db");
  await readyDatabase(path, gatepostMigrations);
  const database = await openDatabase({
    path,
    migrations: gatepostMigrations,
    log: silentLog,
    onBroken: (error) => {
      throw error;
    },
  });
  open.push(async () => {
    await database.close();
    await rm(folder, { recursive: true });
  });
  return {
    load: (limit) => loadKnownRecipients(database, limit),
    save: async (changes) => void (await database.commit(knownRecipientStatements(changes))),
  };
}

interface Fixture {
  readonly alarms: Map<string, string | null>;
  answers: number;
  advance(ms: number): void;
  ask(address: string): Promise<{ readonly known: string }>;
  /** Another process on the same store. */
  restart(): Promise<void>;
}

async function setUp(server: Server, store: KnownRecipientStore): Promise<Fixture> {
  let skew = 0;
  const clock: Clock = {
    now: () => Date.now() + skew,
    after(ms, wake) {
      const timer = setTimeout(wake, ms);
      return () => clearTimeout(timer);
    },
  };
  const alarms = new Map<string, string | null>();
  const make = async () =>
    createRecipientVerifier({
      resolver: noDns,
      hostname: "gate.example.com",
      clock,
      log: silentLog,
      timeouts: { ...SHORT, greeting: 3000, attempt: 4000 },
      confirmed: await createKnownRecipients({ store, clock, log: silentLog }),
      onAlarm: (name, words) => void alarms.set(name, words),
      onAnswer: () => void fixture.answers++,
    });
  let verifier = await make();
  open.unshift(() => verifier.close());
  const routes = [{ host: "127.0.0.1", port: server.peer.port, priority: 0, tls: "none" as const }];
  const fixture: Fixture = {
    alarms,
    answers: 0,
    advance(ms) {
      skew += ms;
    },
    ask: (address) => verifier.verify({ address, routes, cacheMs: 3_600_000 }),
    async restart() {
      await verifier.close();
      verifier = await make();
    },
  };
  return fixture;
}

describe("a server that is away", () => {
  test.each(["down", "full", "slow"] as const)(
    "%s: confirmed recipients stay known for weeks, others do not",
    async (mode) => {
      const server = await startServer();
      const it = await setUp(server, await openStore());
      expect(await it.ask("anna@example.test")).toMatchObject({ known: "yes" });
      server.mode = mode;
      for (let n = 0; n < 3; n++) {
        it.advance(9 * DAY);
        expect(await it.ask("anna@example.test")).toMatchObject({ known: "yes" });
      }
      expect(await it.ask("nobody@example.test")).toMatchObject({ known: "unsure" });
      it.advance(4 * DAY);
      expect(await it.ask("anna@example.test")).toMatchObject({ known: "unsure" });
    },
    20_000,
  );

  test.each(["down", "full", "slow"] as const)(
    "%s: whoever asks again in the next seconds hears the same, for all who are confirmed and for nobody else",
    async (mode) => {
      const server = await startServer();
      const it = await setUp(server, await openStore());
      await it.ask("anna@example.test");
      it.advance(DAY);
      server.mode = mode;
      for (let n = 0; n < 5; n++) {
        expect(await it.ask("anna@example.test")).toMatchObject({ known: "yes" });
        expect(await it.ask("nobody@example.test")).toMatchObject({ known: "unsure" });
        it.advance(1700);
      }
      server.mode = "anna left";
      it.advance(20_000);
      expect(await it.ask("anna@example.test")).toMatchObject({ known: "no" });
    },
    20_000,
  );

  test("over a restart too", async () => {
    const server = await startServer();
    const it = await setUp(server, await openStore());
    await it.ask("anna@example.test");
    server.mode = "down";
    await it.restart();
    it.advance(9 * DAY);
    expect(await it.ask("anna@example.test")).toMatchObject({ known: "yes" });
  });

  test("who was refused since is not known any more, neither after a restart", async () => {
    const server = await startServer();
    const it = await setUp(server, await openStore());
    await it.ask("anna@example.test");
    await it.restart();
    server.mode = "anna left";
    it.advance(DAY);
    expect(await it.ask("anna@example.test")).toMatchObject({ known: "no" });
    server.mode = "down";
    it.advance(DAY);
    expect(await it.ask("anna@example.test")).toMatchObject({ known: "unsure" });
    await it.restart();
    it.advance(DAY);
    expect(await it.ask("anna@example.test")).toMatchObject({ known: "unsure" });
  });

  test("its return is told to whoever waits for it", async () => {
    const server = await startServer();
    const it = await setUp(server, await openStore());
    server.mode = "down";
    await it.ask("anna@example.test");
    server.mode = "knows";
    it.advance(60_000);
    await it.ask("anna@example.test");
    it.advance(DAY);
    await it.ask("anna@example.test");
    expect(it.answers).toBe(1);
  });
});

describe("a server that takes every address", () => {
  test("is an alarm until it does not, and its recipients are known while it is away", async () => {
    const server = await startServer();
    server.mode = "takes all";
    const it = await setUp(server, await openStore());
    await it.ask("whoever@example.test");
    expect(it.alarms.get("call-out example.test")).toContain("takes every address");
    server.mode = "down";
    await it.restart();
    it.advance(DAY);
    expect(await it.ask("another@example.test")).toMatchObject({ known: "yes" });
    server.mode = "knows";
    it.advance(DAY);
    expect(await it.ask("another@example.test")).toMatchObject({ known: "no" });
    expect(it.alarms.get("call-out example.test")).toBeNull();
    server.mode = "down";
    it.advance(DAY);
    expect(await it.ask("third@example.test")).toMatchObject({ known: "unsure" });
  });
});

test("a server that takes every address and cannot say so now takes them still", async () => {
  const server = await startServer();
  server.mode = "takes all";
  const it = await setUp(server, await openStore());
  await it.ask("whoever@example.test");
  server.mode = "full";
  it.advance(DAY);
  for (let n = 0; n < 3; n++) {
    expect(await it.ask(`other${n}@example.test`)).toMatchObject({ known: "yes" });
    it.advance(20_000);
  }
  expect(it.alarms.get("call-out example.test")).toContain("takes every address");
});

test("the list is bounded, the oldest go first, and what is on disk follows", async () => {
  const store = await openStore();
  const clock: Clock = { now: () => Date.now(), after: () => () => {} };
  const known = await createKnownRecipients({ store, clock, log: silentLog });
  for (let n = 0; n < 50_100; n++) known.confirm(`u${n}@example.test`);
  expect(known.has("u0@example.test")).toBe(false);
  expect(known.has("u50099@example.test")).toBe(true);
  await known.close();
  expect((await store.load(100_000)).length).toBe(50_000);
}, 60_000);

test("what could not be written is written later, also a refusal", async () => {
  const saved: string[] = [];
  let works = false;
  let now = 1_700_000_000_000;
  const timers: (() => void)[] = [];
  const known = await createKnownRecipients({
    log: silentLog,
    clock: {
      now: () => now,
      after(_ms, wake) {
        timers.push(wake);
        return () => {};
      },
    },
    store: {
      load: async () => [{ address: "old@example.test", seenAt: now }],
      async save({ confirmed, refused }) {
        if (!works) throw new Error("the disk is full");
        saved.push(...confirmed.map((one) => `+${one.address}`), ...refused.map((address) => `-${address}`));
      },
    },
  });
  const wait = async (): Promise<void> => {
    now += 30_000;
    for (const wake of timers.splice(0)) wake();
    await Bun.sleep(1);
  };
  known.confirm("new@example.test");
  known.refuse("old@example.test");
  await wait();
  await wait();
  expect([saved, timers.length]).toEqual([[], 1]);
  works = true;
  await wait();
  expect([saved, timers.length]).toEqual([["+new@example.test", "-old@example.test"], 0]);
  works = false;
  known.refuse("new@example.test");
  await known.close();
  expect(timers.length).toBe(1);
});
