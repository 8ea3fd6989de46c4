// Edits of one recipient's copy: marks a person sees, and not an octet of the body changed.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { applyEdits, type HeaderEdit } from "../../src/message/header-edit.ts";
import { summarise } from "../../src/message/summary.ts";
import { addTraceHeaders } from "../../src/message/trace.ts";
import { anyMessage, envelope, message } from "./message-samples.ts";

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
  const out = Buffer.from(
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
