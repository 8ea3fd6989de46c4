// What is written to the message log. Plain data: sent from the spool to gatepost.db through the outbox, at least once.

import type { Outcome } from "../delivery/outcome.ts";
import type { Direction, Envelope, Grant } from "../message/envelope.ts";
import type { Finding } from "../rules/fact.ts";
import type { Verdict } from "../rules/verdict.ts";

/** Where a recipient stands. `refused` was answered with 5xx in the dialogue and never accepted; `put-off` with 4xx: it may come again. */
export type RecipientState =
  | "queued"
  | "held"
  | "delivered"
  | "failed"
  | "quarantined"
  | "released"
  | "discarded"
  | "refused"
  | "put-off"
  | "dropped";

export interface RecipientRecord {
  readonly n: number;
  readonly address: string;
  readonly direction: Direction;
  readonly grant: Grant | null;
  readonly state: RecipientState;
  /** null when it was refused before the rules were asked (relaying denied, unknown recipient). */
  readonly verdict: Verdict | null;
  /** The reply this recipient got in the dialogue: `250 2.1.5 …`, `550 5.1.1 …`. */
  readonly reply: string;
}

/** What a reply of 4xx or 5xx in the dialogue leaves behind. */
export function refusedState(code: number): "refused" | "put-off" {
  return code >= 500 ? "refused" : "put-off";
}

/** One message or refused transaction, as it stood when the dialogue ended. */
export interface MessageRecord {
  readonly id: string;
  readonly envelope: Omit<Envelope, "recipients">;
  readonly recipients: readonly RecipientRecord[];
  /** Octets as received; 0 when DATA was never reached. */
  readonly size: number;
  /** Decoded, control characters replaced, at most 500 characters each; empty when absent. */
  readonly subject: string;
  readonly headerFrom: string;
  readonly headerMessageId: string;
  /** The first address read in From, lower case; left out when there is none. */
  readonly author?: string;
  /** Why programs or people may read another author (`message/author.ts`), behind "From"; left out: it is sound. */
  readonly fromFlaw?: string;
  readonly findings: readonly Finding[];
  /** Final reply of the transaction as sent, and the private cause when it was refused. */
  readonly reply: string;
  readonly cause: string | null;
}

/** What is read of the message itself before anything is judged. */
export type MessageDetails = Pick<
  MessageRecord,
  "size" | "subject" | "headerFrom" | "headerMessageId" | "author" | "fromFlaw"
>;

/** One delivery attempt with its outcomes. */
export interface AttemptRecord {
  readonly id: string;
  readonly messageId: string;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly destination: string;
  readonly outcomes: readonly Outcome[];
}

/** Events of the outbox, in the order of their commit. Applying one twice changes nothing. */
export type LogEvent =
  | { readonly kind: "message"; readonly record: MessageRecord }
  | { readonly kind: "attempt"; readonly record: AttemptRecord }
  | {
      readonly kind: "state";
      readonly messageId: string;
      readonly n: number;
      readonly state: RecipientState;
      readonly at: number;
      /** When it is tried next, for `queued`. */
      readonly nextAttemptAt: number | null;
      readonly words: string;
    };
