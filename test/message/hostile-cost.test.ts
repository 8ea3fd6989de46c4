// What a stranger can put into a header costs the main thread milliseconds: nothing looks at a long run again and again.
import { expect, test } from "bun:test";
import { applyEdits } from "../../src/message/header-edit.ts";
import { summarise } from "../../src/message/summary.ts";
import { addTraceHeaders } from "../../src/message/trace.ts";
import { envelope, message } from "./message-samples.ts";
import { processorMs } from "./processor-time.ts";

const LINE = 65_000;
const MANY = 14;

function milliseconds(work: () => unknown): number {
  const started = processorMs();
  work();
  return processorMs() - started;
}

function traced(raw: Uint8Array) {
  return addTraceHeaders({
    raw,
    envelope: envelope(),
    hostname: "gate.example.test",
    recipient: null,
    findings: [],
    verdictWords: "",
  });
}

// About a megabyte of header each, as much as a session takes.
const headers: readonly (readonly [name: string, line: string])[] = [
  ["results with a run of dots", `Authentication-Results: ${".".repeat(LINE)}x; spf=pass`],
  ["results with an open comment", `Authentication-Results: ${"(".repeat(LINE)}`],
  ["results of an international name", `Authentication-Results: ${"ü".repeat(LINE / 2)}`],
  ["From with a run of spaces", `From: <a${" ".repeat(LINE)}b@example.org>`],
  ["From with escaped quotes", `From: <a@example.org> ${'\\"'.repeat(LINE / 2)}`],
  ["From of at signs", `From: ${"x@".repeat(LINE / 2)}`],
  ["Subject with a run of spaces", `Subject: a${" ".repeat(LINE)}b`],
  ["Subject of encoded words", `Subject: ${"=?a?q?x?= ".repeat(LINE / 10)}`],
];
test.each(headers)("%s", (_, line) => {
  const raw = message(Array.from({ length: MANY }, () => line));
  const took = milliseconds(() => {
    summarise(raw);
    traced(raw);
    applyEdits(raw, [{ kind: "subject", prefix: "[ SPAM ]", suffix: "" }]);
  });
  // Seconds to minutes where a pattern starts anew at each character; the margin is for a busy machine.
  expect(took).toBeLessThan(1000);
});

test("one Subject folded into a megabyte of white space", () => {
  const raw = message([`Subject: a${`\r\n ${" ".repeat(900)}`.repeat(1000)}b`]);
  const took = milliseconds(() => applyEdits(raw, [{ kind: "subject", prefix: "[ SPAM ]", suffix: "" }]));
  expect(took).toBeLessThan(1000);
});
