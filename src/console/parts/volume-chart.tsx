// The chart of mail over time, drawn on the server: stacked bars as SVG, the numbers as a table for those who cannot see it.
import type { RecipientState } from "../../store/log-record.ts";
import { count } from "../words/amount.ts";
import type { Tone } from "../words/state.ts";
import { clockOf, dayOf, toLocalField } from "../words/time.ts";
import { useView } from "./view-context.tsx";

export interface VolumePoint {
  readonly at: number;
  readonly state: RecipientState;
  readonly count: number;
}

export interface VolumeRange {
  readonly sinceMs: number;
  readonly untilMs: number;
  readonly bucketMs: number;
}

interface Series {
  readonly label: string;
  readonly tone: Tone;
  readonly states: readonly RecipientState[];
}

/** Bottom to top. */
export const SERIES: readonly Series[] = [
  { label: "Delivered", tone: "good", states: ["delivered", "released"] },
  { label: "On the way", tone: "info", states: ["queued", "held"] },
  { label: "Quarantined", tone: "warn", states: ["quarantined"] },
  { label: "Refused or failed", tone: "bad", states: ["refused", "failed"] },
  { label: "Discarded", tone: "quiet", states: ["discarded", "dropped"] },
];

interface Bucket {
  readonly at: number;
  /** One number per series. */
  readonly counts: readonly number[];
  readonly total: number;
}

/** Sums the points into one bucket per step, empty ones included. */
export function bucketsOf(points: readonly VolumePoint[], range: VolumeRange): readonly Bucket[] {
  const first = Math.floor(range.sinceMs / range.bucketMs);
  const last = Math.floor(range.untilMs / range.bucketMs);
  const rows = new Map<number, number[]>();
  for (let i = first; i <= last && rows.size < 500; i++)
    rows.set(
      i,
      SERIES.map(() => 0),
    );
  for (const point of points) {
    const row = rows.get(Math.floor(point.at / range.bucketMs));
    const series = SERIES.findIndex((one) => one.states.includes(point.state));
    if (row !== undefined) row[series] = (row[series] ?? 0) + point.count;
  }
  return [...rows].map(([i, counts]) => ({
    at: i * range.bucketMs,
    counts,
    total: counts.reduce((sum, n) => sum + n, 0),
  }));
}

/** The next round number at or above `n`, for the top of the scale. */
export function roundTop(n: number): number {
  if (n <= 4) return 4;
  const power = 10 ** Math.floor(Math.log10(n));
  return [1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8, 10].map((step) => step * power).find((step) => step >= n) ?? n;
}

const STEP = 12;
const BAR = 9;
const HEIGHT = 100;

function Bar(props: {
  readonly bucket: Bucket;
  readonly index: number;
  readonly top: number;
  readonly range: VolumeRange;
}) {
  const { zone } = useView();
  const { bucket, index, top, range } = props;
  const x = index * STEP;
  const until = bucket.at + range.bucketMs;
  const query = new URLSearchParams({
    since: toLocalField(bucket.at, zone),
    until: toLocalField(until, zone),
  });
  const lines = SERIES.flatMap((series, i) =>
    bucket.counts[i] ? [`${series.label}: ${count(bucket.counts[i] ?? 0)}`] : [],
  );
  let y = HEIGHT;
  return (
    <a href={`/messages?${query}`} tabindex={-1} class="bar">
      <title>{[`${dayOf(bucket.at, zone)} ${clockOf(bucket.at, zone)}`, ...lines].join("\n")}</title>
      <rect class="bar-area" x={x} y={0} width={STEP} height={HEIGHT} />
      {SERIES.map((series, i) => {
        const height = ((bucket.counts[i] ?? 0) / top) * HEIGHT;
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
    </a>
  );
}

/**
 * The axis: one place per bucket, so that a label stands under its own bar. About seven are written, every second of them only where
 * there is room.
 */
export function ChartTimes({ labels }: { readonly labels: readonly string[] }) {
  const step = Math.max(1, Math.round(labels.length / 7));
  return (
    <div class="chart-times" aria-hidden="true">
      {labels.map((label, i) => (
        <span class={i % (2 * step) === 0 ? undefined : "minor"}>{i % step === 0 ? label : ""}</span>
      ))}
    </div>
  );
}

export function VolumeChart({
  points,
  range,
}: {
  readonly points: readonly VolumePoint[];
  readonly range: VolumeRange;
}) {
  const { zone } = useView();
  const buckets = bucketsOf(points, range);
  const top = roundTop(Math.max(...buckets.map((bucket) => bucket.total), 0));
  const days = range.bucketMs >= 6 * 3_600_000;
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
          viewBox={`0 0 ${buckets.length * STEP} ${HEIGHT}`}
          preserveAspectRatio="none"
          aria-hidden="true"
        >
          {[0, 25, 50, 75].map((y) => (
            <line
              class="chart-line"
              x1={0}
              x2={buckets.length * STEP}
              y1={y}
              y2={y}
              vector-effect="non-scaling-stroke"
            />
          ))}
          {buckets.map((bucket, i) => (
            <Bar bucket={bucket} index={i} top={top} range={range} />
          ))}
        </svg>
        <ChartTimes
          labels={buckets.map((bucket) => (days ? dayOf(bucket.at, zone) : clockOf(bucket.at, zone)))}
        />
      </div>
      <figcaption class="chart-legend">
        {SERIES.map((series) => (
          <span>
            <span class={`swatch back-${series.tone}`} aria-hidden="true" /> {series.label}
          </span>
        ))}
      </figcaption>
      <div class="visually-hidden">
        <table>
          <caption>Recipients by time and state</caption>
          <thead>
            <tr>
              <th scope="col">From</th>
              {SERIES.map((series) => (
                <th scope="col">{series.label}</th>
              ))}
            </tr>
          </thead>
          <tbody>
            {buckets.map((bucket) => (
              <tr>
                <th scope="row">{`${dayOf(bucket.at, zone)} ${clockOf(bucket.at, zone)}`}</th>
                {bucket.counts.map((n) => (
                  <td>{n}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </figure>
  );
}
