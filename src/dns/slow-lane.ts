// A gate whose slow tasks make room: questions about dead names, which anybody can have us ask, must not keep all others waiting.
import { createGate } from "./gate.ts";

export interface SlowLane {
  /** Runs the task when there is a place. Null: too many are waiting, or `waitMs` is over. Rejects as the task does. */
  run<T>(waitMs: number, task: () => Promise<T>): Promise<T | null>;
}

/**
 * Makes a gate for `limit` tasks at a time and `maxWaiting` behind them. A task gives up its place after `slowAfterMs` and goes on beside
 * the others, as long as there are no more than `maxSlow` such.
 */
export function createSlowLane(options: {
  readonly limit: number;
  readonly maxWaiting: number;
  readonly slowAfterMs: number;
  readonly maxSlow: number;
}): SlowLane {
  const gate = createGate(options);
  let slow = 0;
  return {
    async run(waitMs, task) {
      if (!(await gate.enter(waitMs))) return null;
      let isSlow = false;
      const timer = setTimeout(() => {
        if (slow >= options.maxSlow) return;
        isSlow = true;
        slow++;
        gate.leave();
      }, options.slowAfterMs);
      try {
        return await task();
      } finally {
        clearTimeout(timer);
        if (isSlow) slow--;
        else gate.leave();
      }
    },
  };
}
