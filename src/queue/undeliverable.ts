// What becomes of a recipient that no server will take (RFC 5321 §6.1): returned to its sender, kept in the quarantine as
// undeliverable, or both. After 250 there is no third way but the sender's own wish. Pure.
import type { Outcome } from "../delivery/outcome.ts";
import { oneLine, replyWords } from "../notify/reply-words.ts";
import type { RecipientState } from "../store/log-record.ts";
import type {
  Origin,
  RecipientDetail,
  SpooledEnvelope,
  SpooledMessage,
  SpooledRecipient,
} from "../store/spool-entry.ts";

const MAX_ANSWER = 500;

/** A recipient that failed for good. */
export interface Failure {
  readonly recipient: SpooledRecipient;
  readonly outcome: Outcome;
  /** Milliseconds UTC. */
  readonly at: number;
  /** The time for trying is over; false: it was refused. */
  readonly gaveUp: boolean;
}

/** How it ends. */
export interface FailureEnd {
  /** The recipient as it goes to the quarantine; null: it does not. */
  readonly kept: SpooledRecipient | null;
  /** The sender is told by a notice. */
  readonly told: boolean;
  /** For the message log. */
  readonly state: RecipientState;
  readonly words: string;
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

/** Which way it went; rows of an older version tell only whether its sender is one of ours. */
export function originOf({ origin, mayBounce }: RecipientDetail): Origin {
  return origin ?? { direction: mayBounce ? "outbound" : "inbound" };
}

/** A sender of ours asked not to be told (NOTIFY=NEVER, or of success only): then a failure is the end, as he wished. */
function askedForSilence(envelope: SpooledEnvelope, { detail }: SpooledRecipient): boolean {
  const ours = detail.mayBounce && originOf(detail).direction !== "inbound" && envelope.reversePath !== "";
  const notify = detail.dsn?.notify ?? null;
  return ours && notify !== null && !notify.includes("FAILURE");
}

/** What becomes of a recipient that failed. Mail from outside is always kept; mail of our own people when they cannot be told. */
export function endOf(message: SpooledMessage, failure: Failure): FailureEnd {
  const { recipient } = failure;
  const { envelope } = message;
  const told = mayReport(envelope, recipient, "FAILURE");
  const what = failureWords(failure);
  if (askedForSilence(envelope, recipient))
    return {
      kept: null,
      told,
      state: "failed",
      words: `${what}. The sender asked not to be told (NOTIFY).`,
    };
  const fromOutside = originOf(recipient.detail).direction === "inbound";
  if (told && !fromOutside)
    return { kept: null, told, state: "failed", words: `${what}. A notice goes to the sender.` };
  return {
    kept: keptOf(failure),
    told,
    state: "quarantined",
    words: `${what}. It is kept in the quarantine as undeliverable. ${tellingWords(envelope, recipient)}`,
  };
}

/** The recipient as it goes to the quarantine. */
export function keptOf({ recipient, outcome, at, gaveUp }: Failure): SpooledRecipient {
  const { detail } = recipient;
  return {
    ...recipient,
    state: "quarantine",
    lastOutcome: outcome,
    detail: {
      ...detail,
      quarantine: {
        ...originOf(detail),
        rule: "",
        words: failureWords({ outcome, gaveUp }),
        undeliverable: {
          server: oneLine(outcome.server ?? "", 300),
          answer: replyWords(outcome, MAX_ANSWER),
          failedAt: at,
          round: detail.round ?? 0,
        },
      },
    },
  };
}

/** In which words the log says that a notice which was owed could not be written. */
export function untoldWords(failure: Pick<Failure, "outcome" | "gaveUp">): string {
  return `${failureWords(failure)}. It is kept in the quarantine as undeliverable: the notice to the sender could not be written.`;
}

function tellingWords(envelope: SpooledEnvelope, recipient: SpooledRecipient): string {
  if (mayReport(envelope, recipient, "FAILURE")) return "A notice goes to the sender.";
  if (envelope.reversePath === "") return "There is no sender who could be told.";
  if (recipient.detail.mayBounce) return "The sender asked not to be told (NOTIFY).";
  if ((recipient.detail.round ?? 0) > 0) return "The sender is not told: it was released by hand.";
  return "The sender is not told: nothing proves that the address is the sender's own.";
}

/** What happened, without a full stop: `mx1.example.org [192.0.2.7]:25 said “550 5.1.1 No such user”`. */
function failureWords({ outcome, gaveUp }: Pick<Failure, "outcome" | "gaveUp">): string {
  const answer = replyWords(outcome, MAX_ANSWER);
  const said =
    outcome.code === null || outcome.server === null
      ? answer.replace(/\.$/, "")
      : `${oneLine(outcome.server, 300)} said “${answer}”`;
  if (gaveUp) return `Given up: the time for trying is over. Last answer: ${said === "" ? "none" : said}`;
  return said === "" ? "It could not be delivered" : `Could not be delivered: ${said}`;
}
