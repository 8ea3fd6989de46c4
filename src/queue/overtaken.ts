// Mail that waits because a server of ours was not well, while other mail goes through there again: it must not wait out its schedule.
// A server may also be unwell over one message alone, each time: such a message is hurried more and more rarely.

import type { Outcome } from "../delivery/outcome.ts";
import type { Destination } from "../delivery/route.ts";
import type { Clock } from "../observe/clock.ts";
import type { Log } from "../observe/log.ts";
import type { Spool } from "../store/spool.ts";
import { createHurryWaiting } from "./hurry-waiting.ts";
import type { Reach } from "./reach.ts";

/** Results that come in at the same time are on disk by then. */
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 1_800_000;
const FORGOTTEN_AFTER_MS = 3_600_000;

interface Behind {
  /** Something was put off since it was looked at last. */
  marked: boolean;
  hurriedAt: number;
  pauseMs: number;
  cancelTimer: (() => void) | null;
}

export interface Overtaken {
  /** What waits for the server of this destination is due, the oldest of it when this resolves. Rejects with StoreError. */
  readonly hurry: (key: string) => Promise<void>;
  /** Mail for the destination may wait because its server was not well. */
  putOff(key: string): void;
  /** How an attempt went. */
  ended(
    key: string,
    attempt: {
      readonly kind: Destination["kind"];
      readonly reach: Reach;
      readonly outcome: Outcome | undefined;
    },
  ): void;
  /** Nothing waits. */
  forget(key: string): void;
  stop(): void;
}

/** `onDue`: what waits for the destination is due. */
export function createOvertaken({
  spool,
  clock,
  log,
  onDue,
}: {
  readonly spool: Spool;
  readonly clock: Clock;
  readonly log: Log;
  readonly onDue: (key: string) => void;
}): Overtaken {
  const all = new Map<string, Behind>();
  const waiting = createHurryWaiting({ spool, log, onDue });

  async function hurry(key: string, behind: Behind): Promise<void> {
    const now = clock.now();
    behind.cancelTimer = null;
    behind.marked = false;
    const isLongAgo = now - behind.hurriedAt > FORGOTTEN_AFTER_MS;
    behind.pauseMs = isLongAgo ? 2 * FIRST_PAUSE_MS : Math.min(2 * behind.pauseMs, LONGEST_PAUSE_MS);
    behind.hurriedAt = now;
    try {
      await waiting.hurry(key);
      onDue(key);
    } catch (err) {
      behind.marked = true;
      log.warn({ err, destination: key }, "mail that was overtaken keeps its time for now");
    }
  }

  function putOff(key: string): void {
    const behind = all.get(key);
    if (behind === undefined) {
      const hurriedAt = Number.NEGATIVE_INFINITY;
      all.set(key, { marked: true, hurriedAt, pauseMs: FIRST_PAUSE_MS, cancelTimer: null });
    } else {
      behind.marked = true;
    }
  }

  function passed(key: string): void {
    const behind = all.get(key);
    if (behind?.marked !== true || behind.cancelTimer !== null) return;
    const inMs = Math.max(FIRST_PAUSE_MS, behind.hurriedAt + behind.pauseMs - clock.now());
    behind.cancelTimer = clock.after(inMs, () => void hurry(key, behind));
  }

  return {
    hurry: waiting.hurry,
    putOff,
    ended(key, { kind, reach, outcome }) {
      if (kind === "mx") return;
      if (reach !== "answered") putOff(key);
      else if (outcome?.result === "delivered") passed(key);
    },
    forget(key) {
      all.get(key)?.cancelTimer?.();
      all.delete(key);
    },
    stop() {
      waiting.stop();
      for (const behind of all.values()) behind.cancelTimer?.();
      all.clear();
    },
  };
}
