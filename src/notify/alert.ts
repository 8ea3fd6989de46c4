// An alert to the administrators of a domain: what it says in a mail, in a web hook's JSON and in a short message. No I/O.
// The first lines say what happened, what was done and what to do.
import type { GatheredLocks } from "./lock-flood.ts";
import { wrap } from "./mime-text.ts";
import type { AlertKind } from "./notice-policy.ts";
import { durationWords, plural, timeIn, whoWords } from "./notice-words.ts";
import type { LockNews } from "./outgoing-notices.ts";
import { oneLine } from "./reply-words.ts";
import type { CountedMessage, ThresholdReached } from "./thresholds.ts";

/** An alert in all its forms. `text` has LF line ends. */
export interface Alert {
  readonly event: "lock" | "locks" | "threshold" | "undeliverable" | "test";
  readonly subject: string;
  readonly text: string;
  /** One sentence. */
  readonly summary: string;
  /** One line of at most 160 characters. */
  readonly short: string;
  /** What the web hook gets besides the fields all events have. */
  readonly detail: Readonly<Record<string, unknown>>;
}

/** Where and when, for the words of an alert. */
export interface AlertSetting {
  readonly hostname: string;
  readonly consoleUrl: string;
  /** IANA name. */
  readonly timezone: string;
}

const WIDTH = 72;
const MAX_SHORT = 160;
const iso = (ms: number) => new Date(ms).toISOString();

/**
 * A lock was set. `unlockUrl` leads to a page whose button unlocks; it is good for `validMs`. No link: a person has locked it, and unlocks it.
 * `furtherAt`: further locks of the domain are not told before, and then together.
 */
export function lockAlert(
  news: LockNews,
  { hostname, timezone, consoleUrl }: AlertSetting,
  {
    link,
    furtherAt,
  }: {
    readonly link: { readonly unlockUrl: string; readonly validMs: number } | null;
    readonly furtherAt: number | null;
  },
): Alert {
  const who = whoWords(news);
  const domain = oneLine(news.domain, 255);
  const reason = oneLine(news.words, 400);
  const end = news.until === null ? "until a person unlocks it" : `until ${timeIn(timezone, news.until)}`;
  const others =
    news.identity === null
      ? "This is the whole sender: everybody who sends through it is stopped."
      : "Everybody else goes on sending.";
  const text = [
    wrap(`${who} of ${domain} is locked: ${reason}. Nothing from it is taken ${end}. ${others}`, WIDTH, ""),
    "",
    ...(link === null ? byHand(news) : byLink(link)),
    "",
    `Its mail, limits and history: ${identityUrl(consoleUrl, news)}`,
    ...(furtherAt === null
      ? []
      : [
          "",
          wrap(
            `There were many locks of ${domain} in this hour. Further ones are told together, in one alert at ${timeIn(timezone, furtherAt)}; the console shows them at once.`,
            WIDTH,
            "",
          ),
          "",
        ]),
    `Locked at ${timeIn(timezone, news.at)} by the mail gateway ${hostname}.`,
    "",
  ].join("\n");
  return {
    event: "lock",
    subject: `Locked: ${who}`,
    text,
    short: oneLine(`${hostname}: ${who} is locked ${end}. ${reason}`, MAX_SHORT),
    summary: `${who} of ${domain} is locked: ${reason}`,
    detail: {
      sender: news.sender,
      identity: news.identity,
      until: news.until === null ? null : iso(news.until),
      reason,
      unlock_url: link?.unlockUrl ?? null,
      further_at: furtherAt === null ? null : iso(furtherAt),
    },
  };
}

function byHand({ by = "somebody" }: LockNews): readonly string[] {
  return [wrap(`It was locked by hand by ${oneLine(by, 254)}, and is unlocked in the console.`, WIDTH, "")];
}

function byLink({
  unlockUrl,
  validMs,
}: {
  readonly unlockUrl: string;
  readonly validMs: number;
}): readonly string[] {
  const cause =
    "Find the cause first: usually a password that others know, or a program or web form that is misused. Then unlock it on this page:";
  const use = `The link works once, within ${durationWords(validMs)}. Opening the page changes nothing; its button does.`;
  return [wrap(cause, WIDTH, ""), "", unlockUrl, "", wrap(use, WIDTH, "")];
}

/** The console's page of an identity, or of the whole sender. */
function identityUrl(consoleUrl: string, { sender, identity }: LockNews): string {
  return `${consoleUrl}/identity?${new URLSearchParams(identity === null ? { sender } : { sender, name: identity })}`;
}

const HAPPENED: Readonly<Record<AlertKind, string>> = {
  spam: "as spam",
  virus: "because of a virus",
  bulk: "as unsolicited bulk mail",
  program: "because of a program or macros in it",
};
const NAMES: Readonly<Record<AlertKind, string>> = {
  spam: "Spam",
  virus: "Virus",
  bulk: "Bulk mail",
  program: "Programs",
};
const ADVICE: Readonly<Record<AlertKind, string>> = {
  spam: "Look at the senders below: change the password of everybody who did not send this on purpose, and repair the program or web form behind it.",
  virus:
    "Take the computers of the senders below off the network until they are examined, and change the passwords used on them.",
  program:
    "Ask the senders below whether they meant to send programs. Who did not has a password that others know, or a computer that others use: change the one and have the other examined.",
  bulk: "Ask the senders below whether the recipients agreed to this mail. What is wanted can be released from the quarantine.",
};

