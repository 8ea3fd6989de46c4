// facts → rules → verdict for one recipient. Pure and deterministic: the same facts and rules always give the same verdict,
// so that a changed rule can be tried on mail of last week. No I/O, no clock.
import { addressKey } from "../message/address.ts";
import type { Direction } from "../message/envelope.ts";
import { collectEdits, type OwnedEdit } from "./collect-edits.ts";
import { evaluate, holds } from "./evaluate.ts";
import type { Facts } from "./fact.ts";
import { valueWords } from "./fact-words.ts";
import { knownFact } from "./known-facts.ts";
import type { Rule, RuleScope } from "./rule.ts";
import type { FinalAction, RuleAction, RuleOutcome, Verdict } from "./verdict.ts";

/** The recipient's copy that is judged. */
export interface RuleSubject {
  readonly recipient: string;
  readonly direction: Direction;
  /** The relay domain the sender belongs to, or null. */
  readonly senderDomain: string | null;
  /** Login (lower case) or range of the outgoing sender, or null. */
  readonly sender: string | null;
}

const MAX_REASONS = 6;

const DONE: Readonly<Record<RuleAction, string>> = {
  accept: "Accepted",
  quarantine: "Quarantined",
  reject: "Refused",
  tempfail: "Put off",
  discard: "Discarded",
  mark: "Marked",
  redirect: "Redirected",
  copy: "Copied",
};

const ACCEPTED: Verdict = Object.freeze({
  action: "accept",
  rule: null,
  words: "Accepted: no rule objects",
  replyCode: 250,
  replyText: "Message accepted",
  edits: [],
  redirectTo: null,
  copyTo: [],
  outcomes: [],
});

/** The domain whose rules hold for the subject: the recipient's, for outbound mail the sender's. */
export function ruleDomain(subject: RuleSubject): string | null {
  if (subject.direction === "outbound") return subject.senderDomain;
  return subject.recipient.slice(subject.recipient.lastIndexOf("@") + 1).toLowerCase();
}

/** Is the subject in the rule's scope? Empty lists of the scope mean everywhere. */
export function inScope({ scope, except }: Pick<Rule, "scope" | "except">, subject: RuleSubject): boolean {
  return within(scope, subject) && (except === undefined || !within(except, subject));
}

function within({ directions, domains, addresses, senders }: RuleScope, subject: RuleSubject): boolean {
  if (directions.length > 0 && !directions.includes(subject.direction)) return false;
  if (domains.length > 0) {
    const domain = ruleDomain(subject);
    if (domain === null || !domains.includes(domain)) return false;
  }
  if (addresses.length > 0 && !addresses.includes(addressKey(subject.recipient))) return false;
  return senders.length === 0 || (subject.sender !== null && senders.includes(subject.sender));
}

/** Order in which rules are asked: by priority, equal ones by name. */
export function compareRules(a: Rule, b: Rule): number {
  return a.priority - b.priority || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
}

function inOrder(rules: readonly Rule[]): readonly Rule[] {
  for (let i = 1; i < rules.length; i++) {
    const before = rules[i - 1];
    const rule = rules[i];
    if (before !== undefined && rule !== undefined && compareRules(before, rule) > 0) {
      return rules.toSorted(compareRules);
    }
  }
  return rules;
}

function reasonWords(rule: Rule, facts: Facts, own: Facts): string {
  const because = evaluate(rule.condition, facts, own).because;
  const stated = because.filter((reason) => !reason.denied);
  const reasons = (stated.length > 0 ? stated : because).slice(0, MAX_REASONS).map((reason) => {
    const detail = knownFact(reason.fact)?.detail;
    const value = detail === undefined ? undefined : facts[detail];
    return value === undefined || value === ""
      ? reason.words
      : `${reason.words} (${detail}: ${valueWords(value)})`;
  });
  return reasons.join(" and ");
}

function isFinal(action: RuleAction): action is FinalAction {
  return action !== "mark" && action !== "redirect" && action !== "copy";
}

/** What the rules that count have done to one copy so far. */
interface Progress {
  final: { readonly rule: Rule; readonly action: FinalAction; readonly words: string } | null;
  edits: readonly OwnedEdit[];
  redirect: { readonly to: string; readonly rule: string } | null;
  copyTo: readonly string[];
}

function applyRule(progress: Progress, rule: Rule, words: string): boolean {
  if (progress.final !== null || rule.mode !== "enforce") return false;
  if (rule.action === "redirect" || rule.action === "copy") {
    const to = rule.target;
    // The first redirection wins: a copy goes to one place.
    if (to === null || (rule.action === "redirect" && progress.redirect !== null)) return false;
    if (rule.action === "redirect") progress.redirect = { to, rule: rule.name };
    else if (!progress.copyTo.includes(to)) progress.copyTo = [...progress.copyTo, to];
  }
  progress.edits = collectEdits(progress.edits, rule);
  if (isFinal(rule.action)) progress.final = { rule, action: rule.action, words };
  return true;
}

function verdictOf(progress: Progress, outcomes: readonly RuleOutcome[]): Verdict {
  const { final } = progress;
  const changed = outcomes.filter((outcome) => outcome.applied && !isFinal(outcome.action));
  const changes = [...new Set(changed.map((o) => `${DONE[o.action].toLowerCase()} by rule ${o.rule}`))].join(
    ", ",
  );
  const words =
    final !== null
      ? `${DONE[final.action]} by rule ${final.rule.name}: ${final.words}`
      : changes === ""
        ? ACCEPTED.words
        : `Accepted, ${changes}`;
  return {
    action: final?.action ?? "accept",
    rule: final?.rule.name ?? null,
    words,
    replyCode: final?.rule.replyCode ?? ACCEPTED.replyCode,
    replyText: final?.rule.replyText ?? ACCEPTED.replyText,
    edits: progress.edits.map((owned) => owned.edit),
    redirectTo: progress.redirect?.to ?? null,
    copyTo: progress.copyTo,
    ...(final?.rule.countsAsSpam === true ? { spam: true } : {}),
    ...(final?.rule.locks === true ? { lock: true } : {}),
    ...(final === null || final.rule.kind === null ? {} : { kind: final.rule.kind }),
    outcomes,
  };
}

/**
 * Judges one recipient's copy. The first enforced final rule decides; marks, redirections and copies before it count.
 * Rules that only observe, and those behind the deciding one, are recorded in `outcomes` and change nothing.
 */
export function decide(facts: Facts, rules: readonly Rule[], subject: RuleSubject): Verdict {
  const own: Facts = {
    "recipient.address": subject.recipient,
    "recipient.domain": subject.recipient.slice(subject.recipient.lastIndexOf("@") + 1),
    "message.direction": subject.direction,
  };
  let progress: Progress | null = null;
  let outcomes: RuleOutcome[] | null = null;
  for (const rule of inOrder(rules)) {
    if (rule.mode === "off" || !inScope(rule, subject) || !holds(rule.condition, facts, own)) continue;
    progress ??= { final: null, edits: [], redirect: null, copyTo: [] };
    outcomes ??= [];
    const words = reasonWords(rule, facts, own);
    const applied = applyRule(progress, rule, words);
    outcomes.push({ rule: rule.name, mode: rule.mode, action: rule.action, words, applied });
  }
  return progress === null || outcomes === null ? ACCEPTED : verdictOf(progress, outcomes);
}
