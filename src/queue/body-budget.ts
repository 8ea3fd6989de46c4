// The memory that bodies may take while they are delivered, however long the queue is.
import type { Lane } from "./lane.ts";
import type { Work } from "./work.ts";

const MAX_BYTES = 64 * 1024 * 1024;
// One destination may not take it all.
const MAX_LANE_BYTES = 16 * 1024 * 1024;

export interface BodyBudget {
  /** Takes `size` octets for a lane. A body larger than the limits gets its turn when it is alone. */
  take(lane: Lane, size: number): boolean;
  give(lane: Lane, size: number): void;
  /** Takes what a piece of work needs, unless it has it already. */
  pay(lane: Lane, work: Work): boolean;
  /** Gives back what it took. */
  refund(lane: Lane, work: Work): void;
  held(): number;
}

/** A budget in octets. */
export function createBodyBudget(maxBytes = MAX_BYTES, maxLaneBytes = MAX_LANE_BYTES): BodyBudget {
  let total = 0;
  function take(lane: Lane, size: number): boolean {
    const laneHasRoom = lane.bytes === 0 || lane.bytes + size <= maxLaneBytes;
    const allHaveRoom = total === 0 || total + size <= maxBytes;
    if (!laneHasRoom || !allHaveRoom) return false;
    lane.bytes += size;
    total += size;
    return true;
  }
  function give(lane: Lane, size: number): void {
    lane.bytes -= size;
    total -= size;
  }
  return {
    take,
    give,
    pay(lane, work) {
      if (!work.paid) work.paid = take(lane, work.message.size);
      return work.paid;
    },
    refund(lane, work) {
      if (work.paid) give(lane, work.message.size);
      work.paid = false;
    },
    held: () => total,
  };
}
