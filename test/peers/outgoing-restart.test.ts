// Show 2 of outgoing control against the real gateway: what was counted, who is locked and what is archived, over kill -9 and SIGTERM.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Client, createClient } from "@libsql/client";
import { openBodyVault } from "../../src/vault/body-vault.ts";
import { openDialogue, type SmtpDialogue } from "../crash/smtp-dialogue.ts";
import { type MailSink, startMailSink } from "./mail-sink.ts";
import { freePorts, waitUntil } from "./run-command.ts";
import { type RunningConsole, runConsole } from "./run-console.ts";
import { type RunningGateway, runGateway } from "./run-gateway.ts";

const GTUBE = ["XJS*C4JDBQADN1.NSBN3*2IDNEN*", "GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"].join("");
const SENDER = "127.0.0.1/32";
/** Longer than what the spool keeps in its row. */
const LARGE = `${"All work and no play. ".repeat(3)}\r\n`.repeat(1500);

function policy(ports: { readonly mx: number; readonly sink: number }): string {
  return `
[[listener]]
name = "mx"
listen = "127.0.0.1:${ports.mx}"
tls = "none"
greeting_delay = 0
relay = ["trusted-networks"]

[[domain]]
name = "example.test"
routes = [{ host = "127.0.0.1", port = ${ports.sink}, tls = "none" }]
recipients = { verify = "catch-all" }

[[sender]]
kind = "ip"
range = "${SENDER}"
domain = "example.test"
identify_by = { header = "X-Client-ID", remove = true }
identity_limits = { per_hour = 3, recipients_per_day = 5 }
lock = { identity = true, spam = 2, window = "10m", timeout = "1h", max_unlocks = 2 }
archive = true

[delivery]
smarthost = { host = "127.0.0.1", port = ${ports.sink}, tls = "none" }
retry = ["1s"]
`;
}

/**
 * Asks a copy of gatepost.db: a connection of ours to the gateway's own file would be its last one after a kill -9, and put the file in
 * order before the next start sees it.
 */
