// The start after a crash: recipients that the last process had taken. Nobody knows how their attempts went.

import type { Log } from "../observe/log.ts";
import type { Statement } from "../store/database.ts";
import type { LogEvent } from "../store/log-record.ts";
import type { Spool } from "../store/spool.ts";
import type { SpooledEntry } from "../store/spool-entry.ts";
import type { TakenEntry } from "../store/spool-reading.ts";
import { putBack } from "../store/spool-writing.ts";
import { retryWaitMs } from "./back-off.ts";
import type { Outbox } from "./outbox.ts";
import { stateEvent } from "./plan-settlement.ts";

const ROWS = 200;

/**
 * Gives back what a crash interrupted: attempts are due again and the log says so, the only way in which a message may
 * arrive twice; what was held, or was to be held or dropped, is held; other changes did not happen.
 * Call it before anything is dialled. Rejects with StoreError.
 */
export async function recoverInterrupted(parts: {
  readonly spool: Spool;
  readonly outbox: Outbox;
  readonly log: Log;
  readonly now: number;
  readonly retryMs: readonly number[];
}): Promise<void> {
  const { spool, outbox, log, now, retryMs } = parts;
  const interrupted = await spool.interrupted();
  for (let from = 0; from < interrupted.length; from += ROWS) {
    const changes = interrupted.slice(from, from + ROWS).map((taken) => giveBack(taken, { now, retryMs }));
    await outbox.commit(
      changes.map(({ statement }) => statement),
      changes.flatMap(({ events }) => events),
    );
  }
  const attempts = interrupted.filter(({ taken }) => taken.for === "attempt");
  if (attempts.length === 0) return;
  const ids = [...new Set(attempts.map(({ entry }) => entry.message.id))].slice(0, 100);
  log.warn(
    { recipients: attempts.length, ids },
    "attempts were under way when the gateway stopped; they are tried again, so these recipients may get the message twice",
  );
}

interface Change {
  readonly statement: Statement;
  readonly events: readonly LogEvent[];
}

function giveBack(
  { entry, taken }: TakenEntry,
  { now, retryMs }: { readonly now: number; readonly retryMs: readonly number[] },
): Change {
  const { message, recipient } = entry;
  // Whatever it was taken for: what is for the quarantine must never be on its way to its recipient.
  if (recipient.detail.quarantine !== null) {
    return { statement: putBack(message.seq, { ...recipient, state: "quarantine" }), events: [] };
  }
  switch (taken.for) {
    case "hold": {
      const statement = putBack(message.seq, { ...recipient, state: "held" });
      return { statement, events: [heldEvent(entry, now)] };
    }
    case "change":
      return { statement: putBack(message.seq, { ...recipient, state: "queued" }), events: [] };
    case "attempt": {
      const tries = recipient.tries + 1;
      // Once is an accident. A message that is there each time the gateway dies may be why, and must not kill it at every start.
      const wait = tries === 1 ? 0 : retryWaitMs(retryMs, tries, Math.random);
      const nextAttemptAt = now + wait;
      const statement = putBack(message.seq, { ...recipient, state: "queued", nextAttemptAt, tries });
      return { statement, events: [interruptedEvent(entry, now, nextAttemptAt)] };
    }
  }
}

function interruptedEvent({ message, recipient }: SpooledEntry, at: number, nextAttemptAt: number): LogEvent {
  const words =
    "An attempt was under way when the gateway stopped. It is tried again; the message may arrive twice.";
  return stateEvent({ message }, recipient.n, { state: "queued", at, nextAttemptAt, words });
}

function heldEvent({ message, recipient }: SpooledEntry, at: number): LogEvent {
  const words =
    "The gateway stopped while an administrator was changing this. It is held; an attempt that was under way may have delivered it.";
  return stateEvent({ message }, recipient.n, { state: "held", at, nextAttemptAt: null, words });
}
