// What of a destination's mail on disk is fetched next, and when: enough to keep its places busy, and some of everybody who has mail there.
import { countedOf, isLarge, isLargeWork, type Lane, largePlaces } from "./lane.ts";
import { maySendMore } from "./probe-place.ts";
import { type Counted, count, mayHaveMore, readyUses, type ShareUse } from "./share-use.ts";
import type { Work } from "./work.ts";

// Work that may wait in memory for a place, as a multiple of the lane's places.
const READY_FACTOR = 5;
/** So many senders are remembered with how far one has looked behind them. */
const MOST_LOOKED_BEHIND = 1000;

const ready = (use: ShareUse) => use.ready + use.reserved;
const readyLarge = (use: ShareUse) => use.readyLarge + use.reservedLarge;
const readySmall = (use: ShareUse) => use.ready - use.readyLarge;

/** How many large ones may be ready; four at least, so that one of another sender and one of another behind the same may wait beside one's own. */
function readyLargePlaces(places: number): number {
  return Math.max(4, largePlaces(places));
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
  const all = lane.ready.length + lane.reserved;
  if (!mayHaveMore(lane.uses, share, { of: ready, all, most: capacity * READY_FACTOR })) return false;
  if (!isLarge(size)) return true;
  // What is being fetched may be all he may have.
  if (lane.claiming && share !== "") return false;
  const large = {
    of: readyLarge,
    all: lane.readyLarge + lane.reservedLarge,
    most: readyLargePlaces(capacity),
  };
  return mayHaveMore(lane.uses, share, large);
}

/** Only mail of others than those who have enough is looked for. */
export interface Look {
  readonly hasEnough: (share: string) => boolean;
  /** Senders behind that one. */
  readonly after: string;
  /** Of a sender those behind that one. */
  readonly behind: ReadonlyMap<string, string>;
}

export interface ClaimLimits {
  readonly maxWorks: number;
  readonly maxLarge: number;
  /** For each one for whom mail counts. */
  readonly maxEach: number;
  /** Whether one may have this ready too; it is counted then. */
  readonly takes: (work: Work) => boolean;
  readonly look: Look | null;
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
  const takes = taking(lane, { most, mostLarge: readyLargePlaces(places) });
  if (kind === "due") {
    const maxWorks = lane.failures > 0 ? 1 : most;
    return { maxWorks, maxLarge: roomForLarge(lane, places), maxEach: maxWorks, takes, look: null };
  }
  const look = { after: lane.lookAfter, behind: lane.lookBehind };
  if (lane.failures > 0)
    return {
      maxWorks: Math.max(0, places - lane.active - lane.ready.length),
      maxLarge: roomForLarge(lane, places),
      maxEach: 1,
      takes,
      look: { ...look, hasEnough: (share) => !mayProbe(lane, share, places) },
    };
  const forLarge = smallReady(lane) < places;
  const enough = new Set<string>();
  for (const sender of lane.uses.values())
    for (const use of sender.behind.values())
      if (forLarge ? use.readyLarge > 0 : use.ready >= places) enough.add(use.share);
  return {
    maxWorks: Math.max(0, most - lane.ready.length - lane.reserved),
    maxLarge: freeForLarge(lane, places),
    maxEach: places,
    takes,
    look: { ...look, hasEnough: (share) => enough.has(share) },
  };
}

/** Each leaves something for the next, and of a sender those behind it. Small mail is counted apart, for what large mail waits for may take long. */
function taking(
  lane: Lane,
  { most, mostLarge }: { readonly most: number; readonly mostLarge: number },
): ClaimLimits["takes"] {
  const uses = readyUses(lane.uses);
  let allSmall = smallReady(lane);
  let allLarge = lane.readyLarge + lane.reservedLarge;
  return (work) => {
    const { share } = work;
    const large = isLargeWork(work);
    const wanted = large
      ? { of: readyLarge, all: allLarge, most: mostLarge }
      : { of: readySmall, all: allSmall, most };
    if (share !== "" && !mayHaveMore(uses, share, wanted)) return false;
    if (large) allLarge++;
    else allSmall++;
    count(uses, countedOf(work), { what: "ready", by: 1 });
    return true;
  };
}

/** Of a destination that is not back yet: one has none ready and none under way that is waited for. */
function mayProbe({ uses, probes, talking }: Lane, share: string, places: number): boolean {
  return (
    !probes.waitedFor.has(share) &&
    mayHaveMore(uses, share, { of: (use) => use.active + use.ready, all: talking, most: places })
  );
}

/** Notes that a look was taken, up to those. The next of large mail need not wait where there was some. */
export function noteLook(
  lane: Lane,
  {
    lookAfter,
    lookBehind,
    works,
  }: {
    readonly lookAfter: string;
    readonly lookBehind: readonly (readonly [string, string | null])[];
    readonly works: readonly Work[];
  },
  now: number,
): void {
  lane.lookAfter = lookAfter;
  for (const [sender, last] of lookBehind)
    if (last === null) lane.lookBehind.delete(sender);
    else lane.lookBehind.set(sender, last);
  if (lane.lookBehind.size > MOST_LOOKED_BEHIND) lane.lookBehind.clear();
  lane.lookAt = lane.failures === 0 && works.some(isLargeWork) ? now : now + LOOK_WAIT_MS;
}

/** Which mail is to be fetched from disk now; `isFree`: an attempt could begin. */
export function wantsClaim(
  lane: Lane,
  { places, isFree }: { readonly places: number; readonly isFree: boolean },
  now: number,
): ClaimKind | null {
  if (lane.claiming || places === 0 || claimsAt(lane, places, now) > now) return null;
  if (lane.failures > 0) {
    if (!isFree) return null;
    if (lane.probes.underWay > 0) return "look";
    return lane.ready.length === 0 ? "due" : null;
  }
  const looksForLarge = wantsLargeOfOthers(lane, places) && looksAt(lane, now) <= now;
  return smallReady(lane) < places && !looksForLarge ? "due" : "look";
}

/** From when on mail may be fetched. What is ready may be all of one: others are looked for, at times. */
function claimsAt(lane: Lane, places: number, now: number): number {
  const { nextDueAt, probes } = lane;
  if (lane.failures > 0)
    return probes.underWay > 0 && maySendMore(probes) ? Math.max(nextDueAt, looksAt(lane, now)) : nextDueAt;
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

/** From when on the lane has something to begin or to fetch. Ready work that waits for attempts under way has their end for it. */
export function wantsTurnAt(lane: Lane, places: number, now: number): number {
  const hasTurn = lane.ready.length > 0 && (lane.active === 0 || lane.closedUntil > now);
  return hasTurn ? now : claimsAt(lane, places, now);
}
