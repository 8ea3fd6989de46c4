// How long to wait before the next try. Pure.

// Spreads tries that failed together over a tenth of the wait in each direction.
const JITTER = 0.1;
// A server that is back should get its mail soon: one probe now and then costs nobody anything.
const MAX_PROBE_WAIT_MS = { routes: 600_000, smarthost: 600_000, mx: 1_800_000 } as const;

/**
 * The wait in milliseconds after the `tries`-th failed try (1 for the first): the schedule's entry, the last one repeating,
 * a tenth more or less. `random` gives numbers from 0 up to 1.
 */
export function retryWaitMs(retryMs: readonly number[], tries: number, random: () => number): number {
  const index = Math.min(Math.max(tries, 1), retryMs.length) - 1;
  const wait = retryMs[index] ?? 60_000;
  return Math.max(1, Math.round(wait * (1 - JITTER + 2 * JITTER * random())));
}

/**
 * The wait after a failed try of a message that has waited here for `ageMs`. Many tries come before they are due: the server is back, somebody
 * wants it now. They are no steps down the schedule: it is never further along than tries that were due would have brought it by that age.
 */
export function waitAtAgeMs(
  retryMs: readonly number[],
  { tries, ageMs }: { readonly tries: number; readonly ageMs: number },
  random: () => number,
): number {
  return retryWaitMs(retryMs, Math.min(tries, dueTries(retryMs, ageMs)), random);
}

/** So many tries are due up to that age at the most. */
function dueTries(retryMs: readonly number[], ageMs: number): number {
  // A clock that was set back: the age says nothing.
  if (ageMs < 0) return Number.POSITIVE_INFINITY;
  let dueAtMs = 0;
  const later = retryMs.findIndex((wait) => {
    dueAtMs += Math.floor(wait * (1 - JITTER));
    return ageMs < dueAtMs;
  });
  return later < 0 ? retryMs.length : later + 1;
}

/** The wait before a destination that could not be reached `failures` times in a row is tried again; never long. */
export function probeWaitMs(
  retryMs: readonly number[],
  failures: number,
  options: { readonly kind: keyof typeof MAX_PROBE_WAIT_MS; readonly random: () => number },
): number {
  return Math.min(retryWaitMs(retryMs, failures, options.random), MAX_PROBE_WAIT_MS[options.kind]);
}

/**
 * A time that was planned, or `now` when it is further away than the longest wait there is: a clock that ran ahead planned it
 * and was set right since, or the schedule has become shorter. Milliseconds UTC.
 */
export function plausibleTime(at: number, now: number, retryMs: readonly number[]): number {
  const longest = Math.max(MAX_PROBE_WAIT_MS.mx, ...retryMs) * (1 + JITTER);
  return at > now + longest && at !== Number.POSITIVE_INFINITY ? now : at;
}
