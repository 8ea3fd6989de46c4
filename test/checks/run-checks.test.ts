// The checker always answers: what breaks, hangs or lies becomes findings, and nothing else suffers.
import { expect, test } from "bun:test";
import type { Check, CheckInput } from "../../src/checks/check.ts";
import { createChecker } from "../../src/checks/run-checks.ts";
import { silentLog } from "../../src/observe/log.ts";
import { type Finding, factsOf } from "../../src/rules/fact.ts";
import { envelope, message } from "../message/message-samples.ts";

const input = { envelope: envelope(), raw: message(["From: a@example.org"]) };

function check(name: string, run: Check["run"], timeoutMs = 1000): Check {
  return { name, facts: [`${name}.found`, `${name}.list`], timeoutMs, run };
}

function found(name: string, value: Finding["value"] = true): readonly Finding[] {
  return [{ check: name, fact: `${name}.found`, value }];
}

async function factsFrom(
  checks: readonly Check[],
  wanted: readonly string[],
  failures: string[] = [],
): Promise<Record<string, unknown>> {
  const checker = createChecker({
    checks,
    log: silentLog,
    onFailure: (name, reason) => failures.push(`${name}: ${reason}`),
  });
  return { ...factsOf(await checker.run(input, new Set(wanted))) };
}

test("only checks that can write a wanted fact run", async () => {
  const ran: string[] = [];
  const checks = ["one", "two"].map((name) =>
    check(name, async () => {
      ran.push(name);
      return found(name);
    }),
  );
  expect(await factsFrom(checks, ["two.list", "scan.failed", "one.failed"])).toEqual({ "two.found": true });
  expect(ran).toEqual(["two"]);
  expect(await factsFrom(checks, [])).toEqual({});
});

test("they run side by side", async () => {
  let running = 0;
  let most = 0;
  const slow = (name: string) =>
    check(name, async () => {
      most = Math.max(most, ++running);
      await Bun.sleep(20);
      running--;
      return found(name);
    });
  await factsFrom([slow("one"), slow("two"), slow("three")], ["one.found", "two.found", "three.found"]);
  expect(most).toBe(3);
});

const liars: readonly (readonly [words: string, run: (input: CheckInput) => unknown])[] = [
  ["not its own", async () => [{ check: "bad", fact: "spf.result", value: "pass" }]],
  ["in the name of", async () => [{ check: "spf", fact: "bad.found", value: true }]],
  ["a value that is none", async () => [{ check: "bad", fact: "bad.found", value: { a: 1 } }]],
  ["a value that is none", async () => [{ check: "bad", fact: "bad.found", value: Number.NaN }]],
  ["a value that is none", async () => [{ check: "bad", fact: "bad.list", value: ["a", 1] }]],
  ["without a list", async () => undefined],
  ["a finding that is none", async () => [null]],
  ["boom", async () => Promise.reject(new Error("boom"))],
  [
    "at once",
    () => {
      throw new Error("at once");
    },
  ],
  ["no answer within 50 ms", () => new Promise(() => undefined)],
];
test.each(liars)("a check that breaks is a finding: %s", async (words, run) => {
  const failures: string[] = [];
  const bad = check("bad", (given) => run(given) as Promise<readonly Finding[]>, 50);
  const facts = await factsFrom(
    [bad, check("good", async () => found("good"))],
    ["bad.found", "good.found"],
    failures,
  );
  expect(facts).toEqual({
    "good.found": true,
    "bad.failed": true,
    "scan.failed": true,
    "scan.failures": ["bad"],
  });
  expect(failures.join()).toContain(words);
});

test("at the deadline the check's signal says so", async () => {
  let reason: unknown;
  const late = check(
    "late",
    ({ signal }) =>
      new Promise((_, reject) => {
        signal.addEventListener("abort", () => {
          reason = signal.reason;
          reject(new Error("gave up"));
        });
      }),
    30,
  );
  expect(await factsFrom([late], ["late.found"])).toMatchObject({ "late.failed": true });
  expect(String(reason)).toContain("no answer within 30 ms");
});
