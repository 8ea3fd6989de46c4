// The loop behind everything that is filed from the spool to somewhere else: it walks when woken, and again after a failure.

import type { Clock } from "../observe/clock.ts";

const FIRST_WAIT_MS = 1000;
const MAX_WAIT_MS = 60_000;

/** One walk over what is to be filed. */
export interface Walk {
  /** The last failure, or null: all that was found is filed. */
  readonly failure: unknown;
  /** There may be more than this walk has seen. */
  readonly more: boolean;
}

export interface Filer {
  /** Something was stored that is to be filed. */
  wake(): void;
  /** Begins no further step; resolves when the running one is over. */
  stop(): Promise<void>;
}

/** Makes the loop. `onTrouble` is called with the failure of each walk that had one, and with null when it is over. */
export function createFilingLoop(parts: {
  readonly walk: (mayGoOn: () => boolean) => Promise<Walk>;
  readonly clock: Clock;
  readonly onTrouble: (words: string | null) => void;
}): Filer {
  const { walk, clock, onTrouble } = parts;
  let running: Promise<void> | null = null;
  let again = false;
  let stopped = false;
  let waitMs = 0;
  let cancel: (() => void) | null = null;

  function wake(): void {
    if (stopped) return;
    if (running !== null || cancel !== null) {
      again = true;
      return;
    }
    again = false;
    running = run().then(() => {
      running = null;
      if (waitMs > 0) {
        cancel = clock.after(waitMs, () => {
          cancel = null;
          wake();
        });
      } else if (again) wake();
    });
  }

  /** Never rejects. */
  async function run(): Promise<void> {
    const { failure, more } = await walk(() => !stopped).catch((error: unknown) => ({
      failure: error ?? new Error("unknown"),
      more: false,
    }));
    if (more) again = true;
    if (failure === null) {
      if (waitMs > 0) onTrouble(null);
      waitMs = 0;
      return;
    }
    waitMs = Math.min(Math.max(waitMs * 2, FIRST_WAIT_MS), MAX_WAIT_MS);
    onTrouble(failure instanceof Error ? failure.message : String(failure));
  }

  return {
    wake,
    async stop() {
      stopped = true;
      cancel?.();
      cancel = null;
      await running;
    },
  };
}
