// Lets a bounded number of tasks run and a bounded number wait, each for a bounded time.

export interface Gate {
  /** True: go on, and call `leave` when done. False: too many are waiting, or `waitMs` is over. */
  enter(waitMs: number): Promise<boolean>;
  leave(): void;
}

/** Makes a gate for `limit` at a time and `maxWaiting` behind them, first come, first served. */
export function createGate(options: { readonly limit: number; readonly maxWaiting: number }): Gate {
  const waiting = new Set<(admitted: boolean) => void>();
  let inside = 0;
  return {
    enter(waitMs) {
      if (inside < options.limit) {
        inside++;
        return Promise.resolve(true);
      }
      if (waiting.size >= options.maxWaiting) return Promise.resolve(false);
      return new Promise((resolve) => {
        const admit = (admitted: boolean): void => {
          clearTimeout(timer);
          waiting.delete(admit);
          resolve(admitted);
        };
        const timer = setTimeout(admit, waitMs, false);
        waiting.add(admit);
      });
    },
    leave() {
      // The place is handed on, not freed: `inside` stays.
      for (const admit of waiting) {
        admit(true);
        return;
      }
      inside--;
    },
  };
}
