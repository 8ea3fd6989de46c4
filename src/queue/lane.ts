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
  /** How many of it are large. */
  readyLarge: number;
  /** Work promised a place in `ready` once its commit is through. */
  reserved: number;
  /** How many of it are large. */
  reservedLarge: number;
  /** When mail on disk is due next; Infinity when there is none. */
  nextDueAt: number;
  /** Large mail may be due on disk that was left there for want of room: `nextDueAt` does not speak of it. */
  passedOver: boolean;
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
    readyLarge: 0,
    reserved: 0,
    reservedLarge: 0,
    nextDueAt: Number.POSITIVE_INFINITY,
    passedOver: false,
    claiming: false,
    failures: 0,
    strikes: new Set(),
    closedUntil: 0,
    judgedAt: 0,
    lastFailure: null,
    cancelTimer: null,
  };
}

// Work that may wait in memory for a place, as a multiple of the lane's places.
const READY_FACTOR = 5;
/** So many large bodies of one destination leave less than its share of memory full, with as many that are ready. */
const MAX_LARGE = 24;

/**
 * How many large bodies may be under way, and how many ready besides: half of the places, so that small mail for the same server does
 * not wait for them, neither for a place nor for its turn on disk.
 */
function largePlaces(places: number): number {
  return Math.max(1, Math.min(MAX_LARGE, Math.floor(places / 2)));
}

/** How many large ones may be fetched from disk now; the next when half of their room is free, so that they share commits. */
function roomForLarge(lane: Lane, places: number): number {
  const most = largePlaces(places);
  // What is to show that the destination is back must be able to begin.
  if (lane.failures > 0) return lane.activeLarge < most ? 1 : 0;
  const free = most - lane.readyLarge - lane.reservedLarge;
  return free * 2 < most ? 0 : free;
}

/** Whether a message of that size may have a place in `ready`: else it is fetched from disk in its time. */
export function hasRoomFor(lane: Lane, size: number, capacity: number): boolean {
  if (lane.ready.length + lane.reserved >= capacity * READY_FACTOR) return false;
  return !isLarge(size) || lane.readyLarge + lane.reservedLarge < largePlaces(capacity);
}

/** How much may be claimed at once. */
export function claimLimits(
  lane: Lane,
  { places, capacity }: { readonly places: number; readonly capacity: number },
): { readonly maxWorks: number; readonly maxLarge: number } {
  const maxWorks = lane.failures > 0 ? 1 : Math.max(1, capacity * READY_FACTOR);
  return { maxWorks, maxLarge: roomForLarge(lane, places) };
}

/** Large mail that was passed over is due again when there is room for it. */
export function lookForLarge(lane: Lane, places: number, now: number): void {
  if (!lane.passedOver || roomForLarge(lane, places) <= 0) return;
  lane.passedOver = false;
  lane.nextDueAt = Math.min(lane.nextDueAt, now);
}

export function smallReady(lane: Lane): number {
  return lane.ready.length - lane.readyLarge;
}

/** Promises a place in `ready`; `unpromise` takes the promise back, or precedes its keeping. */
export function promise(lane: Lane, size: number): void {
  lane.reserved++;
  if (isLarge(size)) lane.reservedLarge++;
}

export function unpromise(lane: Lane, size: number): void {
  lane.reserved--;
  if (isLarge(size)) lane.reservedLarge--;
}

/** From when on the lane has something to begin or to fetch. Ready work that only waits for large bodies under way has their end for it. */
export function wantsTurnAt(lane: Lane, now: number): number {
  return smallReady(lane) > 0 || (lane.readyLarge > 0 && lane.activeLarge === 0) ? now : lane.nextDueAt;
}

/** An attempt begins (1) or its place is free again (-1). */
export function countAttempt(lane: Lane, work: Work, by: 1 | -1): void {
  lane.active += by;
  if (isLargeWork(work)) lane.activeLarge += by;
}

/** Puts work behind what is ready. */
export function pushReady(lane: Lane, work: Work): void {
  lane.ready.push(work);
  if (isLargeWork(work)) lane.readyLarge++;
}

/** Takes the ready work at that index out. */
export function takeReady(lane: Lane, at: number): void {
  for (const work of lane.ready.splice(at, 1)) if (isLargeWork(work)) lane.readyLarge--;
}

/** Takes all of it out. */
export function takeAllReady(lane: Lane): readonly Work[] {
  lane.readyLarge = 0;
  return lane.ready.splice(0);
}

/** Which of the ready work begins next, by its index; -1: none may. */
export function nextReady(lane: Lane, places: number): number {
  const [first] = lane.ready;
  if (first === undefined) return -1;
  if (!isLargeWork(first) || lane.activeLarge < largePlaces(places)) return 0;
  return lane.ready.findIndex((work) => !isLargeWork(work));
}

export function isLargeWork({ message }: Work): boolean {
  return isLarge(message.size);
}

function isLarge(size: number): boolean {
  return size > MAX_BODY_IN_MEMORY;
}

/** True when nothing is known or under way that would be lost with the lane. */
export function isIdle(lane: Lane): boolean {
  return (
    lane.active === 0 &&
    lane.ready.length === 0 &&
    lane.reserved === 0 &&
    !lane.claiming &&
    !lane.passedOver &&
    lane.failures === 0 &&
    lane.strikes.size === 0 &&
    lane.nextDueAt === Number.POSITIVE_INFINITY
  );
}
