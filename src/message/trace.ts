// The header fields Gatepost puts on top of every message it takes, and the forged ones of ours it takes out. No I/O; hot path.

import { domainToASCII } from "node:url";
import type { Finding } from "../rules/fact.ts";
import { authenticationResults } from "./authentication-results.ts";
import { headOf, type MessageBody, withHead } from "./body.ts";
import { decodeWords, encodeText, foldField } from "./encoded-word.ts";
import type { Envelope } from "./envelope.ts";
import { disguisedName, eachField, type HeaderField, isBareBody, readHeaderBlock } from "./header-block.ts";

export interface TraceOptions {
  /** The message as received, CRLF line ends. */
  readonly raw: MessageBody;
  readonly envelope: Omit<Envelope, "recipients">;
  /** Our own name: in `Received: … by`, and our authserv-id. */
  readonly hostname: string;
  /** For `Received: … for`; null when there are several, so that none learns of another (RFC 5321 §7.6). */
  readonly recipient: string | null;
  readonly findings: readonly Finding[];
  /** The verdict in a sentence, for the note header; "" leaves it out. */
  readonly verdictWords: string;
  /** Name of the note header. Default `X-Gatepost`, which is always cleared of forgeries. */
  readonly noteHeader?: string;
  /** Whole fields that stand below ours, on top of the original's. Left out: none. */
  readonly added?: string;
  /** Lower-case names of fields that are taken out, in whatever spelling. Left out: none. */
  readonly without?: ReadonlySet<string>;
  /**
   * How many ARC sets are proven; results in our name in others are taken out. Left out: all sets stay, for we do not seal, and whoever
   * shares our name and seals behind us knows what he does.
   */
  readonly provenSets?: number;
  /** Neither the client nor what we found is named: the mail leaves our house. */
  readonly discreet?: boolean;
}

const MAX_NOTE = 800;
const NOTHING: ReadonlySet<string> = new Set();
/** Octets of a name in Authentication-Results that are compared with ours. */
const MAX_RESULTS_NAME = 300;
/** What must be decoded to know whom it names. */
const IN_CODE = /[\x80-\xff]|=\?/;
/** Results in code that are looked at; more of them go, whomever they name: no letter has as many. */
const MAX_IN_CODE = 50;

/**
 * The message with `Received`, `Authentication-Results` (when there are such findings) and the note on top. Forged
 * `Authentication-Results` of our name and notes are removed; below our fields every other octet is the original's. A message without
 * a header of its own (its first line begins with white space, or none of its lines is a field) is set off by an empty line: it would
 * continue our last field, and nobody would be shown its text.
 */
export function addTraceHeaders(options: TraceOptions): MessageBody {
  const noteName = options.noteHeader ?? "X-Gatepost";
  const told =
    options.discreet === true
      ? ""
      : authenticationResults(options.findings, options.hostname, options.envelope.reversePath === null) +
        noteField(noteName, options);
  const head = headOf(options.raw);
  const block = readHeaderBlock(head);
  const ours = Buffer.from(
    receivedField(options) + told + (options.added ?? "") + (isBareBody(block, head.length) ? "\r\n" : ""),
  );
  const forged = fieldsTakenOut(block.text, {
    hostname: options.hostname,
    noteName: noteName.toLowerCase(),
    without: options.without ?? NOTHING,
    provenSets: options.provenSets ?? Number.POSITIVE_INFINITY,
  });
  if (forged.length === 0) return withHead(options.raw, Buffer.concat([ours, head]));
  const kept: Uint8Array[] = [ours];
  let from = 0;
  for (const field of forged) {
    kept.push(head.subarray(from, field.start));
    from = field.end;
  }
  kept.push(head.subarray(from));
  return withHead(options.raw, Buffer.concat(kept));
}

function noteField(name: string, { envelope, verdictWords }: TraceOptions): string {
  const words = verdictWords === "" ? "" : `; ${encodeText(verdictWords.slice(0, MAX_NOTE))}`;
  return foldField(`${name}: id=${envelope.id}${words}`);
}

/** RFC 5321 §4.4. The login is not named: it is nobody's business but ours. */
function receivedField({ envelope, hostname, recipient, discreet }: TraceOptions): string {
  const { client } = envelope;
  const ip = client.ip.includes(":") ? `IPv6:${client.ip}` : client.ip;
  const reverse = client.hostname === null ? "" : `${plainName(client.hostname)} `;
  const tls =
    client.tls === null
      ? ""
      : `\r\n\t(${plainName(client.tls.protocol)} cipher ${plainName(client.tls.cipher)})`;
  const addressee = recipient === null ? "" : forClause(recipient, envelope.smtpUtf8);
  // Where people sit and what they call their machines is theirs to tell.
  const from =
    discreet === true
      ? ""
      : `from ${plainName(client.helo) || "unknown"} (${reverse}[${plainName(ip)}])\r\n\t`;
  return `Received: ${from}by ${hostname} (Gatepost) with ${protocolOf(envelope)} id ${envelope.id}${tls}${addressee};\r\n\t${mailDate(envelope.receivedAt)}\r\n`;
}

/** RFC 3848 and RFC 6531 §4.3. A client that said HELO is shown as ESMTP too: the envelope does not tell them apart. */
function protocolOf({ smtpUtf8, client }: TraceOptions["envelope"]): string {
  return `${smtpUtf8 ? "UTF8SMTP" : "ESMTP"}${client.tls === null ? "" : "S"}${client.login === null ? "" : "A"}`;
}

function forClause(recipient: string, smtpUtf8: boolean): string {
  if (recipient.length > 320 || /[\u0000-\u001f\u007f<>]/.test(recipient)) return "";
  return smtpUtf8 || /^[\x20-\x7e]*$/.test(recipient) ? `\r\n\tfor <${recipient}>` : "";
}

