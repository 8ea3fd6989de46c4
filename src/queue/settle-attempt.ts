// From the result of an attempt to its settlement: recipients, notices, the destination's back-off, all in one unit.
import type { Clock } from "../observe/clock.ts";
import type { LogEvent } from "../store/log-record.ts";
import type { SpooledRecipient } from "../store/spool-entry.ts";
import { giveBack, setAside } from "../store/spool-writing.ts";
import type { Dispatcher } from "./dispatch.ts";
import type { EndedAttempt } from "./ended-attempt.ts";
import { planSettlement, type SettlementPlan, stateEvent } from "./plan-settlement.ts";
import type { QueueSettings } from "./queue-settings.ts";
import type { FailureReports, Report } from "./report-failures.ts";
import type { SettlementWriter } from "./settlement-writer.ts";
import { keptOf, untoldWords } from "./undeliverable.ts";
import { keysOf, type Work } from "./work.ts";

export interface SettleParts {
  readonly writer: SettlementWriter;
  readonly dispatcher: Dispatcher;
  readonly reports: FailureReports;
  /** Something is to be filed in the quarantine. */
  readonly onQuarantine: () => void;
  /** These wait on disk again. */
  readonly onKept: (recipients: readonly SpooledRecipient[]) => void;
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
  const { writer, dispatcher, reports, settings, clock, random } = parts;

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
    const { work, body: original, endedAt: at } = attempt;
    composing++;
    recipients += work.recipients.length;
    const { failed, relayed, kept } = plan;
    const numbers = work.recipients.map(({ n }) => n);
    const report = await reports.plan(work.message, { original, failed, relayed, numbers, kept, at });
    composing--;
    recipients -= work.recipients.length;
    write(attempt, report.untold.length === 0 ? plan : withUntold(work, plan, { report, at }), report);
  }

  function write(
    { work, statements, written }: Pick<EndedAttempt, "work" | "statements" | "written">,
    plan: Pick<SettlementPlan, "removed" | "kept" | "undeliverable" | "events">,
    report: Report | null = null,
  ): void {
    const { message } = work;
    let isFree = false;
    function free(): void {
      if (isFree) return;
      isFree = true;
      written();
    }
    writer.add({
      message,
      removed: plan.removed.map(({ n }) => n),
      kept: plan.kept,
      ...(report === null ? {} : { first: report.first }),
      statements: [
        ...statements,
        ...plan.undeliverable.map((recipient) => setAside(message.seq, recipient)),
        ...(report?.statements ?? []),
      ],
      events: [...plan.events, ...(report?.events ?? [])],
      written() {
        report?.written();
        reports.settled(message);
        if (plan.undeliverable.length > 0) parts.onQuarantine();
        noteKept(plan.kept);
        free();
      },
      // Its recipients stay taken on disk, so nobody sends to them again; the place is for other mail.
      setAside: free,
    });
  }

  /** Each at its own destination: domains with the same routes may have shared the attempt. */
  function noteKept(kept: readonly SpooledRecipient[]): void {
    for (const { state, detail, nextAttemptAt } of kept) {
      if (state === "queued") dispatcher.noteDue(detail.destination.key, nextAttemptAt);
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
            const waiting = work.recipients.map((one) => ({ ...one, state: "queued" as const }));
            parts.onKept(waiting);
            noteKept(waiting);
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
      const plan = { removed: state === "held" ? [] : work.recipients, kept, undeliverable: [], events };
      write({ work, statements: [], written: () => {} }, plan);
    },
  };
}

/** No notice can be written about some that were to be returned: they are kept. */
function withUntold(
  work: Work,
  plan: SettlementPlan,
  { report, at }: { readonly report: Report; readonly at: number },
): SettlementPlan {
  const untold = new Map(report.untold.map((one) => [one.recipient.n, one]));
  const returned = plan.removed.flatMap(({ n }) => untold.get(n) ?? []);
  const failures = returned.map((one) => ({ ...one, at, gaveUp: one.outcome.result === "deferred" }));
  return {
    ...plan,
    removed: plan.removed.filter(({ n }) => !untold.has(n)),
    undeliverable: [...plan.undeliverable, ...failures.map(keptOf)],
    events: [
      ...plan.events,
      ...failures.map((failure) =>
        stateEvent(work, failure.recipient.n, {
          state: "quarantined",
          at,
          nextAttemptAt: null,
          words: untoldWords(failure),
        }),
      ),
    ],
  };
}
