// Messages per day as stacked bars: what passed, what was refused, what was spam. A table says it in numbers.
import type { IdentityDetail } from "../../outgoing/outgoing.ts";
import { count } from "../words/amount.ts";
import { type BarSeries, countLines, StackedBars } from "./stacked-bars.tsx";
import { useView } from "./view-context.tsx";

type Day = IdentityDetail["days"][number];

interface Series extends BarSeries {
  readonly of: (day: Day) => number;
}

/** Bottom to top. `messages` are those that were taken: spam is among them where it is taken and quarantined in silence. */
function seriesOf(spamIsTaken: boolean): readonly Series[] {
  return [
    {
      label: "Passed",
      tone: "good",
      of: (day) => (spamIsTaken ? Math.max(0, day.messages - day.spam) : day.messages),
    },
    { label: "Refused or put off", tone: "warn", of: (day) => day.refused },
    { label: "Spam or virus", tone: "bad", of: (day) => day.spam },
  ];
}

const DAY_MS = 86_400_000;
const SHOWN_DAYS = 30;
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** `2026-11-21` → `21 Nov`. */
function dayInWords(day: string): string {
  const [, month = "", date = ""] = day.split("-");
  return `${Number(date)} ${MONTHS[Number(month) - 1] ?? month}`;
}

/** The last 30 days up to now, those without mail included, so that every chart has the same axis. */
function lastDays(days: readonly Day[], nowMs: number): readonly Day[] {
  const known = new Map(days.map((day) => [day.day, day]));
  return Array.from({ length: SHOWN_DAYS }, (_, i) => {
    const day = new Date(nowMs - (SHOWN_DAYS - 1 - i) * DAY_MS).toISOString().slice(0, 10);
    return known.get(day) ?? { day, messages: 0, recipients: 0, spam: 0, refused: 0 };
  });
}

function DayTable({ days }: { readonly days: readonly Day[] }) {
  return (
    <table>
      <caption>Messages by day</caption>
      <thead>
        <tr>
          <th scope="col">Day</th>
          <th scope="col">Messages</th>
          <th scope="col">Recipients</th>
          <th scope="col">Spam or virus</th>
          <th scope="col">Refused or put off</th>
        </tr>
      </thead>
      <tbody>
        {days.map((day) => (
          <tr>
            <th scope="row">{day.day}</th>
            <td>{day.messages}</td>
            <td>{day.recipients}</td>
            <td>{day.spam}</td>
            <td>{day.refused}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** The chart of the last 30 days. Nothing without mail in them. `spamIsTaken`: spam is among the messages that were taken. */
export function DayChart({
  days,
  spamIsTaken,
}: {
  readonly days: readonly Day[];
  readonly spamIsTaken: boolean;
}) {
  const { nowMs } = useView();
  const shown = lastDays(days, nowMs);
  const all = seriesOf(spamIsTaken);
  const bars = shown.map((day) => {
    const counts = all.map((series) => series.of(day));
    const title = [dayInWords(day.day), ...countLines(all, counts), `Recipients: ${count(day.recipients)}`];
    return { counts, title, label: dayInWords(day.day) };
  });
  if (bars.every(({ counts }) => counts.every((n) => n === 0)))
    return <p class="muted">Nothing was sent in the last {SHOWN_DAYS} days.</p>;
  return (
    <StackedBars series={all} bars={bars}>
      <DayTable days={shown} />
    </StackedBars>
  );
}
