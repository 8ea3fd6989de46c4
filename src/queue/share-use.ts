// What each client network, log-in or sender has of one destination, and how much it may have: nobody can take all of it, and those who
// have mail ready take turns.

import { MAX_BODY_IN_MEMORY } from "../message/body.ts";
import type { SpooledEntry } from "../store/spool-entry.ts";

/** What of a message is counted, and for whom; `share` empty: for nobody in particular, as what the gateway writes itself. */
export interface Counted {
  readonly size: number;
  readonly share: string;
}

export interface ShareUse {
  readonly share: string;
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

/** Who has anything at a destination; whose turn is next stands first. */
export type ShareUses = Map<string, ShareUse>;

type Counts = "active" | "ready" | "reserved";

/** So many times what it leaves free one may have: alone four fifths, two four ninths each, and the next finds a place. */
const PARTS = 4;

/** Whether one who has `mine` of `all` that are taken may have one more of `most`. */
export function mayHaveMore(
  share: string,
  { mine, all, most }: { mine: number; all: number; most: number },
): boolean {
  if (mine === 0 || share === "") return all < most;
  return mine + 1 <= PARTS * (most - all - 1);
}

/** As above, of an amount. */
export function mayHaveBytes(
  use: ShareUse | undefined,
  { cost, all, most }: { cost: number; all: number; most: number },
): boolean {
  if (all + cost > most) return false;
  return (
    use === undefined ||
    use.bytes === 0 ||
    use.share === "" ||
    use.bytes + cost <= PARTS * (most - all - cost)
  );
}

/** The use of one, made when it has nothing yet. */
function useOf(uses: ShareUses, share: string): ShareUse {
  let use = uses.get(share);
  if (use === undefined) {
    const large = { activeLarge: 0, readyLarge: 0, reservedLarge: 0 };
    use = { share, active: 0, ready: 0, reserved: 0, bytes: 0, ...large };
    uses.set(share, use);
  }
  return use;
}

/** Counts one more (1) or one less (-1). */
export function count(
  uses: ShareUses,
  { share, size }: Counted,
  { what, by }: { what: Counts; by: 1 | -1 },
): void {
  const use = useOf(uses, share);
  use[what] += by;
  if (size > MAX_BODY_IN_MEMORY) use[`${what}Large`] += by;
  dropUnused(uses, use);
}

export function countBytes(uses: ShareUses, share: string, by: number): void {
  const use = useOf(uses, share);
  use.bytes += by;
  dropUnused(uses, use);
}

function dropUnused(uses: ShareUses, { share, active, ready, reserved, bytes }: ShareUse): void {
  if (active + ready + reserved + bytes === 0) uses.delete(share);
}

/** It had its turn: the others come first. */
export function endTurn(uses: ShareUses, share: string): void {
  const use = uses.get(share);
  if (use === undefined || uses.size === 1) return;
  uses.delete(share);
  uses.set(share, use);
}

/** Entries of several, each in its order: the first of each, then the second of each. */
export function inTurns(all: readonly (readonly SpooledEntry[])[]): readonly SpooledEntry[] {
  const most = Math.max(0, ...all.map(({ length }) => length));
  return Array.from({ length: most }, (_, at) => all.flatMap((entries) => entries[at] ?? [])).flat();
}
