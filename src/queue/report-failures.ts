// Tells senders what became of their mail: one notice for all that failed at about the same time, however many destinations it was.
// What is owed stands on disk from the moment a recipient is settled: after a crash it is told at the next start, never forgotten.

import type { MessageBody } from "../message/body.ts";
import { MAX_RETURNED_BYTES } from "../notify/delivery-notice.ts";
import type { Clock } from "../observe/clock.ts";
import type { Log } from "../observe/log.ts";
import type { Statement } from "../store/database.ts";
import type { LogEvent } from "../store/log-record.ts";
import type { Spool } from "../store/spool.ts";
import type { SpooledMessage, SpooledRecipient, UnreportedEntry } from "../store/spool-entry.ts";
import { insertUnreported } from "../store/spool-unreported.ts";
import { insertRecipient } from "../store/spool-writing.ts";
import type { Dispatcher } from "./dispatch.ts";
import type { PreparedNotice, PrepareNotice } from "./own-notice.ts";
import { type Reported, stateEvent } from "./plan-settlement.ts";
import type { SettlementWriter } from "./settlement-writer.ts";
import { keptOf, untoldWords } from "./undeliverable.ts";

/** So long a notice waits for further recipients of its message that are being tried, or will be within this time. */
const GATHER_MS = 30_000;

/** What the sender of a message is to be told with one settlement. */
export interface Owed {
  /** The start of the body as stored, or null when it cannot be read. */
  readonly original: MessageBody | null;
  readonly failed: readonly Reported[];
  /** Delivered, and the sender asked to be told. */
  readonly relayed: readonly Reported[];
  /** Numbers of all recipients of the settlement, and those of them that go on waiting. */
  readonly numbers: readonly number[];
  readonly kept: readonly SpooledRecipient[];
  /** Milliseconds UTC. */
  readonly at: number;
}

/** How it is told: what belongs into the unit that settles the recipients. */
export interface Report {
  /** In front of what removes recipients. */
  readonly first: readonly Statement[];
  readonly statements: readonly Statement[];
  readonly events: readonly LogEvent[];
  /** No notice could be written about these: they must be kept. */
  readonly untold: readonly Reported[];
  /** After the commit. */
  written(): void;
}

export interface FailureReports {
  /** Plans what is told with a settlement. Never rejects. */
  plan(message: SpooledMessage, owed: Owed): Promise<Report>;
  /** Recipients of a message were settled without a word to the sender: who waited for them need not. */
  settled(message: SpooledMessage): void;
  /** A message has recipients on disk of whom its sender is to be told. */
  note(message: SpooledMessage, failedAt: number): void;
  /** Takes up what the last process owed. Rejects with StoreError. */
  start(): Promise<void>;
  stop(): void;
}

interface Waiting {
  readonly message: SpooledMessage;
  readonly untilAt: number;
  cancel: () => void;
  /** A look or a notice is under way; another look is wanted after it. */
  busy: boolean;
  again: boolean;
}

