// Messages built to be read in more than one way, or to cost more than they should.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { MAX_MIME_PARTS } from "../../src/checks/mime-walk.ts";
import { scanMessage } from "../../src/checks/scan-message.ts";
import { type Facts, factsOf } from "../../src/rules/fact.ts";
import { message } from "../message/message-samples.ts";
import { processorMs } from "../message/processor-time.ts";
import { attached, multipart } from "./mime-samples.ts";

async function factsFrom(raw: Uint8Array): Promise<Facts> {
  const byCheck = await scanMessage(raw, ["attachments", "eicar", "gtube", "structure"]);
  return factsOf([...byCheck.values()].flat());
}

const FROM = "From: a@example.org";
const doubtful: readonly (readonly [reason: string, raw: Buffer])[] = [
  ["two From fields", message([FROM, FROM])],
  ["two Subject fields", message([FROM, "Subject: a", "SUBJECT : b"])],
  ["two Content-Type fields", message([FROM, "Content-Type: text/plain", "Content-Type: text/html"])],
  [
    "two boundaries for one multipart",
    message([FROM, "Content-Type: multipart/mixed; boundary=a; boundary=b"], "--a\r\n\r\nx\r\n--a--\r\n"),
  ],
  ["a multipart without a boundary", message([FROM, "Content-Type: multipart/mixed"])],
  [
    "a multipart without parts",
    message([FROM, "Content-Type: multipart/mixed; boundary=a"], "just text\r\n"),
  ],
  [
    "a Content-Transfer-Encoding that is none",
    multipart([{ header: ["Content-Transfer-Encoding: base-64"], body: "eA==" }]),
  ],
  [
    "two Content-Transfer-Encoding fields in one part",
    multipart([
      { header: ["Content-Transfer-Encoding: 7bit", "Content-Transfer-Encoding: base64"], body: "eA==" },
    ]),
  ],
  [
    "base64 with characters that are not base64",
    multipart([{ header: ["Content-Transfer-Encoding: base64"], body: "eHh4!eHh4" }]),
  ],
  [
    "base64 that goes on after its end",
    multipart([{ header: ["Content-Transfer-Encoding: base64"], body: "eA==eA==" }]),
  ],
  [
    "a container of parts that is itself encoded",
    multipart([attached("a.txt", Buffer.from("x"))], ["Content-Transfer-Encoding: base64"]),
  ],
  ["a header line that is no field", message([FROM, "this is no field"])],
  ["NUL in the header", message([FROM, "X-A: a\u0000b"])],
  ["a line feed without carriage return", message([FROM], "a\nb\r\n")],
  ["a carriage return without line feed", message([FROM], "a\rb\r\n")],
];
test.each(doubtful)("%s", async (reason, raw) => {
  expect((await factsFrom(raw))["structure.ambiguous"]).toContain(reason);
});

test("what mail programs commonly write is no doubt", async () => {
  const raw = multipart(
    [
      {
        header: ['Content-Type: text/plain; charset="utf-8"', "Content-Transfer-Encoding: Quoted-Printable"],
        body: "a=20b=\r\nc",
      },
      {
        header: [
          'Content-Type: application/pdf; name="r?sum?.pdf"',
          "Content-Disposition: attachment; filename=\"r?sum?.pdf\"; filename*=UTF-8''r%C3%A9sum%C3%A9.pdf",
          "Content-Transfer-Encoding: BASE64",
        ],
        body: Buffer.from("%PDF-1.4").toString("base64"),
      },
    ],
    ["Received: one", "Received: two", "DKIM-Signature: a", "DKIM-Signature: b"],
  );
  expect((await factsFrom(raw))["structure.ambiguous"]).toEqual([]);
});

test("each reading of two boundaries is followed", async () => {
  const raw = message(
    [FROM, "Content-Type: multipart/mixed; boundary=a; boundary=b"],
    "--a\r\nContent-Disposition: attachment; filename=one.js\r\n\r\nx\r\n--b\r\nContent-Disposition: attachment; filename=two.js\r\n\r\ny\r\n--b--\r\n",
  );
  expect((await factsFrom(raw))["attachments.names"]).toEqual(["one.js", "two.js"]);
});

