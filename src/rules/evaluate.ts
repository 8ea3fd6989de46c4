// Evaluation of conditions: total, without I/O. A fact that is missing counts as false, empty and equal to nothing.
// `holds` is the hot path and allocates nothing; `evaluate` also tells which parts decided, for people.
import type { Expression, FactTest } from "./expression.ts";
import type { Facts, FactValue } from "./fact.ts";
import { factIs, sizeWords } from "./fact-words.ts";
import { globMatches } from "./glob.ts";
import { knownFact } from "./known-facts.ts";

/** A part of a condition that decided the whole. `value` is null when the fact is missing. */
export interface DecidingFact {
  readonly fact: string;
  readonly value: FactValue | null;
  /** `spf.result is "fail"`. */
  readonly words: string;
  /** True when the part stands under an odd number of `not`. */
  readonly denied: boolean;
}

export interface Evaluation {
  readonly holds: boolean;
  /** Why it holds, or why not. */
  readonly because: readonly DecidingFact[];
}

const NO_FACTS: Facts = Object.freeze(Object.create(null));

/** The facts of the message and, before them, those of the recipient whose copy is judged. */
function factValue(name: string, facts: Facts, own: Facts): FactValue | undefined {
  const value = own[name];
  return value === undefined ? facts[name] : value;
}

function sameValue(value: FactValue | undefined, wanted: string | number | boolean): boolean {
  // A missing boolean is false.
  if (typeof wanted === "boolean") return (value === true) === wanted;
  return typeof value === "string" ? value.toLowerCase() === wanted : value === wanted;
}

function compareHolds(
  expression: Extract<Expression, { kind: "compare" }>,
  value: FactValue | undefined,
): boolean {
  const wanted = expression.value;
  if (expression.sign === "==") return sameValue(value, wanted);
  if (expression.sign === "!=") return !sameValue(value, wanted);
  if (typeof value !== "number" || typeof wanted !== "number") return false;
  switch (expression.sign) {
    case "<":
      return value < wanted;
    case "<=":
      return value <= wanted;
    case ">":
      return value > wanted;
    case ">=":
      return value >= wanted;
  }
}

function textHolds(expression: Extract<Expression, { kind: "text" | "glob" }>, value: string): boolean {
  if (expression.kind === "glob") return globMatches(expression.glob, value);
  const text = value.toLowerCase();
  switch (expression.test) {
    case "contains":
      return text.includes(expression.text);
    case "starts with":
      return text.startsWith(expression.text);
    case "ends with":
      return text.endsWith(expression.text);
  }
}

/** On a list, `contains` asks for an equal item; the other tests ask for an item that passes. */
function itemHolds(
  expression: Extract<Expression, { kind: "text" | "glob" | "list" }>,
  item: string,
): boolean {
  if (expression.kind === "list") return expression.values.includes(item.toLowerCase());
  if (expression.kind === "text" && expression.test === "contains")
    return item.toLowerCase() === expression.text;
  return textHolds(expression, item);
}

function listHolds(expression: Extract<Expression, { kind: "list" }>, items: readonly string[]): boolean {
  switch (expression.test) {
    case "any":
      return items.some((item) => itemHolds(expression, item));
    case "none":
      return !items.some((item) => itemHolds(expression, item));
    case "all":
      return items.length > 0 && items.every((item) => itemHolds(expression, item));
  }
}

function isList(value: FactValue | undefined): value is readonly string[] {
  return typeof value === "object" && value !== null;
}

/** Does the condition hold? `own` are the recipient's facts. Never throws. */
export function holds(expression: Expression, facts: Facts, own: Facts = NO_FACTS): boolean {
  switch (expression.kind) {
    case "and":
      for (const part of expression.parts) if (!holds(part, facts, own)) return false;
      return true;
    case "or":
      for (const part of expression.parts) if (holds(part, facts, own)) return true;
      return false;
    case "not":
      return !holds(expression.part, facts, own);
    case "truth": {
      const value = factValue(expression.fact, facts, own);
      return value === true || (isList(value) && value.length > 0);
    }
    case "compare":
      return compareHolds(expression, factValue(expression.fact, facts, own));
    case "among": {
      const value = factValue(expression.fact, facts, own);
      if (typeof value === "string") return expression.values.includes(value.toLowerCase());
      return typeof value === "number" && expression.values.includes(value);
    }
    case "text":
    case "glob": {
      const value = factValue(expression.fact, facts, own);
      if (typeof value === "string") return textHolds(expression, value);
      return isList(value) && value.some((item) => itemHolds(expression, item));
    }
    case "list": {
      const value = factValue(expression.fact, facts, own);
      return listHolds(expression, isList(value) ? value : []);
    }
  }
}

/** The items of a list that made a list test true; all of them when the test is not about single items. */
function decidingValue(expression: FactTest, value: FactValue | undefined): FactValue | null {
  if (value === undefined) return null;
  if (
    !isList(value) ||
    (expression.kind !== "list" && expression.kind !== "text" && expression.kind !== "glob")
  ) {
    return value;
  }
  const passing = value.filter((item) => itemHolds(expression, item));
  return passing.length > 0 ? passing : value;
}

function leaf(expression: FactTest, value: FactValue | undefined, denied: boolean): DecidingFact {
  const shown = decidingValue(expression, value);
  const bytes = knownFact(expression.fact)?.kind === "bytes";
  let words = factIs(expression.fact, shown, bytes);
  if (expression.kind === "compare" && typeof expression.value === "number" && expression.sign !== "==") {
    words += ` (${expression.sign} ${bytes ? sizeWords(expression.value) : expression.value})`;
  }
  return { fact: expression.fact, value: shown, words, denied };
}

/** Evaluates with an explanation: the parts that decided, each fact once. Never throws. */
export function evaluate(expression: Expression, facts: Facts, own: Facts = NO_FACTS): Evaluation {
  const because = new Map<string, DecidingFact>();
  const visit = (part: Expression, denied: boolean): boolean => {
    if (part.kind === "not") return !visit(part.part, !denied);
    if (part.kind !== "and" && part.kind !== "or") {
      const told = leaf(part, factValue(part.fact, facts, own), denied);
      const before = because.get(told.words);
      if (before === undefined || before.denied) because.set(told.words, told);
      return holds(part, facts, own);
    }
    const result = holds(part, facts, own);
    // A true "and" and a false "or" were decided by all their parts, the others by the parts that agree with the result.
    for (const inner of part.parts) if (holds(inner, facts, own) === result) visit(inner, denied);
    return result;
  };
  const result = visit(expression, false);
  return { holds: result, because: [...because.values()] };
}

/** The names of all facts a condition looks at. */
export function factsNamed(expression: Expression): ReadonlySet<string> {
  const names = new Set<string>();
  const visit = (part: Expression): void => {
    if (part.kind === "and" || part.kind === "or") for (const inner of part.parts) visit(inner);
    else if (part.kind === "not") visit(part.part);
    else names.add(part.fact);
  };
  visit(expression);
  return names;
}
