// Time as an argument, so that five days of queue life run in a test within seconds.

export interface Clock {
  /** Milliseconds UTC. */
  now(): number;
  /** Runs `wake` once after `ms`; the returned function cancels it. */
  after(ms: number, wake: () => void): () => void;
}

/** The machine's own clock. Its timers do not keep the process alive. */
export const systemClock: Clock = {
  now: () => Date.now(),
  after: (ms, wake) => {
    const timer = setTimeout(wake, Math.min(ms, 2 ** 31 - 1));
    timer.unref();
    return () => clearTimeout(timer);
  },
};