/** Makes it. */
export function createFailureReports(parts: {
  readonly spool: Spool;
  readonly writer: SettlementWriter;
  readonly dispatcher: () => Pick<Dispatcher, "backOff">;
  readonly prepareNotice: PrepareNotice;
  readonly clock: Clock;
  readonly log: Log;
  /** Something is to be filed in the quarantine. */
  readonly onQuarantine: () => void;
}): FailureReports {
  const { spool, writer, prepareNotice, clock, log } = parts;
  const waiting = new Map<number, Waiting>();
  let stopped = false;

  /** Is another recipient of the message being tried, or will it be by then? */
  async function othersPending(message: SpooledMessage, owed: Pick<Owed, "numbers" | "kept">, by: number) {
    const dueAt = (key: string, at: number) => Math.max(at, parts.dispatcher().backOff(key).closedUntil);
    const keptSoon = owed.kept.some(
      ({ state, detail, nextAttemptAt }) =>
        state === "queued" && dueAt(detail.destination.key, nextAttemptAt) <= by,
    );
    if (keptSoon) return true;
    const others = await spool.pendingOf(message.seq);
    return others.some(
      ({ n, state, destinationKey, nextAttemptAt }) =>
        !owed.numbers.includes(n) && (state === "active" || dueAt(destinationKey, nextAttemptAt) <= by),
    );
  }

  async function notices(
    message: SpooledMessage,
    { original, failed, relayed }: Pick<Owed, "original" | "failed" | "relayed">,
  ): Promise<{ readonly prepared: readonly PreparedNotice[]; readonly untold: readonly Reported[] }> {
    const failure = await prepareNotice({
      kind: "failed",
      message,
      original,
      recipients: failed,
      triedUntil: null,
    });
    const success = await prepareNotice({
      kind: "relayed",
      message,
      original,
      recipients: relayed,
      triedUntil: null,
    });
    const prepared = [failure, success].filter((notice) => notice !== null);
    return { prepared, untold: failure === null ? failed : [] };
  }

  async function atOnce(message: SpooledMessage, owed: Owed): Promise<Report> {
    const { prepared, untold } = await notices(message, owed);
    return {
      first: [],
      statements: prepared.flatMap(({ intake }) => intake.statements),
      events: prepared.map(({ event }) => event),
      untold,
      written() {
        for (const { intake } of prepared) intake.stored();
      },
    };
  }

  function later(message: SpooledMessage, { failed, relayed, at }: Owed): Report {
    const entries = [...failed, ...relayed].map((one): UnreportedEntry => ({ ...one, failedAt: at }));
    return {
      first: entries.map((entry) => insertUnreported(message.seq, entry)),
      statements: [],
      events: [],
      untold: [],
      written: () => note(message, at),
    };
  }

  function note(message: SpooledMessage, failedAt: number): void {
    if (stopped) return;
    const known = waiting.get(message.seq);
    if (known === undefined) {
      const now = clock.now();
      const untilAt = Math.min(failedAt, now) + GATHER_MS;
      const entry: Waiting = { message, untilAt, cancel: () => {}, busy: false, again: false };
      entry.cancel = clock.after(Math.max(0, untilAt - now), () => void look(entry));
      waiting.set(message.seq, entry);
      void look(entry);
    } else void look(known);
  }

  /** Tells when nobody else is waited for. Never rejects: what cannot be read now is looked at again. */
  async function look(entry: Waiting): Promise<void> {
    if (stopped) return;
    if (entry.busy) {
      entry.again = true;
      return;
    }
    entry.busy = true;
    entry.again = false;
    const { message, untilAt } = entry;
    try {
      const early = clock.now() < untilAt;
      if (!early || !(await othersPending(message, { numbers: [], kept: [] }, untilAt))) await tell(entry);
    } catch (err) {
      log.warn({ err, id: message.id }, "a notice that is owed could not be looked up; tried again");
      entry.cancel = clock.after(GATHER_MS, () => void look(entry));
    }
    entry.busy = false;
    if (entry.again && waiting.has(message.seq)) void look(entry);
  }

  async function tell(entry: Waiting): Promise<void> {
    const { message } = entry;
    const owed = await spool.unreportedOf(message.seq);
    if (owed.length === 0) {
      entry.cancel();
      waiting.delete(message.seq);
      return;
    }
    const failed = owed.filter(({ outcome }) => outcome.result !== "delivered");
    const relayed = owed.filter(({ outcome }) => outcome.result === "delivered");
    const original = await spool.bodyStart(message, MAX_RETURNED_BYTES).catch(() => null);
    const { prepared, untold } = await notices(message, { original, failed, relayed });
    const rescued = rescue(message, untold, clock.now());
    await new Promise<void>((resolve) => {
      writer.add({
        message,
        removed: [],
        kept: [],
        reported: owed.map(({ recipient }) => recipient.n),
        first: rescued.statements,
        statements: prepared.flatMap(({ intake }) => intake.statements),
        events: [...rescued.events, ...prepared.map(({ event }) => event)],
        written() {
          for (const { intake } of prepared) intake.stored();
          if (rescued.statements.length > 0) parts.onQuarantine();
          resolve();
        },
      });
    });
    // More may have been noted meanwhile.
    entry.again = true;
  }

  return {
    async plan(message, owed) {
      if (owed.failed.length === 0 && owed.relayed.length === 0) return NOTHING;
      const others =
        waiting.has(message.seq) ||
        (await othersPending(message, owed, owed.at + GATHER_MS).catch(() => false));
      return others ? later(message, owed) : atOnce(message, owed);
    },
    settled({ seq }) {
      const entry = waiting.get(seq);
      if (entry !== undefined) void look(entry);
    },
    note,
    async start() {
      for (const { message, failedAt } of await spool.unreported()) note(message, failedAt);
    },
    stop() {
      stopped = true;
      for (const { cancel } of waiting.values()) cancel();
      waiting.clear();
    },
  };
}

const NOTHING: Report = { first: [], statements: [], events: [], untold: [], written: () => {} };

/** A notice was owed and cannot be written: the copy is kept instead. Mail from outside is kept already. */
function rescue(message: SpooledMessage, untold: readonly Reported[], at: number) {
  const lost = untold.filter(({ recipient }) => recipient.detail.quarantine === null);
  const failures = lost.map((one) => ({ ...one, at, gaveUp: one.outcome.result === "deferred" }));
  return {
    statements: failures.map((failure) => insertRecipient(message.seq, keptOf(failure), null)),
    events: failures.map((failure) =>
      stateEvent({ message }, failure.recipient.n, {
        state: "quarantined",
        at,
        nextAttemptAt: null,
        words: untoldWords(failure),
      }),
    ),
  };
}
