// A lane: everything in memory about one destination. Lanes share nothing but two global limits, so none delays another.

import type { Outcome } from "../delivery/outcome.ts";
import { MAX_BODY_IN_MEMORY } from "../message/body.ts";
import type { UnreachableDestination } from "../store/spool-entry.ts";
import { type Counted, count, endTurn, mayHaveMore, type ShareUses } from "./share-use.ts";
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
  /** Who has what of all this. */
  readonly uses: ShareUses;
  /** Mail of others is not looked for on disk before, behind that of those who have enough ready. */
  lookAt: number;
  /** Where the next such look begins. */
  lookAfter: string;
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
    uses: new Map(),
    lookAt: 0,
    lookAfter: "",
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

/** How many large bodies may be under way: half of the places, so that small mail for the same server does not wait for them. */
function largePlaces(places: number): number {
  return Math.max(1, Math.min(MAX_LARGE, Math.floor(places / 2)));
}

/** How many may be ready besides; two at least, so that one of somebody else may wait beside one's own. */
function readyLargePlaces(places: number): number {
  return Math.max(2, largePlaces(places));
}

function freeForLarge(lane: Lane, places: number): number {
  return Math.max(0, readyLargePlaces(places) - lane.readyLarge - lane.reservedLarge);
}

/**
 * How many large ones may be fetched from disk now; the next when more than half of their room is free, so that they share commits. One
 * who has all he may have leaves no more than half: his mail is not looked through again and again.
 */
function roomForLarge(lane: Lane, places: number): number {
  // What is to show that the destination is back must be able to begin.
  if (lane.failures > 0) return lane.activeLarge < largePlaces(places) ? 1 : 0;
  const free = freeForLarge(lane, places);
  return free * 2 <= readyLargePlaces(places) ? 0 : free;
}

/** Large mail was left on disk while one had all he may have ready: others may have some behind it. */
function wantsLargeOfOthers(lane: Lane, places: number): boolean {
  return lane.passedOver && lane.failures === 0 && freeForLarge(lane, places) > 0;
}

/** Whether a message may have a place in `ready`: else it is fetched from disk in its time. */
export function hasRoomFor(lane: Lane, { size, share }: Counted, capacity: number): boolean {
  const use = lane.uses.get(share);
  const mine = use === undefined ? 0 : use.ready + use.reserved;
  const all = lane.ready.length + lane.reserved;
  if (!mayHaveMore(share, { mine, all, most: capacity * READY_FACTOR })) return false;
  if (!isLarge(size)) return true;
  // What is being fetched may be all he may have.
  if (lane.claiming && share !== "") return false;
  const mineLarge = use === undefined ? 0 : use.readyLarge + use.reservedLarge;
  const most = readyLargePlaces(capacity);
  const large = { mine: mineLarge, all: lane.readyLarge + lane.reservedLarge, most };
  return mayHaveMore(share, large);
}

export interface ClaimLimits {
  readonly maxWorks: number;
  readonly maxLarge: number;
  /** For each one for whom mail counts. */
  readonly maxEach: number;
  /** How many large ones more that one may have. */
  readonly moreLargeOf: (share: string) => number;
  /** Only mail of others than those who have enough ready is looked for, from the one behind `after` on. */
  readonly look: { readonly enough: ReadonlySet<string>; readonly after: string } | null;
}

export interface Room {
  readonly places: number;
  /** Connections that the destination takes. */
  readonly capacity: number;
}

/** "due": the oldest of what is due. "look": what others have behind the mail of those who have enough ready. */
export type ClaimKind = "due" | "look";

const LOOK_WAIT_MS = 1000;

/** How much may be claimed at once. */
export function claimLimits(lane: Lane, { places, capacity }: Room, kind: ClaimKind): ClaimLimits {
  const most = Math.max(1, capacity * READY_FACTOR);
  const moreLargeOf = (share: string) => {
    const use = lane.uses.get(share);
    const mine = use === undefined ? 0 : use.readyLarge + use.reservedLarge;
    return mostOfOne(readyLargePlaces(places)) - mine;
  };
  if (kind === "due") {
    const maxWorks = lane.failures > 0 ? 1 : most;
    return {
      maxWorks,
      maxLarge: roomForLarge(lane, places),
      maxEach: mostOfOne(maxWorks),
      moreLargeOf,
      look: null,
    };
  }
  const forLarge = smallReady(lane) < places;
  const enough = new Set<string>();
  for (const { share, ready, readyLarge } of lane.uses.values())
    if (forLarge ? readyLarge > 0 : ready >= places) enough.add(share);
  return {
    maxWorks: Math.max(0, most - lane.ready.length - lane.reserved),
    maxLarge: freeForLarge(lane, places),
    maxEach: places,
    moreLargeOf,
    look: { enough, after: lane.lookAfter },
  };
}

