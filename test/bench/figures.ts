// Medians and ranges over the rounds, and the ratios of two contestants that met in the same rounds.
import type { ContestantName } from "./contestant.ts";
import type { MailResult } from "./result.ts";

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** Of at least one number. */
export function spread(numbers: readonly number[]): Spread {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  const [low = Number.NaN, high = Number.NaN] = [sorted[Math.floor(middle)], sorted[Math.ceil(middle)]];
  return { median: (low + high) / 2, min: sorted[0] ?? Number.NaN, max: sorted.at(-1) ?? Number.NaN };
}

/** `312 (298–320)`; one number when all are the same. */
export function spreadText({ median, min, max }: Spread, digits: number): string {
  const [middle, low, high] = [median.toFixed(digits), min.toFixed(digits), max.toFixed(digits)];
  return low === high ? middle : `${middle} (${low}–${high})`;
}

export interface Ratios {
  readonly rate: Spread;
  readonly cpu: Spread;
}

/** Ours over theirs, round by round, so that a drifting machine favours nobody; null when they never met. */
export function ratiosOf(
  results: readonly MailResult[],
  [ours, theirs]: readonly [ContestantName, ContestantName],
): Ratios | null {
  const pairs = results
    .filter(({ contestant }) => contestant === ours)
    .flatMap((our) => {
      const their = results.find(({ contestant, round }) => contestant === theirs && round === our.round);
      return their === undefined ? [] : [{ our, their }];
    });
  if (pairs.length === 0) return null;
  return {
    rate: spread(pairs.map(({ our, their }) => our.perSecond / their.perSecond)),
    cpu: spread(pairs.map(({ our, their }) => our.cpuMsPerMessage / their.cpuMsPerMessage)),
  };
}
