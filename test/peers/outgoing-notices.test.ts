// Show 4 of outgoing control: what the real gateway writes about outgoing mail, as it arrives. Mails are judged by Python's email
// package and the field rules of the RFCs, web hooks by a real HTTP server that computes the signature itself.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { join } from "node:path";
import { createClient } from "@libsql/client";
import { type Judgement, judge, valuesOf } from "../notify/judge-report.ts";
import { type MailSink, type SunkMessage, startMailSink } from "./mail-sink.ts";
import { freePorts, havePrograms, waitUntil } from "./run-command.ts";
import { type RunningConsole, runConsole } from "./run-console.ts";
import { type RunningGateway, runGateway } from "./run-gateway.ts";
import { openSubmission } from "./submit-mail.ts";

const PASSWORD = "correct-horse-7-battery";
const SECRET = "a secret of sixteen and more";
const GTUBE = ["XJS*C4JDBQADN1.NSBN3*2IDNEN*", "GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"].join("");
const HOUR_MS = 3_600_000;

function policy(ports: {
  readonly submission: number;
  readonly sink: number;
  readonly hook: number;
}): string {
  const route = `host = "127.0.0.1", port = ${ports.sink}, tls = "none"`;
  const user = (name: string) => `
[[sender]]
kind = "user"
login = "${name}@example.test"
password = "${PASSWORD}"
domain = "example.test"
quarantine_response = "accepted"
lock = { identity = true, spam = 3, window = "10m", timeout = "1h", max_unlocks = 2 }
`;
  return `
[[listener]]
name = "submission"
listen = "127.0.0.1:${ports.submission}"
tls = "starttls-required"
auth = "required"
relay = ["authenticated"]

[[domain]]
name = "example.test"
routes = [{ ${route} }]
recipients = { verify = "catch-all" }

[domain.outgoing]
abuse_contact = "abuse@example.test"

[domain.outgoing.alerts]
mail = ["admin@example.test"]
webhook = { url = "http://127.0.0.1:${ports.hook}/hook?tenant=7", secret = "${SECRET}" }
sms = { url = "http://127.0.0.1:${ports.hook}/sms?to={to}&text={text}", to = "+43 1 23" }
thresholds = { spam = 2, window = "1h" }

[domain.outgoing.report]
every = "daily"
hour = ${new Date().getUTCHours()}
to = ["reports@example.test"]
${user("alice")}${user("bob")}
[delivery]
smarthost = { ${route} }
retry = ["1s"]
`;
}

interface HookCall {
  readonly path: string;
  readonly headers: Headers;
  readonly body: string;
}

