// What becomes of each recipient after an attempt. Pure: no clock, no disk.

import type { Outcome } from "../delivery/outcome.ts";
import { replyWords } from "../notify/reply-words.ts";
import type { AttemptRecord, LogEvent, RecipientState } from "../store/log-record.ts";
import type { SpooledEnvelope, SpooledMessage, SpooledRecipient } from "../store/spool-entry.ts";
import { retryWaitMs } from "./back-off.ts";
import type { Reach } from "./lane.ts";
import type { QueueSettings } from "./queue-settings.ts";
import type { Work } from "./work.ts";

/** A settled recipient of which the sender is told. */
export interface Reported {
  readonly recipient: SpooledRecipient;
  readonly outcome: Outcome;
}

export interface SettlementPlan {
  /** Settled: delivered, failed or dropped. */
  readonly removed: readonly SpooledRecipient[];
  /** Still in the queue, as they are written back. */
  readonly kept: readonly SpooledRecipient[];
  readonly failed: readonly Reported[];
  /** Delivered, and the sender asked to be told. */
  readonly relayed: readonly Reported[];
  readonly events: readonly LogEvent[];
}

export interface AttemptResult {
  readonly record: AttemptRecord;
  readonly reach: Reach;
  /** When the destination is tried again, if it backs off as a whole. */
  readonly closedUntil: number;
  /** Why no attempt can ever deliver it: it is held until somebody has looked. Null when one may. */
  readonly heldFor: string | null;
}

/** Plans the settlement of an attempt. `random` gives numbers from 0 up to 1. */
export function planSettlement(
  work: Work,
  result: AttemptResult,
  options: { readonly settings: QueueSettings; readonly random: () => number },
): SettlementPlan {
  const removed: SpooledRecipient[] = [];
  const kept: SpooledRecipient[] = [];
  const failed: Reported[] = [];
  const relayed: Reported[] = [];
  const events: LogEvent[] = [{ kind: "attempt", record: result.record }];
  const now = result.record.endedAt;

  function settle(recipient: SpooledRecipient, state: RecipientState, words: string): void {
    removed.push(recipient);
    events.push(stateEvent(work, recipient.n, { state, at: now, nextAttemptAt: null, words }));
  }
  for (const [index, recipient] of work.recipients.entries()) {
    const outcome = outcomeFor(result.record.outcomes, recipient.n, index);
    switch (outcome.result) {
      case "delivered":
        settle(recipient, "delivered", replyWords(outcome));
        if (wantsSuccess(work.message.envelope, recipient) && outcome.dsnPassedOn !== true)
          relayed.push({ recipient, outcome });
        break;
      case "failed":
        settle(recipient, "failed", replyWords(outcome));
        if (mayReport(work.message.envelope, recipient, "FAILURE")) failed.push({ recipient, outcome });
        break;
      case "deferred": {
        const tried = { ...recipient, tries: recipient.tries + 1, lastOutcome: outcome };
        if (work.intent.kind === "drop") {
          settle(tried, "dropped", `Dropped by ${work.intent.by}`);
        } else if (work.intent.kind === "hold" || result.heldFor !== null) {
          kept.push({ ...tried, state: "held", nextAttemptAt: now });
          const words =
            result.heldFor === null ? "Held by an administrator" : `Held, it needs help: ${result.heldFor}`;
          events.push(stateEvent(work, recipient.n, { state: "held", at: now, nextAttemptAt: null, words }));
        } else if (now >= recipient.expiresAt) {
          settle(tried, "failed", gaveUpWords(replyWords(outcome)));
          if (mayReport(work.message.envelope, recipient, "FAILURE"))
            failed.push({ recipient: tried, outcome });
        } else {
          const waiting = waitingAgain(tried, result, options);
          kept.push(waiting);
          const nextAttemptAt = Math.max(waiting.nextAttemptAt, result.closedUntil);
          events.push(
            stateEvent(work, recipient.n, {
              state: "queued",
              at: now,
              nextAttemptAt,
              words: replyWords(outcome),
            }),
          );
        }
        break;
      }
    }
  }
  return { removed, kept, failed, relayed, events };
}

/** An unreachable destination has a back-off of its own; its mail is due as soon as that is over. */
function waitingAgain(
  recipient: SpooledRecipient,
  result: AttemptResult,
  options: { readonly settings: QueueSettings; readonly random: () => number },
): SpooledRecipient {
  const now = result.record.endedAt;
  const wait =
    result.reach === "unreachable"
      ? 0
      : retryWaitMs(options.settings.retryMs, recipient.tries, options.random);
  return { ...recipient, state: "queued", nextAttemptAt: now + wait };
}

/** The event for a recipient's new state. */
export function stateEvent(
  work: { readonly message: Pick<SpooledMessage, "id"> },
  n: number,
  state: {
    readonly state: RecipientState;
    readonly at: number;
    readonly nextAttemptAt: number | null;
    readonly words: string;
  },
): LogEvent {
  return { kind: "state", messageId: work.message.id, n, ...state };
}

/** The log's words for a recipient whose time is over. */
export function gaveUpWords(lastReply: string): string {
  return `Given up: the time for trying is over. Last answer: ${lastReply === "" ? "none" : lastReply}`;
}

function outcomeFor(outcomes: readonly Outcome[], n: number, index: number): Outcome {
  const inOrder = outcomes[index];
  if (inOrder?.n === n) return inOrder;
  return (
    outcomes.find((outcome) => outcome.n === n) ?? internalFailure(n, "the attempt ended without a result")
  );
}

/** An outcome for a fault of ours: tried again later. */
export function internalFailure(n: number, words: string): Outcome {
  return {
    n,
    result: "deferred",
    code: null,
    enhanced: null,
    text: `Our own fault: ${words}`,
    server: null,
    tls: null,
  };
}

/**
 * May the sender be told? Never for the null reverse-path (RFC 5321 §4.5.5), never an outsider whose address proves nothing,
 * and as NOTIFY asks (RFC 3461 §4.1; without it, failures and delays are reported).
 */
export function mayReport(
  envelope: SpooledEnvelope,
  recipient: SpooledRecipient,
  event: "FAILURE" | "DELAY",
): boolean {
  if (envelope.reversePath === "" || !recipient.detail.mayBounce) return false;
  const notify = recipient.detail.dsn?.notify ?? null;
  return notify === null || notify.includes(event);
}

function wantsSuccess(envelope: SpooledEnvelope, recipient: SpooledRecipient): boolean {
  if (envelope.reversePath === "" || !recipient.detail.mayBounce) return false;
  return recipient.detail.dsn?.notify?.includes("SUCCESS") ?? false;
}
