// The scheduled report of a domain's outgoing quarantine, as text. No I/O.
import { wrap } from "./mime-text.ts";
import { plural, timeIn, whoWords } from "./notice-words.ts";
import { oneLine } from "./reply-words.ts";

/** A quarantined message of one recipient. */
export interface ReportItem {
  /** Its id in the quarantine. */
  readonly id: string;
  readonly receivedAt: number;
  /** The outgoing sender; the reverse-path where it is not known. */
  readonly sender: string;
  readonly identity: string | null;
  readonly recipient: string;
  readonly subject: string;
  /** The deciding rule's words. */
  readonly words: string;
}

/** What is reported: the newest items of those since the last report. */
export interface QuarantineReport {
  readonly domain: string;
  readonly since: number;
  /** Oldest first. */
  readonly items: readonly ReportItem[];
  /** How many there are in all. */
  readonly total: number;
}

const WIDTH = 72;

/** Subject and text of the report. */
export function reportText(
  report: QuarantineReport,
  setting: { readonly hostname: string; readonly consoleUrl: string; readonly timezone: string },
): { readonly subject: string; readonly text: string } {
  const { domain, items, total, since } = report;
  const { hostname, consoleUrl, timezone } = setting;
  const were = total === 1 ? "was" : "were";
  const opening = `Since ${timeIn(timezone, since)}, ${plural(total, "message")} from ${domain} ${were} put into the outgoing quarantine and not sent. Release what is wanted; the rest needs no care, it is removed when its time is over.`;
  const more = total - items.length;
  const text = [
    wrap(opening, WIDTH, ""),
    ...items.flatMap((item) => ["", ...itemLines(item, consoleUrl, timezone)]),
    ...(more > 0 ? ["", `and ${plural(more, "older message")}: ${consoleUrl}/quarantine`] : []),
    "",
    wrap(
      `Written by the mail gateway ${hostname}. When nothing was quarantined, no report is sent.`,
      WIDTH,
      "",
    ),
    "",
  ].join("\n");
  return { subject: `Outgoing quarantine of ${domain}: ${plural(total, "message")}`, text };
}

function itemLines(item: ReportItem, consoleUrl: string, timezone: string): readonly string[] {
  return [
    `${timeIn(timezone, item.receivedAt)}  ${whoWords(item)}`,
    `  To:       ${oneLine(item.recipient, 320)}`,
    `  Subject:  ${oneLine(item.subject, 200) || "(none)"}`,
    `  Why:      ${oneLine(item.words, 300)}`,
    `  Open:     ${consoleUrl}/quarantine/${encodeURIComponent(item.id)}`,
  ];
}
