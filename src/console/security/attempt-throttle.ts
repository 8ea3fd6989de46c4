// Counts failed attempts per key and makes the next one wait: 1 s, 2 s, 4 s … Knows nothing of what is attempted.
import type { Clock } from "../../observe/clock.ts";

export interface AttemptThrottle {
  /**
   * Takes an attempt for all keys, counted as failed until `succeeded` says otherwise, so that attempts side by side
   * cannot slip past the limit. Returns 0 when it may go on, else the milliseconds to wait; a refused attempt is not counted.
   */
  take(keys: readonly string[]): number;
  /** Forgets the failures of these keys. */
  succeeded(keys: readonly string[]): void;
}

interface Failures {
  count: number;
  notBefore: number;
  forgetAt: number;
}

const MAX_KEYS = 20_000;
const FORGET_AFTER_MS = 60 * 60_000;
const FIRST_WAIT_MS = 1000;

export function createAttemptThrottle(
  clock: Clock,
  limits: { readonly freeAttempts: number; readonly maxWaitMs: number },
): AttemptThrottle {
  // In order of last use, so that the oldest key makes room when a flood of made-up keys fills the map.
  const failures = new Map<string, Failures>();
  const read = (key: string, now: number): Failures => {
    const known = failures.get(key);
    if (known !== undefined && known.forgetAt > now) return known;
    return { count: 0, notBefore: 0, forgetAt: 0 };
  };
  const write = (key: string, entry: Failures): void => {
    failures.delete(key);
    failures.set(key, entry);
    if (failures.size <= MAX_KEYS) return;
    const oldest = failures.keys().next();
    if (!oldest.done) failures.delete(oldest.value);
  };
  return {
    take(keys) {
      const now = clock.now();
      const entries = keys.map((key) => ({ key, entry: read(key, now) }));
      const wait = Math.max(0, ...entries.map(({ entry }) => entry.notBefore - now));
      if (wait > 0) return wait;
      for (const { key, entry } of entries) {
        const count = entry.count + 1;
        const over = count - limits.freeAttempts;
        const delay = over < 0 ? 0 : Math.min(FIRST_WAIT_MS * 2 ** Math.min(over, 20), limits.maxWaitMs);
        write(key, { count, notBefore: now + delay, forgetAt: now + FORGET_AFTER_MS });
      }
      return 0;
    },
    succeeded(keys) {
      for (const key of keys) failures.delete(key);
    },
  };
}

/** The key of a client: an IPv4 address, or the /64 of an IPv6 address, of which one person usually has a whole one. */
export function clientKey(ip: string): string {
  const bare = ip.startsWith("::ffff:") ? ip.slice(7) : ip;
  if (!bare.includes(":")) return `client ${bare}`;
  const [head = "", tail] = bare.split("::", 2);
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - left.length - right.length);
  const groups = [...left, ...Array.from({ length: zeros }, () => "0"), ...right];
  return `client ${groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(":")}::/64`;
}
