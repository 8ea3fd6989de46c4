// A mail server's refusal as our own reply to the sender who waits: its code, its enhanced code, its words made fit for the wire. No I/O.

import type { Outcome } from "../delivery/outcome.ts";

/** A reply to the sender; `enhanced` is without its class, as in the session's replies. `cause` is for the log. */
export interface ServerRefusal {
  readonly code: number;
  readonly enhanced: string;
  readonly text: string;
  readonly cause: string;
}

/** RFC 5321 §4.5.3.1.5: a reply line has 512 octets at most, codes and CRLF included. */
const MAX_TEXT = 400;
/** Codes for what we know ourselves of the server, without having asked it (SIZE, SMTPUTF8, 8BITMIME, REQUIRETLS). */
const CODES: Readonly<Record<string, number>> = { "5.3.4": 552, "5.6.7": 550, "5.6.3": 554, "5.7.30": 550 };
const NO_CODE = 554;

/** The refusal when all outcomes are failures, that of the first recipient; null when none is. */
export function refusalOf(outcomes: readonly Outcome[]): ServerRefusal | null {
  const [first] = outcomes;
  if (first === undefined || first.result !== "failed") return null;
  const { code, enhanced, server } = first;
  const given = code ?? CODES[enhanced ?? ""] ?? NO_CODE;
  const detail = enhanced?.startsWith("5.") ? enhanced.slice(2) : null;
  const text = wireText(first.text) || "The mail server does not take this message";
  const cause = `refused by ${server ?? "the mail server"} while the sender waited`;
  return { code: given, enhanced: detail ?? "0.0", text, cause };
}

/** One line of printable ASCII without the codes in front. */
function wireText(text: string): string {
  return text
    .replace(/^[2-5]\d\d(?:[ -]|$)/, "")
    .replace(/^[245]\.\d{1,3}\.\d{1,3}(?:\s|$)/, "")
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .replace(/\s+/g, " ")
    .replace(/[^\x20-\x7e]/g, "?")
    .trim()
    .slice(0, MAX_TEXT)
    .trimEnd();
}
