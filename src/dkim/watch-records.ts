// Looks at the DNS again and again: a record that vanishes makes every signature of its key worthless, and nobody would notice here.
import type { Clock } from "../observe/clock.ts";
import type { Log } from "../observe/log.ts";

const FIRST_AFTER_MS = 5 * 60_000;
const EVERY_MS = 24 * 3_600_000;

/**
 * Runs `check` for each key some minutes from now and then once a day, a tenth of a day sooner or later, so that gateways do not
 * ask in step. Returns the way to stop, which waits for a look-up under way.
 */
export function watchRecords(parts: {
  readonly clock: Clock;
  readonly log: Log;
  /** The keys as they are at each round. */
  readonly keys: () => Promise<readonly { readonly domain: string; readonly selector: string }[]>;
  readonly check: (domain: string, selector: string) => Promise<unknown>;
}): () => Promise<void> {
  const { clock, log } = parts;
  let running = Promise.resolve();
  let stopped = false;

  const round = async (): Promise<void> => {
    try {
      for (const { domain, selector } of await parts.keys()) {
        if (stopped) return;
        await parts.check(domain, selector);
      }
    } catch (err) {
      if (!stopped) log.error({ err }, "DKIM records could not be looked at; it is tried again in a day");
    }
    if (!stopped) cancel = clock.after(jittered(EVERY_MS), begin);
  };
  const begin = (): void => {
    running = round();
  };
  let cancel = clock.after(jittered(FIRST_AFTER_MS), begin);
  return async () => {
    stopped = true;
    cancel();
    await running;
  };
}

function jittered(ms: number): number {
  return Math.round(ms * (0.9 + 0.2 * Math.random()));
}
