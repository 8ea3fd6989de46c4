// Notices about delivery to the sender of a message (DSN): failed, delayed, handed on. (RFC 3461, 3464, 6522, 6533)
// Everything from outside (replies, subjects, addresses) is hostile: it can neither add header lines nor leave its part.
import { isAscii as isAsciiBytes } from "node:buffer";
import type { Outcome } from "../delivery/outcome.ts";
import { encodeText, foldField } from "../message/encoded-word.ts";
import { SevenBitSurvey } from "../message/seven-bit.ts";
import { summarise } from "../message/summary.ts";
import { deliveryStatus } from "./delivery-status.ts";
import { headerPart } from "./header-part.ts";
import { mailDate, newBoundary, textPart } from "./mime-text.ts";
import { noticeText } from "./notice-text.ts";
import type { NoticeWay } from "./reply-cause.ts";

export type NoticeKind = "failed" | "delayed" | "relayed";

export interface NoticeRecipient {
  readonly address: string;
  /** As the client gave it (`rfc822;name@example.org`), or null. */
  readonly orcpt: string | null;
  /** What the last attempt brought; null when there was none. */
  readonly outcome: Outcome | null;
  /** Which way it went, so that the advice fits who can do something about it; left out: to the recipient's own mail server. */
  readonly via?: NoticeWay;
}

export interface Notice {
  readonly kind: NoticeKind;
  /** Our own name. */
  readonly hostname: string;
  /** Id of the notice itself. */
  readonly id: string;
  /** Times in milliseconds UTC. */
  readonly now: number;
  /** The reverse-path of the message. */
  readonly sender: string;
  readonly originalId: string;
  readonly arrivedAt: number;
  readonly envid: string | null;
  readonly ret: "FULL" | "HDRS" | null;
  /** The message, or its first `MAX_RETURNED_BYTES` octets; null when it cannot be read any more. */
  readonly original: Uint8Array | null;
  /** Octets of the whole message. */
  readonly originalSize: number;
  readonly recipients: readonly NoticeRecipient[];
  /** For `delayed`: until when it is tried. For `failed` after days of trying: null. */
  readonly triedUntil: number | null;
}

/** What of a message a notice gives back at most; more would make a small lie to us into a large mail for somebody else. */
export const MAX_RETURNED_BYTES = 40_960;

export interface NoticeMessage {
  readonly message: Uint8Array;
  readonly subject: string;
  readonly headerFrom: string;
  /** The message needs 8BITMIME to be sent as it is. */
  readonly eightBit: boolean;
  /** The message needs SMTPUTF8: the sender's address is not ASCII. */
  readonly smtpUtf8: boolean;
}

const SUBJECTS: Readonly<Record<NoticeKind, string>> = {
  failed: "Your message could not be delivered",
  delayed: "Your message is delayed",
  relayed: "Your message was handed on",
};

/** Writes a notice, CRLF line ends. It must be sent with the null reverse-path. */
export function composeNotice(notice: Notice): NoticeMessage {
  const boundary = newBoundary();
  const summary = notice.original === null ? null : summarise(notice.original);
  const headerFrom = `Mail Delivery System <MAILER-DAEMON@${notice.hostname}>`;
  const subject = SUBJECTS[notice.kind];
  const returned = returnedPart(notice);
  const head =
    foldField(`From: ${headerFrom}`) +
    foldField(`To: <${headerAddress(notice.sender)}>`) +
    foldField(`Subject: ${encodeText(subject)}`) +
    `Date: ${mailDate(notice.now)}\r\n` +
    `Message-ID: <${notice.id}@${notice.hostname}>\r\n` +
    threadHeader(notice.kind, summary?.messageId ?? "") +
    // RFC 3834 §5: so that no robot answers the robot.
    "Auto-Submitted: auto-replied\r\n" +
    "MIME-Version: 1.0\r\n" +
    `Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary="${boundary}"\r\n` +
    (returned.eightBit ? "Content-Transfer-Encoding: 8bit\r\n" : "") +
    "\r\n";
  const parts = [
    Buffer.from(`${head}This is a delivery report in MIME format.\r\n\r\n--${boundary}\r\n`),
    Buffer.from(textPart(noticeText(notice, summary?.subject ?? ""))),
    Buffer.from(`\r\n--${boundary}\r\n${deliveryStatus(notice)}\r\n--${boundary}\r\n`),
    returned.bytes,
    Buffer.from(`\r\n--${boundary}--\r\n`),
  ];
  const message = Uint8Array.from(Buffer.concat(parts));
  // RET is a wish, the notice a duty: the sender's server may not offer 8BITMIME, and what is signed, say, is not converted for it.
  if (returned.eightBit && !hasSevenBitForm(message)) return composeNotice({ ...notice, ret: "HDRS" });
  return {
    message,
    subject,
    headerFrom,
    eightBit: returned.eightBit || !isAscii(notice.sender),
    smtpUtf8: !isAscii(notice.sender),
  };
}

/** Notices about one message stand together in a mail program. Only a well-formed id is carried over. */
function threadHeader(kind: NoticeKind, messageId: string): string {
  if (kind === "relayed" || !/^<[\x21-\x3b\x3d\x3f-\x7e]{3,250}>$/.test(messageId)) return "";
  return `In-Reply-To: ${messageId}\r\nReferences: ${messageId}\r\n`;
}

/** The third part: the whole message when RET=FULL asks and it is small, else its header. (RFC 3461 §4.3, RFC 6522) */
function returnedPart(notice: Notice): { readonly bytes: Uint8Array; readonly eightBit: boolean } {
  const { original } = notice;
  if (original === null) {
    return { bytes: Buffer.from("Content-Type: text/rfc822-headers\r\n\r\n\r\n"), eightBit: false };
  }
  // RFC 3461 §6.2: only a failure gives back more than the header.
  const whole = notice.ret === "FULL" && notice.kind === "failed" && original.length === notice.originalSize;
  if (whole && original.length <= MAX_RETURNED_BYTES) {
    const eightBit = !isSevenBit(original);
    const encoding = eightBit ? "Content-Transfer-Encoding: 8bit\r\n" : "";
    return {
      bytes: Buffer.concat([Buffer.from(`Content-Type: message/rfc822\r\n${encoding}\r\n`), original]),
      eightBit,
    };
  }
  return { bytes: Buffer.from(headerPart(original, MAX_RETURNED_BYTES), "latin1"), eightBit: false };
}

function hasSevenBitForm(message: Uint8Array): boolean {
  const survey = new SevenBitSurvey();
  return survey.take(message) && survey.finish() !== null;
}

/** RFC 2045 §2.7; NUL counts as 8-bit, which is the least wrong. */
function isSevenBit(bytes: Uint8Array): boolean {
  return isAsciiBytes(bytes) && !bytes.includes(0) && !bytes.includes(127);
}

function isAscii(text: string): boolean {
  return /^[\x00-\x7f]*$/.test(text);
}

/** An address that came through the address parser has no line break or angle bracket outside quotes; this makes sure of it. */
function headerAddress(address: string): string {
  return address.replace(/[\u0000-\u0020\u007f<>]/g, "");
}
