// How commands show things: sizes, times, tables, and nothing of hostile mail that a terminal would obey.
import { expect, test } from "bun:test";
import { explanationText } from "../../src/cli/check.ts";
import { formatSize, formatTable, formatTime, showable, traceOf, wordsOf } from "../../src/cli/terminal.ts";

test.each([
  [0, "0 B"],
  [1023, "1023 B"],
  [1024, "1.0 KB"],
  [1536, "1.5 KB"],
  [52_428_800, "50.0 MB"],
  [5 * 1024 ** 3, "5.0 GB"],
  [3000 * 1024 ** 3, "3000.0 GB"],
])("%d octets are %s", (bytes, text) => {
  expect(formatSize(bytes)).toBe(text);
});

test("what several parts failed with as they were closed is all told", () => {
  const closing = () => {
    using parts = new DisposableStack();
    for (const words of ["the disk is read-only", "the log cannot be written"])
      parts.defer(() => {
        throw new Error(words);
      });
    throw new Error("first of all");
  };
  let told = "";
  try {
    closing();
  } catch (error) {
    told = traceOf(error);
  }
  for (const words of ["first of all", "the disk is read-only", "the log cannot be written"])
    expect(told).toContain(words);
});

test("a time is the clock on the wall here, to the second", () => {
  const noon = new Date(2026, 10, 21, 12, 5, 9);
  expect(formatTime(noon.getTime())).toBe("2026-11-21 12:05:09");
});

test("columns are aligned, the last one has no spaces behind it", () => {
  const text = formatTable([
    ["ID", "STATE", "WORDS"],
    ["1", "queued", "a"],
    ["long-id", "x", "bb"],
  ]);
  expect(text).toBe("ID       STATE   WORDS\n1        queued  a\nlong-id  x       bb");
  expect(formatTable([])).toBe("");
});

test("control characters never reach the terminal, letters of all languages do", () => {
  expect(showable("a\u001b[31mb\u009b2Jc\rd\u0007e\u007f")).toBe("a\ufffd[31mb\ufffd2Jc\ufffdd\ufffde\ufffd");
  expect(showable("invoice\u202efdp.exe")).toBe("invoice\ufffdfdp.exe");
  const harmless = "Grüße, 你好, שלום\tand\nlines 👍🏽";
  expect(showable(harmless)).toBe(harmless);
});

test("anything thrown has words", () => {
  expect(wordsOf(new Error("the disk is full"))).toBe("the disk is full");
  expect(wordsOf("plain text")).toBe("plain text");
  expect(wordsOf(null)).toBe("null");
});

test("an explanation shows facts, verdict, edits, and which rules only watched", () => {
  const text = explanationText({
    findings: [
      { fact: "spf.result", check: "mailauth", value: "fail", words: "192.0.2.1 is not permitted" },
      { fact: "attachments.names", check: "attachments", value: [] },
    ],
    recipients: [
      {
        address: "bob@example.test",
        direction: "inbound",
        verdict: {
          action: "accept",
          rule: null,
          words: "Accepted: no rule objects",
          replyCode: 250,
          replyText: "",
          edits: [
            { kind: "add", name: "X-Gatepost", value: "spf=fail" },
            { kind: "subject", prefix: "!! ", suffix: " :: spf-fail ::" },
          ],
          redirectTo: null,
          copyTo: [],
          outcomes: [
            {
              rule: "strict-spf",
              mode: "observe",
              action: "reject",
              words: "spf.result is fail",
              applied: false,
            },
            { rule: "marks", mode: "enforce", action: "mark", words: "spf.result is fail", applied: true },
          ],
        },
      },
    ],
  });
  expect(text).toContain("spf.result                 fail   (192.0.2.1 is not permitted)");
  expect(text).toContain("attachments.names          (none)");
  expect(text).toContain(
    "bob@example.test (inbound): ACCEPT\n  Accepted: no rule objects\n  header added: X-Gatepost: spf=fail",
  );
  expect(text).toContain('subject marked: "!! " … " :: spf-fail ::"');
  expect(text).toContain("rule strict-spf: reject (observed only): spf.result is fail");
  expect(text).toContain("rule marks: mark: spf.result is fail");
  expect(text).not.toContain("reply:");
});
