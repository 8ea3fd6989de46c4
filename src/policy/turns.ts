// Work in turns: changes of the settings one after the other, and what takes long about one party's passwords. Knows nothing of the work.

/** Runs what is asked under one key one after the other, as it came; one piece that fails does not stop the next. */
export interface Turns {
  take<T>(key: string, work: () => Promise<T>): Promise<T>;
}

export function createTurns(): Turns {
  const last = new Map<string, Promise<unknown>>();
  return {
    take(key, work) {
      const result = (last.get(key) ?? Promise.resolve()).then(work);
      const settled = result
        .catch(() => undefined)
        .then(() => {
          // Nobody came after it.
          if (last.get(key) === settled) last.delete(key);
        });
      last.set(key, settled);
      return result;
    },
  };
}
