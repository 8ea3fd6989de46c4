// Edits of one recipient's copy: marks a person sees, and not an octet of the body changed.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { eachField, readHeaderBlock } from "../../src/message/header-block.ts";
import { applyEdits, type HeaderEdit } from "../../src/message/header-edit.ts";
import { summarise } from "../../src/message/summary.ts";
import { addTraceHeaders } from "../../src/message/trace.ts";
import { anyMessage, envelope, message } from "./message-samples.ts";
import { small } from "./small-body.ts";

const spam: HeaderEdit = { kind: "subject", prefix: "[ SPAM ]", suffix: "[ SPAM ]" };

function edited(lines: readonly string[], edits: readonly HeaderEdit[]): string {
  return Buffer.from(applyEdits(message(lines), edits)).toString("utf8");
}

test("no edits: the same array", () => {
  const raw = message(["Subject: x"]);
  expect(applyEdits(raw, [])).toBe(raw);
});

const marked: readonly (readonly [name: string, subject: string, shown: string])[] = [
  ["plain", "Hello", "[ SPAM ] Hello [ SPAM ]"],
  ["empty", "", "[ SPAM ] [ SPAM ]"],
  ["encoded", "=?utf-8?Q?5=E2=82=AC?=", "[ SPAM ] 5€ [ SPAM ]"],
  ["encoded over two lines", "=?utf-8?Q?5=E2=82=AC?=\r\n =?utf-8?Q?_off?=", "[ SPAM ] 5€ off [ SPAM ]"],
  ["raw UTF-8", "Grüße", "[ SPAM ] Grüße [ SPAM ]"],
  ["an unclosed encoded word", "=?utf-8?Q?abc", "[ SPAM ] =?utf-8?Q?abc [ SPAM ]"],
];
test.each(marked)("a %s subject", (_, subject, shown) => {
  const out = edited([`Subject: ${subject}`, "From: a@example.org"], [spam]);
  expect(summarise(Buffer.from(out)).subject).toBe(shown);
  if (subject !== "") expect(out).toContain(subject);
});

test("a mark that needs encoding keeps its space next to an encoded word", () => {
  const edit: HeaderEdit = { kind: "subject", prefix: "⚠", suffix: "=?not?=" };
  const out = applyEdits(message(["Subject: =?utf-8?Q?5=E2=82=AC?="]), [edit]);
  expect(summarise(out).subject).toBe("⚠ 5€ =?not?=");
});

test("a missing subject is added, several are all marked, later marks stand outside", () => {
  expect(summarise(applyEdits(message(["From: a@example.org"]), [spam])).subject).toBe("[ SPAM ] [ SPAM ]");
  const twice = edited(["Subject: one", "SUBJECT : two"], [{ kind: "subject", prefix: "!!", suffix: "" }]);
  expect(twice).toContain("Subject: !! one\r\n");
  expect(twice).toContain("SUBJECT : !! two\r\n");
  const both = edited(["Subject: x"], [{ kind: "subject", prefix: "~", suffix: "" }, spam]);
  expect(both).toContain("Subject: [ SPAM ] ~ x [ SPAM ]\r\n");
});

test("added fields stand below our trace fields and cannot carry others", () => {
  const raw = message(["Received: theirs", "Subject: x"]);
  const ours = addTraceHeaders({
    raw,
    envelope: envelope(),
    hostname: "gate.example.test",
    recipient: null,
    findings: [],
    verdictWords: "v",
  });
  const out = small(
    applyEdits(ours, [
      { kind: "add", name: "X-Mark", value: `yes\r\nBcc: evil@example.org\r\n\r\n${"w ".repeat(900)}ü` },
    ]),
  ).toString();
  const names = [...out.slice(0, out.indexOf("\r\n\r\n")).matchAll(/^([A-Za-z-]+):/gm)].map(
    (match) => match[1],
  );
  expect(names).toEqual(["Received", "X-Gatepost", "X-Mark", "Received", "Subject"]);
  for (const line of out.split("\r\n")) expect(line.length).toBeLessThan(998);
  expect(() => applyEdits(raw, [{ kind: "add", name: "Bad Name:", value: "" }])).toThrow("header field");
});

const remove = (name: string): HeaderEdit => ({ kind: "remove", name });

test("removed fields go with their folds, whatever their case and place; nothing else does", () => {
  const raw = message([
    "X-Client-ID: 4711",
    "From: a@example.org",
    "x-client-id : folded",
    "\tover",
    " lines",
    "X-Client-ID-Other: stays",
    "Subject: x",
    "X-CLIENT-ID:",
  ]);
  const out = Buffer.from(applyEdits(raw, [remove("X-Client-ID")])).toString("latin1");
  const kept = message(["From: a@example.org", "X-Client-ID-Other: stays", "Subject: x"]);
  expect(out).toBe(kept.toString("latin1"));
  expect(Buffer.from(applyEdits(raw, [remove("X-Missing"), remove("")])).equals(raw)).toBe(true);
});

