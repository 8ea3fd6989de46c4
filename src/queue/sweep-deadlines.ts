// What only time brings: delay notices, and the end of trying. Waiting mail is looked at by its deadline, never all of it.

import { MAX_RETURNED_BYTES } from "../notify/delivery-notice.ts";
import { replyWords } from "../notify/reply-words.ts";
import type { Clock } from "../observe/clock.ts";
import type { Log } from "../observe/log.ts";
import type { LogEvent } from "../store/log-record.ts";
import type { Spool } from "../store/spool.ts";
import {
  NOT_DIALLED,
  type SpooledEntry,
  type SpooledMessage,
  type SpooledRecipient,
} from "../store/spool-entry.ts";
import { seizeAll } from "./claim-work.ts";
import type { Dispatcher } from "./dispatch.ts";
import type { PrepareNotice } from "./own-notice.ts";
import { gaveUpWords, internalFailure, mayReport, type Reported, stateEvent } from "./plan-settlement.ts";
import type { SettlementWriter } from "./settlement-writer.ts";

// A deadline within this time is waited for exactly; mail that comes in later has later ones.
const LOOK_AHEAD_MS = 600_000;
const TROUBLE_WAIT_MS = 60_000;
/** How long mail whose time is over may wait for its last try. */
const LAST_TRY_MS = 3_600_000;
const ROWS = 50;

export interface DeadlineSweep {
  start(): void;
  /** Begins no further round; resolves when the running one is over. */
  stop(): Promise<void>;
}

/** Makes the sweep. */
export function createDeadlineSweep(parts: {
  readonly spool: Spool;
  readonly dispatcher: Dispatcher;
  readonly writer: SettlementWriter;
  readonly prepareNotice: PrepareNotice;
  readonly clock: Clock;
  readonly log: Log;
}): DeadlineSweep {
  const { spool, dispatcher, writer, prepareNotice, clock, log } = parts;
  let cancel: (() => void) | null = null;
  let running: Promise<void> = Promise.resolve();
  let stopped = true;

  function plan(waitMs: number): void {
    if (stopped) return;
    cancel = clock.after(waitMs, () => {
      running = sweep()
        .catch((error: unknown) => {
          log.warn({ err: error }, "deadlines not looked at; tried again in a minute");
          return TROUBLE_WAIT_MS;
        })
        .then(plan);
    });
  }

  /** Settles everything whose time has come. Resolves to how long nothing will be due. */
  async function sweep(): Promise<number> {
    while (!stopped && !writer.inTrouble()) {
      const now = clock.now();
      const soon = await spool.pastDeadline(now + LOOK_AHEAD_MS, ROWS);
      const entries = soon.filter(({ recipient }) => recipient.deadlineAt <= now);
      if (entries.length === 0) return (soon[0]?.recipient.deadlineAt ?? now + LOOK_AHEAD_MS) - now;
      const keys = entries.map(({ message, recipient }) => ({ seq: message.seq, n: recipient.n }));
      // Taken like work, so that nothing is dialled while it is being given up.
      if (!(await seizeAll(spool, { keys, at: NOT_DIALLED }))) continue;
      for (const [message, recipients] of byMessage(entries)) await settle(message, recipients, now);
    }
    return TROUBLE_WAIT_MS;
  }

  async function settle(
    message: SpooledMessage,
    all: readonly SpooledRecipient[],
    now: number,
  ): Promise<void> {
    const lastTry = all.filter((recipient) => deservesLastTry(recipient, now));
    const expired = all.filter((recipient) => recipient.expiresAt <= now && !lastTry.includes(recipient));
    const delayed = all.filter((recipient) => recipient.expiresAt > now);
    const original = await spool.body(message, MAX_RETURNED_BYTES).catch(() => null);
    const failed = reports(expired.filter((recipient) => mayReport(message.envelope, recipient, "FAILURE")));
    const late = reports(delayed.filter((recipient) => mayReport(message.envelope, recipient, "DELAY")));
    const triedUntil = Math.max(0, ...delayed.map(({ expiresAt }) => expiresAt));
    const notices = [
      await prepareNotice({ kind: "failed", message, original, recipients: failed, triedUntil: null }),
      await prepareNotice({ kind: "delayed", message, original, recipients: late, triedUntil }),
    ].filter((notice) => notice !== null);
    const events: LogEvent[] = expired.map((recipient) => {
      const words = gaveUpWords(replyWords(lastOutcome(recipient)));
      return stateEvent({ message }, recipient.n, { state: "failed", at: now, nextAttemptAt: null, words });
    });
    await new Promise<void>((resolve) => {
      writer.add({
        message,
        removed: expired.map(({ n }) => n),
        kept: [
          ...delayed.map((one) => ({ ...one, state: "queued" as const, deadlineAt: one.expiresAt })),
          ...lastTry.map((one) => ({
            ...one,
            state: "queued" as const,
            nextAttemptAt: now,
            deadlineAt: now + LAST_TRY_MS,
          })),
        ],
        statements: notices.flatMap(({ intake }) => intake.statements),
        events: [...events, ...notices.map(({ event }) => event)],
        written() {
          for (const { intake } of notices) intake.stored();
          for (const { detail, nextAttemptAt } of delayed)
            dispatcher.noteDue(detail.destination.key, nextAttemptAt);
          for (const { detail } of lastTry) dispatcher.noteDue(detail.destination.key, now);
          resolve();
        },
      });
    });
  }

  /**
   * Nothing is given up that was not tried at the end: the gateway may have been off for a week, or the clock have jumped.
   * Only mail for a destination that is known to be away is; its next probe is the others' answer.
   */
  function deservesLastTry({ expiresAt, deadlineAt, detail }: SpooledRecipient, now: number): boolean {
    const hadIt = deadlineAt > expiresAt;
    return expiresAt <= now && !hadIt && dispatcher.backOff(detail.destination.key).closedUntil <= now;
  }

  function reports(recipients: readonly SpooledRecipient[]): readonly Reported[] {
    return recipients.map((recipient) => ({ recipient, outcome: lastOutcome(recipient) }));
  }

  /** Mail that waited behind a closed destination may never have been tried itself: the destination's failure is its answer. */
  function lastOutcome(recipient: SpooledRecipient) {
    const failure = recipient.lastOutcome ?? dispatcher.backOff(recipient.detail.destination.key).lastFailure;
    return failure === null
      ? { ...internalFailure(recipient.n, ""), text: "It has waited for its turn and was not tried yet." }
      : { ...failure, n: recipient.n };
  }

  return {
    start() {
      stopped = false;
      plan(0);
    },
    async stop() {
      stopped = true;
      cancel?.();
      await running;
    },
  };
}

/** Entries put together by message, in order. */
export function byMessage(entries: readonly SpooledEntry[]): Map<SpooledMessage, SpooledRecipient[]> {
  const messages = new Map<number, SpooledMessage>();
  const grouped = new Map<SpooledMessage, SpooledRecipient[]>();
  for (const { message, recipient } of entries) {
    const first = messages.get(message.seq) ?? message;
    messages.set(message.seq, first);
    const recipients = grouped.get(first);
    if (recipients === undefined) grouped.set(first, [recipient]);
    else recipients.push(recipient);
  }
  return grouped;
}
