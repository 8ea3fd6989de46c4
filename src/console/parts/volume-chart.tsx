// The chart of mail over time: recipients by what became of them, each bar leading to its part of the message log.
import type { RecipientState } from "../../store/log-record.ts";
import { clockOf, dayOf, toLocalField } from "../words/time.ts";
import { type BarSeries, countLines, StackedBars } from "./stacked-bars.tsx";
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

interface Series extends BarSeries {
  readonly states: readonly RecipientState[];
}

/** Bottom to top. */
export const SERIES: readonly Series[] = [
  { label: "Delivered", tone: "good", states: ["delivered", "released"] },
  { label: "On the way", tone: "info", states: ["queued", "held"] },
  { label: "Quarantined", tone: "warn", states: ["quarantined"] },
  { label: "Refused or failed", tone: "bad", states: ["refused", "failed"] },
  { label: "Put off", tone: "held", states: ["put-off"] },
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

export function VolumeChart({
  points,
  range,
}: {
  readonly points: readonly VolumePoint[];
  readonly range: VolumeRange;
}) {
  const { zone } = useView();
  const buckets = bucketsOf(points, range);
  const days = range.bucketMs >= 6 * 3_600_000;
  const momentOf = ({ at }: Bucket) => `${dayOf(at, zone)} ${clockOf(at, zone)}`;
  const bars = buckets.map((bucket) => ({
    counts: bucket.counts,
    title: [momentOf(bucket), ...countLines(SERIES, bucket.counts)],
    label: days ? dayOf(bucket.at, zone) : clockOf(bucket.at, zone),
    href: `/messages?${new URLSearchParams({
      since: toLocalField(bucket.at, zone),
      until: toLocalField(bucket.at + range.bucketMs, zone),
    })}`,
  }));
  return (
    <StackedBars series={SERIES} bars={bars}>
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
              <th scope="row">{momentOf(bucket)}</th>
              {bucket.counts.map((n) => (
                <td>{n}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </StackedBars>
  );
}
