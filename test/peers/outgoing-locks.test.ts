// One IP sender, several people behind it: the one who sends spam is locked, the others go on, on the same connection. Over SMTP
// against the real gateway; the alert's link unlocks by its button alone.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { openDialogue, type SmtpDialogue } from "../crash/smtp-dialogue.ts";
import { type MailSink, startMailSink } from "./mail-sink.ts";
import { freePorts, waitUntil } from "./run-command.ts";
import { type RunningGateway, runGateway } from "./run-gateway.ts";

const GTUBE = ["XJS*C4JDBQADN1.NSBN3*2IDNEN*", "GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"].join("");
const ADMINISTRATOR = "postmaster@example.test";

function policy(
  ports: { readonly mx: number; readonly console: number; readonly sink: number },
  lock: string,
) {
  return `
[[listener]]
name = "mx"
listen = "127.0.0.1:${ports.mx}"
tls = "none"
relay = ["trusted-networks"]

[[domain]]
name = "example.test"
routes = [{ host = "127.0.0.1", port = ${ports.sink}, tls = "none" }]
recipients = { verify = "catch-all" }

[domain.outgoing]
abuse_contact = "abuse@example.test"
alerts = { mail = ["${ADMINISTRATOR}"] }

[[sender]]
kind = "ip"
range = "127.0.0.1/32"
domain = "example.test"
identify_by = { header = "X-Client-ID", extract = "^([^;]+)", remove = true }
lock = ${lock}

[delivery]
smarthost = { host = "127.0.0.1", port = ${ports.sink}, tls = "none" }

[settings]
console_url = "https://127.0.0.1:${ports.console}"
`;
}

function mail(client: string, subject: string, text: string): string {
  return [
    `From: ${client}@example.test`,
    "To: bob@example.org",
    `Subject: ${subject}`,
    `X-Client-ID: ${client}; shop 7`,
    "",
    text,
    ".",
    "",
  ].join("\r\n");
}

async function send(smtp: SmtpDialogue, client: string, what: { subject: string; text: string }) {
  const replies = [
    await smtp.say(`MAIL FROM:<${client}@example.test>\r\n`),
    await smtp.say("RCPT TO:<bob@example.org>\r\n"),
    await smtp.say("DATA\r\n"),
  ];
  expect(replies.map((reply) => reply.slice(0, 3))).toEqual(["250", "250", "354"]);
  return await smtp.say(mail(client, what.subject, what.text));
}

const spam = (n: number) => ({ subject: `offer ${n}`, text: GTUBE });
const fair = (n: number) => ({ subject: `invoice ${n}`, text: "Please find your invoice below." });

