// Counts failed attempts per key and makes the next one wait: 1 s, 2 s, 4 s … Knows nothing of what is attempted.
import type { Clock } from "../../observe/clock.ts";

export interface AttemptThrottle {
  /**
   * Takes an attempt for all keys, counted as failed until `succeeded` says otherwise, so that attempts side by side
   * cannot slip past the limit. Returns 0 when it may go on, else the milliseconds to wait; a refused attempt is not counted.
   *
   * A key beside a client's (`clientKey`) is something strangers can name, such as an account: it is counted for each client apart,
   * so that a stranger cannot make its owner wait. All clients together bring short waits only, and none where it succeeded before.
   */
  take(keys: readonly string[]): number;
  /** Forgets the failures of these keys, and remembers that they belong together. */
  succeeded(keys: readonly string[]): void;
}

export interface AttemptLimits {
  readonly freeAttempts: number;
  readonly maxWaitMs: number;
}

interface Failures {
  readonly count: number;
  readonly notBefore: number;
  readonly forgetAt: number;
}

/** One thing that is counted, and how strictly. */
interface Counted {
  readonly key: string;
  readonly limits: AttemptLimits;
}

const MAX_KEYS = 20_000;
const FORGET_AFTER_MS = 60 * 60_000;
const FIRST_WAIT_MS = 1000;
/** For what strangers name, all clients together: many may guess at one account, and it must stay reachable. */
const SHARED: AttemptLimits = { freeAttempts: 30, maxWaitMs: 4000 };
/** How long a client counts as known after a success. */
const KNOWN_MS = 90 * 24 * 60 * 60_000;
const MAX_KNOWN = 5000;
const CLIENT = "client ";

export function createAttemptThrottle(clock: Clock, limits: AttemptLimits): AttemptThrottle {
  // In order of last use, so that the oldest key makes room when a flood of made-up keys fills the map.
  const failures = new Map<string, Failures>();
  const known = new Map<string, number>();
  const read = (key: string, now: number): Failures => {
    const entry = failures.get(key);
    if (entry !== undefined && entry.forgetAt > now) return entry;
    return { count: 0, notBefore: 0, forgetAt: 0 };
  };
  const countedFor = (keys: readonly string[], now: number): readonly Counted[] => {
    const client = clientOf(keys);
    if (client === undefined) return keys.map((key) => ({ key, limits }));
    const named = keys.filter((key) => key !== client);
    const apart = named.map((key) => ({ key: pair(key, client), limits }));
    const strange = named.filter((key) => now - (known.get(pair(key, client)) ?? -KNOWN_MS) >= KNOWN_MS);
    return [{ key: client, limits }, ...apart, ...strange.map((key) => ({ key, limits: SHARED }))];
  };
  return {
    take(keys) {
      const now = clock.now();
      const entries = countedFor(keys, now).map((counted) => ({ ...counted, entry: read(counted.key, now) }));
      const wait = Math.max(0, ...entries.map(({ entry }) => entry.notBefore - now));
      if (wait > 0) return wait;
      for (const { key, entry, limits: own } of entries) {
        const count = entry.count + 1;
        const over = count - own.freeAttempts;
        const delay = over < 0 ? 0 : Math.min(FIRST_WAIT_MS * 2 ** Math.min(over, 20), own.maxWaitMs);
        put(failures, key, { count, notBefore: now + delay, forgetAt: now + FORGET_AFTER_MS });
        dropOldest(failures, MAX_KEYS);
      }
      return 0;
    },
    succeeded(keys) {
      const now = clock.now();
      const client = clientOf(keys);
      for (const { key } of countedFor(keys, now)) failures.delete(key);
      if (client === undefined) return;
      for (const key of keys) if (key !== client) put(known, pair(key, client), now);
      dropOldest(known, MAX_KNOWN);
    },
  };
}

function clientOf(keys: readonly string[]): string | undefined {
  return keys.length > 1 ? keys.find((key) => key.startsWith(CLIENT)) : undefined;
}

function pair(key: string, client: string): string {
  return `${key}\n${client}`;
}

/** Puts it last. */
function put<V>(map: Map<string, V>, key: string, value: V): void {
  map.delete(key);
  map.set(key, value);
}

function dropOldest(map: Map<string, unknown>, max: number): void {
  if (map.size <= max) return;
  const oldest = map.keys().next();
  if (!oldest.done) map.delete(oldest.value);
}

/** The key of a client: an IPv4 address, or the /64 of an IPv6 address, of which one person usually has a whole one. */
export function clientKey(ip: string): string {
  const bare = ip.startsWith("::ffff:") ? ip.slice(7) : ip;
  if (!bare.includes(":")) return `${CLIENT}${bare}`;
  const [head = "", tail] = bare.split("::", 2);
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - left.length - right.length);
  const groups = [...left, ...Array.from({ length: zeros }, () => "0"), ...right];
  return `${CLIENT}${groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(":")}::/64`;
}
