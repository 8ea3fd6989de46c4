// A chart of stacked bars over time, drawn on the server: scale, bars, axis, legend. What they mean, in words and as a table, is the caller's.
import type { Child } from "hono/jsx";
import { count } from "../words/amount.ts";
import type { Tone } from "../words/state.ts";

/** A part of every bar; bottom to top in the order given. */
export interface BarSeries {
  readonly label: string;
  readonly tone: Tone;
}

export interface StackedBar {
  /** One number per series. */
  readonly counts: readonly number[];
  /** Shown when the pointer rests on it, a line each; counts are added. */
  readonly title: readonly string[];
  /** Under the axis. */
  readonly label: string;
  /** Where a click leads; left out: nowhere. */
  readonly href?: string;
}

const STEP = 12;
const BAR = 9;
const HEIGHT = 100;

/** The next round number at or above `n`, for the top of the scale. */
export function roundTop(n: number): number {
  if (n <= 4) return 4;
  const power = 10 ** Math.floor(Math.log10(n));
  return [1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8, 10].map((step) => step * power).find((step) => step >= n) ?? n;
}

function sumOf(counts: readonly number[]): number {
  return counts.reduce((sum, n) => sum + n, 0);
}

function BarParts(props: {
  readonly bar: StackedBar;
  readonly index: number;
  readonly top: number;
  readonly series: readonly BarSeries[];
}) {
  const { bar, index, top, series } = props;
  const x = index * STEP;
  let y = HEIGHT;
  return (
    <>
      <title>{bar.title.join("\n")}</title>
      <rect class="bar-area" x={x} y={0} width={STEP} height={HEIGHT} />
      {series.map(({ tone }, i) => {
        const height = ((bar.counts[i] ?? 0) / top) * HEIGHT;
        y -= height;
        return height > 0 ? (
          <rect
            class={`fill-${tone}`}
            x={x + (STEP - BAR) / 2}
            y={y.toFixed(2)}
            width={BAR}
            height={height.toFixed(2)}
          />
        ) : null;
      })}
    </>
  );
}

/**
 * The axis: one place per bar, so that a label stands under its own. About seven are written, every second of them only where
 * there is room.
 */
function ChartTimes({ labels }: { readonly labels: readonly string[] }) {
  const step = Math.max(1, Math.round(labels.length / 7));
  return (
    <div class="chart-times" aria-hidden="true">
      {labels.map((label, i) => (
        <span class={i % (2 * step) === 0 ? undefined : "minor"}>{i % step === 0 ? label : ""}</span>
      ))}
    </div>
  );
}

/** `children` says the same in numbers, as a table for those who cannot see the chart. */
export function StackedBars(props: {
  readonly series: readonly BarSeries[];
  readonly bars: readonly StackedBar[];
  readonly children: Child;
}) {
  const { series, bars } = props;
  const top = roundTop(Math.max(...bars.map(({ counts }) => sumOf(counts)), 0));
  const width = bars.length * STEP;
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
          viewBox={`0 0 ${width} ${HEIGHT}`}
          preserveAspectRatio="none"
          aria-hidden="true"
        >
          {[0, 25, 50, 75].map((y) => (
            <line class="chart-line" x1={0} x2={width} y1={y} y2={y} vector-effect="non-scaling-stroke" />
          ))}
          {bars.map((bar, index) => {
            const parts = <BarParts bar={bar} index={index} top={top} series={series} />;
            return bar.href === undefined ? (
              <g class="bar">{parts}</g>
            ) : (
              <a href={bar.href} tabindex={-1} class="bar">
                {parts}
              </a>
            );
          })}
        </svg>
        <ChartTimes labels={bars.map(({ label }) => label)} />
      </div>
      <figcaption class="chart-legend">
        {series.map(({ label, tone }) => (
          <span>
            <span class={`swatch back-${tone}`} aria-hidden="true" /> {label}
          </span>
        ))}
      </figcaption>
      <div class="visually-hidden">{props.children}</div>
    </figure>
  );
}

/** `Delivered: 12` for each series that has any. */
export function countLines(series: readonly BarSeries[], counts: readonly number[]): readonly string[] {
  return series.flatMap(({ label }, i) => (counts[i] ? [`${label}: ${count(counts[i] ?? 0)}`] : []));
}
