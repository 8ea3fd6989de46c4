// Our own servers (routes, smart hosts) that do not answer: looks every few seconds whether they are back, so that their mail need
// not wait for the schedule. A look is a connection and a greeting, no message. Servers found by MX keep to their back-off.

import type { Deliverer } from "../delivery/attempt.ts";
import type { Outcome } from "../delivery/outcome.ts";
import type { Destination, DestinationFor } from "../delivery/route.ts";
import type { Clock } from "../observe/clock.ts";
import type { Log } from "../observe/log.ts";
import type { Spool } from "../store/spool.ts";
import { destinationNow } from "./claim-work.ts";
import type { Reach } from "./reach.ts";

const FIRST_LOOK_MS = 2000;
const LONGEST_LOOK_MS = 30_000;
/** For a server that greets and then fails each time: more is for the schedule. */
const LONGEST_HOPE_MS = 600_000;
/** Signs of life from elsewhere bring a look no sooner after the last one. */
const SHORTEST_PAUSE_MS = 1000;

interface Watched {
  /** Looks in vain since it was last heard of. */
  looks: number;
  /** How often it greeted since it was last silent, and mail failed all the same. */
  falseHopes: number;
  greeted: boolean;
  lookedAt: number;
  looking: boolean;
  /** The server's addresses, as of the last look. */
  readonly addresses: Set<string>;
  /** It took a connection and lost a message: the look is to tell whether the server or the message is to blame. */
  suspect: Outcome | null;
  cancelTimer: (() => void) | null;
}

export interface LifeSigns {
  /** How an attempt went; `closed`: the destination backs off as a whole. */
  ended(
    key: string,
    attempt: {
      readonly kind: Destination["kind"];
      readonly reach: Reach;
      readonly closed: boolean;
      readonly outcome: Outcome | undefined;
    },
  ): void;
  /** The destination could not be reached. */
  failed(key: string, kind: Destination["kind"]): void;
  /** It answers, or nothing waits for it. */
  forget(key: string): void;
  /** Looks at all that are watched now: routes were changed, or something was heard of a server. */
  lookNow(): void;
  /** A client has connected to us: when it is a server that is watched, it is looked at now. */
  heardFrom(ip: string): void;
  stop(): void;
}

export interface LifeSignOptions {
  readonly spool: Spool;
  readonly deliverer: Pick<Deliverer, "answers">;
  readonly clock: Clock;
  readonly log: Log;
  readonly destinationFor: DestinationFor;
  /** Makes what waits for the server due. */
  readonly hurry: (key: string) => Promise<void>;
  /** It greets, or its mail goes another way now: what waits is due. */
  readonly onAlive: (key: string) => void;
  /** A suspect that does not greet: nothing more is to be tried until it does. */
  readonly onDead: (key: string, kind: Destination["kind"], outcome: Outcome) => void;
}

