// Abuse reports and delivery notices, judged by an independent parser by the field rules of RFC 5965 and RFC 3464.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { MailAddress } from "../../src/message/address.ts";
import { type AbuseReport, composeAbuseReport, MAX_REPORTED_HEADER } from "../../src/notify/abuse-report.ts";
import { composeNotice } from "../../src/notify/delivery-notice.ts";
import type { StoppedMessage } from "../../src/notify/outgoing-notices.ts";
import { judge, valuesOf } from "./judge-report.ts";
import { hasPython, notice, REFUSAL } from "./notice-kit.ts";

const stamp = { hostname: "gate.example.test", id: "0report", now: Date.UTC(2026, 10, 21, 13) };
const HEADER =
  "From: Client A <client-a@example.test>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nTo: bob@example.org\r\n\r\n";

function stopped(changes: Partial<StoppedMessage> = {}): StoppedMessage {
  return {
    messageId: "0000000001abcdefghjk",
    at: Date.UTC(2026, 10, 21, 12),
    domain: "example.test",
    sender: "192.0.2.0/28",
    identity: "client-a",
    kind: "spam",
    quarantined: true,
    rule: "outgoing-spam",
    words: "GTUBE found",
    reversePath: "client-a@example.test",
    recipients: ["bob@example.org", "eve@example.org"],
    clientIp: "192.0.2.7",
    header: new TextEncoder().encode(HEADER),
    ...changes,
  };
}

function report(message: StoppedMessage, changes: Partial<AbuseReport> = {}): Uint8Array {
  const whole: AbuseReport = {
    to: "abuse@example.test" as MailAddress,
    message,
    incidents: 1,
    since: message.at,
    several: false,
    timezone: "Europe/Vienna",
    ...changes,
  };
  return composeAbuseReport(whole, stamp).message;
}

