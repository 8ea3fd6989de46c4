// An abuse report in ARF to the abuse contact of a domain: what was stopped, for people and for programs. (RFC 5965)
// Everything in it comes from strangers: it can neither add fields nor leave its part.
import { isIP } from "node:net";
import type { MailAddress } from "../message/address.ts";
import { foldField } from "../message/encoded-word.ts";
import { summarise } from "../message/summary.ts";
import { headerPart } from "./header-part.ts";
import { mailDate, wrap } from "./mime-text.ts";
import { plural, timeIn, whoWords } from "./notice-words.ts";
import type { StoppedMessage } from "./outgoing-notices.ts";
import { type ComposedMail, composeMail, type OwnMailStamp } from "./own-mail.ts";
import { oneLine } from "./reply-words.ts";

/** What is to be reported. */
export interface AbuseReport {
  readonly to: MailAddress;
  /** The newest of the messages; its header is the evidence. */
  readonly message: StoppedMessage;
  /** How many messages of the identity this report stands for, this one among them. */
  readonly incidents: number;
  /** Since when they were counted, milliseconds UTC. */
  readonly since: number;
  /** They are of several identities, too many to tell apart. */
  readonly several: boolean;
  /** IANA name, for the text. */
  readonly timezone: string;
}

/** Of a header section at most so much is passed on, octets. */
export const MAX_REPORTED_HEADER = 40_960;
const MAX_RECIPIENTS = 20;
/** RFC 5965 §3.2: a 32-bit number. */
const MAX_INCIDENTS = 4_294_967_295;
const WIDTH = 72;

/** Writes the report. */
export function composeAbuseReport(report: AbuseReport, stamp: OwnMailStamp): ComposedMail {
  const { message } = report;
  const { subject } = summarise(message.header);
  return composeMail(
    {
      to: report.to,
      // RFC 5965 §2: the subject of the message itself, with nothing but a forwarding prefix.
      subject: `FW: ${subject}`.trim(),
      text: reportText(report, subject, stamp.hostname),
      report: {
        type: "multipart/report; report-type=feedback-report",
        parts: [feedbackPart(report, stamp.hostname), headerPart(message.header, MAX_REPORTED_HEADER)],
      },
      words: `abuse report about ${whoWords(message)}`,
    },
    stamp,
  );
}

function reportText(report: AbuseReport, subject: string, hostname: string): string {
  const { message, incidents, timezone } = report;
  const many =
    incidents === 1
      ? `A message from ${oneLine(message.domain, 255)} was stopped by the mail gateway ${hostname}.`
      : `${plural(incidents, "message")} of ${report.several ? "several senders" : "one sender"} of ${oneLine(message.domain, 255)} were stopped by the mail gateway ${hostname} since ${timeIn(timezone, report.since)}. The newest of them is described here.`;
  const advice =
    "If this mail was not sent on purpose, the password of the sender may be known to others, or a program may be misused: change the password and look at the computer or web form it came from.";
  const recipients = message.recipients.slice(0, MAX_RECIPIENTS).map((address) => oneLine(address, 320));
  const more = message.recipients.length - recipients.length;
  return [
    wrap(`${many} It was not sent. ${advice}`, WIDTH, ""),
    "",
    `  Sent by:      ${whoWords(message)}`,
    `  Why:          ${oneLine(message.words, 400)}`,
    `  Rule:         ${oneLine(message.rule, 100)}`,
    `  Received:     ${timeIn(timezone, message.at)} from ${oneLine(message.clientIp, 60)}`,
    `  From:         ${oneLine(message.reversePath, 320) || "<>"}`,
    ...recipients.map((address, index) => `  ${index === 0 ? "To:           " : "              "}${address}`),
    ...(more > 0 ? [`                and ${plural(more, "more recipient")}`] : []),
    `  Subject:      ${oneLine(subject, 300) || "(none)"}`,
    `  Queue id:     ${oneLine(message.messageId, 40)}${message.quarantined ? ", in the quarantine" : ""}`,
    "",
    wrap(
      "You get at most one such report an hour about each sender. A report for programs and the header of the message follow.",
      WIDTH,
      "",
    ),
    "",
  ].join("\n");
}

/** message/feedback-report (RFC 5965 §3): ASCII. An address beyond ASCII has no form there and stands in the text only. */
function feedbackPart({ message, incidents }: AbuseReport, hostname: string): string {
  const { authenticationResults } = message;
  return [
    "Content-Type: message/feedback-report\r\n\r\n",
    field("Feedback-Type", feedbackType(message.kind)),
    field("User-Agent", "Gatepost/1"),
    field("Version", "1"),
    ...addressField("Original-Mail-From", message.reversePath),
    ...message.recipients
      .slice(0, MAX_RECIPIENTS)
      .flatMap((address) => addressField("Original-Rcpt-To", address)),
    field("Arrival-Date", mailDate(message.at)),
    field("Reporting-MTA", `dns; ${ascii(hostname, 255)}`),
    ...(isIP(message.clientIp) === 0 ? [] : [field("Source-IP", message.clientIp)]),
    field("Reported-Domain", ascii(message.domain, 255)),
    field("Incidents", String(Math.min(Math.max(1, incidents), MAX_INCIDENTS))),
    ...(authenticationResults === undefined
      ? []
      : [field("Authentication-Results", ascii(authenticationResults, 900))]),
  ].join("");
}

/** The registered types (RFC 5965 §7.3); a rule of the house, such as no macros, is `other`. */
function feedbackType(kind: StoppedMessage["kind"]): string {
  switch (kind) {
    case "spam":
    case "bulk":
      return "abuse";
    case "virus":
      return "virus";
    case "program":
    case null:
      return "other";
  }
}

function addressField(name: string, address: string): readonly string[] {
  if (address === "" && name === "Original-Mail-From") return [field(name, "<>")];
  return /^[\x21-\x3b\x3d\x3f-\x7e]{3,400}$/.test(address) ? [field(name, `<${address}>`)] : [];
}

/** One line of printable ASCII; anything else becomes a question mark. */
function ascii(text: string, maxLength: number): string {
  return oneLine(text, maxLength).replace(/[^\x20-\x7e]/gu, "?");
}

function field(name: string, value: string): string {
  return foldField(`${name}: ${value}`);
}
