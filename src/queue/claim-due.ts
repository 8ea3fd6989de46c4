// One round of a lane's claiming: takes what is due from disk and notes in the lane what is left there. Never rejects.
import type { Clock } from "../observe/clock.ts";
import { type ClaimKind, claimLimits, noteLook, type Room } from "./claim-limits.ts";
import { type Claim, claimWork } from "./claim-work.ts";
import type { Lane } from "./lane.ts";

const TROUBLE_WAIT_MS = 2000;

/** Claims for a lane that has so many places now, of a destination that takes `capacity` connections. */
export async function claimDue(
  lane: Lane,
  { kind, ...room }: Room & { readonly kind: ClaimKind },
  parts: Parameters<typeof claimWork>[0] & { readonly clock: Clock },
): Promise<Pick<Claim, "works" | "moved">> {
  const before = lane.nextDueAt;
  // Mail that is noted while we read may not be in what we read.
  if (kind === "due") lane.nextDueAt = Number.POSITIVE_INFINITY;
  const now = parts.clock.now();
  try {
    const claim = await claimWork(parts, { key: lane.key, now, ...claimLimits(lane, room, kind) });
    if (kind === "due") lane.nextDueAt = Math.min(lane.nextDueAt, claim.nextDueAt);
    else noteLook(lane, claim, parts.clock.now());
    if (claim.passedOver) lane.passedOver = true;
    return claim;
  } catch (error) {
    const about = { err: error, destination: lane.key };
    parts.log.warn(about, "due mail could not be taken from the queue; tried again soon");
    lane.nextDueAt = Math.min(lane.nextDueAt, before);
    lane.closedUntil = Math.max(lane.closedUntil, now + TROUBLE_WAIT_MS);
    return { works: [], moved: [] };
  }
}
