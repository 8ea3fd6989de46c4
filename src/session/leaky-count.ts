// Counts per key whose points leak away evenly. Memory is bounded: keys not touched for the longest time are forgotten.
import { createRecentMap } from "./recent-map.ts";

export interface LeakyCount {
  /** Adds points; the sum as it is then. */
  add(key: string, points: number, nowMs: number): number;
  /** The sum now. */
  of(key: string, nowMs: number): number;
  forget(key: string): void;
}

interface Level {
  readonly points: number;
  readonly at: number;
}

/** Makes empty counts. `capacity` points leak away in `leakMs`. */
export function createLeakyCount(options: {
  readonly capacity: number;
  readonly leakMs: number;
  readonly maxKeys: number;
}): LeakyCount {
  const { capacity, leakMs, maxKeys } = options;
  const levels = createRecentMap<Level>(maxKeys);
  const now = (key: string, nowMs: number): number => {
    const level = levels.get(key);
    if (level === undefined) return 0;
    // A clock that is set back must not make points.
    const passed = Math.max(0, nowMs - level.at);
    return Math.max(0, level.points - (passed / leakMs) * capacity);
  };
  return {
    add(key, points, nowMs) {
      const sum = now(key, nowMs) + points;
      levels.set(key, { points: sum, at: nowMs });
      return sum;
    },
    of: now,
    forget: (key) => {
      levels.delete(key);
    },
  };
}