describe.skipIf(!hasPython)("judged by Python's email package", () => {
  test("a single report", async () => {
    const judged = await judge(
      report(stopped({ authenticationResults: "gate.example.test; auth=pass smtp.auth=a" })),
    );
    expect(judged.problems).toEqual([]);
    expect(judged).toMatchObject({
      reportType: "feedback-report",
      from: "Gatepost <postmaster@gate.example.test>",
      to: "<abuse@example.test>",
      subject: "FW: Grüße",
      third: HEADER.replaceAll("\r\n", "\n"),
    });
    expect(judged.groups).toEqual([
      [
        ["Feedback-Type", "abuse"],
        ["User-Agent", "Gatepost/1"],
        ["Version", "1"],
        ["Original-Mail-From", "<client-a@example.test>"],
        ["Original-Rcpt-To", "<bob@example.org>"],
        ["Original-Rcpt-To", "<eve@example.org>"],
        ["Arrival-Date", "Sat, 21 Nov 2026 12:00:00 +0000"],
        ["Reporting-MTA", "dns; gate.example.test"],
        ["Source-IP", "192.0.2.7"],
        ["Reported-Domain", "example.test"],
        ["Incidents", "1"],
        ["Authentication-Results", "gate.example.test; auth=pass smtp.auth=a"],
      ],
    ]);
    const words = judged.text.replace(/\s+/g, " ");
    expect(words).toStartWith(
      "A message from example.test was stopped by the mail gateway gate.example.test. It was not sent.",
    );
    expect(words).toContain("Sent by: client-a (sender 192.0.2.0/28)");
    expect(words).toContain("Received: 2026-11-21 13:00 Europe/Vienna from 192.0.2.7");
    expect(words).toContain("Subject: Grüße");
  });

  test("a counted one, kinds, addresses", async () => {
    const counted = await judge(report(stopped({ kind: "virus" }), { incidents: 4711 }));
    expect(counted.problems).toEqual([]);
    expect(valuesOf(counted.groups[0], "Incidents")).toEqual(["4711"]);
    expect(valuesOf(counted.groups[0], "Feedback-Type")).toEqual(["virus"]);
    expect(counted.text).toStartWith("4711 messages of one sender of example.test were stopped");
    const several = await judge(report(stopped({ kind: "bulk" }), { incidents: 7, several: true }));
    expect(several.text).toContain("7 messages of several senders");
    expect(valuesOf(several.groups[0], "Feedback-Type")).toEqual(["abuse"]);
    const other = await judge(
      report(
        stopped({ kind: null, reversePath: "", clientIp: "2001:db8::7", recipients: ['"a b"@example.org'] }),
      ),
    );
    expect(other.problems).toEqual([]);
    expect(valuesOf(other.groups[0], "Feedback-Type")).toEqual(["other"]);
    expect(valuesOf(other.groups[0], "Original-Mail-From")).toEqual(["<>"]);
    expect(valuesOf(other.groups[0], "Source-IP")).toEqual(["2001:db8::7"]);
    // A thousand recipients are not listed.
    const many = await judge(
      report(stopped({ recipients: Array.from({ length: 1000 }, (_, n) => `u${n}@example.org`) })),
    );
    expect(many.problems).toEqual([]);
    expect(valuesOf(many.groups[0], "Original-Rcpt-To").length).toBe(20);
    expect(many.text).toContain("and 980 more recipients");
  });

  test("addresses beyond ASCII stand in the text, and in the machine's part nothing that has no form there", async () => {
    const message = stopped({
      reversePath: "jürgen@example.test",
      recipients: ["zoë@example.org"],
      identity: "jürgen@example.test",
    });
    const judged = await judge(report(message));
    expect(judged.problems).toEqual([]);
    expect(valuesOf(judged.groups[0], "Original-Mail-From")).toEqual([]);
    expect(valuesOf(judged.groups[0], "Original-Rcpt-To")).toEqual([]);
    expect(judged.text).toContain("jürgen@example.test");
    expect(judged.text).toContain("zoë@example.org");
    const to = { to: "missbräuche@example.test" as MailAddress };
    const eai = await judge(report(message, to), { smtpUtf8: true });
    expect(eai.problems).toEqual([]);
    expect(
      composeAbuseReport({ ...to, message, incidents: 1, since: 0, several: false, timezone: "UTC" }, stamp),
    ).toMatchObject({
      smtpUtf8: true,
      eightBit: true,
    });
  });

  test("hostile originals add no field, no part and no header", async () => {
    const evil = "x\r\nBcc: victim@example.org\r\n\r\n--=_x\r\nFeedback-Type: not-spam\u2028\u202e\0";
    const headers = [
      `Subject: =?utf-8?q?a=0D=0ABcc:_victim@example.org?=\r\nContent-Type: multipart/mixed; boundary="=_x"\r\n\r\n`,
      `Subject: a\rBcc: victim@example.org\nFrom: x\r\n\r\n`,
      `Subject: ${"x".repeat(5000)}\r\nX: ${"y".repeat(100_000)}\r\n\r\n`,
      "Subject: caf\xe9\0\x80\r\n\r\n",
      "\r\n",
      "",
      "no header at all",
    ];
    for (const header of headers) {
      const hostile = stopped({
        header: Buffer.from(header, "latin1"),
        identity: evil,
        sender: evil,
        words: evil,
        rule: evil,
        clientIp: evil,
        domain: "example.test",
        reversePath: evil,
        recipients: [evil, "<a@example.org>", "bob@example.org"],
        messageId: evil,
        authenticationResults: evil,
      });
      const judged = await judge(report(hostile));
      expect(judged.problems).toEqual([]);
      expect(valuesOf(judged.groups[0], "Original-Rcpt-To")).toEqual(["<bob@example.org>"]);
      expect(valuesOf(judged.groups[0], "Original-Mail-From")).toEqual([]);
      expect(valuesOf(judged.groups[0], "Feedback-Type")).toEqual(["abuse"]);
      expect(judged.text).not.toMatch(/\u202e|\u2028/);
    }
  });

  test("delivery notices: failed, delayed, relayed, hostile, beyond ASCII", async () => {
    const recipient = { address: "bob@example.org", orcpt: "rfc822;Bob@example.org", outcome: REFUSAL };
    const deferred = {
      ...REFUSAL,
      result: "deferred" as const,
      code: 451,
      enhanced: "4.2.2",
      text: "451 4.2.2 full",
    };
    const unreached = { ...deferred, code: null, enhanced: null, server: null, text: "connection refused" };
    const evil = "a\r\nAction: delivered\r\n\r\n--x\r\nBcc: victim@example.org\u2028\u202e\0";
    const delivered = {
      ...REFUSAL,
      result: "delivered" as const,
      code: 250,
      enhanced: "2.0.0",
      text: "250 ok",
    };
    const cases = [
      notice({ envid: "QQ314159", recipients: [recipient, { ...recipient, outcome: deferred }] }),
      notice({ ret: "FULL", recipients: [{ ...recipient, outcome: null }] }),
      notice({ kind: "delayed", triedUntil: stamp.now, recipients: [{ ...recipient, outcome: unreached }] }),
      notice({ kind: "relayed", recipients: [{ ...recipient, outcome: delivered }] }),
      notice({
        envid: evil,
        original: Buffer.from(`Subject: a\rBcc: x\nFrom: y\r\nX: ${"y".repeat(5000)}\r\n\r\n`),
        recipients: [
          {
            address: "bob@example.org",
            orcpt: `rfc822;${evil}`,
            outcome: { ...REFUSAL, text: evil, enhanced: evil },
          },
        ],
      }),
      notice({
        recipients: [{ ...recipient, address: "jürgen@example.org", orcpt: "utf-8;jürgen@example.org" }],
      }),
      notice({ original: null }),
    ];
    for (const one of cases) {
      const judged = await judge(composeNotice(one).message);
      expect(judged.problems).toEqual([]);
      expect(judged.reportType).toBe("delivery-status");
      expect(judged.groups.length).toBe(one.recipients.length + 1);
    }
    const eai = composeNotice(notice({ sender: "älice@example.test" }));
    expect((await judge(eai.message, { smtpUtf8: true })).problems).toEqual([]);
  });

  test("the judge finds what is wrong", async () => {
    const right = Buffer.from(report(stopped())).toString("latin1");
    const wrong: [string, string][] = [
      ["Feedback-Type: abuse\r\n", ""],
      ["Version: 1\r\n", "Version: 1\r\nVersion: 1\r\n"],
      ["Source-IP: 192.0.2.7", "Source-IP: nowhere"],
      ["Incidents: 1", "Incidents: many"],
      ["Auto-Submitted", "X-Submitted"],
      ["message/feedback-report\r\n", "text/plain\r\n"],
      ["\r\nSubject: ", "\nSubject: "],
    ];
    for (const [from, to] of wrong) {
      expect(right).toContain(from);
      expect((await judge(Buffer.from(right.replace(from, to), "latin1"))).problems.length).toBeGreaterThan(
        0,
      );
    }
  });
});

