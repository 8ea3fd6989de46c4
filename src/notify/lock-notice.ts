// The mail to a user who was locked: the product's own words or a template of the administrator. No I/O.
import { wrap } from "./mime-text.ts";
import type { NoticeTemplate } from "./notice-policy.ts";
import { timeIn } from "./notice-words.ts";
import type { LockNews } from "./outgoing-notices.ts";
import { oneLine } from "./reply-words.ts";

/** The product's own template, for those who want to write theirs like it. */
export const LOCK_NOTICE: NoticeTemplate = {
  name: "lock-notice",
  subject: "Your mail is not sent at present: {identity} is locked",
  text: [
    "Mail from {identity} is not sent until {until}. The reason: {reason}.",
    "",
    "Most often this means that somebody else knows your password, or that a program on your computer sends mail without your knowledge.",
    "",
    "Please change your password and have your computer examined. Then ask {contact} to unlock you. Messages you send meanwhile are refused; send them again afterwards.",
    "",
    "Written by the mail gateway {hostname}, which sends the mail of {domain}.",
  ]
    .map((paragraph) => wrap(paragraph, 72, ""))
    .join("\n"),
};

/** What the placeholders stand for. */
export interface LockNoticeSetting {
  readonly user: string;
  readonly hostname: string;
  /** Whom the user asks; null: nobody is named in the settings. */
  readonly contact: string | null;
  /** IANA name. */
  readonly timezone: string;
}

/** Subject and text, placeholders filled in: {user} {identity} {sender} {domain} {until} {reason} {contact} {hostname}. Others stay. */
export function lockNotice(
  template: NoticeTemplate,
  news: LockNews,
  setting: LockNoticeSetting,
): { readonly subject: string; readonly text: string } {
  const values: Readonly<Record<string, string>> = {
    user: setting.user,
    identity: news.identity ?? news.sender,
    sender: news.sender,
    domain: news.domain,
    until: news.until === null ? "a person unlocks it" : timeIn(setting.timezone, news.until),
    reason: news.words.replace(/\.\s*$/, ""),
    contact: setting.contact ?? "your mail administrator",
    hostname: setting.hostname,
  };
  // In one pass: what a value brings along is never filled in again.
  const fill = (text: string): string =>
    text.replace(/\{([a-z]{1,20})\}/g, (placeholder, name: string) =>
      Object.hasOwn(values, name) ? oneLine(values[name] ?? "", 400) : placeholder,
    );
  const text = fill(template.text.replace(/\r\n?/g, "\n"));
  return { subject: fill(template.subject), text: text.endsWith("\n") ? text : `${text}\n` };
}
