// A mail the gateway writes itself, as bytes: header and parts, so that no hostile text can add a header line. (RFC 5322, RFC 3834)
import type { MailAddress } from "../message/address.ts";
import { encodeText, foldField } from "../message/encoded-word.ts";
import { mailDate, newBoundary, textPart } from "./mime-text.ts";
import { oneLine } from "./reply-words.ts";

/** What is to be written. */
export interface OwnMailDraft {
  readonly to: MailAddress;
  /** Any text; it becomes one line. */
  readonly subject: string;
  /** LF line ends. */
  readonly text: string;
  /** Further parts after the text, each with its header and without a boundary; `type` is the type of the whole then. */
  readonly report?: { readonly type: string; readonly parts: readonly string[] };
  /** For the log: `alert about alice@example.test`. */
  readonly words: string;
}

/** Who writes it. */
export interface OwnMailStamp {
  readonly hostname: string;
  /** Id of the mail, for its Message-ID. */
  readonly id: string;
  /** Milliseconds UTC. */
  readonly now: number;
}

/** As the queue's `send` takes it; it leaves with the null reverse-path. */
export interface ComposedMail {
  readonly to: MailAddress;
  readonly message: Uint8Array;
  readonly smtpUtf8: boolean;
  readonly eightBit: boolean;
  readonly subject: string;
  readonly headerFrom: string;
  readonly words: string;
}

const MAX_SUBJECT = 300;

/** Writes the mail, CRLF line ends; 7-bit unless the address of the recipient itself is not ASCII. */
export function composeMail(draft: OwnMailDraft, { hostname, id, now }: OwnMailStamp): ComposedMail {
  const headerFrom = `Gatepost <postmaster@${hostname}>`;
  const subject = oneLine(draft.subject, MAX_SUBJECT);
  const head =
    foldField(`From: ${headerFrom}`) +
    // Parsed addresses hold no line break and no angle bracket outside quotes.
    foldField(`To: <${draft.to}>`) +
    foldField(`Subject: ${encodeText(subject)}`) +
    `Date: ${mailDate(now)}\r\n` +
    `Message-ID: <${id}@${hostname}>\r\n` +
    // RFC 3834 §5: so that no robot answers the robot.
    "Auto-Submitted: auto-generated\r\n" +
    "MIME-Version: 1.0\r\n";
  const smtpUtf8 = !/^[\x00-\x7f]*$/.test(draft.to);
  return {
    to: draft.to,
    message: new TextEncoder().encode(head + bodyOf(draft)),
    smtpUtf8,
    eightBit: smtpUtf8,
    subject,
    headerFrom,
    words: oneLine(draft.words, MAX_SUBJECT),
  };
}

function bodyOf({ text, report }: OwnMailDraft): string {
  if (report === undefined) return textPart(text);
  const boundary = newBoundary();
  const parts = [textPart(text), ...report.parts].map((part) => `--${boundary}\r\n${part}\r\n`);
  return `Content-Type: ${report.type};\r\n\tboundary="${boundary}"\r\n\r\n${parts.join("")}--${boundary}--\r\n`;
}