/** What a client said of itself, without anything that could end a comment, a clause or a line. */
function plainName(text: string): string {
  return /^[A-Za-z0-9._:[\]-]{0,255}$/.test(text)
    ? text
    : text.slice(0, 255).replace(/[^A-Za-z0-9._:[\]-]/g, "?");
}

let dateSecond = -1;
let dateText = "";

/** RFC 5322 §3.3, always in UTC. */
export function mailDate(timeMs: number): string {
  const second = Math.floor(timeMs / 1000);
  if (second !== dateSecond) {
    dateText = new Date(second * 1000).toUTCString().replace("GMT", "+0000");
    dateSecond = second;
  }
  return dateText;
}

/** The value of a field that may be none by the book. */
function valueBehindColon(text: string, field: HeaderField): string {
  const whole = text.slice(field.start, field.end);
  return whole.slice(whole.indexOf(":") + 1).replaceAll("\r\n", "");
}

/** The fields that claim to be ours: the results of our authserv-id, and every note (RFC 8601 §5); and those that go no further. */
function fieldsTakenOut(
  text: string,
  ours: {
    readonly hostname: string;
    readonly noteName: string;
    readonly without: ReadonlySet<string>;
    readonly provenSets: number;
  },
): readonly HeaderField[] {
  const out: HeaderField[] = [];
  let inCode = 0;
  const claims = (value: string): boolean =>
    (IN_CODE.test(value) && ++inCode > MAX_IN_CODE) || claimsToBe(ours.hostname, value);
  eachField(text, (field) => {
    // Folded before its colon, with controls or blanks in it: some programs take it for the field all the same.
    const name = disguisedName(text, field) || field.name;
    if (name === "authentication-results") {
      if (claims(valueBehindColon(text, field))) out.push(field);
    } else if (name === "arc-authentication-results") {
      const [, instance, results] = SET_RESULTS.exec(valueBehindColon(text, field)) ?? [];
      const isProven = field.name === name && Number(instance) <= ours.provenSets;
      if (!isProven && claims(results ?? "")) out.push(field);
    } else if (name.startsWith("x-gatepost") || name === ours.noteName || ours.without.has(name))
      out.push(field);
    return undefined;
  });
  return out;
}

/** The instance of an ARC set, when it is written by the book, and what follows it (RFC 8617 §4.1.1). */
const SET_RESULTS = /^(?:\s*i\s*=\s*(\d{1,2})\s*;|[^;=]*=[^;]*;)?([\s\S]*)$/;

/**
 * Would any reader take this as the results of `hostname`? The authserv-id may stand in quotes, behind comments and in any case, with
 * a version after it. A value whose comments or quotes do not close counts as ours when it names us anywhere.
 */
function claimsToBe(hostname: string, value: string): boolean {
  const wanted = hostname.toLowerCase();
  // Blanks, folds, comments in the middle and encoded words are not allowed there; who leaves out or decodes them reads our name all the same.
  if (claimsWhenMended(wanted, value)) return true;
  const head = authservId(value);
  if (head === null) return value.toLowerCase().includes(wanted);
  const international = /[^\x00-\x7f]/.test(head);
  // Longer than any name: to make sense of it costs time, and nobody misses it.
  if (international && head.length > MAX_RESULTS_NAME) return true;
  const id = international ? domainToASCII(Buffer.from(head, "latin1").toString("utf8")) : head;
  return withoutLastDots(id.toLowerCase()) === wanted;
}

function claimsWhenMended(wanted: string, value: string): boolean {
  const cut = value.slice(0, 4 * MAX_RESULTS_NAME);
  // Quotes and backslashes are no part of any name.
  const plain = /[=(]/.test(cut) ? decodeWords(cut).replace(/\([^()]*\)/g, "") : cut;
  return startsWithName(plain.replace(/["\\\u0000-\u0008\u000b-\u001f\u007f]/g, "").toLowerCase(), wanted);
}

/** Does the text begin with the name, white space anywhere in it left out, and does the name end there? */
function startsWithName(text: string, name: string): boolean {
  let at = 0;
  let read = 0;
  for (; at < text.length && read < name.length; at++) {
    const character = text.charAt(at);
    if (/\s/.test(character)) continue;
    if (character !== name.charAt(read)) return false;
    read++;
  }
  return read === name.length && /^\.*(?:[\s;/]|$)/.test(text.slice(at));
}

/** A loop: /\.+$/ would look at each dot of a long run anew, seconds for one line of a stranger's. */
function withoutLastDots(name: string): string {
  let end = name.length;
  while (name.charCodeAt(end - 1) === 0x2e) end--;
  return name.slice(0, end);
}

/** The authserv-id of a raw value; null when it cannot be told. (RFC 8601 §2.2) */
function authservId(value: string): string | null {
  let id = "";
  let depth = 0;
  let quoted = false;
  for (let at = 0; at < value.length; at++) {
    const character = value.charAt(at);
    if (character === "\\" && (quoted || depth > 0)) {
      at++;
      if (quoted) id += value.charAt(at);
    } else if (depth > 0) depth += character === "(" ? 1 : character === ")" ? -1 : 0;
    else if (quoted) {
      if (character === '"') return id.trim();
      id += character;
    } else if (character === "(") {
      if (id !== "") return id;
      depth = 1;
    } else if (character === '"' && id === "") quoted = true;
    else if (/[;/\s\u0000]/.test(character)) {
      if (id !== "") return id;
      if (character === ";") return null;
    } else id += character;
    // No name is as long; what of it is dots would go.
    if (!quoted && id.length > MAX_RESULTS_NAME) return id;
  }
  return quoted || depth > 0 ? null : id;
}
