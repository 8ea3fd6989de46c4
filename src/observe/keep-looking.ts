// Looks at something again and again, and at once when asked: one look at a time, and a rest between two however often it is asked.
import type { Clock } from "./clock.ts";

export interface KeptLook {
  /** Something may have changed. Returns at once; many calls give one look. */
  look(): void;
  /** Nothing is told after it. */
  stop(): void;
}

/** Starts with a look; then one every `everyMs`, or `restMs` after the last one when it was asked for. */
export function keepLooking<Found>(parts: {
  readonly find: () => Promise<Found>;
  readonly tell: (found: Found) => void;
  readonly onFailure: (error: unknown) => void;
  readonly clock: Clock;
  /** Milliseconds. */
  readonly everyMs: number;
  readonly restMs: number;
}): KeptLook {
  const { find, tell, onFailure, clock, everyMs, restMs } = parts;
  /** A look is under way, or was a moment ago. */
  let resting = false;
  let again = false;
  let stopped = false;
  let cancel = (): void => {};

  async function run(): Promise<void> {
    resting = true;
    again = false;
    cancel();
    try {
      const found = await find();
      if (!stopped) tell(found);
    } catch (error) {
      if (!stopped) onFailure(error);
    }
    if (!stopped) cancel = clock.after(restMs, rested);
  }

  function rested(): void {
    resting = false;
    if (again) void run();
    else cancel = clock.after(everyMs - restMs, look);
  }

  function look(): void {
    if (resting) again = true;
    else if (!stopped) void run();
  }

  look();
  return {
    look,
    stop() {
      stopped = true;
      cancel();
    },
  };
}
