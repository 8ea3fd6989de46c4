// Notices about delivery: read by an independent parser, by the fields of RFC 3464, and under hostile replies.
import { describe, expect, test } from "bun:test";
import { isAscii } from "node:buffer";
import fc from "fast-check";
import { toSevenBits } from "../../src/delivery/seven-bit.ts";
import { isLarge } from "../../src/message/body.ts";
import { composeNotice, MAX_RETURNED_BYTES } from "../../src/notify/delivery-notice.ts";
import { hasPython, notice, ORIGINAL, parseWithPython, REFUSAL } from "./notice-kit.ts";

const text = (message: Uint8Array) => new TextDecoder().decode(message);
if (!hasPython) console.warn("SKIPPED: python3 is missing, notices are not checked by an independent parser");

describe.skipIf(!hasPython)("read by Python's email package", () => {
  test("a refusal is a multipart/report with the fields of RFC 3464", async () => {
    const written = composeNotice(
      notice({
        envid: "QQ314159",
        recipients: [
          { address: "bob@example.org", orcpt: "rfc822;Bob@example.org", outcome: REFUSAL },
          {
            address: "eve@example.org",
            orcpt: null,
            outcome: {
              ...REFUSAL,
              result: "deferred",
              code: 451,
              enhanced: "4.2.2",
              text: "451 4.2.2 mailbox full",
            },
          },
        ],
      }),
    );
    const parsed = await parseWithPython(written.message);
    expect(parsed.defects).toEqual([]);
    expect(parsed).toMatchObject({ type: "multipart/report", reportType: "delivery-status" });
    expect(parsed.parts.map(({ type }) => type)).toEqual([
      "text/plain",
      "message/delivery-status",
      "text/rfc822-headers",
    ]);
    expect(parsed.parts.flatMap(({ defects }) => defects)).toEqual([]);
    const headers = new Map(parsed.headers.map(([name, value]) => [name.toLowerCase(), value]));
    expect(headers.get("from")).toBe("Mail Delivery System <MAILER-DAEMON@gate.example.test>");
    expect(headers.get("to")).toBe("<alice@example.test>");
    expect(headers.get("auto-submitted")).toBe("auto-replied");
    expect(headers.get("message-id")).toBe("<0notice@gate.example.test>");
    expect(headers.get("in-reply-to")).toBe("<m1@example.test>");
    const [message, first, second] = parsed.status.map(
      (group) => new Map(group.map(([name, value]) => [name, value])),
    );
    expect(Object.fromEntries(message ?? [])).toEqual({
      "Original-Envelope-Id": "QQ314159",
      "Reporting-MTA": "dns; gate.example.test",
      "Arrival-Date": "Sat, 21 Nov 2026 11:00:00 +0000",
    });
    expect(Object.fromEntries(first ?? [])).toEqual({
      "Original-Recipient": "rfc822; Bob@example.org",
      "Final-Recipient": "rfc822; bob@example.org",
      Action: "failed",
      Status: "5.1.1",
      "Remote-MTA": "dns; mx1.example.org",
      "Diagnostic-Code": "smtp; 550 5.1.1 <bob@example.org>: no such user",
      "Last-Attempt-Date": "Sat, 21 Nov 2026 12:00:00 +0000",
    });
    // Given up after days of 4xx: the class agrees with the action.
    expect(second?.get("Status")).toBe("5.4.7");
  });

  test("the text says who, what, what it means and what to do", async () => {
    const { parts } = await parseWithPython(composeNotice(notice()).message);
    const words = parts[0]?.text.replace(/\s+/g, " ") ?? "";
    expect(words).toContain("Subject: Grüße");
    expect(words).toContain("Recipient: bob@example.org");
    expect(words).toContain("Server: mx1.example.org [192.0.2.7]:25");
    expect(words).toContain("550 5.1.1 <bob@example.org>: no such user");
    expect(words).toContain("There is no such mailbox");
    expect(words).toContain("Check the spelling of the address");
  });

  test("RET=FULL gives a small message back whole, a large one only its header", async () => {
    const small = await parseWithPython(composeNotice(notice({ ret: "FULL" })).message);
    expect(small.parts[2]?.type).toBe("message/rfc822");
    expect(small.parts[2]?.text).toContain("Hello Bob.");
    const body = new Uint8Array(MAX_RETURNED_BYTES * 3).fill(120);
    const large = new Uint8Array([...ORIGINAL, ...body]);
    const written = composeNotice(
      notice({ ret: "FULL", original: large.subarray(0, MAX_RETURNED_BYTES), originalSize: large.length }),
    );
    const parsed = await parseWithPython(written.message);
    expect(parsed.parts[2]?.type).toBe("text/rfc822-headers");
    expect(written.message.length).toBeLessThan(MAX_RETURNED_BYTES);
  });

  test("a header as large as the limit stays within it, and 8-bit headers arrive unharmed", async () => {
    const header = `Subject: Grüße\r\n${`X-Pad: ${"y".repeat(60)}\r\n`.repeat(3000)}\r\n`;
    const original = new TextEncoder().encode(header);
    const written = composeNotice(
      notice({ original: original.subarray(0, MAX_RETURNED_BYTES), originalSize: original.length }),
    );
    expect(written.message.length).toBeLessThan(MAX_RETURNED_BYTES * 1.5);
    expect(written.eightBit).toBe(false);
    const parsed = await parseWithPython(written.message);
    expect(parsed.parts[2]?.text).toContain("Subject: Grüße");
  });

  test("a reply full of line breaks and boundaries adds no header, no part, no field", async () => {
    const hostile =
      'ok\r\nAction: delivered\r\n\r\n--x\r\nBcc: victim@example.org\u2028\u202egnp\u0000\r\n.\r\n<script>"';
    const written = composeNotice(
      notice({
        envid: "a\r\nAction: delivered",
        recipients: [
          {
            address: 'bob"\r\nBcc: x@example.org <y>@example.org',
            orcpt: "rfc822;a\r\nAction: relayed",
            outcome: {
              ...REFUSAL,
              enhanced: "5.1.1\r\nX: y",
              text: hostile,
              server: "mx\r\nStatus: 2.0.0 [192.0.2.1]:25",
            },
          },
        ],
      }),
    );
    const parsed = await parseWithPython(written.message);
    expect(parsed.defects).toEqual([]);
    expect(parsed.headers.some(([name]) => name.toLowerCase() === "bcc")).toBe(false);
    expect(parsed.parts.length).toBe(3);
    expect(parsed.status.length).toBe(2);
    const names = parsed.status.flatMap((group) => group.map(([name]) => name));
    expect(new Set(names).size).toBe(names.length);
    expect(parsed.status[1]?.find(([name]) => name === "Action")?.[1]).toBe("failed");
    expect(parsed.parts[0]?.text).not.toContain("\u202e");
  });

  test("addresses beyond ASCII are typed utf-8 and written in ASCII", async () => {
    const written = composeNotice(
      notice({
        sender: "älice@example.test",
        recipients: [{ address: "jürgen@example.org", orcpt: null, outcome: REFUSAL }],
      }),
    );
    expect(written).toMatchObject({ smtpUtf8: true, eightBit: true });
    const { status } = await parseWithPython(written.message);
    expect(status[1]?.find(([name]) => name === "Final-Recipient")?.[1]).toBe(
      "utf-8; j\\x{FC}rgen@example.org",
    );
  });

  test("a delay says until when, a success that it was handed on", async () => {
    const until = Date.UTC(2026, 10, 26, 12);
    const deferred = {
      ...REFUSAL,
      result: "deferred" as const,
      code: null,
      enhanced: null,
      server: null,
      text: "connection refused",
    };
    const recipients = [{ address: "bob@example.org", orcpt: null, outcome: deferred }];
    const delayed = await parseWithPython(
      composeNotice(notice({ kind: "delayed", triedUntil: until, recipients })).message,
    );
    const fields = new Map(delayed.status[1]?.map(([name, value]) => [name, value]));
    expect(fields.get("Action")).toBe("delayed");
    expect(fields.get("Status")).toMatch(/^4\./);
    expect(fields.get("Will-Retry-Until")).toBe("Thu, 26 Nov 2026 12:00:00 +0000");
    // Our own words are no reply of a server.
    expect(fields.has("Diagnostic-Code")).toBe(false);
    const taken = [
      {
        address: "bob@example.org",
        orcpt: null,
        outcome: {
          ...REFUSAL,
          result: "delivered" as const,
          code: 250,
          enhanced: "2.0.0",
          text: "250 2.0.0 ok",
        },
      },
    ];
    const relayed = await parseWithPython(
      composeNotice(notice({ kind: "relayed", recipients: taken })).message,
    );
    expect(Object.fromEntries(relayed.status[1] ?? [])).toMatchObject({ Action: "relayed", Status: "2.0.0" });
  });
});

