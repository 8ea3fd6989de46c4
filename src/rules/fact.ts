// What the checks found: findings, and the flat record of facts that rules look at.
// A check writes findings and never decides; `decide` reads facts and never does I/O.

/** A value a rule can compare. Lists are compared with `any`/`all`/`contains`. */
export type FactValue = string | number | boolean | readonly string[];

/**
 * One thing a check found.
 * `fact` is a dotted, lower-case name whose first part is the check's own name (`spf.result`, `virus.found`).
 * `words` is a short English sentence for the message log ("SPF fails: 192.0.2.1 may not send for example.org").
 */
export interface Finding {
  readonly check: string;
  readonly fact: string;
  readonly value: FactValue;
  readonly words?: string;
}

/** All findings of one message as `fact` → value. The last finding of a name wins. */
export type Facts = Readonly<Record<string, FactValue>>;

/** The facts of a list of findings. */
export function factsOf(findings: readonly Finding[]): Facts {
  const facts: Record<string, FactValue> = Object.create(null);
  for (const finding of findings) facts[finding.fact] = finding.value;
  return facts;
}
