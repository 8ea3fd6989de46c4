// What only time brings: delay notices, and the end of trying. Waiting mail is looked at by its deadline, never all of it.
import type { DestinationFor } from "../delivery/route.ts";
import { MAX_RETURNED_BYTES } from "../notify/delivery-notice.ts";
import type { Clock } from "../observe/clock.ts";
import type { Log } from "../observe/log.ts";
import type { Spool } from "../store/spool.ts";
import { noteDelayTold } from "../store/spool-deadlines.ts";
import {
  NOT_DIALLED,
  type SpooledEntry,
  type SpooledMessage,
  type SpooledRecipient,
} from "../store/spool-entry.ts";
import { setAside } from "../store/spool-writing.ts";
import { destinationNow, seizeAll } from "./claim-work.ts";
import type { Dispatcher } from "./dispatch.ts";
import type { PrepareNotice } from "./own-notice.ts";
import { internalFailure, isKept, type Reported, stateEvent } from "./plan-settlement.ts";
import type { QueueSettings } from "./queue-settings.ts";
import type { FailureReports } from "./report-failures.ts";
import { settled as isSettled, type SettlementWriter } from "./settlement-writer.ts";
import { endOf, type Failure, keptOf, mayReport, untoldWords } from "./undeliverable.ts";

/** So far it looks ahead. What is written to the disk meanwhile with an earlier deadline is told to `note`. */
const LOOK_AHEAD_MS = 600_000;
/** Deadlines close to one another are settled in one round. */
const GATHER_MS = 1000;
/** Whose time is over already was being tried then: he is looked at before the next try begins, however short the pauses are. */
const OVERDUE_WAIT_MS = 200;
const TROUBLE_WAIT_MS = 60_000;
/** How long mail whose time is over may wait for its last try. */
const LAST_TRY_MS = 3_600_000;
/** What is not given up for a setting that cannot be read has so much longer, and once more if it is not mended by then. */
const KEPT_MS = 86_400_000;
const ROWS = 50;

export interface DeadlineSweep {
  start(): void;
  /** These were written to the disk: whoever waits is looked at when his time comes. Costs a comparison each. */
  note(recipients: readonly Pick<SpooledRecipient, "state" | "deadlineAt">[]): void;
  /** Begins no further round; resolves when the running one is over. */
  stop(): Promise<void>;
}

