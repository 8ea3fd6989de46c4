// Keeps a flood of locks from becoming a flood of alerts: whoever can invent identities can have them locked by the thousand.
// The first of an hour are told one by one, the last of these says so; what comes on top is told together when the hour is over. What waits
// for that is remembered over a crash until it is handed out; the tries to deliver it are not.
import type { Clock } from "../observe/clock.ts";
import type { Log } from "../observe/log.ts";
import type { NoticeState } from "../store/notice-state.ts";
import type { LockNews } from "./outgoing-notices.ts";

/** Locks that were not told one by one. */
export interface GatheredLocks {
  readonly domain: string;
  readonly since: number;
  readonly count: number;
  /** Some of them, oldest first. */
  readonly some: readonly LockNews[];
}

/** `byItself`: to be told now; `furtherAt`: what comes after it is told together then (milliseconds UTC), null: by itself too. */
export type Admission =
  | { readonly byItself: true; readonly furtherAt: number | null }
  | { readonly byItself: false; readonly toldAt: number; readonly count: number };

export interface LockFlood {
  admit(news: LockNews): Admission;
  /** Tells what is gathered and stops. */
  close(): void;
}

export interface LockFloodParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly state: NoticeState;
  /** Tells these. */
  readonly onGathered: (locks: GatheredLocks) => void;
  /** How many wait to be told, and until when; null: none any more. */
  readonly onWaiting: (
    domain: string,
    waiting: { readonly count: number; readonly toldAt: number } | null,
  ) => void;
}

interface Hour {
  readonly domain: string;
  readonly endsAt: number;
  told: number;
  since: number;
  count: number;
  some: LockNews[];
  readonly cancel: () => void;
}

const HOUR_MS = 3_600_000;
export const MAX_LOCK_ALERTS = 20;
const MAX_SOME = 50;
const STATE = "locks";

/** What is kept of an hour. */
type Kept = GatheredLocks & { readonly endsAt: number };

/** Starts it; what waited to be told before a restart is told in its time. */
export async function createLockFlood(parts: LockFloodParts): Promise<LockFlood> {
  const { clock, log, state } = parts;
  const hours = new Map<string, Hour>();
  /** Domains whose hour is to be kept, or forgotten. */
  const unkept = new Set<string>();
  let keeping = false;

  /** One write at a time: what changes meanwhile is in the next. */
  async function keep(): Promise<void> {
    if (keeping) return;
    keeping = true;
    while (unkept.size > 0) {
      const domains = [...unkept];
      unkept.clear();
      const entries = domains.map((key) => ({ key, value: keptOf(hours.get(key)) }));
      await state.keep(STATE, entries).catch((err: unknown) => {
        log.warn({ err, domains }, "locks that wait to be told are not remembered");
      });
    }
    keeping = false;
  }

  function changed(domain: string): void {
    unkept.add(domain);
    void keep();
  }

  function begin(domain: string, endsAt: number): Hour {
    const hour: Hour = {
      domain,
      endsAt,
      told: 0,
      since: 0,
      count: 0,
      some: [],
      cancel: clock.after(Math.max(0, endsAt - clock.now()), () => end(hour)),
    };
    hours.set(domain, hour);
    return hour;
  }

  function end(hour: Hour): void {
    const { domain, since, count, some } = hour;
    hours.delete(domain);
    if (count === 0) return;
    parts.onGathered({ domain, since, count, some });
    parts.onWaiting(domain, null);
    changed(domain);
  }

  function tellWaiting({ domain, count, endsAt }: Hour): void {
    parts.onWaiting(domain, { count, toldAt: endsAt });
  }

  for (const { key, value } of await state.load(STATE)) {
    if (!isKept(value)) continue;
    // A clock that was put back must not hold it up for longer than an hour.
    const hour = begin(key, Math.min(value.endsAt, clock.now() + HOUR_MS));
    hour.told = MAX_LOCK_ALERTS;
    hour.since = value.since;
    hour.count = value.count;
    hour.some = [...value.some];
    tellWaiting(hour);
  }

  return {
    admit(news) {
      const hour = hours.get(news.domain) ?? begin(news.domain, clock.now() + HOUR_MS);
      if (hour.told < MAX_LOCK_ALERTS) {
        hour.told++;
        return { byItself: true, furtherAt: hour.told < MAX_LOCK_ALERTS ? null : hour.endsAt };
      }
      if (hour.count === 0) hour.since = news.at;
      hour.count++;
      if (hour.some.length < MAX_SOME) hour.some.push(news);
      changed(hour.domain);
      tellWaiting(hour);
      return { byItself: false, toldAt: hour.endsAt, count: hour.count };
    },
    close() {
      for (const hour of hours.values()) {
        hour.cancel();
        end(hour);
      }
    },
  };
}

function keptOf(hour: Hour | undefined): Kept | null {
  if (hour === undefined || hour.count === 0) return null;
  const { domain, endsAt, since, count, some } = hour;
  return { domain, endsAt, since, count, some };
}

function isKept(value: unknown): value is Kept {
  if (typeof value !== "object" || value === null) return false;
  const { endsAt, since, count, some } = value as Partial<Kept>;
  return (
    typeof endsAt === "number" &&
    typeof since === "number" &&
    typeof count === "number" &&
    Array.isArray(some)
  );
}
