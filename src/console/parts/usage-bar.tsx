// How far a limit is used: the numbers in words, a bar beside them, and when it frees.
import type { LimitUse } from "../../outgoing/outgoing.ts";
import { count } from "../words/amount.ts";
import { limitLabel } from "../words/sender-words.ts";
import { Moment } from "./moment.tsx";

const WIDTH = 100;

function toneOf(share: number): "good" | "warn" | "bad" {
  if (share >= 1) return "bad";
  return share >= 0.8 ? "warn" : "good";
}

/** One limit. `brief`: without the time when it frees, for tables. */
function UsageBar({ use, brief = false }: { readonly use: LimitUse; readonly brief?: boolean }) {
  const share = Math.min(1, use.used / Math.max(1, use.most));
  return (
    <div class="usage">
      <span class="usage-words">
        <span>{limitLabel(use.limit)}</span>
        <span class="usage-numbers">
          {count(use.used)} of {count(use.most)}
        </span>
      </span>
      <svg class="usage-bar" viewBox={`0 0 ${WIDTH} 1`} preserveAspectRatio="none" aria-hidden="true">
        <rect class="usage-track" x={0} y={0} width={WIDTH} height={1} />
        <rect class={`fill-${toneOf(share)}`} x={0} y={0} width={(share * WIDTH).toFixed(1)} height={1} />
      </svg>
      {!brief && use.freeAt !== null && (
        <span class="usage-free">
          Reached. It lets mail through again <Moment at={use.freeAt} style="relative" />.
        </span>
      )}
    </div>
  );
}

interface Limited {
  readonly limits: readonly LimitUse[];
  /** Of a whole sender: what holds for each of its identities besides, in words; "" or left out: nothing. */
  readonly each?: string;
}

function Each({ words = "" }: { readonly words: string | undefined }) {
  return words === "" ? null : <span class="muted">{words}</span>;
}

/** The limit that is used the most, and how many more there are: for tables. */
export function MostUsedLimit({ limits, each }: Limited) {
  const [most, ...others] = limits.toSorted(
    (a, b) => b.used / Math.max(1, b.most) - a.used / Math.max(1, a.most),
  );
  if (most === undefined) return <Each words={each || "no limits"} />;
  return (
    <div class="usages">
      <UsageBar use={most} brief />
      {others.length > 0 && <span class="usage-more muted">{`and ${count(others.length)} less used`}</span>}
      <Each words={each} />
    </div>
  );
}

/** All limits, or that there are none. */
export function UsageBars({ limits, each }: Limited) {
  if (limits.length === 0) return <Each words={each || "no limits"} />;
  return (
    <div class="usages">
      {limits.map((use) => (
        <UsageBar use={use} />
      ))}
      <Each words={each} />
    </div>
  );
}