test("our trace fields on top are never removed, the same names below are", () => {
  const ours = addTraceHeaders({
    raw: message(["Received: theirs", "Authentication-Results: forged", "X-Gatepost: forged", "Subject: x"]),
    envelope: envelope(),
    hostname: "gate.example.test",
    recipient: null,
    findings: [],
    verdictWords: "v",
  });
  const top = small(ours).toString().split("Received: theirs")[0] ?? "";
  const edits = ["received", "AUTHENTICATION-RESULTS", "x-gatepost", "subject"].map(remove);
  const out = small(applyEdits(ours, edits)).toString();
  expect(out).toStartWith(top);
  expect(out.slice(top.length)).not.toMatch(/^(received|authentication-results|x-gatepost|subject):/im);
});

test("removing and adding one name replaces it; a removed subject can still be marked", () => {
  const raw = message(["Subject: old", "X-Mark: theirs"]);
  const out = applyEdits(raw, [
    { kind: "add", name: "X-Mark", value: "ours" },
    remove("x-mark"),
    remove("subject"),
    spam,
  ]);
  expect(Buffer.from(out).toString()).toStartWith("X-Mark: ours\r\nSubject: [ SPAM ] [ SPAM ]\r\n\r\n");
});

test("a removed field is gone from any message, and every other octet stays", () => {
  fc.assert(
    fc.property(anyMessage, fc.constantFrom("from", "subject", "x-gatepost", "received"), (raw, name) => {
      const { text, bodyStart } = readHeaderBlock(raw);
      const fields: { name: string; octets: string }[] = [];
      eachField(text, (field) => {
        fields.push({ name: field.name, octets: text.slice(field.start, field.end) });
        return undefined;
      });
      // With a Received on top, the fields below it may be ours.
      fc.pre(fields[0]?.name !== "received");
      const left = fields.filter((field) => field.name !== name).map(({ octets }) => octets);
      const rest = raw.subarray(Buffer.byteLength(text, "latin1")).toString("latin1");
      expect(bodyStart).toBeGreaterThanOrEqual(text.length);
      const out = Buffer.from(applyEdits(raw, [remove(name)])).toString("latin1");
      expect(out).toBe(left.join("") + rest);
    }),
    { numRuns: 500 },
  );
});

test("many removed fields take time in proportion", () => {
  const lines = Array.from({ length: 9000 }, (_, i) => (i % 2 === 0 ? "X-Id: a" : "X-Id : b\r\n c"));
  const out = Buffer.from(applyEdits(message([...lines, "Subject: x"]), [remove("x-id")])).toString();
  expect(out).toStartWith("Subject: x\r\n");
});

test("the body and every other field stay as they were", () => {
  const edits: readonly HeaderEdit[] = [spam, { kind: "add", name: "X-Mark", value: "1" }];
  fc.assert(
    fc.property(anyMessage, (raw) => {
      const out = Buffer.from(applyEdits(raw, edits));
      const gap = raw.subarray(0, 2).toString() === "\r\n" ? 0 : raw.indexOf("\r\n\r\n");
      if (gap >= 0) {
        const body = raw.subarray(gap);
        expect(out.subarray(out.length - body.length).equals(body)).toBe(true);
      }
      const others = (text: string) =>
        text
          .split("\r\n\r\n")[0]
          ?.replace(/\r\n(?=[ \t])/g, "")
          .split("\r\n")
          .filter((line) => line !== "" && !/^(subject\s*|x-mark):/i.test(line));
      if (gap > 0) expect(others(out.toString("latin1"))).toEqual(others(raw.toString("latin1")));
    }),
    { numRuns: 500 },
  );
});

test.each([
  ["no subject", "From: a@b.example\r\n\r\nx", "Subject: [ SPAM ] !! [ SPAM ]\r\nFrom: a@b.example\r\n\r\nx"],
  [
    "an empty one",
    "Subject:\r\nFrom: a@b.example\r\n\r\nx",
    "Subject: [ SPAM ] !! [ SPAM ]\r\nFrom: a@b.example\r\n\r\nx",
  ],
  ["blanks", "Subject: \t\r\n \r\nTo: b\r\n\r\nx", "Subject: [ SPAM ] !! [ SPAM ]\r\nTo: b\r\n\r\nx"],
  ["a blank short", "Subject:hello\r\n\r\nx", "Subject: [ SPAM ] !! hello [ SPAM ]\r\n\r\nx"],
])("marks on %s have one space between them and none at the end", (_, raw, marked) => {
  const edit: HeaderEdit = { kind: "subject", prefix: "[ SPAM ] !! ", suffix: " [ SPAM ]" };
  expect(Buffer.from(applyEdits(Buffer.from(raw), [edit])).toString()).toBe(marked);
});

test("one mark alone ends its line", () => {
  const edit: HeaderEdit = { kind: "subject", prefix: "!! ", suffix: "" };
  expect(Buffer.from(applyEdits(Buffer.from("From: a@b.example\r\n\r\nx"), [edit])).toString()).toBe(
    "Subject: !!\r\nFrom: a@b.example\r\n\r\nx",
  );
});

test("a line that a mark would make too long is folded", () => {
  const edit: HeaderEdit = { kind: "subject", prefix: "[ SPAM ] !! ", suffix: "" };
  const long = "x".repeat(980);
  expect(Buffer.from(applyEdits(Buffer.from(`Subject: ${long}\r\n\r\ny`), [edit])).toString()).toBe(
    `Subject: [ SPAM ] !!\r\n ${long}\r\n\r\ny`,
  );
});
