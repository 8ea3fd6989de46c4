// Keeps a flood of locks from becoming a flood of alerts: whoever can invent identities can have them locked by the thousand.
// The first of an hour are told one by one; what comes on top is counted and told together when the hour is over.
import type { Clock } from "../observe/clock.ts";
import type { LockNews } from "./outgoing-notices.ts";

/** Locks that were not told one by one. */
export interface GatheredLocks {
  readonly domain: string;
  readonly since: number;
  readonly count: number;
  /** Some of them, oldest first. */
  readonly some: readonly LockNews[];
}

export interface LockFlood {
  /** True: tell this one by itself. */
  admit(news: LockNews): boolean;
  /** Tells what is gathered and stops. */
  close(): void;
}

interface Hour {
  readonly domain: string;
  told: number;
  since: number;
  count: number;
  some: LockNews[];
  readonly cancel: () => void;
}

const HOUR_MS = 3_600_000;
const MAX_LOCK_ALERTS = 20;
const MAX_SOME = 50;

export function createLockFlood(clock: Clock, onGathered: (locks: GatheredLocks) => void): LockFlood {
  const hours = new Map<string, Hour>();
  const end = (hour: Hour): void => {
    hours.delete(hour.domain);
    const { domain, since, count, some } = hour;
    if (count > 0) onGathered({ domain, since, count, some });
  };
  return {
    admit(news) {
      const { domain } = news;
      let hour = hours.get(domain);
      if (hour === undefined) {
        const fresh: Hour = {
          domain,
          told: 0,
          since: 0,
          count: 0,
          some: [],
          cancel: clock.after(HOUR_MS, () => end(fresh)),
        };
        hour = fresh;
        hours.set(domain, hour);
      }
      if (hour.told < MAX_LOCK_ALERTS) {
        hour.told++;
        return true;
      }
      if (hour.count === 0) hour.since = news.at;
      hour.count++;
      if (hour.some.length < MAX_SOME) hour.some.push(news);
      return false;
    },
    close() {
      for (const hour of hours.values()) {
        hour.cancel();
        end(hour);
      }
    },
  };
}
