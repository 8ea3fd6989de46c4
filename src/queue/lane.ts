// A lane: everything in memory about one destination. Lanes share nothing but two global limits, so none delays another.
import type { Outcome } from "../delivery/outcome.ts";
import { MAX_BODY_IN_MEMORY } from "../message/body.ts";
import type { UnreachableDestination } from "../store/spool-entry.ts";
import { noProbes, type Probes } from "./probe-place.ts";
import { type Counted, count, endTurn, mayHaveMore, type ShareUse, type ShareUses } from "./share-use.ts";
import type { Work } from "./work.ts";

export interface Lane {
  readonly key: string;
  /** Attempts under way, until their results are on disk. */
  active: number;
  /** Those of them with a large body. */
  activeLarge: number;
  /** Those of them that talk with the server still. What is only being written is over at once: it counts for nobody's share. */
  talking: number;
  talkingLarge: number;
  /** Those of them that are to show whether the destination is back. */
  probes: Probes;
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
  /** Who has what of all this. */
  readonly uses: ShareUses;
  /** Mail of others is not looked for on disk before, behind that of those who have enough ready. */
  lookAt: number;
  /** Where the next such look begins: behind that sender, and of a sender behind that one. */
  lookAfter: string;
  readonly lookBehind: Map<string, string>;
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
    activeLarge: 0,
    talking: 0,
    talkingLarge: 0,
    probes: noProbes(),
    bytes: 0,
    ready: [],
    readyLarge: 0,
    reserved: 0,
    reservedLarge: 0,
    uses: new Map(),
    lookAt: 0,
    lookAfter: "",
    lookBehind: new Map(),
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

/** So many large bodies of one destination leave less than its share of memory full, with as many that are ready. */
const MAX_LARGE = 24;

/** How many large bodies may be under way: half of the places, so that small mail for the same server does not wait for them. */
export function largePlaces(places: number): number {
  return Math.max(1, Math.min(MAX_LARGE, Math.floor(places / 2)));
}

/** Promises a place in `ready`; `unpromise` takes the promise back, or precedes its keeping. */
export function promise(lane: Lane, counted: Counted): void {
  countPromise(lane, counted, 1);
}

export function unpromise(lane: Lane, counted: Counted): void {
  countPromise(lane, counted, -1);
}

function countPromise(lane: Lane, counted: Counted, by: 1 | -1): void {
  lane.reserved += by;
  if (isLarge(counted.size)) lane.reservedLarge += by;
  count(lane.uses, counted, { what: "reserved", by });
}

/** An attempt begins. */
export function beginAttempt(lane: Lane, work: Work): void {
  countPlace(lane, work, 1);
  countTalk(lane, work, 1);
  endTurn(lane.uses, work.share);
}

/** The server has answered, or is gone; the result is to be written. */
export function endTalk(lane: Lane, work: Work): void {
  countTalk(lane, work, -1);
}

/** The result is on disk. */
export function freePlace(lane: Lane, work: Work): void {
  countPlace(lane, work, -1);
}

function countPlace(lane: Lane, work: Work, by: 1 | -1): void {
  lane.active += by;
  if (isLargeWork(work)) lane.activeLarge += by;
}

function countTalk(lane: Lane, work: Work, by: 1 | -1): void {
  lane.talking += by;
  if (isLargeWork(work)) lane.talkingLarge += by;
  count(lane.uses, countedOf(work), { what: "active", by });
}

export function countedOf({ message, share }: Work): Counted {
  return { size: message.size, share };
}

/** Puts work behind what is ready. */
export function pushReady(lane: Lane, work: Work): void {
  lane.ready.push(work);
  if (isLargeWork(work)) lane.readyLarge++;
  count(lane.uses, countedOf(work), { what: "ready", by: 1 });
}

/** Takes the ready work at that index out. */
export function takeReady(lane: Lane, at: number): void {
  for (const work of lane.ready.splice(at, 1)) {
    if (isLargeWork(work)) lane.readyLarge--;
    count(lane.uses, countedOf(work), { what: "ready", by: -1 });
  }
}

/** Takes all of it out. */
export function takeAllReady(lane: Lane): readonly Work[] {
  const works = lane.ready.splice(0);
  lane.readyLarge = 0;
  for (const work of works) count(lane.uses, countedOf(work), { what: "ready", by: -1 });
  return works;
}

/**
 * Which of the ready work begins next, by its index; -1: none may. The senders that have any take turns, and so do those behind one; of one's
 * own the oldest comes first.
 */
export function nextReady(lane: Lane, places: number): number {
  const large = largePlaces(places);
  const { waitedFor, underWay } = lane.probes;
  // The first attempt that is to show whether the destination is back may be anybody's: older ones may hang for long.
  const isAnybodys = lane.failures > 0 && underWay === 0;
  const active = (use: ShareUse) => (isAnybodys ? 0 : use.active);
  const activeLarge = (use: ShareUse) => (isAnybodys ? 0 : use.activeLarge);
  for (const sender of lane.uses.values()) {
    if (sender.ready === 0) continue;
    for (const { share, ready, readyLarge } of sender.behind.values()) {
      if (ready === 0 || (lane.failures > 0 && waitedFor.has(share))) continue;
      if (!mayHaveMore(lane.uses, share, { of: active, all: lane.talking, most: places })) continue;
      const mayLarge = mayHaveMore(lane.uses, share, {
        of: activeLarge,
        all: lane.talkingLarge,
        most: large,
      });
      if (!mayLarge && ready === readyLarge) continue;
      const at = lane.ready.findIndex((work) => work.share === share && (mayLarge || !isLargeWork(work)));
      if (at >= 0) return at;
    }
  }
  return -1;
}

export function isLargeWork({ message }: Work): boolean {
  return isLarge(message.size);
}

export function isLarge(size: number): boolean {
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
