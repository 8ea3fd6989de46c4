// What is to be said of a removal before it is done: each warning that the policy has only then, and what a domain that goes leaves. No I/O.
import { crossCheck } from "./cross-check.ts";
import { removalWarnings } from "./removed-domain.ts";
import type { Policy } from "./schema.ts";

/** What is told of the policy after and was not true before. */
export function newWarnings(before: Policy, after: Policy): readonly string[] {
  const was = new Set(crossCheck(before, new Map()).warnings);
  const found = crossCheck(after, new Map()).warnings.filter((words) => !was.has(words));
  return [...found, ...removalWarnings(before, after)];
}
