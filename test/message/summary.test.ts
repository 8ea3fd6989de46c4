// What the log and the session read from a header: decoded, bounded, never thrown by hostile input.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { MAX_HEADER_BYTES } from "../../src/message/header-block.ts";
import { summarise } from "../../src/message/summary.ts";
import { address, anyMessage, message } from "./message-samples.ts";
import { processorMs } from "./processor-time.ts";

test("a plain header", () => {
  const raw = message([
    "Received: from a.example by b.example; Fri, 20 Nov 2026 10:00:00 +0000",
    "From: Alice <alice@example.org>",
    "Subject: Hello",
    "Message-ID: <1@example.org>",
  ]);
  expect(summarise(raw)).toEqual({
    subject: "Hello",
    headerFrom: "Alice <alice@example.org>",
    fromAddresses: [address("alice@example.org")],
    fromFlaw: null,
    fromFields: 1,
    fromIsWhole: true,
    senderAddresses: [],
    senderFields: [],
    sendersAreWhole: true,
    messageId: "<1@example.org>",
    receivedCount: 1,
    headerBytes: raw.indexOf("\r\n\r\n") + 4,
    headerFields: 4,
    headerControls: false,
  });
});

const subjects: readonly (readonly [name: string, raw: string | Buffer, shown: string])[] = [
  ["Q encoding", "=?utf-8?Q?5=E2=82=AC_off?=", "5€ off"],
  ["B encoding", "=?UTF-8?B?4oKs?=", "€"],
  ["a character split over two words", "=?utf-8?B?4o==?= =?utf-8?B?gqw=?=", "€"],
  ["Latin-1", "=?iso-8859-1?Q?caf=E9?=", "café"],
  ["Japanese", "=?ISO-2022-JP?B?GyRCJEYkOSRIGyhC?=", "てすと"],
  ["folded", "one\r\n two\r\n\tthree", "one two\tthree".replace("\t", " ")],
  ["raw UTF-8", "Grüße", "Grüße"],
  ["raw Latin-1", Buffer.from("caf\xe9", "latin1"), "café"],
  ["controls and direction marks", "a\u0000b\u001bc\u202edexe", "a␀b␛c�dexe"],
  ["no such charset", "=?x-none?Q?hi?=", "hi"],
  ["empty", "", ""],
];
test.each(subjects)("subject: %s", (_, raw, shown) => {
  const header = Buffer.concat([Buffer.from("Subject: "), Buffer.from(raw), Buffer.from("\r\n\r\nbody")]);
  expect(summarise(header).subject).toBe(shown);
});

test("a subject is cut at 500 characters, never within a character", () => {
  const long = summarise(
    message([`Subject: =?utf-8?B?${Buffer.from("😀".repeat(400)).toString("base64")}?=`]),
  ).subject;
  expect(long.length).toBeLessThanOrEqual(500);
  expect(long.isWellFormed()).toBe(true);
});

test("Sender, Resent-From and Resent-Sender are read when they are asked for", () => {
  const raw = message([
    "From: a@example.org",
    "Sender: B <b@example.org>",
    "RESENT-FROM : c@example.org, d@example.org",
    "Resent-Sender: b@example.org",
    "Resent-To: e@example.org",
  ]);
  const asked = summarise(raw, { senders: true });
  expect(asked.senderAddresses.map(String)).toEqual(["b@example.org", "c@example.org", "d@example.org"]);
  expect(asked.sendersAreWhole).toBe(true);
  expect(summarise(raw).senderAddresses).toEqual([]);
});

test.each([
  ["too many", Array.from({ length: 21 }, () => "Sender: a@example.org")],
  ["too long", [`Resent-From: a@example.org (${"c".repeat(20_000)}), b@example.org`]],
  ["too many addresses", [`Sender: ${Array.from({ length: 101 }, (_, i) => `a${i}@b.example`).join(", ")}`]],
])("senders behind which one could hide are known as such: %s", (_, fields) => {
  expect(summarise(message(["From: a@example.org", ...fields]), { senders: true }).sendersAreWhole).toBe(
    false,
  );
  expect(summarise(message(["From: a@example.org", ...fields])).sendersAreWhole).toBe(true);
});

test("every From field counts, and the white space that obsolete syntax allows hides none", () => {
  const raw = message([
    "From: a@example.org",
    "FROM : b@example.org",
    "from\t: c@example.org",
    "From: a@example.org",
  ]);
  expect(summarise(raw).fromAddresses.map(String)).toEqual([
    "a@example.org",
    "b@example.org",
    "c@example.org",
  ]);
});