test("whatever a server says, the notice keeps strict lines and exactly three parts", () => {
  const anything = fc.oneof(fc.string({ unit: "binary", maxLength: 3000 }), fc.string({ maxLength: 3000 }));
  fc.assert(
    fc.property(
      anything,
      anything,
      anything,
      fc.uint8Array({ maxLength: 3000 }),
      (reply, address, server, original) => {
        const outcome = { ...REFUSAL, text: reply, server };
        const { message } = composeNotice(
          notice({
            original,
            originalSize: original.length,
            recipients: [{ address, orcpt: reply, outcome }],
          }),
        );
        const written = Buffer.from(message).toString("latin1");
        const boundary = /boundary="([^"]+)"/.exec(written)?.[1] ?? "?";
        expect(written.split(`--${boundary}`).length - 1).toBe(4);
        const ours = written.slice(0, written.lastIndexOf(`--${boundary}\r\n`));
        expect(ours).not.toMatch(/[^\r]\n|\r[^\n]/);
        expect(ours).toMatch(/^[\r\n\t\x20-\x7e]*$/);
        for (const line of ours.split("\r\n")) expect(line.length).toBeLessThan(998);
      },
    ),
    { numRuns: 300 },
  );
});

test("a message without a readable original still gives a notice", () => {
  const { message } = composeNotice(notice({ original: null, originalSize: 70_000 }));
  expect(text(message)).toContain("Final-Recipient: rfc822; bob@example.org");
});

