// What a verb answers: a reply, further lines, and what the connection does next. Formatting for the wire; no I/O.
import { formatReply, type Reply, reply } from "../policy/reply.ts";

/** `data`: read a body. `tls`: start the handshake. `greet`: begin anew with a greeting (XCLIENT). */
export type NextStep = "close" | "tls" | "data" | "greet";

export interface Answer {
  readonly reply: Reply;
  /** EHLO keywords: lines after the first, without enhanced codes (RFC 2034 §4). */
  readonly lines?: readonly string[];
  readonly next?: NextStep;
}

/** Makes an answer. The enhanced code has no class: `"5.1"`. */
export function answer(code: number, enhanced: string | null, text: string, cause?: string): Answer {
  return { reply: reply(code, enhanced, text, cause) };
}

/** The same, closing the connection after it. */
export function closing(code: number, enhanced: string | null, text: string, cause?: string): Answer {
  return { reply: reply(code, enhanced, text, cause), next: "close" };
}

/** A control character would split the reply; other than ASCII goes to clients that said SMTPUTF8 only (RFC 6531 §3.5). */
const NOT_PLAIN = /[^\x20-\x7e]/g;

/** The answer as sent, with CRLF. */
export function wireText({ reply: r, lines }: Answer): string {
  if (lines === undefined || lines.length === 0) return `${formatReply(r).replace(NOT_PLAIN, "?")}\r\n`;
  const all = [r.text, ...lines].map((line) => line.replace(NOT_PLAIN, "?"));
  return all.map((line, i) => `${r.code}${i < all.length - 1 ? "-" : " "}${line}\r\n`).join("");
}
