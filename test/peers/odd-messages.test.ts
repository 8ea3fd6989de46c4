// Odd messages through the real door: whatever the header looks like, the octets that went in come out below our own fields.
import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import { openDialogue } from "../crash/smtp-dialogue.ts";
import { checkProperty } from "../property.ts";
import { smallPolicy } from "../run/gateway-kit.ts";
import { type MailSink, startMailSink } from "./mail-sink.ts";
import { freePorts, waitUntil } from "./run-command.ts";
import { type RunningGateway, runGateway } from "./run-gateway.ts";

let sink: MailSink;
let gateway: RunningGateway;
let port = 0;
const arrived = new Map<string, string>();

beforeAll(async () => {
  sink = await startMailSink({
    onMessage: ({ text, sender }) => arrived.set(sender, text),
  });
  const ports = await freePorts("mx");
  port = ports.mx;
  // No rules: some of these would be held for a person to see.
  const policy = smallPolicy(port, sink.port)
    .replace('rules = ["virus", "spam"]', "rules = []")
    .replace("greeting_delay = 0", 'greeting_delay = 0\nheader_controls = "keep"');
  gateway = await runGateway({ policy });
}, 60_000);

afterAll(async () => {
  await gateway.dispose();
  await sink.close();
});

let sent = 0;

/** Hands the messages in, one octet a character, and gives back what the server behind was given for each. */
async function relay(messages: readonly string[]): Promise<readonly string[]> {
  const smtp = await openDialogue(port);
  const senders: string[] = [];
  try {
    expect(await smtp.say("EHLO client.example.org\r\n")).toStartWith("250");
    for (const raw of messages) {
      const sender = `m${++sent}@example.org`;
      senders.push(sender);
      expect(await smtp.say(`MAIL FROM:<${sender}>\r\n`)).toStartWith("250");
      expect(await smtp.say("RCPT TO:<bob@example.test>\r\n")).toStartWith("250");
      expect(await smtp.say("DATA\r\n")).toStartWith("354");
      expect(await smtp.say(`${raw.replace(/^\./gm, "..")}.\r\n`)).toStartWith("250");
    }
  } finally {
    smtp.close();
  }
  return waitUntil("all arrive", () => {
    const texts = senders.map((sender) => arrived.get(sender));
    return texts.every((text) => text !== undefined) ? (texts as string[]) : null;
  });
}

const OURS = /^(?:(?:Received|Authentication-Results|X-Gatepost): [^\r]*\r\n(?:[ \t][^\r]*\r\n)*)+/;

/** What stands above the message must be fields of ours, and an empty line where the message has no header of its own. */
function expectKept(text: string, raw: string): void {
  expect(text.endsWith(raw)).toBe(true);
  const above = text.slice(0, text.length - raw.length);
  const rest = above.replace(OURS, "");
  expect(["", "\r\n"]).toContain(rest);
  if (/^[ \t]/.test(raw)) expect(rest).toBe("\r\n");
}

const NAMED: readonly (readonly [string, string])[] = [
  ["empty", ""],
  ["one empty line", "\r\n"],
  ["a body below an empty line", "\r\nOnly a body.\r\n"],
  ["a body alone", "Only a body.\r\nIts second line.\r\n"],
  ["a body of two paragraphs", "Only a body.\r\n\r\nIts second paragraph.\r\n"],
  ["a blank line of white space first", " \r\nFrom: a@example.org\r\nSubject: s\r\n\r\nx\r\n"],
  ["tabs and blanks first", "\t\r\n  \r\n \t\r\nFrom: a@example.org\r\n\r\nx\r\n"],
  ["an indented body", "    Indented text\r\n  and more\r\nand the end\r\n"],
  [
    "a line that would continue our note",
    " ; released by the administrator\r\nFrom: a@example.org\r\n\r\nx\r\n",
  ],
  ["a line of mbox", "From a@example.org Fri Nov 27 10:00:00 2026\r\nFrom: a@example.org\r\n\r\nx\r\n"],
  ["a quoted line of mbox", ">From a@example.org Fri Nov 27\r\nFrom: a@example.org\r\n\r\nx\r\n"],
  ["a line without a colon amid fields", "From: a@example.org\r\nnonsense here\r\nSubject: s\r\n\r\nx\r\n"],
  ["a missing empty line", "From: a@example.org\r\nSubject: s\r\nThe text begins here.\r\n and goes on\r\n"],
  ["a header only", "From: a@example.org\r\nSubject: s\r\n"],
  ["a header with its empty line only", "From: a@example.org\r\nSubject: s\r\n\r\n"],
  ["a line of white space for the empty one", "From: a@example.org\r\n \r\nText or field: who knows\r\n"],
  ["an empty field name", ": value\r\nFrom: a@example.org\r\n\r\nx\r\n"],
  ["white space before the colon", "From : a@example.org\r\nSubject\t: s\r\n\r\nx\r\n"],
  ["many empty lines", "\r\n\r\n\r\n\r\n"],
  ["dots", ".\r\n..\r\n.x\r\n\r\n.\r\n"],
  ["eight bits in a field's name", "F\xfcr: a@example.org\r\nFrom: a@example.org\r\n\r\n\xff\xfe\r\n"],
  ["a vertical tab first", "\x0bFrom: a@example.org\r\n\r\nx\r\n"],
  ["a form feed first", "\x0c\r\nFrom: a@example.org\r\n\r\nx\r\n"],
  ["a single blank", " \r\n"],
];

test("messages with a header that is none are kept octet by octet", async () => {
  const texts = await relay(NAMED.map(([, raw]) => raw));
  for (const [index, [, raw]] of NAMED.entries()) expectKept(texts[index] ?? "", raw);
}, 60_000);

const line = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom("From: a@example.org", "Subject: s", "To: b@example.test", "") },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      " ",
      "\t",
      " folded",
      "\tfolded",
      "no colon",
      ": none",
      "From b",
      ">From b",
      ".",
    ),
  },
  { weight: 2, arbitrary: fc.stringMatching(/^[\x01-\x09\x0b\x0c\x0e-\xff]{0,30}$/) },
);

test("so is any other odd message", async () => {
  await checkProperty(
    fc.asyncProperty(
      fc.array(fc.array(line, { maxLength: 8 }), { minLength: 8, maxLength: 12 }),
      async (mails) => {
        const raws = mails.map((lines) => lines.map((one) => `${one}\r\n`).join(""));
        const texts = await relay(raws);
        for (const [index, raw] of raws.entries()) expectKept(texts[index] ?? "", raw);
      },
    ),
    { numRuns: 25 },
  );
}, 120_000);
