// One coarse timer for all open sessions, so that a message costs no timer of its own.
// Real time, not the injected clock: the far side lives in it even while a test runs the queue through five days.

/** Something that must be over by a time of `performance.now()`. */
export interface Watched {
  readonly deadlineAt: number;
  expire(): void;
}

export interface DeadlineWatch {
  add(item: Watched): void;
  remove(item: Watched): void;
}

/** Makes a watch that looks every `everyMs`: an item expires at most that much late. Its timer does not keep the process alive. */
export function createDeadlineWatch(everyMs: number): DeadlineWatch {
  const items = new Set<Watched>();
  let timer: ReturnType<typeof setInterval> | null = null;

  const look = (): void => {
    const now = performance.now();
    for (const item of items) {
      if (item.deadlineAt > now) continue;
      items.delete(item);
      item.expire();
    }
    stopWhenEmpty();
  };
  const stopWhenEmpty = (): void => {
    if (items.size > 0 || timer === null) return;
    clearInterval(timer);
    timer = null;
  };

  return {
    add(item) {
      items.add(item);
      if (timer !== null) return;
      timer = setInterval(look, everyMs);
      timer.unref();
    },
    remove(item) {
      items.delete(item);
      stopWhenEmpty();
    },
  };
}
