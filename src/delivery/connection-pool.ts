// Connections by destination: how many work, which rest, when they end. It opens none and sends nothing.
import type { Clock } from "../observe/clock.ts";
import type { DeadlineWatch } from "./deadline-watch.ts";
import type { Security } from "./open-session.ts";
import type { RestingLinks } from "./resting-links.ts";
import type { SmtpSession } from "./smtp-session.ts";

/** A session with what the pool must know of it. */
export interface Link {
  readonly session: SmtpSession;
  /** Names the way it was opened by: host, port, TLS policy and login. */
  readonly routeKey: string;
  /** `mx1.example.org [192.0.2.7]:25`. */
  readonly server: string;
  readonly security: Security;
  /** By the clock. */
  readonly openedAt: number;
}

export interface ConnectionPool {
  /** How many attempts may run side by side; 0 once it is closed. */
  capacity(): number;
  /** An attempt begins; `leave` when it ends. */
  enter(key: string): void;
  leave(key: string): void;
  /** A resting connection that fits, now busy; null when there is none. Those of routes no longer in use are closed. */
  take(
    key: string,
    wanted: { readonly routeKeys: readonly string[]; fits(link: Link): boolean },
  ): Link | null;
  /** Counts a new connection as busy. */
  adopt(key: string, link: Link): void;
  /** The work is done: the connection rests for the next message, or ends. */
  give(key: string, link: Link): void;
  /** Ends resting connections and waits for attempts, at most `graceMs`; then busy connections are cut. */
  close(graceMs: number): Promise<void>;
}

interface Lane {
  active: number;
  readonly idle: Link[];
}

const MAX_TRANSACTIONS = 1000;
// A connection to a fallback server must not be used for ever once the first one is back.
const MAX_AGE_MS = 300_000;

/** Makes the pool. `maxPerDestination` is asked each time, so that a changed setting holds at once. */
export function createConnectionPool(options: {
  readonly maxPerDestination: () => number;
  readonly idleMs: number;
  readonly clock: Clock;
  readonly deadlines: DeadlineWatch;
  /** Shared by all pools. */
  readonly resting: RestingLinks;
}): ConnectionPool {
  const { maxPerDestination, idleMs, clock, deadlines, resting } = options;
  const lanes = new Map<string, Lane>();
  const busy = new Set<Link>();
  let active = 0;
  let closed = false;
  let onQuiet: () => void = () => {};

  const laneOf = (key: string): Lane => {
    let lane = lanes.get(key);
    if (lane === undefined) {
      lane = { active: 0, idle: [] };
      lanes.set(key, lane);
    }
    return lane;
  };
  const forget = (key: string, link: Link): void => {
    deadlines.remove(link.session);
    busy.delete(link);
    resting.remove(link.session);
    drop(key, link);
  };
  const drop = (key: string, link: Link): void => {
    const idle = lanes.get(key)?.idle ?? [];
    const at = idle.indexOf(link);
    if (at !== -1) idle.splice(at, 1);
    dropIfEmpty(key);
  };
  const leave = (link: Link | undefined): void => {
    if (link === undefined) return;
    resting.remove(link.session);
    link.session.leave();
  };
  const dropIfEmpty = (key: string): void => {
    const lane = lanes.get(key);
    if (lane?.active === 0 && lane.idle.length === 0) lanes.delete(key);
  };
  const isWorn = (link: Link): boolean =>
    link.session.transactions >= MAX_TRANSACTIONS || clock.now() - link.openedAt > MAX_AGE_MS;

  return {
    capacity() {
      return closed ? 0 : maxPerDestination();
    },
    enter(key) {
      laneOf(key).active++;
      active++;
    },
    leave(key) {
      laneOf(key).active--;
      active--;
      dropIfEmpty(key);
      if (active === 0) onQuiet();
    },
    take(key, wanted) {
      const idle = lanes.get(key)?.idle ?? [];
      for (let at = idle.length - 1; at >= 0; at--) {
        const link = idle[at];
        if (link === undefined) continue;
        const outdated = !wanted.routeKeys.includes(link.routeKey) || isWorn(link);
        if (!outdated && !wanted.fits(link)) continue;
        idle.splice(at, 1);
        resting.remove(link.session);
        if (outdated) {
          link.session.leave();
        } else if (link.session.failure === null) {
          busy.add(link);
          return link;
        }
      }
      return null;
    },
    adopt(key, link) {
      busy.add(link);
      link.session.onOver = () => forget(key, link);
      const lane = laneOf(key);
      while (lane.idle.length > 0 && lane.active + lane.idle.length > maxPerDestination()) {
        leave(lane.idle.shift());
      }
    },
    give(key, link) {
      busy.delete(link);
      if (link.session.failure !== null) return;
      if (closed || isWorn(link)) {
        link.session.leave();
        return;
      }
      link.session.rest(idleMs);
      laneOf(key).idle.push(link);
      resting.add(link.session, () => drop(key, link));
    },
    async close(graceMs) {
      closed = true;
      for (const lane of lanes.values()) {
        for (const link of lane.idle.splice(0)) leave(link);
      }
      if (active > 0) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, graceMs);
          onQuiet = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
      for (const link of [...busy]) link.session.close();
    },
  };
}
