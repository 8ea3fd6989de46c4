// Delivery attempts as outgoing control and the figures see them: how many recipients were delivered, refused, and unknown over there.
import type { Deliverer } from "../delivery/attempt.ts";
import type { Outcome } from "../delivery/outcome.ts";
import type { Log } from "../observe/log.ts";
import type { Metrics } from "../observe/metrics.ts";

/** Recipients of one message in one attempt. */
export interface AttemptCounts {
  readonly delivered: number;
  readonly rejected: number;
  /** Those of the rejected that do not exist. */
  readonly unknown: number;
}

export type OnOutcomes = (messageId: string, counts: AttemptCounts) => void;

/** Bad mailbox, system or address (RFC 3463 §3.2; 10 is RFC 7505's null MX). */
const UNKNOWN = new Set(["5.1.0", "5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10"]);

/** Servers without enhanced codes say it in words. */
const UNKNOWN_WORDS = /\b(?:unknown|no such|does not exist|not found|invalid)\b/i;

function isUnknown({ code, enhanced, text }: Outcome): boolean {
  if (enhanced !== null) return UNKNOWN.has(enhanced);
  return (code === 550 || code === 553) && UNKNOWN_WORDS.test(text.slice(0, 200));
}

/** Counts the outcomes of each attempt and tells of those that are final. An outcome is never lost because it could not be counted. */
export function watchedDeliverer(
  deliverer: Deliverer,
  parts: { readonly metrics: Metrics; readonly onOutcomes: OnOutcomes; readonly log: Log },
): Deliverer {
  return {
    ...deliverer,
    async attempt(attempt) {
      const outcomes = await deliverer.attempt(attempt);
      try {
        tell(attempt.messageId, outcomes, parts);
      } catch (error) {
        parts.log.error({ err: error, id: attempt.messageId }, "outcomes of an attempt were not counted");
      }
      return outcomes;
    },
  };
}

function tell(
  messageId: string,
  outcomes: readonly Outcome[],
  { metrics, onOutcomes }: { readonly metrics: Metrics; readonly onOutcomes: OnOutcomes },
): void {
  let delivered = 0;
  let rejected = 0;
  let unknown = 0;
  for (const outcome of outcomes) {
    metrics.delivery(outcome.result);
    if (outcome.result === "delivered") delivered++;
    if (outcome.result === "failed") {
      rejected++;
      if (isUnknown(outcome)) unknown++;
    }
  }
  if (delivered + rejected > 0) onOutcomes(messageId, { delivered, rejected, unknown });
}