/** What one may have of so many, as `mayHaveMore` counts it: half of them or more, but not all of several. */
function mostOfOne(most: number): number {
  return Math.max(1, Math.floor((most * 4) / 5));
}

/** Notes that a look was taken, up to that one. The next of large mail need not wait where there was some. */
export function noteLook(
  lane: Lane,
  { lookAfter, works }: { readonly lookAfter: string; readonly works: readonly Work[] },
  now: number,
): void {
  lane.lookAfter = lookAfter;
  lane.lookAt = works.some(isLargeWork) ? now : now + LOOK_WAIT_MS;
}

/** Which mail is to be fetched from disk now; `isFree`: an attempt could begin. */
export function wantsClaim(
  lane: Lane,
  { places, isFree }: { readonly places: number; readonly isFree: boolean },
  now: number,
): ClaimKind | null {
  if (lane.claiming || places === 0 || claimsAt(lane, places, now) > now) return null;
  if (lane.failures > 0) return lane.ready.length === 0 && isFree ? "due" : null;
  const looksForLarge = wantsLargeOfOthers(lane, places) && looksAt(lane, now) <= now;
  return smallReady(lane) < places && !looksForLarge ? "due" : "look";
}

/** From when on mail may be fetched. What is ready may be all of one: others are looked for, at times. */
function claimsAt(lane: Lane, places: number, now: number): number {
  const { nextDueAt } = lane;
  if (lane.failures > 0) return nextDueAt;
  const dueAt = smallReady(lane) < places ? nextDueAt : Math.max(nextDueAt, looksAt(lane, now));
  return wantsLargeOfOthers(lane, places) ? Math.min(dueAt, looksAt(lane, now)) : dueAt;
}

function looksAt({ lookAt }: Lane, now: number): number {
  // A longer wait is a clock that was set.
  return lookAt > now + LOOK_WAIT_MS ? now : lookAt;
}

/** Large mail that was passed over is due again when there is room for it. */
export function lookForLarge(lane: Lane, places: number, now: number): void {
  if (!lane.passedOver || roomForLarge(lane, places) <= 0) return;
  lane.passedOver = false;
  lane.nextDueAt = Math.min(lane.nextDueAt, now);
}

function smallReady(lane: Lane): number {
  return lane.ready.length - lane.readyLarge;
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

/** From when on the lane has something to begin or to fetch. Ready work that waits for attempts under way has their end for it. */
export function wantsTurnAt(lane: Lane, places: number, now: number): number {
  const hasTurn = lane.ready.length > 0 && (lane.active === 0 || lane.closedUntil > now);
  return hasTurn ? now : claimsAt(lane, places, now);
}

/** An attempt begins (1) or its place is free again (-1). */
export function countAttempt(lane: Lane, work: Work, by: 1 | -1): void {
  lane.active += by;
  if (isLargeWork(work)) lane.activeLarge += by;
  count(lane.uses, countedOf(work), { what: "active", by });
  if (by === 1) endTurn(lane.uses, work.share);
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

/** Which of the ready work begins next, by its index; -1: none may. Those who have any take turns; of one's own the oldest comes first. */
export function nextReady(lane: Lane, places: number): number {
  const large = largePlaces(places);
  for (const { share, ready, readyLarge, active, activeLarge } of lane.uses.values()) {
    if (ready === 0) continue;
    // The one attempt that is to show whether the destination is back may be anybody's.
    const mine = lane.failures > 0 ? { places: 0, large: 0 } : { places: active, large: activeLarge };
    if (!mayHaveMore(share, { mine: mine.places, all: lane.active, most: places })) continue;
    const mayLarge = mayHaveMore(share, { mine: mine.large, all: lane.activeLarge, most: large });
    if (!mayLarge && ready === readyLarge) continue;
    const at = lane.ready.findIndex((work) => work.share === share && (mayLarge || !isLargeWork(work)));
    if (at >= 0) return at;
  }
  return -1;
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
