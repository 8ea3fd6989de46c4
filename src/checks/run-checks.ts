// Runs the checks a message needs, side by side, each under its own deadline. A check that breaks becomes findings; nothing is thrown.
import { isLarge } from "../message/body.ts";
import type { Log } from "../observe/log.ts";
import type { Finding } from "../rules/fact.ts";
import type { Check, Checker, CheckInput } from "./check.ts";

/** Within the time a client waits for the answer to its message: 10 minutes. (RFC 5321 §4.5.3.2.6) */
const LARGE_EXTRA_MS = 300_000;

export interface CheckerOptions {
  readonly checks: readonly Check[];
  readonly log: Log;
  /** Told of each failure, for metrics. */
  readonly onFailure?: (check: string, reason: string) => void;
  /** Ends what the checks share when the checker is closed. */
  readonly close?: () => Promise<void>;
}

/**
 * Makes the checker. For each check that throws, is late, or writes what it may not, `NAME.failed = true` is found, and once
 * `scan.failed = true` and `scan.failures` (their names). Wanting `scan.failed` or `NAME.failed` alone runs no check.
 */
export function createChecker({ checks, log, onFailure, close }: CheckerOptions): Checker {
  async function runOne(
    check: Check,
    input: Omit<CheckInput, "signal">,
  ): Promise<readonly Finding[] | Failure> {
    try {
      const findings = await withinDeadline(check, input);
      const reason = whyInvalid(check, findings);
      if (reason === null) return findings;
      return fail(check, input, new Error(reason));
    } catch (error) {
      return fail(check, input, error);
    }
  }

  function fail(check: Check, input: Omit<CheckInput, "signal">, error: unknown): Failure {
    const reason = error instanceof Error ? error.message : String(error);
    log.warn({ check: check.name, message: input.envelope.id, err: error }, "a check failed");
    onFailure?.(check.name, reason);
    return { name: check.name, reason };
  }

  return {
    async run(input, wanted) {
      const chosen = checks.filter((check) => check.facts.some((fact) => wanted.has(fact)));
      if (chosen.length === 0) return [];
      const results = await Promise.all(chosen.map((check) => runOne(check, input)));
      const findings: Finding[] = [];
      const failures: Failure[] = [];
      for (const result of results) {
        if ("reason" in result) failures.push(result);
        else findings.push(...result);
      }
      return failures.length === 0 ? findings : [...findings, ...failureFindings(failures)];
    },
    async close() {
      await close?.();
    },
  };
}

interface Failure {
  readonly name: string;
  readonly reason: string;
}

function failureFindings(failures: readonly Failure[]): readonly Finding[] {
  // Two checks may share a name, as parts of one.
  const byName = new Map(failures.map((failure) => [failure.name, failure]));
  const names = [...byName.keys()];
  return [
    ...[...byName.values()].map(({ name, reason }) => ({
      check: name,
      fact: `${name}.failed`,
      value: true,
      words: `the check ${name} failed: ${reason.slice(0, 300)}`,
    })),
    {
      check: "scan",
      fact: "scan.failed",
      value: true,
      words: `not everything could be checked: ${names.join(", ")}`,
    },
    { check: "scan", fact: "scan.failures", value: names },
  ];
}

/** The check's answer, or a rejection at its deadline even when it ignores the signal. */
async function withinDeadline(check: Check, input: Omit<CheckInput, "signal">): Promise<readonly Finding[]> {
  const controller = new AbortController();
  const late = Promise.withResolvers<never>();
  // Large messages wait for each other, and take longer.
  const timeoutMs = check.timeoutMs + (isLarge(input.raw) ? LARGE_EXTRA_MS : 0);
  const timer = setTimeout(() => {
    const error = new Error(`no answer within ${timeoutMs} ms`);
    controller.abort(error);
    // A check that heeds the signal says who gave no answer.
    setImmediate(() => late.reject(error));
  }, timeoutMs);
  try {
    const answer = check.run({ envelope: input.envelope, raw: input.raw, signal: controller.signal });
    return await Promise.race([answer, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

function whyInvalid(check: Check, findings: unknown): string | null {
  if (!Array.isArray(findings)) return "it answered without a list of findings";
  for (const finding of findings as unknown[]) {
    if (typeof finding !== "object" || finding === null) return "it answered with a finding that is none";
    const { check: writer, fact, value } = finding as Record<string, unknown>;
    if (typeof fact !== "string" || !check.facts.includes(fact))
      return `it wrote the fact "${String(fact)}", which is not its own`;
    if (writer !== check.name) return `it wrote a finding in the name of "${String(writer)}"`;
    if (!isFactValue(value)) return `it wrote the fact "${fact}" with a value that is none`;
  }
  return null;
}

function isFactValue(value: unknown): boolean {
  if (typeof value === "string" || typeof value === "boolean") return true;
  if (typeof value === "number") return Number.isFinite(value);
  return Array.isArray(value) && value.every((entry) => typeof entry === "string");
}
