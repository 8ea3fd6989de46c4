// A rule: a named condition over facts and what to do when it holds. Parsed rules are immutable and carry no I/O.

import type { Direction } from "../message/envelope.ts";
import type { HeaderEdit } from "../message/header-edit.ts";
import type { Expression } from "./expression.ts";
import type { RuleAction } from "./verdict.ts";

/** What a rule finds in mail, where that is one of the kinds alerts tell apart. */
export type RuleKind = "virus" | "spam" | "bulk" | "program";

/** Where a rule holds. Empty lists mean everywhere. */
export interface RuleScope {
  readonly directions: readonly Direction[];
  /** Recipient domains (inbound, internal) or sender domains (outbound). */
  readonly domains: readonly string[];
  /** Recipient addresses. */
  readonly addresses: readonly string[];
  /** Logins of outgoing senders. */
  readonly senders: readonly string[];
}

export interface Rule {
  readonly name: string;
  /** Shown in the console: what it does, in one sentence. */
  readonly description: string;
  /** True for the rules that come with the product. */
  readonly shipped: boolean;
  readonly kind: RuleKind | null;
  readonly mode: "enforce" | "observe" | "off";
  /** Lower runs first; shipped rules leave gaps of 100. */
  readonly priority: number;
  readonly scope: RuleScope;
  /** Where it does not hold though `scope` says so: there the settings say something else of the rule. */
  readonly except?: RuleScope;
  /** The condition as written, for people. */
  readonly when: string;
  readonly condition: Expression;
  readonly action: RuleAction;
  /** For `quarantine`: how the client is answered. For `reject`/`tempfail`: the code. */
  readonly replyCode: number;
  readonly replyText: string;
  readonly edits: readonly HeaderEdit[];
  readonly target: string | null;
  /** When it decides about outgoing mail, the message counts toward the sender's and identity's lock. */
  readonly countsAsSpam: boolean;
  /** When it decides about outgoing mail, the identity is locked at once. */
  readonly locks: boolean;
}
