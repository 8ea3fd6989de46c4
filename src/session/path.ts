// Parses the arguments of MAIL and RCPT: the path in angle brackets and the ESMTP parameters behind it. No I/O.
import { type MailAddress, parseAddress } from "../message/address.ts";

/** RFC 5321 §4.5.3.1.3: a path with its brackets has at most 256 octets. A source route may precede the address. */
const MAX_PATH_BYTES = 256;
const MAX_ROUTE_CHARACTERS = 512;

export interface PathArgument {
  /** The mailbox as written, without brackets and source route; "" for `<>`. */
  readonly mailbox: string;
  /** What stands behind the path. */
  readonly rest: string;
}

/**
 * Splits `<path> parameters`. Quoted local parts may hold `>` and spaces. A source route is dropped
 * (RFC 5321 appendix F.2). null: not a path. `lenient`: the brackets may be left out, have blanks in them, or a name before them.
 */
export function splitPath(
  text: string,
  options: { readonly lenient: boolean } = { lenient: false },
): PathArgument | null {
  const strict = splitStrictly(text);
  if (strict !== null || !options.lenient) return strict;
  const mended = inBrackets(text.trim());
  return mended === null ? null : splitStrictly(mended);
}

/** The argument as it should have been written: `a@b SIZE=1`, `< a@b >` and `Scanner <a@b>` with nothing but `<a@b>` before the rest. */
function inBrackets(text: string): string | null {
  const bracket = /^([^<>"]*)<\s*([^<>"\s]*)\s*>(.*)$/.exec(text);
  if (bracket !== null) return `<${bracket[2]}>${bracket[3]}`;
  const bare = /^((?:"(?:[^"\\]|\\.)*"|[^\s"<>])+)(?:\s+(.*))?$/.exec(text);
  return bare?.[1]?.includes("@") === true ? `<${bare[1]}> ${bare[2] ?? ""}` : null;
}

function splitStrictly(text: string): PathArgument | null {
  const start = text.charCodeAt(0) === 32 ? skipSpaces(text) : 0;
  if (text.charAt(start) !== "<") return null;
  const open = skipRoute(text, start + 1);
  if (open < 0) return null;
  const close = closingBracket(text, open);
  if (close < 0 || (close + 1 < text.length && text.charAt(close + 1) !== " ")) return null;
  const mailbox = text.slice(open, close);
  if (Buffer.byteLength(mailbox) + 2 > MAX_PATH_BYTES) return null;
  return { mailbox, rest: text.slice(close + 1).trim() };
}

function skipSpaces(text: string): number {
  let at = 0;
  while (text.charCodeAt(at) === 32) at++;
  return at;
}

function skipRoute(text: string, open: number): number {
  if (text.charAt(open) !== "@") return open;
  const colon = text.indexOf(":", open);
  if (colon < 0 || colon - open > MAX_ROUTE_CHARACTERS) return -1;
  return /^@[^\s,:@<>"]+(?:,@[^\s,:@<>"]+)*$/.test(text.slice(open, colon)) ? colon + 1 : -1;
}

/** Where the path's `>` is, looking past quoted strings. */
function closingBracket(text: string, open: number): number {
  if (text.charAt(open) !== '"') {
    const close = text.indexOf(">", open);
    const space = text.indexOf(" ", open);
    return space >= 0 && space < close ? -1 : close;
  }
  for (let at = open + 1; at < text.length; at++) {
    const c = text.charAt(at);
    if (c === "\\") at++;
    else if (c === '"') return text.charAt(at + 1) === "@" ? text.indexOf(">", at) : -1;
  }
  return -1;
}

/** The address of a mailbox, or null. */
export function mailboxAddress(mailbox: string): MailAddress | null {
  const parsed = parseAddress(mailbox);
  return parsed.ok ? parsed.value : null;
}

/** Only ASCII, so that it needs no SMTPUTF8. */
export function isAscii(text: string): boolean {
  return /^[\x00-\x7f]*$/.test(text);
}

/** ESMTP parameters by upper-case keyword; `true` for one without a value. */
export type Parameters = ReadonlyMap<string, string | true>;

const NO_PARAMETERS: Parameters = new Map();
const KEYWORD = /^[A-Za-z0-9][A-Za-z0-9-]*$/;

/** Parses `KEY=value KEY …` (RFC 5321 §4.1.2). A string is the reason why it is wrong. */
export function parseParameters(text: string): Parameters | string {
  if (text === "") return NO_PARAMETERS;
  const parameters = new Map<string, string | true>();
  for (const part of text.split(/ +/)) {
    const equals = part.indexOf("=");
    const keyword = (equals < 0 ? part : part.slice(0, equals)).toUpperCase();
    if (!KEYWORD.test(keyword) || equals === part.length - 1) return "Syntax: KEYWORD=value";
    if (parameters.has(keyword)) return `${keyword} is given twice`;
    parameters.set(keyword, equals < 0 ? true : part.slice(equals + 1));
  }
  return parameters;
}

/** Decodes xtext (RFC 3461 §4): `+` and two upper-case hexadecimal digits stand for an octet. null: not xtext. */
export function decodeXtext(text: string): string | null {
  if (!/^(?:[!-*,-<>-~]|\+[0-9A-F]{2})*$/.test(text)) return null;
  const decoded = text.replace(/\+([0-9A-F]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return /[\u0000-\u001f\u007f-\u009f]/.test(decoded) ? null : decoded;
}
