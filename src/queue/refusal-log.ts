// Refused transactions on their way to the message log. Nobody waits for them; many share a row of the outbox. While the spool
// cannot be written they wait here, as many as there is room for.

import type { Clock } from "../observe/clock.ts";
import type { Log } from "../observe/log.ts";
import { StoreError } from "../store/database.ts";
import type { MessageRecord } from "../store/log-record.ts";
import type { LoggedEvent, Outbox } from "./outbox.ts";

const LINGER_MS = 20;
const MAX_PER_ROW = 100;
const MAX_CHARACTERS_PER_ROW = 1_000_000;
// A flood of refusals while the disk is slow must not fill the memory: so many, and so many characters of their JSON. One record
// of ten thousand recipients has millions.
const MAX_WAITING = 5000;
const MAX_WAITING_CHARACTERS = 16_000_000;
const FIRST_WAIT_MS = 1000;
const MAX_WAIT_MS = 30_000;

export interface RefusalLog {
  add(record: MessageRecord): void;
  /** Tries once more to write everything that waits; resolves when it was written, or could not be. Nothing is tried afterwards. */
  close(): Promise<void>;
}

interface Waiting {
  readonly event: LoggedEvent["event"];
  readonly json: string;
}

/** Makes the buffer. */
export function createRefusalLog({
  outbox,
  clock,
  log,
}: {
  readonly outbox: Pick<Outbox, "commitLogged">;
  readonly clock: Clock;
  readonly log: Log;
}): RefusalLog {
  let waiting: Waiting[] = [];
  let characters = 0;
  let lost = 0;
  let waitMs = 0;
  let closed = false;
  let cancel: (() => void) | null = null;
  let writing: Promise<void> = Promise.resolve();

  async function write(): Promise<void> {
    cancel?.();
    cancel = null;
    let failure: unknown = null;
    while (waiting.length > 0 && failure === null) {
      const row = nextRow(waiting);
      try {
        await outbox.commitLogged([], row);
        forget(row);
        waitMs = 0;
      } catch (error) {
        failure = error;
        // What the data contradicts is never taken; nothing was accepted here, so nothing is lost but the lines in the log.
        if (error instanceof StoreError && error.kind === "constraint") {
          forget(row);
          lost += row.length;
          failure = null;
        }
      }
    }
    if (failure !== null) {
      waitMs = Math.min(Math.max(waitMs * 2, FIRST_WAIT_MS), MAX_WAIT_MS);
      log.warn(
        { err: failure, records: waiting.length, retryInMs: waitMs },
        "refused transactions not written to the message log; tried again",
      );
      plan(waitMs);
      return;
    }
    if (lost > 0) log.warn({ records: lost }, "refused transactions are missing in the message log");
    lost = 0;
  }

  function forget(row: readonly Waiting[]): void {
    waiting = waiting.slice(row.length);
    for (const { json } of row) characters -= json.length;
  }

  function plan(ms: number): void {
    if (closed) return;
    cancel ??= clock.after(ms, () => {
      cancel = null;
      void flush();
    });
  }

  function flush(): Promise<void> {
    writing = writing.then(write);
    return writing;
  }

  return {
    add(record) {
      if (waiting.length >= MAX_WAITING) {
        lost++;
        return;
      }
      const event = { kind: "message", record } as const;
      const json = JSON.stringify(event);
      if (characters + json.length > MAX_WAITING_CHARACTERS) {
        lost++;
        return;
      }
      characters += json.length;
      waiting.push({ event, json });
      plan(LINGER_MS);
    },
    close() {
      closed = true;
      return flush();
    },
  };
}

/** What shares a row: never more than a row should hold, but at least one record. */
function nextRow(waiting: readonly Waiting[]): readonly Waiting[] {
  let characters = 0;
  const end = waiting.findIndex(({ json }, index) => {
    characters += json.length;
    return index > 0 && (index >= MAX_PER_ROW || characters > MAX_CHARACTERS_PER_ROW);
  });
  return end < 0 ? waiting : waiting.slice(0, end);
}
