// The part of a notice for people: which recipient, what was said by whom, what it means, what to do.

import type { Notice, NoticeKind, NoticeRecipient } from "./delivery-notice.ts";
import { explainReply } from "./explain-reply.ts";
import { mailDate, wrap } from "./mime-text.ts";
import { oneLine, replyWords } from "./reply-words.ts";

const WIDTH = 72;
// A thousand recipients would make a text nobody reads; the delivery-status part lists them all.
const MAX_EXPLAINED = 50;

const OPENINGS: Readonly<Record<NoticeKind, string>> = {
  failed:
    "This is the mail server {host}. Your message could not be delivered to the recipients below. It will not be tried again.",
  delayed:
    "This is the mail server {host}. Your message has not been delivered yet. You need not do anything: it is tried again until {until}, and you are told if that fails.",
  relayed:
    "This is the mail server {host}. You asked to be told: your message was handed on to the next mail server, which does not send reports of its own.",
};

/** The text, LF line ends. `subject` is the message's own, decoded. */
export function noticeText(notice: Notice, subject: string): string {
  const until = notice.triedUntil === null ? "some time" : mailDate(notice.triedUntil);
  const opening = OPENINGS[notice.kind].replace("{host}", notice.hostname).replace("{until}", until);
  const lines = [
    wrap(opening, WIDTH, ""),
    "",
    `  Subject:    ${oneLine(subject, 200) || "(none)"}`,
    `  Received:   ${mailDate(notice.arrivedAt)}`,
    `  Queue id:   ${notice.originalId}`,
  ];
  for (const recipient of notice.recipients.slice(0, MAX_EXPLAINED)) {
    lines.push("", ...recipientLines(notice.kind, recipient));
  }
  const more = notice.recipients.length - MAX_EXPLAINED;
  if (more > 0) lines.push("", `... and ${more} more recipients; the report below lists them all.`);
  lines.push(
    "",
    wrap("Below are the report for mail programs and what we give back of your message.", WIDTH, ""),
  );
  return `${lines.join("\n")}\n`;
}

function recipientLines(kind: NoticeKind, { address, outcome, via }: NoticeRecipient): readonly string[] {
  const lines = [`Recipient: ${oneLine(address, 320)}`];
  if (outcome === null) return lines;
  if (outcome.server !== null) lines.push(`  Server:     ${oneLine(outcome.server, 200)}`);
  lines.push(
    via === "rule" ? "  The reason:" : outcome.code === null ? "  What happened:" : "  Its answer:",
    wrap(replyWords(outcome), WIDTH, "    "),
  );
  if (kind === "relayed") return lines;
  const explanation = explainReply({ ...outcome, via });
  lines.push("  What it means:", wrap(explanation.meaning, WIDTH, "    "));
  if (kind === "failed") lines.push("  What you can do:", wrap(explanation.advice, WIDTH, "    "));
  return lines;
}