test("whatever was stopped, the report has strict lines, three parts and our header fields only", () => {
  const anything = fc.oneof(fc.string({ unit: "binary", maxLength: 2000 }), fc.string({ maxLength: 2000 }));
  fc.assert(
    fc.property(
      anything,
      anything,
      anything,
      fc.uint8Array({ maxLength: 3000 }),
      (identity, address, words, header) => {
        const message = stopped({
          identity,
          words,
          header,
          reversePath: address,
          recipients: [address],
          rule: words,
        });
        const written = Buffer.from(report(message)).toString("latin1");
        const boundary = /boundary="([^"]+)"/.exec(written)?.[1] ?? "?";
        expect(written.split(`--${boundary}`).length - 1).toBe(4);
        expect(written).not.toMatch(/[^\r]\n|\r[^\n]/);
        expect(written).toMatch(/^[\r\n\t\x20-\x7e]*$/);
        for (const line of written.split("\r\n")) expect(line.length).toBeLessThan(999);
        const names = written
          .slice(0, written.indexOf("\r\n\r\n"))
          .split(/\r\n(?![ \t])/)
          .map((line) => line.split(":")[0]);
        expect(names).toEqual([
          "From",
          "To",
          "Subject",
          "Date",
          "Message-ID",
          "Auto-Submitted",
          "MIME-Version",
          "Content-Type",
        ]);
      },
    ),
    { numRuns: 300 },
  );
});

test("a long header is cut at a line, and one octet more or less changes nothing about that", () => {
  const line = `X-Long: ${"x".repeat(100)}\r\n`;
  const whole = Buffer.from(line.repeat(1000));
  for (let less = 0; less < line.length; less += 7) {
    const written = Buffer.from(
      report(stopped({ header: whole.subarray(0, MAX_REPORTED_HEADER - less) })),
    ).toString();
    expect(written).not.toMatch(/\r(?!\n)|(?<!\r)\n/);
    expect(written.length).toBeLessThan(MAX_REPORTED_HEADER + 4000);
  }
});
