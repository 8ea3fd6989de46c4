// What a schema says of an input, in words for people: the path as written in the file, the value, what would be right.
import { z } from "zod";
import { didYouMean } from "../rules/nearest-name.ts";
import { usualText } from "./nullable-words.ts";
import type { PolicyProblem } from "./settings.ts";

type Issue = z.core.$ZodIssue;

const EXPECTED: Readonly<Record<string, string>> = {
  string: "text in quotes",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list in [ ]",
  object: "a table of settings",
};
const MAX_SHOWN = 60;
/** What zod says of a union that has no words of its own. */
const UNION_MESSAGE = "Invalid input";

/** A value as it can be shown in a sentence, shortened. */
function shown(value: unknown): string {
  if (typeof value === "string")
    return JSON.stringify(value.length > MAX_SHOWN ? `${value.slice(0, MAX_SHOWN)}…` : value);
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object" && value !== null) return value instanceof Date ? "a date" : "a table";
  return String(value);
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  let at = input;
  for (const part of path) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, part)) return undefined;
    at = Reflect.get(at, part);
  }
  return at;
}

/** `routes[1].port` behind a prefix such as `domain[0]`. */
function pathWords(prefix: string, path: readonly PropertyKey[]): string {
  let words = prefix;
  for (const part of path)
    words += typeof part === "number" ? `[${part}]` : `${words === "" ? "" : "."}${String(part)}`;
  return words;
}

/** Of the branches of a union, the one the input was meant for: the one that fails deepest inside, not at its root. */
function intendedBranch(errors: readonly (readonly Issue[])[]): readonly Issue[] | null {
  return (
    errors.find((issues) =>
      issues.some((issue) => issue.path.length > 0 || issue.code === "unrecognized_keys"),
    ) ?? null
  );
}

function limit(issue: Extract<Issue, { code: "too_small" | "too_big" }>, value: unknown): string {
  const amount = issue.code === "too_small" ? `at least ${issue.minimum}` : `at most ${issue.maximum}`;
  if (value === SECRET) return `must have ${amount} characters`;
  if (issue.origin === "string") return `has ${String(value).length} characters; it must have ${amount}`;
  if (issue.origin === "array") return `must have ${amount} entries`;
  return `is ${shown(value)}; it must be ${amount}`;
}

function issueWords(issue: Issue, value: unknown): string {
  switch (issue.code) {
    case "invalid_type": {
      if (value === "") return `is empty; give ${EXPECTED[issue.expected] ?? issue.expected}`;
      const expected = EXPECTED[issue.expected] ?? issue.expected;
      return value === undefined
        ? `is missing; give ${expected}`
        : `is ${shown(value)}; it must be ${expected}`;
    }
    case "invalid_value": {
      const values = issue.values.map(String);
      const near = typeof value === "string" ? didYouMean(value, values) : "";
      return `is ${value === undefined ? "missing" : shown(value)}; it must be one of ${values.join(", ")}${near}`;
    }
    case "too_small":
    case "too_big":
      return limit(issue, value);
    default:
      // Our own schemas say the rest: "is not …" and "must be …" need the value in front.
      return /^(is|must) /.test(issue.message) && (typeof value === "string" || typeof value === "number")
        ? `${shown(value)} ${issue.message}`
        : issue.message;
  }
}

/** Their values stand in no sentence: problems are logged, and a password may have been written where its hash belongs. */
const SECRETS: ReadonlySet<unknown> = new Set(["password", "password_hash", "cram_password", "secret"]);
/** Stands for the value of such a one. */
const SECRET = "***";

function shownValueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  const value = valueAt(input, path);
  return value !== undefined && SECRETS.has(path.at(-1)) ? SECRET : value;
}

function problemsOf(issue: Issue, input: unknown, prefix: string): readonly PolicyProblem[] {
  const value = shownValueAt(input, issue.path);
  if (issue.code === "unrecognized_keys") {
    // `error` below has put one sentence per key into the message.
    const sentences = issue.message.split("\n");
    return issue.keys.map((key, i) => ({
      path: pathWords(prefix, [...issue.path, key.slice(0, MAX_SHOWN)]),
      message: sentences[i] ?? "is not a setting here",
    }));
  }
  if (issue.code === "invalid_union" && issue.message === UNION_MESSAGE) {
    const branch = intendedBranch(issue.errors);
    if (branch !== null) {
      return branch.flatMap((inner) =>
        problemsOf({ ...inner, path: [...issue.path, ...inner.path] } as Issue, input, prefix),
      );
    }
    const choices = issue.errors.flat().map((inner) => {
      if (inner.code === "invalid_value") return `one of ${inner.values.map(String).join(", ")}`;
      return inner.code === "invalid_type" ? (EXPECTED[inner.expected] ?? inner.expected) : inner.message;
    });
    return [
      {
        path: pathWords(prefix, issue.path),
        message: `is ${shown(value)}; it must be ${[...new Set(choices)].join(", or ")}`,
      },
    ];
  }
  return [{ path: pathWords(prefix, issue.path), message: issueWords(issue, value) }];
}

/** A field of a form that somebody emptied. */
function isEmpty(value: unknown): boolean {
  return value === "" || (Array.isArray(value) && value.length === 0);
}

/** Tells of each unknown key which one was most likely meant. */
function describe(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.code !== "unrecognized_keys") return undefined;
  const known = issue.inst instanceof z.ZodObject ? Object.keys(issue.inst.shape) : [];
  const keys: unknown = issue.keys;
  const names = Array.isArray(keys) ? keys.map(String) : [];
  return names.map((key) => `is not a setting here${didYouMean(key.slice(0, MAX_SHOWN), known)}`).join("\n");
}

export type SchemaAnswer<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly problems: readonly PolicyProblem[] };

/** Parses with a schema. `prefix` is the path of the input within the document. */
export function parseWith<T extends z.ZodType>(
  schema: T,
  input: unknown,
  prefix: string,
): SchemaAnswer<z.output<T>> {
  const parsed = schema.safeParse(input, { error: describe });
  if (parsed.success) return { ok: true, value: parsed.data };
  const problems = parsed.error.issues.flatMap((issue) => {
    const found = problemsOf(issue, input, prefix);
    const value = valueAt(input, issue.path);
    const usual = isEmpty(value) ? usualText(schema, issue.path) : null;
    if (usual === null) return found;
    return found.map(({ path, message }) => ({
      path,
      message: `${value === "" ? "is empty" : message}; the default is ${usual}`,
    }));
  });
  return { ok: false, problems };
}
