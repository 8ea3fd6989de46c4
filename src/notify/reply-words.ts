// What the other side said, as one safe line. Replies are hostile text: no control characters, no line breaks, bounded.
import type { Outcome } from "../delivery/outcome.ts";

// Controls, line and paragraph separators, marks that turn the direction of text around, lone surrogates.
const UNSHOWABLE =
  /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]+/gu;

/** Text from outside on one line, at most `maxLength` characters. */
export function oneLine(text: string, maxLength: number): string {
  const clean = text
    .slice(0, maxLength * 4)
    .replace(UNSHOWABLE, " ")
    .trim();
  return clean.length <= maxLength
    ? clean
    : `${clean.slice(0, maxLength - 1).replace(/[\ud800-\udbff]$/, "")}…`;
}

/** The reply of an outcome with its codes in front: `550 5.1.1 No such user`; our own words when there was no reply. */
export function replyWords(outcome: Pick<Outcome, "code" | "enhanced" | "text">, maxLength = 500): string {
  const text = oneLine(outcome.text, maxLength);
  if (outcome.code === null || text.startsWith(String(outcome.code))) return text;
  const enhanced =
    outcome.enhanced === null || text.startsWith(outcome.enhanced) ? "" : `${oneLine(outcome.enhanced, 16)} `;
  return `${outcome.code} ${enhanced}${text}`;
}
