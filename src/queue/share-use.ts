// What each sender (a client network, a log-in, a sender of ours) has of one destination, and each of those behind it: nobody can take all
// of it, no one behind a sender all of the sender's, and those who have mail ready take turns, first the senders, then those behind one.
import { MAX_BODY_IN_MEMORY } from "../message/body.ts";
import { senderOfShare } from "../message/mail-share.ts";
import type { SpooledEntry } from "../store/spool-entry.ts";

/** What of a message is counted, and for whom (`mailShare`); `share` empty: for nobody in particular, as what the gateway writes itself. */
export interface Counted {
  readonly size: number;
  readonly share: string;
}

export interface ShareUse {
  readonly share: string;
  /** Attempts that talk with the server. */
  active: number;
  activeLarge: number;
  /** Ready for a place. */
  ready: number;
  readyLarge: number;
  /** Promised to be ready. */
  reserved: number;
  reservedLarge: number;
  /** Octets of bodies that count against the budget. */
  bytes: number;
}

/** A sender; its numbers are those of all behind it together. */
export interface SenderUse extends ShareUse {
  /** By the whole share; whose turn is next stands first. */
  readonly behind: Map<string, ShareUse>;
}

/** Who has anything at a destination, by the sender; whose turn is next stands first. */
export type ShareUses = Map<string, SenderUse>;

type Counts = "active" | "ready" | "reserved";

/** So many times what it leaves free one may have: alone four fifths, two four ninths each, and the next finds a place. */
const PARTS = 4;

interface Wanted {
  readonly of: (use: ShareUse) => number;
  /** Taken by all together. */
  readonly all: number;
  readonly most: number;
  /** How much more; one when left out. */
  readonly cost?: number;
}

function leavesEnough({ mine, all, most, cost }: { mine: number; all: number; most: number; cost: number }) {
  return mine === 0 ? all + cost <= most : mine + cost <= PARTS * (most - all - cost);
}

/** What one alone may have of so many. */
function mostOfOne(most: number): number {
  return Math.max(1, Math.floor((most * PARTS) / (PARTS + 1)));
}

/**
 * Whether one may have more: as a sender of what there is, and behind the sender of what that may have beside the others. A sender's own
 * mail and that of all behind it count as of two senders: however much a log-in sends as itself, those behind it find a place.
 */
export function mayHaveMore(uses: ShareUses, share: string, { of, all, most, cost = 1 }: Wanted): boolean {
  if (share === "") return all + cost <= most;
  const sender = uses.get(senderOfShare(share));
  const own = sender?.behind.get(sender.share);
  const sent = sender === undefined ? 0 : of(sender);
  const itself = own === undefined ? 0 : of(own);
  if (sender?.share === share) return leavesEnough({ mine: itself, all, most, cost });
  const behind = sent - itself;
  if (!leavesEnough({ mine: behind, all, most, cost })) return false;
  if (behind === 0) return true;
  const one = sender?.behind.get(share);
  const mine = one === undefined ? 0 : of(one);
  return leavesEnough({ mine, all: behind, most: mostOfOne(most - all + behind), cost });
}

function nothing(share: string): ShareUse {
  const large = { activeLarge: 0, readyLarge: 0, reservedLarge: 0 };
  return { share, active: 0, ready: 0, reserved: 0, bytes: 0, ...large };
}

/** The use of one and of its sender, made when they have nothing yet. */
function usesOf(uses: ShareUses, share: string): { readonly sender: SenderUse; readonly one: ShareUse } {
  const name = senderOfShare(share);
  let sender = uses.get(name);
  if (sender === undefined) {
    sender = { ...nothing(name), behind: new Map() };
    uses.set(name, sender);
  }
  let one = sender.behind.get(share);
  if (one === undefined) {
    one = nothing(share);
    sender.behind.set(share, one);
  }
  return { sender, one };
}

/** Counts one more (1) or one less (-1). */
export function count(
  uses: ShareUses,
  { share, size }: Counted,
  { what, by }: { what: Counts; by: 1 | -1 },
): void {
  const both = usesOf(uses, share);
  const { sender, one } = both;
  sender[what] += by;
  one[what] += by;
  if (size > MAX_BODY_IN_MEMORY) {
    sender[`${what}Large`] += by;
    one[`${what}Large`] += by;
  }
  if (by < 0) dropUnused(uses, both);
}

export function countBytes(uses: ShareUses, share: string, by: number): void {
  const both = usesOf(uses, share);
  both.sender.bytes += by;
  both.one.bytes += by;
  if (by <= 0) dropUnused(uses, both);
}

function dropUnused(uses: ShareUses, { sender, one }: ReturnType<typeof usesOf>): void {
  if (!isUnused(one)) return;
  sender.behind.delete(one.share);
  if (isUnused(sender)) uses.delete(sender.share);
}

function isUnused({ active, ready, reserved, bytes }: ShareUse): boolean {
  return active + ready + reserved + bytes === 0;
}

/** Those of whom there is anything, whoever they stand behind. */
export function howMany(uses: ShareUses): number {
  let many = 0;
  for (const { behind } of uses.values()) many += behind.size;
  return many;
}

/** It had its turn: the other senders come first, and of its own sender the others. */
export function endTurn(uses: ShareUses, share: string): void {
  const sender = uses.get(senderOfShare(share));
  if (sender === undefined) return;
  toEnd(uses, sender.share, sender);
  const one = sender.behind.get(share);
  if (one !== undefined) toEnd(sender.behind, share, one);
}

function toEnd<T>(all: Map<string, T>, key: string, value: T): void {
  if (all.size === 1) return;
  all.delete(key);
  all.set(key, value);
}

/** What is ready, or promised to be, counted apart. */
export function readyUses(uses: ShareUses): ShareUses {
  const all: ShareUses = new Map();
  for (const sender of uses.values())
    for (const { share, ready, readyLarge, reserved, reservedLarge } of sender.behind.values()) {
      if (ready + reserved === 0) continue;
      const both = usesOf(all, share);
      for (const use of [both.sender, both.one]) {
        use.ready += ready;
        use.readyLarge += readyLarge;
        use.reserved += reserved;
        use.reservedLarge += reservedLarge;
      }
    }
  return all;
}

/** Entries of several, each in its order: the first of each, then the second of each. */
export function inTurns(all: readonly (readonly SpooledEntry[])[]): readonly SpooledEntry[] {
  const most = Math.max(0, ...all.map(({ length }) => length));
  return Array.from({ length: most }, (_, at) => all.flatMap((entries) => entries[at] ?? [])).flat();
}
