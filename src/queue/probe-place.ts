// The attempts that are to show whether a destination which could not be reached is back: one alone until a server greets, then one of
// each who has mail for it, so that nobody waits for the answer to another's message.
import type { Clock } from "../observe/clock.ts";
import type { Lane } from "./lane.ts";

/** A server that greeted and then takes longer over one message may be busy with that message alone. */
const PATIENCE_MS = 3000;

export interface Probes {
  underWay: number;
  /** Those of them that a server has greeted. */
  greeted: number;
  /** For whom nothing more is tried just now (`Work.share`), and which attempt keeps it so. */
  readonly waitedFor: Map<string, Probe>;
}

export interface Probe {
  /** A server has greeted: the others have their turn, and if its answer takes long, the next of the same one too. */
  readonly reached: (() => void) | null;
  /** The attempt is over. */
  readonly end: () => void;
}

const NO_PROBE: Probe = { reached: null, end: () => {} };

/** None is under way. */
export function noProbes(): Probes {
  return { underWay: 0, greeted: 0, waitedFor: new Map() };
}

/** Another attempt may begin, as far as these are concerned. */
export function maySendMore({ underWay, greeted }: Probes): boolean {
  return underWay === 0 || greeted > 0;
}

/** Counts an attempt that begins for that one as a probe if the destination is closed; `onFree`: others may begin now. */
export function takeProbePlace(
  lane: Lane,
  { share, clock, onFree }: { readonly share: string; readonly clock: Clock; readonly onFree: () => void },
): Probe {
  if (lane.failures === 0) return NO_PROBE;
  const { probes } = lane;
  let isOver = false;
  let cancelTimer: (() => void) | null = null;
  const letNext = (): void => {
    if (probes.waitedFor.get(share) === probe) probes.waitedFor.delete(share);
  };
  const free = (): void => {
    lane.lookAt = 0;
    onFree();
  };
  const probe: Probe = {
    reached() {
      if (isOver || cancelTimer !== null) return;
      probes.greeted++;
      cancelTimer = clock.after(PATIENCE_MS, () => {
        letNext();
        free();
      });
      free();
    },
    end() {
      if (isOver) return;
      isOver = true;
      probes.underWay--;
      if (cancelTimer !== null) probes.greeted--;
      cancelTimer?.();
      letNext();
    },
  };
  probes.underWay++;
  probes.waitedFor.set(share, probe);
  return probe;
}
