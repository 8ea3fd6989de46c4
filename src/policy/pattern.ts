// Regular expressions that people give (RE2 syntax). Owns what one may cost: how large it becomes and how long it may run, so that
// neither compiling nor matching holds up the gateway, whoever wrote it. Values it is matched against are hostile input.
import { RE2JS } from "re2js";
import type { Parsed } from "../message/address.ts";
import { patternSize } from "./pattern-size.ts";

/** Instructions of all the expressions of one setting together; each counted repetition counts as often as it may repeat. */
export const MAX_PATTERN_SIZE = 500;
/** Each of them takes milliseconds to compile, however often it is repeated. */
const MAX_UNICODE_CLASSES = 8;
/** Instructions × characters of one match: some 10 ms at the very worst. */
const MAX_STEPS = 100_000;
/** Compiled expressions that are kept: many senders share one. */
const MAX_KEPT = 200;

export interface Pattern {
  /** Instructions. */
  readonly size: number;
  /** The first group that took part, the whole match when there is no group; null: no match. Looks at the first `MAX_STEPS / size` characters. */
  find(value: string): string | null;
}

const kept = new Map<string, Pattern>();

/** Why an expression is refused, in words that say what to do. */
function refusal(text: string): string | null {
  const { size, unicodeClasses } = patternSize(text);
  if (size > MAX_PATTERN_SIZE)
    return `is too large: it becomes ${size} steps, and ${MAX_PATTERN_SIZE} are allowed. A count such as {0,1000} stands for so many copies; write * or + instead, or a smaller count`;
  if (unicodeClasses > MAX_UNICODE_CLASSES)
    return `has ${unicodeClasses} classes of characters beyond ASCII, and ${MAX_UNICODE_CLASSES} are allowed; write fewer \\p{…}, or . for any character`;
  return null;
}

function compiled(text: string): Pattern {
  const expression = RE2JS.compile(text);
  const size = Math.max(1, expression.programSize());
  const longest = Math.floor(MAX_STEPS / size);
  return {
    size,
    find(value) {
      const match: unknown = expression.exec(value.slice(0, longest));
      if (!Array.isArray(match)) return null;
      const found: unknown = expression.groupCount() > 0 ? match[1] : match[0];
      return typeof found === "string" ? found : null;
    },
  };
}

/** Compiles an expression, or says why it cannot be used. */
export function parsePattern(text: string): Parsed<Pattern> {
  const known = kept.get(text);
  if (known !== undefined) return { ok: true, value: known };
  const reason = refusal(text);
  if (reason !== null) return { ok: false, reason };
  try {
    const value = compiled(text);
    // The estimate is above what compiling makes; should it ever be below, the expression is refused all the same.
    if (value.size > 2 * MAX_PATTERN_SIZE)
      return { ok: false, reason: `is too large: it becomes ${value.size} steps; make it shorter` };
    kept.set(text, value);
    const oldest = kept.keys().next();
    if (kept.size > MAX_KEPT && oldest.done !== true) kept.delete(oldest.value);
    return { ok: true, value };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { ok: false, reason: `cannot be used as a regular expression: ${why}` };
  }
}