describe("an IP sender that is told apart by a header", () => {
  let gateway: RunningGateway;
  let sink: MailSink;
  const ports = { mx: 0, console: 0, sink: 0 };

  beforeAll(async () => {
    sink = await startMailSink();
    const { mx } = await freePorts("mx");
    Object.assign(ports, { mx, sink: sink.port });
    gateway = await runGateway({ policy: policy(ports, "{ identity = true }") });
    ports.console = gateway.consolePort;
  }, 60_000);

  afterAll(async () => {
    await gateway.dispose();
    await sink.close();
  }, 60_000);

  const get = (url: string, init: RequestInit = {}) =>
    fetch(url, { ...init, redirect: "manual", tls: { rejectUnauthorized: false } });
  const alerts = () =>
    sink.messages.filter(({ recipients }) => recipients.includes(ADMINISTRATOR)).map(({ text }) => text);
  const unlockLink = (text: string) =>
    /https:\/\/127\.0\.0\.1:\d+\/unlock\/[A-Za-z0-9_-]+/.exec(text.replace(/=\r\n/g, ""))?.[0] ?? "";
  const press = (link: string) =>
    get(link, {
      method: "POST",
      headers: { origin: new URL(link).origin, "content-type": "application/x-www-form-urlencoded" },
      body: "",
    });

  test("the sixth spam message of A meets the lock; B goes on; the button of the alert's link unlocks A", async () => {
    await gateway.apply(
      policy(
        ports,
        '{ identity = true, sender = false, spam = 5, window = "10m", timeout = "1h", max_unlocks = 2 }',
      ),
    );
    const smtp = await openDialogue(ports.mx);
    expect(await smtp.say("EHLO smarthost.example.test\r\n")).toStartWith("250");
    for (let n = 1; n <= 5; n++) expect(await send(smtp, "client-a", spam(n))).toStartWith("550 5.7.1");
    const locked = await send(smtp, "client-a", spam(6));
    expect(locked).toStartWith("450 4.7.1");
    expect(locked).toContain("locked");
    // Not only spam: nothing of A passes, and everything of B does.
    expect(await send(smtp, "client-a", fair(1))).toContain("locked");
    expect(await send(smtp, "client-b", fair(2))).toStartWith("250");

    const arrived = await waitUntil("B's mail arrives", () =>
      sink.messages.find(({ text }) => text.includes("invoice 2")),
    );
    expect(arrived.text.toLowerCase()).not.toContain("x-client-id");

    const alert = await waitUntil("the alert arrives", () => alerts()[0]);
    expect(alert).toContain("client-a");
    const link = unlockLink(alert);
    expect(link).not.toBe("");
    // A link scanner looks, twice: nothing happens.
    for (const _ of [1, 2]) {
      const page = await get(link);
      expect(page.status).toBe(200);
      expect(await page.text()).toContain("<button");
    }
    expect(await send(smtp, "client-a", fair(3))).toContain("locked");
    expect((await press(link)).status).toBeLessThan(400);
    expect(await send(smtp, "client-a", fair(4))).toStartWith("250");
    const again = await press(link);
    expect(await (again.status < 300 ? again : await get(link)).text()).toMatch(/used/i);

    const logged = await gateway.logged("the refusal by the lock", ({ record }) =>
      record.reply.includes("locked"),
    );
    expect(logged.record.findings).toContainEqual(
      expect.objectContaining({ fact: "identity.name", value: "client-a" }),
    );
    const reports = await waitUntil("the abuse report arrives", () => {
      const found = sink.messages.filter(({ recipients }) => recipients.includes("abuse@example.test"));
      return found.length > 0 ? found : undefined;
    });
    expect(reports).toHaveLength(1);
    expect(reports[0]?.text).toContain("message/feedback-report");
    smtp.close();
  }, 120_000);

  test("after the maximum of time-outs only a person unlocks, and the lock says so with 5xx", async () => {
    await gateway.apply(
      policy(
        ports,
        '{ identity = true, sender = false, spam = 2, window = "10m", timeout = "2s", max_unlocks = 2 }',
      ),
    );
    const lockAlerts = () => alerts().filter((text) => unlockLink(text) !== "" && text.includes("client-c"));
    const smtp = await openDialogue(ports.mx);
    await smtp.say("EHLO smarthost.example.test\r\n");
    const lockedBy = async (round: number) => {
      for (const n of [1, 2]) expect(await send(smtp, "client-c", spam(round * 10 + n))).toStartWith("550");
      return await send(smtp, "client-c", fair(round));
    };
    for (const round of [1, 2]) {
      const reply = await lockedBy(round);
      expect(reply).toStartWith("450 4.7.1");
      expect(reply).toContain("locked");
      await waitUntil(`time-out ${round} unlocks`, async () =>
        (await send(smtp, "client-c", fair(round * 100))).startsWith("250"),
      );
    }
    const last = await lockedBy(3);
    expect(last).toStartWith("550 5.7.1");
    expect(last).toContain("locked");
    await Bun.sleep(2500);
    expect(await send(smtp, "client-c", fair(4))).toStartWith("550 5.7.1");
    await gateway.kill9();
    await gateway.restart();
    const after = await openDialogue(ports.mx);
    await after.say("EHLO smarthost.example.test\r\n");
    expect(await send(after, "client-c", fair(5))).toContain("locked");

    const all = await waitUntil("three alerts of locks arrive", () =>
      lockAlerts().length >= 3 ? lockAlerts() : undefined,
    );
    expect((await press(unlockLink(all.at(-1) ?? ""))).status).toBeLessThan(400);
    expect(await send(after, "client-c", fair(6))).toStartWith("250");
    after.close();
  }, 120_000);
});
