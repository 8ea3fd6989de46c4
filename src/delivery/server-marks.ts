// Servers marked for a while: those that could not be reached a moment ago, those whose TLS breaks. In memory only.
import type { Clock } from "../observe/clock.ts";

export interface ServerMarks {
  has(server: string): boolean;
  /** Holds for the list's time from now. */
  mark(server: string): void;
  clear(server: string): void;
}

const MAX_SERVERS = 10_000;

/** Makes a list, bounded in size. */
export function createServerMarks(clock: Clock, forMs: number): ServerMarks {
  const until = new Map<string, number>();
  return {
    has(server) {
      const leftMs = (until.get(server) ?? 0) - clock.now();
      // More than the whole time is left when the clock was set back.
      return leftMs > 0 && leftMs <= forMs;
    },
    mark(server) {
      if (until.size >= MAX_SERVERS) until.clear();
      until.set(server, clock.now() + forMs);
    },
    clear(server) {
      until.delete(server);
    },
  };
}