/** A threshold was reached. */
export function thresholdAlert(reached: ThresholdReached, setting: AlertSetting): Alert {
  const { kind, count, since, senders, others, last, quietUntil } = reached;
  const { hostname, timezone, consoleUrl } = setting;
  const domain = oneLine(reached.domain, 255);
  const were = count === 1 ? "was" : "were";
  const summary = `Since ${timeIn(timezone, since)}, ${plural(count, "message")} from ${domain} ${were} stopped ${HAPPENED[kind]}.`;
  const quarantined = last.some((message) => message.quarantined);
  const text = [
    wrap(
      `${summary} ${count === 1 ? "It was not sent." : "None of them was sent."} ${ADVICE[kind]}`,
      WIDTH,
      "",
    ),
    "",
    "From whom",
    ...senders.map((sender) => `  ${String(sender.count).padStart(6)}  ${whoWords(sender)}`),
    ...(others > 0 ? [`  ${String(others).padStart(6)}  others`] : []),
    "",
    last.length === 1 ? "The message" : "The last of them",
    ...last.flatMap((message) => messageLines(message, timezone)),
    "",
    ...(quarantined ? [`The quarantine: ${consoleUrl}/quarantine`, ""] : []),
    wrap(
      `You get no further alert of this kind before ${timeIn(timezone, quietUntil)}, except when somebody is locked. Written by the mail gateway ${hostname}.`,
      WIDTH,
      "",
    ),
    "",
  ].join("\n");
  return {
    event: "threshold",
    subject: `${NAMES[kind]} from ${domain}: ${plural(count, "message")} stopped`,
    text,
    short: oneLine(
      `${hostname}: ${plural(count, "message")} from ${domain} stopped ${HAPPENED[kind]}. ${senders[0] === undefined ? "" : `Mostly ${whoWords(senders[0])}`}`,
      MAX_SHORT,
    ),
    summary,
    detail: {
      kind,
      count,
      since: iso(since),
      quiet_until: iso(quietUntil),
      senders: senders.map(({ sender, identity, count }) => ({ sender, identity, count })),
      last: last.map((message) => ({
        message_id: message.messageId,
        at: iso(message.at),
        sender: message.sender,
        identity: message.identity,
        rule: message.rule,
        reason: oneLine(message.words, 400),
        quarantined: message.quarantined,
      })),
    },
  };
}

function messageLines(message: CountedMessage, timezone: string): readonly string[] {
  return [
    `  ${timeIn(timezone, message.at)}  ${whoWords(message)}`,
    wrap(`${oneLine(message.words, 300)} (rule ${oneLine(message.rule, 80)})`, WIDTH, "      "),
    `      message ${oneLine(message.messageId, 40)}${message.quarantined ? ", in the quarantine" : ", refused"}`,
  ];
}

/** Many locks that were not told one by one. */
export function gatheredAlert({ domain, since, count, some }: GatheredLocks, setting: AlertSetting): Alert {
  const { hostname, consoleUrl, timezone } = setting;
  const name = oneLine(domain, 255);
  const summary = `${plural(count, "further lock")} of ${name} ${count === 1 ? "was" : "were"} set since ${timeIn(timezone, since)}.`;
  const more = count - some.length;
  const text = [
    wrap(
      `${summary} So many are told together. Nothing from them is taken; everybody else goes on sending. Look for what they have in common, and unlock them in the console, each on its page.`,
      WIDTH,
      "",
    ),
    "",
    ...some.flatMap((news) => [
      `  ${timeIn(timezone, news.at)}  ${whoWords(news)}`,
      `      ${identityUrl(consoleUrl, news)}`,
    ]),
    ...(more > 0 ? [`  and ${more} more`] : []),
    "",
    `The console: ${consoleUrl}`,
    `Written by the mail gateway ${hostname}.`,
    "",
  ].join("\n");
  return {
    event: "locks",
    subject: `Locked: ${plural(count, "further sender")} of ${name}`,
    text,
    short: oneLine(`${hostname}: ${summary}`, MAX_SHORT),
    summary,
    detail: {
      count,
      since: iso(since),
      some: some.map(({ sender, identity }) => ({ sender, identity })),
    },
  };
}

/** What the test button sends. */
export function trialAlert(domain: string, { hostname }: AlertSetting): Alert {
  const summary = `This is a trial alert for ${oneLine(domain, 255)}. Nothing has happened, and there is nothing to do.`;
  return {
    event: "test",
    subject: `Trial alert for ${oneLine(domain, 255)}`,
    text: `${wrap(`${summary} It shows that alerts of the mail gateway ${hostname} reach you.`, WIDTH, "")}\n`,
    short: oneLine(`${hostname}: trial alert for ${domain}. Nothing to do.`, MAX_SHORT),
    summary,
    detail: {},
  };
}