test("a header cut between CR and LF leaves no bare CR behind", () => {
  const line = `X-Long: ${"x".repeat(100)}\r\n`;
  const whole = Buffer.from(`From: a@example.test\r\n${line.repeat(1000)}\r\nbody\r\n`);
  for (let less = 0; less < line.length; less++) {
    const original = whole.subarray(0, MAX_RETURNED_BYTES - less);
    const written = composeNotice(notice({ original, originalSize: whole.length }));
    expect(text(written.message)).not.toMatch(/\r(?!\n)|(?<!\r)\n/);
  }
});

describe("to a server without 8BITMIME", () => {
  const PART =
    "--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße\r\n";
  const nested = (levels: number): string =>
    levels === 0
      ? PART.replace("--b\r\n", "")
      : `Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n${nested(levels - 1)}`;
  for (const [name, rest, whole] of [
    ["8-bit text", PART.replace("--b\r\n", ""), true],
    ["8-bit text of a part", `Content-Type: multipart/mixed; boundary=b\r\n\r\n${PART}--b--\r\n`, true],
    [
      "8-bit text that is signed",
      `Content-Type: multipart/signed; boundary=b\r\n\r\n${PART}--b--\r\n`,
      false,
    ],
    [
      "8-bit text of a part of a message",
      'Content-Type: message/partial; id="i"; number=1\r\n\r\nGrüße\r\n',
      false,
    ],
    ["8-bit uuencoded text", "Content-Transfer-Encoding: x-uuencode\r\n\r\nGrüße\r\n", false],
    ["8-bit text in too many messages within messages", nested(60), false],
    [
      "too many parts with 8-bit text",
      `Content-Type: multipart/mixed; boundary=b\r\n\r\n${"--b\r\n\r\nü\r\n".repeat(3500)}--b--\r\n`,
      null,
    ],
  ] as const)
    test(`RET=FULL of ${name}`, async () => {
      const original = Buffer.from(
        `From: <alice@example.test>\r\nSubject: x\r\nMIME-Version: 1.0\r\n${rest}`,
      );
      const written = composeNotice(notice({ ret: "FULL", original, originalSize: original.length }));
      // As it is converted on its way.
      const sent = await toSevenBits(written.message);
      if (sent === null || isLarge(sent)) throw new Error("it cannot be sent");
      expect(isAscii(sent)).toBe(true);
      const isWhole = !text(sent).includes("\r\nContent-Type: text/rfc822-headers\r\n");
      expect(written.eightBit).toBe(isWhole);
      if (whole !== null) expect(isWhole).toBe(whole);
      expect(text(sent)).toContain("Subject: x");
    });
});
