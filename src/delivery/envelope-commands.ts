// MAIL and RCPT commands with the parameters a server understands, and the messages it cannot take. No I/O.
import { isAscii } from "node:buffer";
import { headOf, isLarge } from "../message/body.ts";
import type { Attempt } from "./attempt.ts";
import { toSevenBits } from "./seven-bit.ts";
import type { Extensions } from "./smtp-session.ts";

type Recipient = Attempt["recipients"][number];

/** Why this server can never take this message: the end for all recipients. */
export interface Unfit {
  readonly enhanced: string;
  readonly words: string;
}

const NON_ASCII = /[^\u0000-\u007f]/;
const UNSAFE = /[\u0000-\u001f\u007f]/;

/** xtext (RFC 3461 §4): everything but printable ASCII without `+` and `=` as `+XX`. */
export function xtext(value: string): string {
  if (!/[^\x21-\x2a\x2c-\x3c\x3e-\x7e]/.test(value)) return value;
  let encoded = "";
  for (const byte of Buffer.from(value)) {
    const plain = byte > 0x20 && byte < 0x7f && byte !== 0x2b && byte !== 0x3d;
    encoded += plain ? String.fromCharCode(byte) : `+${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return encoded;
}

/** `rfc822;user@example.org`, its address part as xtext. */
function orcptValue(orcpt: string): string {
  const semicolon = orcpt.indexOf(";");
  if (semicolon === -1) return `rfc822;${xtext(orcpt)}`;
  return `${orcpt.slice(0, semicolon)};${xtext(orcpt.slice(semicolon + 1))}`;
}

/** The MAIL command without CRLF. */
export function mailCommand(attempt: Attempt, extensions: Extensions): string {
  let command = `MAIL FROM:<${attempt.reversePath}>`;
  if (extensions.size) command += ` SIZE=${attempt.message.length}`;
  if (extensions.eightBitMime && mayHaveEightBits(attempt)) command += " BODY=8BITMIME";
  if (attempt.smtpUtf8 && extensions.smtpUtf8) command += " SMTPUTF8";
  if (attempt.requireTls) command += " REQUIRETLS";
  if (extensions.dsn) {
    if (attempt.dsnRet !== null) command += ` RET=${attempt.dsnRet}`;
    if (attempt.dsnEnvid !== null) command += ` ENVID=${xtext(attempt.dsnEnvid)}`;
  }
  return command;
}

/** RFC 6152 §3: 8 bits are declared, also those a client kept to itself. What is in a file may have some. */
function mayHaveEightBits({ eightBit, message }: Attempt): boolean {
  return eightBit || isLarge(message) || !isAscii(message);
}

/** The RCPT command without CRLF. */
export function rcptCommand(recipient: Recipient, extensions: Extensions): string {
  const command = `RCPT TO:<${recipient.address}>`;
  if (recipient.dsn === null || !extensions.dsn) return command;
  const { notify, orcpt } = recipient.dsn;
  const notifyPart = notify === null || notify.length === 0 ? "" : ` NOTIFY=${notify.join(",")}`;
  return `${command}${notifyPart}${orcpt === null ? "" : ` ORCPT=${orcptValue(orcpt)}`}`;
}

/** True when an address could end the command it stands in: parsed addresses never do. */
export function isUnsafeAddress(address: string): boolean {
  return UNSAFE.test(address);
}

/** Does the message need SMTPUTF8? A client may have asked for it without need. (RFC 6531 §3.4) */
function needsSmtpUtf8(attempt: Attempt): boolean {
  if (!attempt.smtpUtf8) return false;
  if (NON_ASCII.test(attempt.reversePath)) return true;
  if (attempt.recipients.some((recipient) => NON_ASCII.test(recipient.address))) return true;
  const head = headOf(attempt.message);
  const message = Buffer.from(head.buffer, head.byteOffset, head.byteLength);
  const headerEnd = message.indexOf("\r\n\r\n");
  return !isAscii(message.subarray(0, headerEnd === -1 ? message.length : headerEnd));
}

/**
 * The attempt as a server without 8BITMIME may get it (RFC 6152 §3), whatever its client declared: bodies converted to 7 bits, and our own
 * signature made over that; or why they cannot be. A stranger's signature does not stand in the way: it was verified here. Rejects with
 * StoreError, or when it cannot be signed.
 */
export async function inSevenBits(attempt: Attempt): Promise<Attempt | Unfit> {
  const { signed, message } = attempt;
  const given = signed?.unsigned ?? message;
  const converted = await toSevenBits(given);
  if (converted === null) {
    const words =
      "The message has 8-bit text and cannot be converted (it is signed, its structure cannot be followed, or it has too many parts), and the server does not offer 8BITMIME";
    return { enhanced: "5.6.3", words };
  }
  if (converted === given) return { ...attempt, eightBit: false };
  const ready = signed === undefined ? converted : await signed.sign(converted);
  return { ...attempt, message: ready, eightBit: false };
}

/** Why a server with these extensions cannot take the message, or null when it can. */
export function unfitFor(attempt: Attempt, extensions: Extensions): Unfit | null {
  const size = attempt.message.length;
  if (extensions.maxBytes > 0 && size > extensions.maxBytes) {
    const words = `The message has ${size} bytes; the server takes at most ${extensions.maxBytes}`;
    return { enhanced: "5.3.4", words };
  }
  if (attempt.requireTls && !extensions.requireTls) {
    // RFC 8689 §4.2.1
    return {
      enhanced: "5.7.30",
      words: "The sender requires TLS all the way, but the server does not offer REQUIRETLS",
    };
  }
  if (!extensions.smtpUtf8 && needsSmtpUtf8(attempt)) {
    const words = "The message has an address or header in Unicode, but the server does not offer SMTPUTF8";
    return { enhanced: "5.6.7", words };
  }
  return null;
}
