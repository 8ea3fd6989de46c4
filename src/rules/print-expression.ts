// A condition tree back to text that parses to the same tree.
import type { Expression } from "./expression.ts";
import { knownFact } from "./known-facts.ts";

/** A number of octets with the largest unit that divides it: `10 MB`. */
function printSize(bytes: number): string {
  for (const [unit, size] of [
    ["GB", 1024 ** 3],
    ["MB", 1024 ** 2],
    ["KB", 1024],
  ] as const) {
    if (bytes >= size && bytes % size === 0) return `${bytes / size} ${unit}`;
  }
  return `${bytes}`;
}

function printText(text: string): string {
  return `"${text.replace(/[\\"]/g, "\\$&")}"`;
}

function printValue(fact: string, value: string | number | boolean): string {
  if (typeof value === "string") return printText(value);
  return typeof value === "number" && knownFact(fact)?.kind === "bytes" ? printSize(value) : String(value);
}

function printPart(part: Expression): string {
  const text = printExpression(part);
  return part.kind === "and" || part.kind === "or" ? `(${text})` : text;
}

/** The condition as text. `parseExpression` of it gives an equal tree. */
export function printExpression(expression: Expression): string {
  switch (expression.kind) {
    case "and":
    case "or":
      return expression.parts.map(printPart).join(` ${expression.kind} `);
    case "not":
      return `not ${printPart(expression.part)}`;
    case "truth":
      return expression.fact;
    case "compare":
      return `${expression.fact} ${expression.sign} ${printValue(expression.fact, expression.value)}`;
    case "among":
      return `${expression.fact} in [${expression.values.map((v) => printValue(expression.fact, v)).join(", ")}]`;
    case "text":
      return `${expression.fact} ${expression.test} ${printText(expression.text)}`;
    case "glob":
      return `${expression.fact} matches ${printText(expression.glob.pattern)}`;
    case "list":
      return `${expression.fact} ${expression.test} [${expression.values.map(printText).join(", ")}]`;
  }
}
