// How many mails one act may make: so many within a while for each target, and then a wait. Memory is bounded whoever asks.
import type { Clock } from "../observe/clock.ts";

export interface Allowance {
  /** Null: go on, it is counted. Else the milliseconds until the next one is free. */
  take(key: string): number | null;
}

const MOST_KEYS = 10_000;

/** Makes one that allows `most` within `windowMs` for each key. */
export function createAllowance(
  clock: Pick<Clock, "now">,
  { most, windowMs }: { readonly most: number; readonly windowMs: number },
): Allowance {
  /** Times that still count, oldest first; the key that was asked for longest ago comes first. */
  const taken = new Map<string, readonly number[]>();
  return {
    take(key) {
      const now = clock.now();
      // A clock that was put back must not hold up anything for longer than the window.
      const times = (taken.get(key) ?? []).filter((at) => at <= now && now - at < windowMs);
      const [oldest] = times;
      if (oldest !== undefined && times.length >= most) return oldest + windowMs - now;
      taken.delete(key);
      taken.set(key, [...times, now]);
      const [first] = taken.keys();
      if (taken.size > MOST_KEYS && first !== undefined) taken.delete(first);
      return null;
    },
  };
}
