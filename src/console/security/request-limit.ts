// Counts what somebody asks for within a sliding time, per key. Knows nothing of what is asked.
import type { Clock } from "../../observe/clock.ts";

export interface RequestLimit {
  /** Takes one for the key. False: it has had as many as it may have for now, and none is taken. */
  take(key: string): boolean;
}

/** At most `most` per key within `windowMs`. A flood of made-up keys forgets the key used longest ago, never more memory. */
export function createRequestLimit(
  clock: Clock,
  options: { readonly most: number; readonly windowMs: number; readonly maxKeys: number },
): RequestLimit {
  const taken = new Map<string, readonly number[]>();
  return {
    take(key) {
      const now = clock.now();
      const recent = (taken.get(key) ?? []).filter((at) => at > now - options.windowMs);
      const free = recent.length < options.most;
      taken.delete(key);
      taken.set(key, free ? [...recent, now] : recent);
      if (taken.size > options.maxKeys) {
        const oldest = taken.keys().next();
        if (!oldest.done) taken.delete(oldest.value);
      }
      return free;
    },
  };
}
