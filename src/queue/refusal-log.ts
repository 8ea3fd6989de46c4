// Refused transactions on their way to the message log. Nobody waits for them; many share a row of the outbox.

import type { Clock } from "../observe/clock.ts";
import type { Log } from "../observe/log.ts";
import type { LogEvent, MessageRecord } from "../store/log-record.ts";
import type { Outbox } from "./outbox.ts";

const LINGER_MS = 20;
const MAX_PER_ROW = 100;
// A flood of refusals while the disk is slow must not fill the memory.
const MAX_WAITING = 5000;

export interface RefusalLog {
  add(record: MessageRecord): void;
  /** Resolves when everything was written, or could not be. */
  flush(): Promise<void>;
}

/** Makes the buffer. */
export function createRefusalLog({
  outbox,
  clock,
  log,
}: {
  readonly outbox: Outbox;
  readonly clock: Clock;
  readonly log: Log;
}): RefusalLog {
  let waiting: LogEvent[] = [];
  let lost = 0;
  let cancel: (() => void) | null = null;
  let writing: Promise<void> = Promise.resolve();

  async function write(): Promise<void> {
    while (waiting.length > 0) {
      const events = waiting.slice(0, MAX_PER_ROW);
      waiting = waiting.slice(events.length);
      try {
        await outbox.commit([], events);
      } catch (error) {
        // Nothing was accepted here, so nothing is lost but the line in the log; the client has its refusal.
        lost += events.length;
        log.warn(
          { err: error, records: events.length },
          "refused transactions not written to the message log",
        );
      }
    }
    if (lost > 0) log.warn({ records: lost }, "refused transactions are missing in the message log");
    lost = 0;
  }

  function flush(): Promise<void> {
    cancel?.();
    cancel = null;
    writing = writing.then(write);
    return writing;
  }

  return {
    add(record) {
      if (waiting.length >= MAX_WAITING) {
        lost++;
        return;
      }
      waiting.push({ kind: "message", record });
      cancel ??= clock.after(LINGER_MS, () => void flush());
    },
    flush,
  };
}