async function ofCopy<T>(data: string, ask: (database: Client) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "gatepost-copy-"));
  try {
    for (const end of ["", "-wal"])
      copyFileSync(join(data, `gatepost.db${end}`), join(folder, `gatepost.db${end}`));
    const database = createClient({ url: `file:${join(folder, "gatepost.db")}` });
    try {
      return await ask(database);
    } finally {
      database.close();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface LimitLine {
  readonly limit: string;
  readonly used: number;
  readonly most: number;
}

describe("outgoing control over kill -9 and restarts", () => {
  let gateway: RunningGateway;
  let web: RunningConsole;
  let sink: MailSink;
  let mx: number;
  /** Subjects of what was answered 250. */
  const taken: string[] = [];

  beforeAll(async () => {
    sink = await startMailSink();
    ({ mx } = await freePorts("mx"));
    gateway = await runGateway({ policy: policy({ mx, sink: sink.port }) });
    web = await runConsole(gateway);
  }, 60_000);

  afterAll(async () => {
    await gateway?.dispose();
    await sink?.close();
  }, 60_000);

  const connect = async (): Promise<SmtpDialogue> => {
    const smtp = await openDialogue(mx);
    expect(await smtp.say("EHLO shop.example.test\r\n")).toStartWith("250");
    return smtp;
  };
  /** Sends one message of a client behind the sender; the last reply, or the first refusal. */
  const send = async (
    smtp: SmtpDialogue,
    {
      client,
      subject,
      text = "Hello",
      recipients = 1,
    }: { client: string; subject: string; text?: string; recipients?: number },
  ): Promise<string> => {
    const to = Array.from({ length: recipients }, (_, n) => `RCPT TO:<friend${n}@example.org>`);
    for (const line of [`MAIL FROM:<${client}@example.test>`, ...to, "DATA"]) {
      const answer = await smtp.say(`${line}\r\n`);
      if (/^[45]/.test(answer)) return answer;
    }
    const header = `From: <${client}@example.test>\r\nTo: <friend0@example.org>\r\nSubject: ${subject}\r\nX-Client-ID: ${client}`;
    const answer = await smtp.say(`${header}\r\n\r\n${text}\r\nend ${subject}\r\n.\r\n`);
    if (answer.startsWith("250")) taken.push(subject);
    return answer;
  };
  const once = async (what: { client: string; subject: string; text?: string; recipients?: number }) => {
    const smtp = await connect();
    try {
      return await send(smtp, what);
    } finally {
      smtp.close();
    }
  };
  const used = async (client: string): Promise<Record<string, string>> => {
    const path = `/identity?sender=${encodeURIComponent(SENDER)}&identity=${client}`;
    const { limits } = await web.api<{ readonly limits: readonly LimitLine[] }>("GET", path);
    return Object.fromEntries(limits.map(({ limit, used, most }) => [limit, `${used} of ${most}`]));
  };

  test("counts are saved by themselves: after kill -9 the limits go on where they were", async () => {
    expect(await once({ client: "client-a", subject: "a first", recipients: 4 })).toStartWith("250");
    for (const n of [1, 2]) expect(await once({ client: "client-b", subject: `b ${n}` })).toStartWith("250");
    // Nothing is asked of the console here: its pages save what they show. The minute that may be lost is what is waited at most.
    const last = Date.now();
    expect(await once({ client: "client-b", subject: "b 3" })).toStartWith("250");
    const saved = "SELECT count(*) AS n FROM outgoing_identity WHERE name = 'client-b' AND last_seen >= ?";
    await waitUntil("the counts are saved", () =>
      ofCopy(gateway.data, async (database) => {
        return (await database.execute({ sql: saved, args: [last] })).rows[0]?.n === 1;
      }),
    );
    await gateway.kill9();
    await gateway.restart();

    expect(await once({ client: "client-a", subject: "two more", recipients: 2 })).toMatch(
      /^450 4\.7\.1 Limit of 5 recipients per /,
    );
    expect(await once({ client: "client-b", subject: "b 4" })).toMatch(
      /^450 4\.7\.1 Limit of 3 connections per hour/,
    );
    expect(await once({ client: "client-a", subject: "a last" })).toStartWith("250");
    expect(await used("client-a")).toMatchObject({ recipients_per_day: "5 of 5" });
    expect(await used("client-b")).toEqual({ per_hour: "3 of 3", recipients_per_day: "3 of 5" });
  }, 120_000);

  test("a lock survives a kill -9 at once; so does its end by the command line", async () => {
    const smtp = await connect();
    for (const n of [1, 2])
      expect(await send(smtp, { client: "client-c", subject: `spam ${n}`, text: GTUBE })).toStartWith("550");
    expect(await send(smtp, { client: "client-c", subject: "c" })).toContain("locked");
    for (const n of [1, 2])
      expect(await send(smtp, { client: "client-d", subject: `d ${n}` })).toStartWith("250");
    await gateway.kill9();
    await gateway.restart();
    expect(await once({ client: "client-c", subject: "c again" })).toMatch(/^450 4\.7\.1 .*locked/);

    const listed = await gateway.command("lock", "list", "--json");
    expect(JSON.parse(listed.out)).toMatchObject({ sender: SENDER, identity: "client-c", by: "gatepost" });
    expect((await gateway.command("lock", "list")).out).toMatch(
      /SENDER +IDENTITY[\s\S]*127\.0\.0\.1\/32 +client-c/,
    );
    expect(await gateway.command("lock", "unlock", SENDER, "client-x")).toMatchObject({
      code: 1,
      err: `There is no lock of "client-x" of "${SENDER}"; "gatepost lock list" shows what is locked.\n`,
    });
    expect((await gateway.command("lock", "unlock", SENDER, "client-c")).out).toBe(
      `Unlocked "client-c" of "${SENDER}".\n`,
    );
    await gateway.kill9();
    await gateway.restart();
    expect(await once({ client: "client-c", subject: "c is free" })).toStartWith("250");
    expect((await gateway.command("lock", "list")).out).toBe("Nobody is locked.\n");
  }, 120_000);

  test("a stop by SIGTERM loses no count and no lock", async () => {
    expect(await once({ client: "client-e", subject: "e 1", recipients: 2 })).toStartWith("250");
    expect(await once({ client: "client-e", subject: "e 2" })).toStartWith("250");
    for (const n of [1, 2]) await once({ client: "client-f", subject: `f ${n}`, text: GTUBE });
    expect(await gateway.stop()).toBe(0);
    await gateway.restart();
    expect(await used("client-e")).toEqual({ per_hour: "2 of 3", recipients_per_day: "3 of 5" });
    expect(await once({ client: "client-f", subject: "f" })).toContain("locked");
  }, 120_000);

  test("everything that was sent is in the archive, also what was released from quarantine, over a kill -9 in the midst of it", async () => {
    const { out } = await gateway.command("quarantine", "list", "--json");
    const kept = out.split("\n").find((line) => line.includes('"subject":"f 1"'));
    const { id } = JSON.parse(kept ?? "{}") as { readonly id: string };
    expect((await gateway.command("quarantine", "release", id)).code).toBe(0);
    taken.push("f 1");
    let flowing = true;
    let large = "";
    const flow = async (stream: number) => {
      const smtp = await connect();
      for (let n = 1; flowing; n++) {
        const subject = `archive ${stream}-${n}`;
        const isLarge = n % 3 === 0;
        // Each message has a client of its own: no limit is met.
        const reply = await send(smtp, {
          client: subject.replace(" ", "-"),
          subject,
          ...(isLarge ? { text: LARGE } : {}),
        });
        if (isLarge && reply.startsWith("250")) large = subject;
      }
      smtp.close();
    };
    const before = taken.length;
    const flows = Promise.allSettled([1, 2, 3].map(flow));
    await waitUntil("mail is taken", () => taken.length >= before + 20 && large !== "");
    await gateway.kill9();
    flowing = false;
    await flows;
    await gateway.restart();
    await waitUntil("the queue is empty", async () => (await gateway.queued()) === 0);
    expect(await gateway.stop()).toBe(0);

    const database = createClient({ url: `file:${join(gateway.data, "gatepost.db")}` });
    const { rows } = await database.execute("SELECT subject, domain, sender, body_hash, size FROM archive");
    const spool = createClient({ url: `file:${join(gateway.data, "spool.db")}` });
    expect((await spool.execute("SELECT count(*) AS n FROM message")).rows[0]?.n).toBe(0);
    const audited = await database.execute(
      "SELECT via, subject FROM audit_log WHERE action = 'outgoing.unlock'",
    );
    expect(audited.rows.map(({ via, subject }) => [via, subject])).toEqual([
      ["cli", `identity "client-c" of sender ${SENDER}`],
    ]);
    database.close();
    spool.close();

    const archived = new Map(rows.map((row) => [String(row.subject), row]));
    expect(archived.size).toBe(rows.length);
    expect(taken.filter((subject) => !archived.has(subject))).toEqual([]);
    const vault = await openBodyVault(join(gateway.data, "vault"));
    for (const [subject, { domain, sender, body_hash, size }] of archived) {
      expect([domain, sender]).toEqual(["example.test", SENDER]);
      const body = Buffer.from((await vault.get(String(body_hash))) ?? "").toString("latin1");
      expect(body.length).toBe(Number(size));
      expect(body).toContain("\r\nX-Client-ID: ");
      expect(body).toEndWith(`end ${subject}\r\n`);
    }
    expect(Number(archived.get(large)?.size)).toBeGreaterThan(LARGE.length);
  }, 120_000);
});
