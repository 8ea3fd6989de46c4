// A server is back: what waits for it becomes due, in small steps with rests between them. One writer serves the whole spool, and everybody's
// 250 waits for it: a long queue for one server must not hold up the mail of others.

import type { Log } from "../observe/log.ts";
import type { Spool } from "../store/spool.ts";
import { hurryAwaiting } from "../store/spool-writing.ts";

const STEP_ROWS = 250;
/** After a whole step the others have the writer for so many times as long as it took. */
const REST = 2;
const MOST_REST_MS = 1000;

export interface HurryWaiting {
  /** The oldest of what waits for this server is due when it resolves; the rest follows step by step. Rejects with StoreError. */
  hurry(key: string): Promise<void>;
  stop(): void;
}

/** `onDue`: more of what waits for the destination is due. */
export function createHurryWaiting({
  spool,
  log,
  onDue,
}: {
  readonly spool: Pick<Spool, "commit">;
  readonly log: Log;
  readonly onDue: (key: string) => void;
}): HurryWaiting {
  /** Destinations of which more is left. */
  const walked = new Set<string>();
  let stopped = false;
  let turn: Promise<unknown> = Promise.resolve();

  /** True when more may be left. One step at a time, whichever destination it is for: a thousand that are back at once would be one long commit. */
  function step(key: string): Promise<boolean> {
    const mine = turn.then(async () => {
      const begun = performance.now();
      const [changed = 0] = await spool.commit([hurryAwaiting(key, STEP_ROWS)]);
      const isWhole = changed >= STEP_ROWS;
      return { isWhole, restMs: isWhole ? Math.min(MOST_REST_MS, (performance.now() - begun) * REST) : 0 };
    });
    turn = mine.then(
      ({ restMs }) => (restMs > 0 ? Bun.sleep(restMs) : undefined),
      () => {},
    );
    return mine.then(({ isWhole }) => isWhole);
  }

  async function walk(key: string): Promise<void> {
    try {
      for (let more = true; more && !stopped; ) {
        more = await step(key);
        if (!stopped) onDue(key);
      }
    } catch (err) {
      if (!stopped)
        log.warn({ err, destination: key }, "some mail for a server that is back keeps its time for now");
    } finally {
      walked.delete(key);
    }
  }

  return {
    async hurry(key) {
      const more = await step(key);
      if (!more || walked.has(key)) return;
      walked.add(key);
      void walk(key);
    },
    stop() {
      stopped = true;
    },
  };
}
