// The words of the rule language: text to tokens with their positions. Bounded in length; knows no grammar.
import type { Parsed } from "../message/address.ts";

export type Token = { readonly at: number; readonly raw: string } & (
  | { readonly kind: "word"; readonly text: string }
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "number"; readonly value: number }
  | { readonly kind: "sign"; readonly text: Sign }
  | { readonly kind: "end" }
);
export type Sign = "==" | "!=" | "<" | "<=" | ">" | ">=" | "(" | ")" | "[" | "]" | ",";

const MAX_RULE_LENGTH = 4000;

const SPACE = /[ \t\r\n]+/y;
const WORD = /[A-Za-z_][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*/y;
const NUMBER = /(\d{1,15}(?:\.\d{1,6})?)(?:\s*(B|KB|MB|GB)\b)?/iy;
const SIGN = /==|!=|<=|>=|[<>()[\],]/y;
const TEXT = /"((?:[^"\\\u0000-\u001f]|\\["'\\])*)"|'((?:[^'\\\u0000-\u001f]|\\["'\\])*)'/y;

/** Octets per unit; sizes count in steps of 1024 as mail servers do. */
const UNIT_BYTES: Readonly<Record<string, number>> = { B: 1, KB: 1024, MB: 1024 ** 2, GB: 1024 ** 3 };

function isSign(text: string): text is Sign {
  return /^(?:==|!=|<=?|>=?|[()[\],])$/.test(text);
}

function at(pattern: RegExp, text: string, position: number): RegExpExecArray | null {
  pattern.lastIndex = position;
  return pattern.exec(text);
}

function tokenAt(text: string, position: number): Token | null {
  const number = at(NUMBER, text, position);
  if (number?.[1] !== undefined) {
    const unit = number[2] === undefined ? null : (UNIT_BYTES[number[2].toUpperCase()] ?? 1);
    const value = unit === null ? Number(number[1]) : Math.round(Number(number[1]) * unit);
    return value > Number.MAX_SAFE_INTEGER ? null : { kind: "number", at: position, raw: number[0], value };
  }
  const word = at(WORD, text, position);
  if (word !== null) return { kind: "word", at: position, raw: word[0], text: word[0] };
  const sign = at(SIGN, text, position)?.[0];
  if (sign !== undefined && isSign(sign)) return { kind: "sign", at: position, raw: sign, text: sign };
  const quoted = at(TEXT, text, position);
  if (quoted === null) return null;
  const inner = (quoted[1] ?? quoted[2] ?? "").replace(/\\(["'\\])/g, "$1");
  return { kind: "text", at: position, raw: quoted[0], text: inner };
}

function unreadable(text: string, position: number): string {
  const character = String.fromCodePoint(text.codePointAt(position) ?? 0x20);
  if (character === '"' || character === "'") {
    return `character ${position + 1}: the text that starts here with ${character} is not closed, or holds a bad escape (only \\" \\' \\\\ are known)`;
  }
  if (/\d/.test(character)) return `character ${position + 1}: the number that starts here is too large`;
  const hint =
    character === "=" ? "; to compare, write ==" : character === "!" ? "; to deny, write not or !=" : "";
  return `character ${position + 1}: ${JSON.stringify(character)} has no meaning here${hint}`;
}

/** Splits a condition into tokens; the last one is always `end`. */
export function tokenize(text: string): Parsed<readonly Token[]> {
  if (text.length > MAX_RULE_LENGTH) {
    return {
      ok: false,
      reason: `the condition has ${text.length} characters; at most ${MAX_RULE_LENGTH} are allowed, so make two rules of it`,
    };
  }
  const tokens: Token[] = [];
  let position = 0;
  for (;;) {
    position += at(SPACE, text, position)?.[0].length ?? 0;
    if (position >= text.length) break;
    const token = tokenAt(text, position);
    if (token === null) return { ok: false, reason: unreadable(text, position) };
    tokens.push(token);
    position += token.raw.length;
  }
  tokens.push({ kind: "end", at: text.length, raw: "" });
  return { ok: true, value: tokens };
}
