// Facts in words for people. Values come from hostile mail: control and direction characters are replaced, lengths capped.
import type { FactValue } from "./fact.ts";

const MAX_TEXT = 80;
const MAX_ITEMS = 5;
// C0, C1, zero-width and bidirectional controls, line and paragraph separators.
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** Hostile text in quotes, safe to show on one line. */
function quoted(text: string): string {
  const short = text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
  return `"${short.replace(UNSAFE, "\ufffd").toWellFormed()}"`;
}

/** `12.4 MB`, `812 bytes`. */
export function sizeWords(bytes: number): string {
  for (const [unit, size] of [
    ["GB", 1024 ** 3],
    ["MB", 1024 ** 2],
    ["KB", 1024],
  ] as const) {
    if (bytes >= size) return `${Math.round((bytes / size) * 10) / 10} ${unit}`;
  }
  return `${bytes} bytes`;
}

/** `spf.result is "fail"`, `attachments.names is "a.exe", "b.pdf"`, `client.login is absent`. */
export function factIs(fact: string, value: FactValue | null, bytes: boolean): string {
  if (value === null) return `${fact} is absent`;
  if (typeof value === "string") return `${fact} is ${quoted(value)}`;
  if (typeof value === "number") return `${fact} is ${bytes ? sizeWords(value) : value}`;
  if (typeof value === "boolean") return `${fact} is ${value}`;
  if (value.length === 0) return `${fact} is empty`;
  const more = value.length > MAX_ITEMS ? ` and ${value.length - MAX_ITEMS} more` : "";
  return `${fact} is ${value.slice(0, MAX_ITEMS).map(quoted).join(", ")}${more}`;
}

/** The value alone, for the parentheses behind another fact. */
export function valueWords(value: FactValue): string {
  if (typeof value === "string") return value.length > MAX_TEXT ? quoted(value) : quoted(value).slice(1, -1);
  if (typeof value === "object") {
    const more = value.length > MAX_ITEMS ? ` and ${value.length - MAX_ITEMS} more` : "";
    return `${value.slice(0, MAX_ITEMS).map(valueWords).join(", ")}${more}`;
  }
  return String(value);
}
