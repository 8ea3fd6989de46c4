// Servers that could not be reached a moment ago, so that not every message waits for them again.
import type { Clock } from "../observe/clock.ts";

export interface DownList {
  has(server: string): boolean;
  /** It could not be reached: for a minute it is tried after all others. */
  mark(server: string): void;
  clear(server: string): void;
}

const DOWN_MS = 60_000;
const MAX_SERVERS = 10_000;

/** Makes the list, bounded in size. */
export function createDownList(clock: Clock): DownList {
  const until = new Map<string, number>();
  return {
    has(server) {
      const leftMs = (until.get(server) ?? 0) - clock.now();
      // More than a minute is left when the clock was set back.
      return leftMs > 0 && leftMs <= DOWN_MS;
    },
    mark(server) {
      if (until.size >= MAX_SERVERS) until.clear();
      until.set(server, clock.now() + DOWN_MS);
    },
    clear(server) {
      until.delete(server);
    },
  };
}