/** Makes the sweep. */
export function createDeadlineSweep(parts: {
  readonly spool: Spool;
  readonly dispatcher: Dispatcher;
  readonly writer: SettlementWriter;
  readonly prepareNotice: PrepareNotice;
  readonly reports: FailureReports;
  readonly destinationFor: DestinationFor;
  readonly settings: () => QueueSettings;
  /** Something is to be filed in the quarantine. */
  readonly onQuarantine: () => void;
  readonly clock: Clock;
  readonly log: Log;
}): DeadlineSweep {
  const { spool, dispatcher, writer, prepareNotice, reports, destinationFor, settings, clock, log } = parts;
  let cancel: (() => void) | null = null;
  let running: Promise<void> = Promise.resolve();
  let stopped = true;

  /** When it is awake next; null: a round is running. */
  let wakesAt: number | null = null;
  /** The earliest deadline that was noted in the running round. */
  let notedAt = Number.POSITIVE_INFINITY;

  function plan(waitMs: number): void {
    if (stopped) return;
    cancel?.();
    wakesAt = clock.now() + waitMs;
    cancel = clock.after(waitMs, () => {
      wakesAt = null;
      notedAt = Number.POSITIVE_INFINITY;
      running = sweep()
        .catch((error: unknown) => {
          log.warn({ err: error }, "deadlines not looked at; tried again in a minute");
          return TROUBLE_WAIT_MS;
        })
        .then((nothingForMs) => plan(Math.min(Math.max(GATHER_MS, nothingForMs), waitFor(notedAt))));
    });
  }

  function note(recipients: readonly Pick<SpooledRecipient, "state" | "deadlineAt">[]): void {
    for (const { state, deadlineAt } of recipients) {
      // While it is being tried it is not looked at; it is noted again when it is put back.
      if (state !== "queued") continue;
      if (wakesAt === null) notedAt = Math.min(notedAt, deadlineAt);
      else if (clock.now() + waitFor(deadlineAt) < wakesAt) plan(waitFor(deadlineAt));
    }
  }

  function waitFor(deadlineAt: number): number {
    const untilMs = deadlineAt - clock.now();
    return untilMs <= 0 ? OVERDUE_WAIT_MS : Math.max(GATHER_MS, untilMs);
  }

  /** Settles everything whose time has come. Resolves to how long nothing will be due. */
  async function sweep(): Promise<number> {
    while (!stopped && !writer.inTrouble()) {
      const now = clock.now();
      const soon = await spool.pastDeadline(now + LOOK_AHEAD_MS, ROWS);
      const entries = soon.filter(({ recipient }) => recipient.deadlineAt <= now);
      if (entries.length === 0) return (soon[0]?.recipient.deadlineAt ?? now + LOOK_AHEAD_MS) - now;
      // Side by side: their commits are grouped, and thousands whose time comes at once do not wait for one another.
      const rounds = [...byMessage(entries).keys()].map((message) => settleDue(message, now));
      // All of it is over before the next round begins, or the queue and its database are closed.
      const failed = (await Promise.allSettled(rounds)).find(({ status }) => status === "rejected");
      if (failed?.status === "rejected") throw failed.reason;
    }
    return TROUBLE_WAIT_MS;
  }

  /** All of a message whose time has come, however many: its sender gets one notice. */
  async function settleDue(message: SpooledMessage, now: number): Promise<void> {
    const late = (await spool.ofMessage(message.id)).filter(
      ({ message: { seq }, recipient: { deadlineAt } }) => seq === message.seq && deadlineAt <= now,
    );
    const due = late.flatMap(({ recipient }) => (recipient.state === "queued" ? [recipient] : []));
    const keys = due.map(({ n }) => ({ seq: message.seq, n }));
    // Taken like work, so that nothing is dialled while it is being given up; who was taken meanwhile is looked at again.
    if (keys.length === 0 || !(await seizeAll(spool, { keys, at: NOT_DIALLED }))) return;
    const beingTried = late.flatMap(({ recipient }) => (recipient.state === "active" ? [recipient] : []));
    await settle(message, { all: due, beingTried }, now);
  }

  async function settle(
    message: SpooledMessage,
    { all, beingTried }: Record<"all" | "beingTried", readonly SpooledRecipient[]>,
    now: number,
  ): Promise<void> {
    const over = all.filter((recipient) => recipient.expiresAt <= now);
    const waiting = over.filter((recipient) => isKept(asNow({ message, recipient }), settings()));
    const lastTry = over.filter((one) => !waiting.includes(one) && deservesLastTry(one, now));
    const expired = over.filter((one) => !waiting.includes(one) && !lastTry.includes(one));
    const delayed = all.filter((recipient) => recipient.expiresAt > now);
    const original = await spool.bodyStart(message, MAX_RETURNED_BYTES).catch(() => null);
    // One notice, though another server may be slow to answer just now.
    const alsoLate = delayed.length === 0 ? [] : await stillWaiting(message, beingTried, now);
    const late = [...delayed, ...alsoLate]
      .filter((recipient) => mayReport(message.envelope, recipient, "DELAY"))
      .map((recipient): Reported => ({ recipient, outcome: lastOutcome(recipient) }));
    const triedUntil = Math.max(0, ...delayed.map(({ expiresAt }) => expiresAt));
    const delay = await prepareNotice({ kind: "delayed", message, original, recipients: late, triedUntil });
    const kept = [
      ...delayed.map((one) => ({ ...one, state: "queued" as const, deadlineAt: one.expiresAt })),
      ...waiting.map((one) => ({
        ...one,
        state: "queued" as const,
        expiresAt: now + KEPT_MS,
        deadlineAt: now + KEPT_MS,
      })),
      ...lastTry.map((one) => ({
        ...one,
        state: "queued" as const,
        nextAttemptAt: now,
        deadlineAt: now + LAST_TRY_MS,
      })),
    ];
    const failures = expired.map((recipient): Failure => {
      return { recipient, outcome: lastOutcome(recipient), at: now, gaveUp: true };
    });
    const ends = failures.map((failure) => ({ failure, end: endOf(message, failure) }));
    const report = await reports.plan(message, {
      original,
      failed: ends
        .filter(({ end }) => end.told)
        .map(({ failure, end }) => ({ ...failure, recipient: end.kept ?? failure.recipient })),
      relayed: [],
      numbers: all.map(({ n }) => n),
      kept,
      at: now,
    });
    const untold = new Set(report.untold.map(({ recipient }) => recipient.n));
    const settled = ends.map(({ failure, end }) =>
      end.kept === null && untold.has(failure.recipient.n)
        ? {
            n: failure.recipient.n,
            kept: keptOf(failure),
            state: "quarantined" as const,
            words: untoldWords(failure),
          }
        : { n: failure.recipient.n, ...end },
    );
    const aside = settled.flatMap((one) => one.kept ?? []);
    await isSettled(writer, {
      message,
      removed: settled.filter((one) => one.kept === null).map(({ n }) => n),
      kept,
      first: report.first,
      statements: [
        ...aside.map((recipient) => setAside(message.seq, recipient)),
        ...(alsoLate.length === 0 ? [] : [noteDelayTold(alsoLate.map(({ n }) => ({ seq: message.seq, n })))]),
        ...(delay?.intake.statements ?? []),
        ...report.statements,
      ],
      events: [
        ...settled.map(({ n, state, words }) =>
          stateEvent({ message }, n, { state, at: now, nextAttemptAt: null, words }),
        ),
        ...(delay === null ? [] : [delay.event]),
        ...report.events,
      ],
      written() {
        delay?.intake.stored();
        report.written();
        reports.settled(message);
        if (aside.length > 0) parts.onQuarantine();
        for (const { detail, nextAttemptAt } of [...delayed, ...waiting])
          dispatcher.noteDue(detail.destination.key, nextAttemptAt);
        for (const { detail } of lastTry) dispatcher.noteDue(detail.destination.key, now);
      },
    });
  }

  /** Those that are not settled meanwhile, and are not to be given up. */
  async function stillWaiting(
    { seq }: SpooledMessage,
    beingTried: readonly SpooledRecipient[],
    now: number,
  ): Promise<readonly SpooledRecipient[]> {
    if (beingTried.length === 0) return [];
    const pending = await spool.pendingOf(seq).catch(() => []);
    return beingTried.filter(({ n, expiresAt }) => expiresAt > now && pending.some((one) => one.n === n));
  }

  /**
   * Nothing is given up that was not tried at the end: the gateway may have been off for a week, or the clock have jumped.
   * Only mail for a destination that is known to be away is; its next probe is the others' answer.
   */
  function deservesLastTry({ expiresAt, deadlineAt, detail }: SpooledRecipient, now: number): boolean {
    const hadIt = deadlineAt > expiresAt;
    return !hadIt && dispatcher.backOff(detail.destination.key).closedUntil <= now;
  }

  /** With the way it would go now: where it stands may be older than the settings. */
  function asNow(entry: SpooledEntry): Pick<SpooledRecipient, "detail"> {
    return {
      detail: { ...entry.recipient.detail, destination: destinationNow(entry, { destinationFor, log }) },
    };
  }

  /** Mail that waited behind a closed destination may never have been tried itself: the destination's failure is its answer. */
  function lastOutcome(recipient: SpooledRecipient) {
    const failure = recipient.lastOutcome ?? dispatcher.backOff(recipient.detail.destination.key).lastFailure;
    return failure === null
      ? { ...internalFailure(recipient.n, ""), text: "It has waited for its turn and was not tried yet." }
      : { ...failure, n: recipient.n };
  }

  return {
    note,
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
