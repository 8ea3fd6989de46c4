// A lane: everything in memory about one destination. Lanes share nothing but two global limits, so none delays another.

import type { Outcome } from "../delivery/outcome.ts";
import { MAX_BODY_IN_MEMORY } from "../message/body.ts";
import type { UnreachableDestination } from "../store/spool-entry.ts";
import type { Work } from "./work.ts";

export interface Lane {
  readonly key: string;
  /** Attempts under way, until their results are on disk. */
  active: number;
  /** Those of them that are to show whether the destination is back, and keep others from trying meanwhile. */
  probing: number;
  /** Those of them with a large body. */
  activeLarge: number;
  /** Octets of bodies held for it. */
  bytes: number;
  /** Work marked "active" in the spool that waits for a free place. */
  readonly ready: Work[];
  /** Work promised a place in `ready` once its commit is through. */
  reserved: number;
  /** When mail on disk is due next; Infinity when there is none. */
  nextDueAt: number;
  claiming: boolean;
  /** Failed connections in a row; 0 when the destination was last known to answer. */
  failures: number;
  /** Messages whose connections were lost since the last answer. One may be to blame itself; several count as a failure. */
  readonly strikes: Set<string>;
  /** Nothing is tried before. */
  closedUntil: number;
  /** When `failures` changed last: attempts from before do not count again. */
  judgedAt: number;
  lastFailure: Outcome | null;
  cancelTimer: (() => void) | null;
}

/** What is known at start from the disk. */
export interface DispatcherState {
  readonly waiting: readonly { readonly key: string; readonly nextAttemptAt: number }[];
  readonly unreachable: readonly UnreachableDestination[];
}

/** A lane nobody has used yet. */
export function newLane(key: string): Lane {
  return {
    key,
    active: 0,
    probing: 0,
    activeLarge: 0,
    bytes: 0,
    ready: [],
    reserved: 0,
    nextDueAt: Number.POSITIVE_INFINITY,
    claiming: false,
    failures: 0,
    strikes: new Set(),
    closedUntil: 0,
    judgedAt: 0,
    lastFailure: null,
    cancelTimer: null,
  };
}

/**
 * Which of the ready work begins next, by its index; -1: none may. Large bodies take half of the places at most, so that small mail for
 * the same server does not wait for them.
 */
export function nextReady(lane: Lane, places: number): number {
  const [first] = lane.ready;
  if (first === undefined) return -1;
  if (!isLargeWork(first) || lane.activeLarge < Math.max(1, Math.floor(places / 2))) return 0;
  return lane.ready.findIndex((work) => !isLargeWork(work));
}

export function isLargeWork({ message }: Work): boolean {
  return message.size > MAX_BODY_IN_MEMORY;
}

/** True when nothing is known or under way that would be lost with the lane. */
export function isIdle(lane: Lane): boolean {
  return (
    lane.active === 0 &&
    lane.ready.length === 0 &&
    lane.reserved === 0 &&
    !lane.claiming &&
    lane.failures === 0 &&
    lane.strikes.size === 0 &&
    lane.nextDueAt === Number.POSITIVE_INFINITY
  );
}