test.each([
  ["too many From fields", message(Array.from({ length: 11 }, () => "From: a@example.org"))],
  [
    "a From that is longer than is read",
    message([`From: a@example.org (${"c".repeat(20_000)}), b@example.org`]),
  ],
  [
    "too many addresses",
    message([`From: ${Array.from({ length: 101 }, (_, i) => `a${i}@example.org`).join(", ")}`]),
  ],
])("%s are not the whole From", (_, raw) => {
  expect(summarise(raw).fromIsWhole).toBe(false);
});

test("no header, no body, nothing at all", () => {
  expect(summarise(Buffer.from("\r\nFrom: a@example.org\r\n"))).toMatchObject({
    fromAddresses: [],
    headerBytes: 2,
  });
  expect(summarise(Buffer.from("From: a@example.org\r\n"))).toMatchObject({
    headerBytes: 21,
    headerFields: 1,
  });
  expect(summarise(new Uint8Array())).toMatchObject({ headerBytes: 0, headerFields: 0 });
});

test("a header without end costs bounded time and is reported whole", () => {
  const raw = Buffer.alloc(30_000_000, "X-A: b\r\n");
  const started = processorMs();
  const summary = summarise(raw);
  expect(processorMs() - started).toBeLessThan(1000);
  expect(summary.headerBytes).toBe(raw.length);
  expect(summarise(Buffer.alloc(MAX_HEADER_BYTES * 2, "a"))).toMatchObject({ headerFields: 0 });
});

test("never throws, whatever comes", () => {
  fc.assert(
    fc.property(fc.oneof(anyMessage, fc.uint8Array({ maxLength: 300 })), (raw) => {
      const summary = summarise(raw);
      expect(summary.subject.length).toBeLessThanOrEqual(500);
      expect(summary.subject).not.toMatch(/[\u0000-\u001f]/);
      expect(summary.headerBytes).toBeLessThanOrEqual(raw.length);
    }),
    { numRuns: 500 },
  );
});

const controls: readonly (readonly [name: string, value: string, counts: boolean])[] = [
  ["an escape", "a\x1b[2Jb", true],
  ["an escape at the end", "a\x1b", true],
  ["an escape that asks for line drawing", "\x1b(0abc", true],
  ["a title for the terminal", "\x1b]0;x\x07", true],
  ["one escape inside another", "\x1b\x1b(B[2J", true],
  ["an escape behind Japanese", "\x1b$B$F$9\x1b(B\x1b[2J", true],
  ["NUL", "a\0b", true],
  ["DEL", "a\x7fb", true],
  ["shift out", "\x0e", true],
  ["U+009B in UTF-8", "\xc2\x9b2J", true],
  ["U+0080 in UTF-8 behind letters", "gr\xc3\xbc\xc2\x80", true],
  ["raw ISO-2022-JP", "\x1b$B$F$9$H\x1b(B", false],
  ["raw ISO-2022-JP of 1978 in Roman letters", "\x1b$@$F$9\x1b(J", false],
  ["raw ISO-2022-JP-1 and half-width letters", "\x1b$(D0!\x1b(I12\x1b(B", false],
  ["raw ISO-2022-JP-2004", "\x1b$(Q.!\x1b(B", false],
  ["raw ISO-2022-JP-2 with Greek", "\x1b.F\x1bNa", false],
  ["raw ISO-2022-KR and -CN", "\x1b$)C\x1b$)A\x1b$A!!\x1b(B", false],
  ["raw UTF-8", "Gr\xc3\xbc\xc3\x9fe \xc2\xa9 \xe2\x80\x9cx\xe2\x80\x9d", false],
  ["raw Latin-1", "caf\xe9 \xc2", false],
  ["quotes of Windows-1252", "\x93caf\xe9\x94 \xc2ge", false],
  ["raw Cyrillic of Windows-1251 in quotes", "\x93\xc0\xc2\x94", false],
  ["an encoded word", "=?utf-8?Q?=1B[2J?=", false],
  ["a tab and a fold", "a\tb\r\n c", false],
];
test.each(controls)("control characters: %s", (_, value, counts) => {
  for (const header of [
    `Subject: ${value}\r\nFrom: a@example.org`,
    `From: a@example.org\r\nX-Note: ${value}`,
  ]) {
    const { headerControls } = summarise(Buffer.from(`${header}\r\n\r\nbody \x1b[2J\r\n`, "latin1"));
    expect(headerControls).toBe(counts);
  }
});