describe.skipIf(!havePrograms("what is told of outgoing mail", ["python3"]))(
  "what is told of outgoing mail",
  () => {
    let gateway: RunningGateway;
    let web: RunningConsole;
    let sink: MailSink;
    let submission: number;
    const calls: HookCall[] = [];
    const hook = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      async fetch(request) {
        const { pathname, search } = new URL(request.url);
        calls.push({ path: pathname + search, headers: request.headers, body: await request.text() });
        return new Response("taken");
      },
    });

    beforeAll(async () => {
      sink = await startMailSink({ unknown: ["nobody@example.org"] });
      ({ submission } = await freePorts("submission"));
      gateway = await runGateway({ policy: policy({ submission, sink: sink.port, hook: hook.port ?? 0 }) });
      web = await runConsole(gateway);
    }, 60_000);

    afterAll(async () => {
      await gateway?.dispose();
      await sink?.close();
      await hook.stop(true);
    }, 60_000);

    const send = async (name: string, mails: readonly { to: string; subject: string; text: string }[]) => {
      const from = `${name}@example.test`;
      const client = await openSubmission(submission, { from, password: PASSWORD });
      for (const { to, subject, text } of mails) {
        const header = `From: <${from}>\r\nTo: <${to}>\r\nSubject: ${subject}\r\nMessage-ID: <${subject.replace(" ", "-")}@example.test>`;
        expect(await client.send(Buffer.from(`${header}\r\n\r\n${text}\r\n`), [to])).toStartWith("250");
      }
      client.close();
    };

    /** The mail to an address whose text has these words; judged, and nothing wrong with it. */
    const told = async (to: string, words: string): Promise<Judgement> => {
      const has = ({ recipients, text }: SunkMessage) => recipients.includes(to) && text.includes(words);
      const mail = await waitUntil(`"${words}" reaches ${to}`, () => sink.messages.find(has));
      expect(mail.sender).toBe("");
      // The trace of the way here stands on top; the judge looks at what was written.
      const judged = await judge(
        Buffer.from(
          mail.text.replace(/^(?:(?:Received|X-Gatepost[\w-]*):.*\r\n(?:[ \t].*\r\n)*)+/i, ""),
          "latin1",
        ),
      );
      expect(judged.problems).toEqual([]);
      return judged;
    };
    const called = async (
      event: string,
    ): Promise<{ readonly call: HookCall; readonly said: Record<string, unknown> }> => {
      const call = await waitUntil(`the web hook hears of "${event}"`, () =>
        calls.find(
          ({ path, headers }) => path === "/hook?tenant=7" && headers.get("x-gatepost-event") === event,
        ),
      );
      return { call, said: JSON.parse(call.body) as Record<string, unknown> };
    };

    test("three spam messages: an abuse report, an alert, a lock with its alert and the notice to the user", async () => {
      await send(
        "alice",
        [1, 2, 3].map((n) => ({ to: "friend@example.org", subject: `offer ${n}`, text: GTUBE })),
      );

      const report = await told("abuse@example.test", "message/feedback-report");
      expect(report.reportType).toBe("feedback-report");
      expect(valuesOf(report.groups[0], "Feedback-Type")).toEqual(["abuse"]);
      expect(valuesOf(report.groups[0], "Original-Mail-From")).toEqual(["<alice@example.test>"]);
      expect(valuesOf(report.groups[0], "Source-IP")).toEqual(["127.0.0.1"]);

      const alert = await told("admin@example.test", "Subject: Locked:");
      expect(alert.text).toContain("alice@example.test");
      expect(alert.text).toMatch(/https:\/\/\S+\/unlock\/[A-Za-z0-9_-]{43}/);
      expect((await told("admin@example.test", "stopped")).text).toMatch(
        /3 messages from example\.test[\s\S]*3 {2}alice@example\.test/,
      );
      const notice = await told("alice@example.test", "Subject: Your mail is not sent");
      expect(notice.subject).toContain("alice@example.test");
      expect(
        sink.messages.filter(({ recipients }) => recipients.includes("abuse@example.test")),
      ).toHaveLength(1);
    }, 60_000);

    test("the web hook is signed over what was sent, and the short message has its text", async () => {
      for (const event of ["threshold", "lock"]) {
        const { call, said } = await called(event);
        const mac = createHmac("sha256", SECRET).update(call.body).digest("hex");
        expect(call.headers.get("x-gatepost-signature")).toBe(`sha256=${mac}`);
        expect(call.headers.get("x-gatepost-timestamp")).toBe(String(said.timestamp));
        expect(said).toMatchObject({
          version: 1,
          event,
          domain: "example.test",
          gateway: "gate.example.test",
        });
      }
      expect((await called("lock")).said).toMatchObject({
        sender: "alice@example.test",
        identity: "alice@example.test",
      });
      const sms = await waitUntil("the short message", () =>
        calls.find(({ path }) => path.startsWith("/sms?") && path.includes("lock")),
      );
      const query = new URLSearchParams(sms.path.slice("/sms?".length));
      expect(query.get("to")).toBe("+43 1 23");
      expect(query.get("text")).toContain("alice@example.test");

      await web.post("/domains/example.test/outgoing/test", { channel: "webhook" });
      expect((await called("test")).said).toMatchObject({ domain: "example.test" });
    }, 60_000);

    test("a bounce for somebody unknown outside is a DSN that parses", async () => {
      await send("bob", [{ to: "nobody@example.org", subject: "to nobody", text: "Hello" }]);
      const bounce = await told("bob@example.test", "delivery-status");
      expect(bounce.reportType).toBe("delivery-status");
      expect(valuesOf(bounce.groups[1], "Final-Recipient")).toEqual(["rfc822; nobody@example.org"]);
      expect(valuesOf(bounce.groups[1], "Status")).toEqual(["5.1.1"]);
      expect(bounce.text).toContain("nobody@example.org");
    }, 60_000);

    test("the report that fell due while the gateway was down is sent once when it runs again", async () => {
      const waiting = async () =>
        (await gateway.command("quarantine", "list", "--json")).out.split("\n").length > 3;
      await waitUntil("the three are in quarantine", waiting);
      expect(await gateway.stop()).toBe(0);
      const database = createClient({ url: `file:${join(gateway.data, "gatepost.db")}` });
      // As if it had last been reported two days ago.
      await database.execute({
        sql: "INSERT INTO notice_state (kind, key, value) VALUES ('report', 'example.test', ?) ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value",
        args: [JSON.stringify(Date.now() - 48 * HOUR_MS)],
      });
      // What was filed within the last minute stands in the next one: it may not be committed yet.
      await database.execute("UPDATE quarantine SET filed_at = filed_at - 3600000");
      database.close();
      await gateway.restart();
      const report = await told("reports@example.test", "Outgoing quarantine of example.test");
      expect(report.subject).toBe("Outgoing quarantine of example.test: 3 messages");
      for (const n of [1, 2, 3]) expect(report.text).toContain(`offer ${n}`);
      expect(report.text).toContain("alice@example.test");
    }, 60_000);
  },
);
