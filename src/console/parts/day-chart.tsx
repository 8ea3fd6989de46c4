// Messages per day as stacked bars, drawn on the server: what passed, what was refused, what was spam. A table says it in numbers.
import type { IdentityDetail } from "../../outgoing/outgoing.ts";
import { count } from "../words/amount.ts";
import type { Tone } from "../words/state.ts";
import { useView } from "./view-context.tsx";
import { ChartTimes, roundTop } from "./volume-chart.tsx";

type Day = IdentityDetail["days"][number];

interface Series {
  readonly label: string;
  readonly tone: Tone;
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
    { label: "Refused", tone: "warn", of: (day) => day.refused },
    { label: "Spam or virus", tone: "bad", of: (day) => day.spam },
  ];
}

const STEP = 12;
const BAR = 9;
const HEIGHT = 100;
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

function Bar(props: {
  readonly day: Day;
  readonly index: number;
  readonly top: number;
  readonly series: readonly Series[];
}) {
  const { day, index, top, series: all } = props;
  const x = index * STEP;
  const lines = all.flatMap((series) => {
    const n = series.of(day);
    return n === 0 ? [] : [`${series.label}: ${count(n)}`];
  });
  let y = HEIGHT;
  return (
    <g class="bar">
      <title>{[dayInWords(day.day), ...lines, `Recipients: ${count(day.recipients)}`].join("\n")}</title>
      <rect class="bar-area" x={x} y={0} width={STEP} height={HEIGHT} />
      {all.map((series) => {
        const height = (series.of(day) / top) * HEIGHT;
        y -= height;
        return height > 0 ? (
          <rect
            class={`fill-${series.tone}`}
            x={x + (STEP - BAR) / 2}
            y={y.toFixed(2)}
            width={BAR}
            height={height.toFixed(2)}
          />
        ) : null;
      })}
    </g>
  );
}

function DayTable({ days }: { readonly days: readonly Day[] }) {
  return (
    <div class="visually-hidden">
      <table>
        <caption>Messages by day</caption>
        <thead>
          <tr>
            <th scope="col">Day</th>
            <th scope="col">Messages</th>
            <th scope="col">Recipients</th>
            <th scope="col">Spam or virus</th>
            <th scope="col">Refused</th>
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
    </div>
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
  const sums = shown.map((day) => all.reduce((sum, series) => sum + series.of(day), 0));
  if (Math.max(...sums) === 0) return <p class="muted">Nothing was sent in the last {SHOWN_DAYS} days.</p>;
  const top = roundTop(Math.max(...sums));
  return (
    <figure class="chart">
      <div class="chart-plot">
        <div class="chart-scale" aria-hidden="true">
          <span>{count(top)}</span>
          <span>{count(top / 2)}</span>
          <span>0</span>
        </div>
        <svg
          class="chart-bars"
          viewBox={`0 0 ${shown.length * STEP} ${HEIGHT}`}
          preserveAspectRatio="none"
          aria-hidden="true"
        >
          {[0, 25, 50, 75].map((y) => (
            <line
              class="chart-line"
              x1={0}
              x2={shown.length * STEP}
              y1={y}
              y2={y}
              vector-effect="non-scaling-stroke"
            />
          ))}
          {shown.map((day, i) => (
            <Bar day={day} index={i} top={top} series={all} />
          ))}
        </svg>
        <ChartTimes labels={shown.map(({ day }) => dayInWords(day))} />
      </div>
      <figcaption class="chart-legend">
        {all.map((series) => (
          <span>
            <span class={`swatch back-${series.tone}`} aria-hidden="true" /> {series.label}
          </span>
        ))}
      </figcaption>
      <DayTable days={shown} />
    </figure>
  );
}
