// Remembers when messages arrived, counted in kills, and says which came more than once and whether a kill explains it.

export interface ArrivalBook {
  /** A message has reached a recipient. */
  note(id: string, recipient: string): void;
  /** The gateway was killed; what arrives from now on comes from the next one. */
  killed(): void;
  has(id: string, recipient: string): boolean;
  /**
   * Messages that came again: how many each kill explains, by kill and recipient's domain ("3 example.test"), and how many came
   * twice without a kill between.
   */
  repeats(): { readonly perKill: ReadonlyMap<string, number>; readonly unexplained: number };
  /** performance.now() of the last arrival. */
  lastAt(): number;
}

/** An empty book. */
export function openArrivalBook(): ArrivalBook {
  const arrivals = new Map<string, number[]>();
  let kills = 0;
  let lastAt = performance.now();
  const keyOf = (id: string, recipient: string) => `${id} ${recipient}`;
  return {
    note(id, recipient) {
      lastAt = performance.now();
      const key = keyOf(id, recipient);
      const times = arrivals.get(key);
      if (times === undefined) arrivals.set(key, [kills]);
      else times.push(kills);
    },
    killed() {
      kills += 1;
    },
    has: (id, recipient) => arrivals.has(keyOf(id, recipient)),
    repeats() {
      const perKill = new Map<string, number>();
      let unexplained = 0;
      for (const [key, times] of arrivals) {
        const domain = key.slice(key.lastIndexOf("@") + 1);
        for (const [index, later] of times.slice(1).entries()) {
          const before = times[index] ?? 0;
          if (later === before) unexplained += 1;
          else {
            const kill = `${before} ${domain}`;
            perKill.set(kill, (perKill.get(kill) ?? 0) + 1);
          }
        }
      }
      return { perKill, unexplained };
    },
    lastAt: () => lastAt,
  };
}
