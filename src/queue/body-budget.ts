// The memory that bodies may take while they are delivered, however long the queue is and however slow receivers are: a large body counts
// with the pieces that are under way, not with its size.
import { MAX_BODY_IN_MEMORY } from "../message/body.ts";
import type { Lane } from "./lane.ts";
import { countBytes, mayHaveMore } from "./share-use.ts";
import type { Work } from "./work.ts";

const MAX_BYTES = 64 * 1024 * 1024;
// One destination may not take it all.
const MAX_LANE_BYTES = 16 * 1024 * 1024;
/** Of a large body: its start, a piece that is read, and what the socket has not taken yet. */
const LARGE_COST = 262_144;

export interface BodyBudget {
  /** Takes what a body of `size` octets needs, for a lane and for whom it counts there. */
  take(lane: Lane, size: number, share?: string): boolean;
  give(lane: Lane, size: number, share?: string): void;
  /** Takes what a piece of work needs, unless it has it already. */
  pay(lane: Lane, work: Work): boolean;
  /** Gives back what it took. */
  refund(lane: Lane, work: Work): void;
  held(): number;
}

function costOf(size: number): number {
  return size > MAX_BODY_IN_MEMORY ? LARGE_COST : size;
}

/**
 * A budget in octets. A lane may hold as much as is left for the others, at most `maxLaneBytes`; its first body has its turn beyond that,
 * so that destinations that take everything they are sent and never answer delay no other.
 */
export function createBodyBudget(maxBytes = MAX_BYTES, maxLaneBytes = MAX_LANE_BYTES): BodyBudget {
  let total = 0;
  function take(lane: Lane, size: number, share = ""): boolean {
    const cost = costOf(size);
    const most = Math.min(maxLaneBytes, maxBytes - total - cost);
    const mayHave =
      lane.bytes === 0
        ? total === 0 || total + cost <= 2 * maxBytes
        : mayHaveMore(lane.uses, share, { of: (use) => use.bytes, all: lane.bytes, most, cost });
    if (!mayHave) return false;
    lane.bytes += cost;
    countBytes(lane.uses, share, cost);
    total += cost;
    return true;
  }
  function give(lane: Lane, size: number, share = ""): void {
    lane.bytes -= costOf(size);
    countBytes(lane.uses, share, -costOf(size));
    total -= costOf(size);
  }
  return {
    take,
    give,
    pay(lane, work) {
      if (!work.paid) work.paid = take(lane, work.message.size, work.share);
      return work.paid;
    },
    refund(lane, work) {
      if (work.paid) give(lane, work.message.size, work.share);
      work.paid = false;
    },
    held: () => total,
  };
}
