// The one attempt that a destination which could not be reached gets to show that it is back.

import type { Clock } from "../observe/clock.ts";
import type { Lane } from "./lane.ts";

/** A server that greeted and then takes longer over one message may be busy with that message alone. */
const PATIENCE_MS = 3000;

export interface Probe {
  /** A server has greeted: if its answer takes long, the next message is tried beside this one. */
  readonly reached: (() => void) | null;
  /** The attempt is over. */
  readonly end: () => void;
}

const NO_PROBE: Probe = { reached: null, end: () => {} };

/** Takes the place if the destination is closed, before the attempt begins; `onFree` is called when it is free again before the attempt's end. */
export function takeProbePlace(
  lane: Lane,
  { clock, onFree }: { readonly clock: Clock; readonly onFree: () => void },
): Probe {
  if (lane.failures === 0) return NO_PROBE;
  lane.probing++;
  let held = true;
  let cancelTimer: (() => void) | null = null;
  const free = (): void => {
    if (!held) return;
    held = false;
    lane.probing--;
    cancelTimer?.();
  };
  return {
    reached() {
      if (!held) return;
      cancelTimer ??= clock.after(PATIENCE_MS, () => {
        free();
        onFree();
      });
    },
    end: free,
  };
}