/** Makes the watch; nobody is watched yet. */
export function createLifeSigns(options: LifeSignOptions): LifeSigns {
  const { spool, deliverer, clock, log } = options;
  const all = new Map<string, Watched>();
  let stopped = false;

  function watch(key: string): Watched {
    let watched = all.get(key);
    if (watched === undefined) {
      watched = {
        looks: 0,
        falseHopes: 0,
        greeted: false,
        lookedAt: 0,
        looking: false,
        addresses: new Set(),
        suspect: null,
        cancelTimer: null,
      };
      all.set(key, watched);
    }
    return watched;
  }

  function plan(key: string, watched: Watched, inMs = waitMs(watched)): void {
    if (stopped || watched.looking) return;
    watched.cancelTimer?.();
    watched.cancelTimer = clock.after(inMs, () => {
      watched.cancelTimer = null;
      void look(key, watched);
    });
  }

  async function look(key: string, watched: Watched): Promise<void> {
    watched.looking = true;
    watched.lookedAt = clock.now();
    let found: Found = "silent";
    try {
      found = await lookAt(key, watched);
      if (found === "answers" && watched.suspect === null && hurries(watched)) await options.hurry(key);
    } catch (error) {
      log.warn({ err: error, destination: key }, "could not look whether a mail server is back");
    }
    watched.looking = false;
    if (stopped || all.get(key) !== watched) return;
    switch (found) {
      case "not ours":
        all.delete(key);
        return;
      case "answers":
        answers(key, watched);
        return;
      case "silent":
      case "nothing waits":
        watched.looks++;
        watched.falseHopes = 0;
        if (watched.suspect !== null && found === "silent") options.onDead(key, "routes", watched.suspect);
        watched.suspect = null;
        plan(key, watched);
    }
  }

  function answers(key: string, watched: Watched): void {
    if (watched.suspect !== null) {
      // The server is well: what was lost was that message's own matter.
      all.delete(key);
      return;
    }
    watched.greeted = true;
    watched.looks = 0;
    log.info({ destination: key }, "a mail server answers again; what waits for it leaves now");
    options.onAlive(key);
  }

  async function lookAt(key: string, { addresses }: Watched): Promise<Found> {
    const [entry] = await spool.waiting(key, 1);
    if (entry === undefined) return "nothing waits";
    const destination = destinationNow(entry, options);
    // Routes were changed: taking the mail from disk moves it.
    if (destination.key !== key) return "answers";
    if (destination.kind === "mx") return "not ours";
    addresses.clear();
    return (await deliverer.answers(destination, (address) => addresses.add(address))) ? "answers" : "silent";
  }

  function failed(key: string, kind: Destination["kind"]): void {
    if (kind === "mx") return;
    const watched = watch(key);
    watched.suspect = null;
    if (watched.greeted) watched.falseHopes++;
    watched.greeted = false;
    if (watched.cancelTimer === null) plan(key, watched);
  }

  function forget(key: string): void {
    const watched = all.get(key);
    if (watched === undefined) return;
    watched.cancelTimer?.();
    all.delete(key);
  }

  return {
    ended(key, { kind, reach, closed, outcome }) {
      const watched = all.get(key);
      if (reach === "answered") {
        forget(key);
      } else if (closed || watched?.greeted === true) {
        // It greets, and is not well yet.
        failed(key, kind);
      } else if (reach === "unwell") {
        // It did more than greet: no look is needed to find out whether it is there.
        if (watched !== undefined && watched.suspect !== null) forget(key);
      } else if (kind !== "mx" && outcome !== undefined && watched === undefined) {
        const suspected = watch(key);
        suspected.suspect = outcome;
        plan(key, suspected);
      }
    },
    failed,
    forget,
    lookNow() {
      for (const [key, watched] of all) {
        plan(key, watched, Math.max(0, watched.lookedAt + SHORTEST_PAUSE_MS - clock.now()));
      }
    },
    heardFrom(ip) {
      if (all.size === 0) return;
      for (const [key, watched] of all) {
        if (!watched.addresses.has(ip)) continue;
        // It may send all day while nothing can be sent to it.
        const pauseMs = Math.max(SHORTEST_PAUSE_MS, waitMs(watched) / 10);
        plan(key, watched, Math.max(0, watched.lookedAt + pauseMs - clock.now()));
      }
    },
    stop() {
      stopped = true;
      for (const watched of all.values()) watched.cancelTimer?.();
    },
  };
}

type Found = "answers" | "silent" | "nothing waits" | "not ours";

/** What failed after several greetings is not always first again, or it would keep the rest from showing that the server is well. */
function hurries({ falseHopes }: Watched): boolean {
  return falseHopes < 3 || falseHopes % 2 === 0;
}

/** 2, 4, 8, 16, then 30 seconds; longer and longer for a server that only greets. */
function waitMs({ looks, falseHopes }: Watched): number {
  if (falseHopes > 0) return Math.min(FIRST_LOOK_MS * 2 ** Math.min(falseHopes, 10), LONGEST_HOPE_MS);
  return Math.min(FIRST_LOOK_MS * 2 ** Math.min(looks, 10), LONGEST_LOOK_MS);
}
