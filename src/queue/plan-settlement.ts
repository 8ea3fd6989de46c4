// What becomes of each recipient after an attempt. Pure: no clock, no disk.
import type { Outcome } from "../delivery/outcome.ts";
import { replyWords } from "../notify/reply-words.ts";
import type { AttemptRecord, LogEvent, RecipientState } from "../store/log-record.ts";
import type { SpooledEnvelope, SpooledMessage, SpooledRecipient } from "../store/spool-entry.ts";
import { waitAtAgeMs } from "./back-off.ts";
import type { QueueSettings } from "./queue-settings.ts";
import { isUnwell, type Reach } from "./reach.ts";
import { endOf } from "./undeliverable.ts";
import type { Work } from "./work.ts";

/** A settled recipient of which the sender is told. */
export interface Reported {
  /** As it goes to the quarantine, if it does. */
  readonly recipient: SpooledRecipient;
  readonly outcome: Outcome;
  /** A rule of ours stopped it; no server was asked. */
  readonly stopped?: true;
}

export interface SettlementPlan {
  /** Settled: delivered, returned or dropped. */
  readonly removed: readonly SpooledRecipient[];
  /** Still in the queue, as they are written back. */
  readonly kept: readonly SpooledRecipient[];
  /** No server takes them: as they go to the quarantine. */
  readonly undeliverable: readonly SpooledRecipient[];
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

/** Is it given up by no time, because how long it is tried, or which way it goes, cannot be read from the settings now? */
export function isKept(
  { detail: { destination } }: Pick<SpooledRecipient, "detail">,
  { givesNothingUp }: Pick<QueueSettings, "givesNothingUp">,
): boolean {
  return givesNothingUp === true || (destination.kind === "routes" && destination.awaitsSettings === true);
}

/** Plans the settlement of an attempt. `random` gives numbers from 0 up to 1. */
export function planSettlement(
  work: Work,
  result: AttemptResult,
  options: { readonly settings: QueueSettings; readonly random: () => number },
): SettlementPlan {
  const removed: SpooledRecipient[] = [];
  const kept: SpooledRecipient[] = [];
  const undeliverable: SpooledRecipient[] = [];
  const failed: Reported[] = [];
  const relayed: Reported[] = [];
  const events: LogEvent[] = [{ kind: "attempt", record: result.record }];
  const now = result.record.endedAt;

  function settle(recipient: SpooledRecipient, state: RecipientState, words: string): void {
    removed.push(recipient);
    events.push(stateEvent(work, recipient.n, { state, at: now, nextAttemptAt: null, words }));
  }
  function fail(recipient: SpooledRecipient, outcome: Outcome, gaveUp: boolean): void {
    const end = endOf(work.message, { recipient, outcome, at: now, gaveUp });
    if (end.kept === null) removed.push(recipient);
    else undeliverable.push(end.kept);
    if (end.told) failed.push({ recipient: end.kept ?? recipient, outcome });
    const { state, words } = end;
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
        fail(recipient, outcome, false);
        break;
      case "deferred": {
        const tried = {
          ...recipient,
          tries: recipient.tries + 1,
          lastOutcome: outcome,
          awaitsServer: isUnwell(outcome),
        };
        if (work.intent.kind === "drop") {
          settle(tried, "dropped", `Dropped by ${work.intent.by}`);
        } else if (work.intent.kind === "hold" || result.heldFor !== null) {
          kept.push({ ...tried, state: "held", nextAttemptAt: now });
          const words =
            result.heldFor === null ? "Held by an administrator" : `Held, it needs help: ${result.heldFor}`;
          events.push(stateEvent(work, recipient.n, { state: "held", at: now, nextAttemptAt: null, words }));
        } else if (now >= recipient.expiresAt && !isKept(recipient, options.settings)) {
          fail(tried, outcome, true);
        } else {
          const waiting = waitingAgain(work.message, tried, { ...options, result });
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
  return { removed, kept, undeliverable, failed, relayed, events };
}

/** An unreachable destination has a back-off of its own; its mail is due as soon as that is over. */
function waitingAgain(
  message: SpooledMessage,
  recipient: SpooledRecipient,
  {
    result,
    settings,
    random,
  }: { readonly result: AttemptResult; readonly settings: QueueSettings; readonly random: () => number },
): SpooledRecipient {
  const now = result.record.endedAt;
  const ageMs = now - waitsSince(message, recipient, settings);
  const wait =
    result.reach === "unreachable"
      ? 0
      : waitAtAgeMs(settings.retryMs, { tries: recipient.tries, ageMs }, random);
  return { ...recipient, state: "queued", nextAttemptAt: now + wait };
}

/** Since when it waits in the queue. Mail released from the quarantine was received before, but has its whole time from then on. */
function waitsSince(
  { receivedAt }: SpooledMessage,
  { expiresAt }: SpooledRecipient,
  { giveUpAfterMs }: QueueSettings,
): number {
  return Math.max(receivedAt, expiresAt - giveUpAfterMs);
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

function wantsSuccess(envelope: SpooledEnvelope, recipient: SpooledRecipient): boolean {
  if (envelope.reversePath === "" || !recipient.detail.mayBounce) return false;
  return recipient.detail.dsn?.notify?.includes("SUCCESS") ?? false;
}