test("a boundary that is the start of another is not taken for it; an unclosed one ends with the message", async () => {
  const inner = "--ab\r\nContent-Disposition: attachment; filename=one.txt\r\n\r\nx";
  const raw = message(
    [FROM, "Content-Type: multipart/mixed; boundary=a"],
    `--a\r\nContent-Type: multipart/mixed; boundary=ab\r\n\r\n${inner}`,
  );
  expect(await factsFrom(raw)).toMatchObject({ "attachments.names": ["one.txt"], "structure.parts": 3 });
});

async function timed(raw: Uint8Array, limitMs: number): Promise<Facts> {
  const started = processorMs();
  const facts = await factsFrom(raw);
  expect(processorMs() - started).toBeLessThan(limitMs);
  return facts;
}

test("ten thousand parts: looked at up to the limit, and what is left counts as dangerous", async () => {
  const parts = Array.from({ length: 10_000 }, () => ({ header: ["Content-Type: text/plain"], body: "x" }));
  const facts = await timed(multipart(parts), 2000);
  const reason = `more than ${MAX_MIME_PARTS} parts`;
  expect(facts["structure.ambiguous"]).toContain(reason);
  expect(facts["attachments.dangerous"]).toEqual([`(${reason})`]);
});

test("nested a thousand deep, as multiparts and as messages", async () => {
  let body = "x";
  for (let depth = 0; depth < 1000; depth++) {
    body = `Content-Type: multipart/mixed; boundary=b${depth}\r\n\r\n--b${depth}\r\n${body}\r\n--b${depth}--\r\n`;
  }
  expect((await timed(Buffer.from(body), 2000))["attachments.dangerous"]).toEqual([
    "(parts nested deeper than 20)",
  ]);
  const messages = Buffer.from(`${"Content-Type: message/rfc822\r\n\r\n".repeat(1000)}x`);
  expect((await timed(messages, 2000))["attachments.dangerous"]).toEqual(["(parts nested deeper than 20)"]);
});

test("the same boundary at every level and headers without end", async () => {
  const level = "--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n";
  await timed(message([FROM, "Content-Type: multipart/mixed; boundary=b"], level.repeat(20_000)), 3000);
  await timed(Buffer.alloc(5_000_000, "Content-Type: multipart/mixed; boundary=b\r\n"), 3000);
  await timed(message([FROM, `Content-Type: multipart/mixed; ${"boundary=x;".repeat(100_000)}`]), 3000);
  await timed(
    multipart([
      { header: [`Content-Disposition: attachment; ${'filename*0="a";'.repeat(50_000)}`], body: "" },
    ]),
    3000,
  );
});

test("large bodies of the worst characters", async () => {
  const megabytes = 8_000_000;
  for (const [encoding, unit] of [
    ["base64", "=="],
    ["base64", "A!"],
    ["quoted-printable", "="],
    ["quoted-printable", "= "],
    ["7bit", "begin 644 a\r\n"],
    ["7bit", "\n--b"],
  ] as const) {
    const body = unit.repeat(megabytes / unit.length);
    await timed(multipart([{ header: [`Content-Transfer-Encoding: ${encoding}`], body }]), 8000);
  }
}, 60_000);

test("never throws, whatever comes", async () => {
  const piece = fc.constantFrom(
    "\r\n",
    "\r\n\r\n",
    "--b",
    "--b--",
    "Content-Type: multipart/mixed; boundary=b",
    "Content-Type: message/rfc822",
    "From: a@b",
    "Content-Transfer-Encoding: base64",
    "Content-Disposition: attachment; filename=",
    "PK\u0003\u0004",
    "PK\u0005\u0006",
    "\u0000",
    "=",
    "begin 644 x\r\n",
    "MZ",
    "A",
  );
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 40 }), async (pieces) => {
      expect(Object.keys(await factsFrom(Buffer.from(pieces.join(""), "latin1")))).toContain(
        "structure.parts",
      );
    }),
    { numRuns: 500 },
  );
});
