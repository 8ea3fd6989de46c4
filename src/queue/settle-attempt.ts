// From the result of an attempt to its settlement: recipients, notices, the destination's back-off, all in one unit.

import type { Clock } from "../observe/clock.ts";
import type { LogEvent } from "../store/log-record.ts";
import type { SpooledRecipient } from "../store/spool-entry.ts";
import { giveBack } from "../store/spool-writing.ts";
import type { Dispatcher, EndedAttempt } from "./dispatch.ts";
import type { PreparedNotice, PrepareNotice } from "./own-notice.ts";
import { planSettlement, type SettlementPlan, stateEvent } from "./plan-settlement.ts";
import type { QueueSettings } from "./queue-settings.ts";
import type { SettlementWriter } from "./settlement-writer.ts";
import { keysOf, type Work } from "./work.ts";

export interface SettleParts {
  readonly writer: SettlementWriter;
  readonly dispatcher: Dispatcher;
  readonly prepareNotice: PrepareNotice;
  readonly settings: () => QueueSettings;
  readonly clock: Clock;
  readonly random: () => number;
}

export interface Settling {
  ended(attempt: EndedAttempt): void;
  /** Work that was taken but not dialled waits on disk again. */
  handedBack(works: readonly Work[]): void;
  /** Work that an administrator holds or drops before it was dialled. */
  withdrawn(work: Work): void;
  /** Notices that are being composed. */
  pending(): number;
  /** Recipients of the attempts that wait for them. */
  pendingRecipients(): number;
}

/** Makes the three ways in which work in memory ends. */
export function createSettling(parts: SettleParts): Settling {
  const { writer, dispatcher, prepareNotice, settings, clock, random } = parts;

  let composing = 0;
  let recipients = 0;
  // Counts up within the process; with the time it names an attempt of a message for good.
  let attempts = 0;

  function ended(attempt: EndedAttempt): void {
    const { work } = attempt;
    const plan = planSettlement(
      work,
      {
        record: {
          id: `${attempt.endedAt.toString(36)}-${(attempts++).toString(36)}`,
          messageId: work.message.id,
          startedAt: attempt.startedAt,
          endedAt: attempt.endedAt,
          destination: work.destination.key,
          outcomes: attempt.outcomes,
        },
        reach: attempt.reach,
        closedUntil: attempt.closedUntil,
        heldFor: attempt.bodyLost ? attempt.fault : null,
      },
      { settings: settings(), random },
    );
    if (plan.failed.length === 0 && plan.relayed.length === 0) write(attempt, plan);
    else void withNotices(attempt, plan);
  }

  async function withNotices(attempt: EndedAttempt, plan: SettlementPlan): Promise<void> {
    const { work, body: original } = attempt;
    composing++;
    recipients += work.recipients.length;
    const { message } = work;
    const notices = [
      await prepareNotice({ kind: "failed", message, original, recipients: plan.failed, triedUntil: null }),
      await prepareNotice({ kind: "relayed", message, original, recipients: plan.relayed, triedUntil: null }),
    ].filter((notice) => notice !== null);
    composing--;
    recipients -= work.recipients.length;
    write(attempt, plan, notices);
  }

  function write(
    { work, statements, written }: Pick<EndedAttempt, "work" | "statements" | "written">,
    plan: Pick<SettlementPlan, "removed" | "kept" | "events">,
    notices: readonly PreparedNotice[] = [],
  ): void {
    writer.add({
      message: work.message,
      removed: plan.removed.map(({ n }) => n),
      kept: plan.kept,
      statements: [...statements, ...notices.flatMap(({ intake }) => intake.statements)],
      events: [...plan.events, ...notices.map(({ event }) => event)],
      written() {
        for (const { intake } of notices) intake.stored();
        noteKept(work, plan.kept);
        written();
      },
    });
  }

  function noteKept(work: Work, kept: readonly SpooledRecipient[]): void {
    for (const recipient of kept) {
      if (recipient.state === "queued") dispatcher.noteDue(work.destination.key, recipient.nextAttemptAt);
    }
  }

  return {
    pending: () => composing,
    pendingRecipients: () => recipients,
    ended,
    handedBack(works) {
      const [first] = works;
      if (first === undefined) return;
      writer.add({
        message: first.message,
        removed: [],
        kept: [],
        statements: [giveBack(works.flatMap(keysOf))],
        events: [],
        written() {
          for (const work of works) {
            for (const { nextAttemptAt } of work.recipients) {
              dispatcher.noteDue(work.destination.key, nextAttemptAt);
            }
          }
        },
      });
    },
    withdrawn(work) {
      const now = clock.now();
      const { intent } = work;
      const state = intent.kind === "drop" ? "dropped" : "held";
      const words = intent.kind === "drop" ? `Dropped by ${intent.by}` : "Held by an administrator";
      const events: LogEvent[] = work.recipients.map(({ n }) =>
        stateEvent(work, n, { state, at: now, nextAttemptAt: null, words }),
      );
      const kept = state === "held" ? work.recipients.map((one) => ({ ...one, state: "held" as const })) : [];
      const plan = { removed: state === "held" ? [] : work.recipients, kept, events };
      write({ work, statements: [], written: () => {} }, plan);
    },
  };
}
