// What the people of a domain are told of mail that was accepted and could not be delivered: the daily list, and the alert of a burst.
// Everything from outside (answers, subjects, addresses) is hostile and becomes one line. No I/O.
import type { UndeliverableItem } from "../store/quarantine-undeliverable.ts";
import type { Alert, AlertSetting } from "./alert.ts";
import { wrap } from "./mime-text.ts";
import { plural, timeIn } from "./notice-words.ts";
import { oneLine } from "./reply-words.ts";

/** What failed in a time. */
export interface UndeliverableNews {
  /** The domain, or "" for what belongs to none of ours. */
  readonly domain: string;
  readonly since: number;
  /** The newest of them, oldest first. */
  readonly items: readonly UndeliverableItem[];
  readonly total: number;
}

const WIDTH = 72;
const MAX_SHORT = 160;
const MAX_IN_ALERT = 5;

const WHAT_TO_DO =
  "They are kept in the quarantine, each with the answer of the server that refused it. Put right what the answer names (an address that is missing, a limit of size, a filter) and release them: they are tried again. The rest needs no care, it is removed when its time is over.";

/** Subject and text of the daily list. */
export function undeliverableList(
  news: UndeliverableNews,
  setting: AlertSetting,
): { readonly subject: string; readonly text: string } {
  const { items, total } = news;
  const more = total - items.length;
  const text = [
    wrap(`${happened(news, setting)} ${WHAT_TO_DO}`, WIDTH, ""),
    ...items.flatMap((item) => ["", ...itemLines(item, setting)]),
    ...(more > 0 ? ["", `and ${plural(more, "older message")}`] : []),
    "",
    `All of them: ${setting.consoleUrl}/quarantine?class=undeliverable`,
    wrap(`Written once a day by the mail gateway ${setting.hostname}, when there is something.`, WIDTH, ""),
    "",
  ].join("\n");
  return { subject: `${titleOf(news.domain)}: ${plural(total, "message")}`, text };
}

/** Many at once: usually a mail server behind that is set wrong. */
export function undeliverableAlert(
  news: UndeliverableNews & { readonly quietUntil: number },
  setting: AlertSetting,
): Alert {
  const { total, items, quietUntil, domain, since } = news;
  const { hostname, consoleUrl, timezone } = setting;
  const summary = happened(news, setting);
  const last = items.slice(-MAX_IN_ALERT);
  const text = [
    wrap(`${summary} So many at once usually mean that the mail server behind is set wrong.`, WIDTH, ""),
    "",
    wrap(WHAT_TO_DO, WIDTH, ""),
    "",
    "The last of them",
    ...last.flatMap((item) => ["", ...itemLines(item, setting)]),
    "",
    `All of them: ${consoleUrl}/quarantine?class=undeliverable`,
    wrap(
      `You get no further alert of this kind before ${timeIn(timezone, quietUntil)}; the daily list names what comes meanwhile. Written by the mail gateway ${hostname}.`,
      WIDTH,
      "",
    ),
    "",
  ].join("\n");
  const answer = last.at(-1)?.answer ?? "";
  return {
    event: "undeliverable",
    subject: `${titleOf(domain)}: ${plural(total, "message")} at once`,
    text,
    short: oneLine(`${hostname}: ${summary} Last answer: ${answer}`, MAX_SHORT),
    summary,
    detail: {
      count: total,
      since: new Date(since).toISOString(),
      quiet_until: new Date(quietUntil).toISOString(),
      last: last.map((item) => ({
        id: item.id,
        at: new Date(item.failedAt).toISOString(),
        recipient: oneLine(item.recipient, 320),
        server: oneLine(item.server, 300),
        answer: oneLine(item.answer, 500),
      })),
    },
  };
}

function titleOf(domain: string): string {
  return domain === "" ? "Undeliverable mail" : `Undeliverable mail of ${oneLine(domain, 255)}`;
}

function happened({ domain, since, total }: UndeliverableNews, { timezone }: AlertSetting): string {
  const whose = domain === "" ? "" : ` for or from ${oneLine(domain, 255)}`;
  const were = total === 1 ? "was accepted and" : "were accepted and";
  return `Since ${timeIn(timezone, since)}, ${plural(total, "message")}${whose} ${were} could not be delivered.`;
}

function itemLines(item: UndeliverableItem, { consoleUrl, timezone }: AlertSetting): readonly string[] {
  return [
    `${timeIn(timezone, item.failedAt)}`,
    `  To:       ${oneLine(item.recipient, 320)}`,
    `  From:     ${oneLine(item.reversePath, 320) || "<> (a notice or a robot)"}`,
    `  Subject:  ${oneLine(item.subject, 200) || "(none)"}`,
    `  Server:   ${oneLine(item.server, 300) || "none was reached"}`,
    `  Answer:   ${oneLine(item.answer, 400) || "(none)"}`,
    `  Open:     ${consoleUrl}/quarantine/${encodeURIComponent(item.id)}`,
  ];
}
