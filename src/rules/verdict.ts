// What is done with one recipient's copy of a message, and why, as plain data.
import type { HeaderEdit } from "../message/header-edit.ts";
import type { RuleKind } from "./rule.ts";

/** Final actions end the evaluation; `mark`, `redirect` and `copy` change the copy and evaluation goes on. */
export type FinalAction = "accept" | "quarantine" | "reject" | "tempfail" | "discard";
export type ChangingAction = "mark" | "redirect" | "copy";
export type RuleAction = FinalAction | ChangingAction;

/** What one rule said of one recipient's copy: kept in the log for every rule that was looked at and matched. */
export interface RuleOutcome {
  readonly rule: string;
  readonly mode: "enforce" | "observe";
  readonly action: RuleAction;
  /** Why it matched, with the values: `virus.found is true (virus.name: Eicar)`. */
  readonly words: string;
  /** False when it matched but did not count: observed only, or after the final rule. */
  readonly applied: boolean;
}

/** The decision for one recipient. */
export interface Verdict {
  readonly action: FinalAction;
  /** The rule that decided, or null when no rule did and the message is accepted by default. */
  readonly rule: string | null;
  /** One sentence for people. */
  readonly words: string;
  /** SMTP reply when the action refuses, or for `quarantine` with 550: 550 | 450 | 250 … */
  readonly replyCode: number;
  /** Text for the client; says nothing an attacker can use. */
  readonly replyText: string;
  readonly edits: readonly HeaderEdit[];
  /** Deliver here instead of to the recipient, when not null. */
  readonly redirectTo: string | null;
  /** Further addresses that get a copy. */
  readonly copyTo: readonly string[];
  /** The deciding rule counts the message toward the sender's and identity's lock. Left out in old records: no. */
  readonly spam?: boolean;
  /** What the deciding rule finds. Left out: none of these. */
  readonly kind?: RuleKind;
  /** The deciding rule locks the identity. */
  readonly lock?: boolean;
  /** Every rule that matched, in order. */
  readonly outcomes: readonly RuleOutcome[];
}
