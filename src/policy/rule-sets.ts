// Which rules hold for a domain, a sender and a direction, and which facts they need: found once, then looked up.
import type { Direction } from "../message/envelope.ts";
import { compareRules, inScope, type RuleSubject, ruleDomain } from "../rules/decide.ts";
import { factsNamed } from "../rules/evaluate.ts";
import type { Rule } from "../rules/rule.ts";
import { DEFAULT_RULES, shippedRule } from "../rules/shipped-rules.ts";
import { compileRules } from "./compile-rules.ts";
import type { Policy, SenderSettings } from "./schema.ts";
import type { Unread } from "./unread.ts";

export interface RuleSet {
  /** In the order they are asked. Scopes by address are left to `decide`. */
  readonly rules: readonly Rule[];
  /** Facts of the rules that hold for every address. */
  readonly wanted: ReadonlySet<string>;
  /** Rules for single addresses: their facts are wanted for these only. */
  readonly addressed: readonly { readonly rule: Rule; readonly facts: ReadonlySet<string> }[];
}

/** Facts nobody has to find out: those of the recipient, and what the run of the checks says of itself. */
const GIVEN: ReadonlySet<string> = new Set([
  "recipient.address",
  "recipient.domain",
  "message.direction",
  "scan.failed",
  "scan.failures",
]);

function wantedOf(rule: Rule): ReadonlySet<string> {
  return new Set([...factsNamed(rule.condition)].filter((fact) => !GIVEN.has(fact)));
}

/** Without what single addresses bring: that is left to `decide`. */
function anywhere({ except, ...rule }: Rule): Pick<Rule, "scope" | "except"> {
  const scope = { ...rule.scope, addresses: [] };
  return except === undefined || except.addresses.length > 0 ? { scope } : { scope, except };
}

/** Names switched on by somebody: a rule of one's own that nobody names holds wherever its scope says. */
function namedRules(policy: Policy): ReadonlySet<string> {
  return new Set([...policy.domain.flatMap((d) => d.rules ?? []), ...policy.sender.flatMap((s) => s.rules)]);
}

function holdsByScope(rule: Rule, named: ReadonlySet<string>): boolean {
  const shipped = shippedRule(rule.name);
  if (shipped === null) return !named.has(rule.name);
  if (shipped.switchedOn === "always") return true;
  // A shipped rule is switched on by a [[rule]] that says where; what it leaves is switched on as always.
  if (rule.except !== undefined) return false;
  return rule.scope.domains.length > 0 || rule.scope.addresses.length > 0 || rule.scope.senders.length > 0;
}

/** Makes the look-up. `senders` are the outgoing senders the subject's mail comes from. */
export function ruleSets(
  policy: Policy,
  {
    senders,
    unread,
  }: {
    readonly senders: (subject: RuleSubject) => readonly SenderSettings[];
    readonly unread: Unread;
  },
): (subject: RuleSubject) => RuleSet {
  const all = compileRules(policy, unread);
  const rules = all.filter((rule) => rule.mode !== "off");
  // Switched off for senders by their names, which says as much as `except_rules` of theirs.
  const offForSenders = all.filter((rule) => rule.mode === "off" && rule.scope.senders.length > 0);
  const named = namedRules(policy);
  const byScope = new Set(rules.filter((rule) => holdsByScope(rule, named)));
  const ofDomain = new Map<string, readonly string[]>(
    policy.domain.filter((d) => d.enabled).map((d) => [d.name, d.rules ?? DEFAULT_RULES]),
  );

  const build = (subject: RuleSubject): RuleSet => {
    const on = new Set([
      ...(ofDomain.get(ruleDomain(subject) ?? "") ?? DEFAULT_RULES),
      // `block` of a sender names outgoing rules of the product (requirement O8).
      ...senders(subject).flatMap((sender) => [...sender.rules, ...sender.block]),
    ]);
    const not = new Set(senders(subject).flatMap((sender) => sender.except_rules));
    const isFree = (name: string): boolean =>
      not.has(name) || offForSenders.some((rule) => rule.name === name && inScope(rule, subject));
    const holds = ({ name }: Rule): boolean =>
      !not.has(name) && shippedRule(name)?.notWithout?.every(isFree) !== true;
    const switchedOn = rules.filter((rule) => (on.has(rule.name) || byScope.has(rule)) && holds(rule));
    const own = switchedOn.filter((rule) => inScope(anywhere(rule), subject));
    // Internal mail is looked at as inbound mail is, so that the log can tell how well our own mail is proven.
    const seen =
      subject.direction === "internal"
        ? switchedOn.filter((rule) => inScope(anywhere(rule), { ...subject, direction: "inbound" }))
        : [];
    const looked = [...new Set([...own, ...seen])].sort(compareRules);
    return {
      rules: own,
      wanted: new Set(looked.filter((r) => r.scope.addresses.length === 0).flatMap((r) => [...wantedOf(r)])),
      addressed: looked
        .filter((r) => r.scope.addresses.length > 0)
        .map((rule) => ({ rule, facts: wantedOf(rule) })),
    };
  };

  // Bounded: keys are domains and senders of the policy, never what a client says. To all rules, other domains are alike.
  const domains = new Set<string>([
    ...ofDomain.keys(),
    ...policy.sender.map((sender) => sender.domain),
    ...rules.flatMap((rule) => [...rule.scope.domains, ...(rule.except?.domains ?? [])]),
  ]);
  const known: Readonly<Record<Direction, Map<string, Map<string, RuleSet>>>> = {
    inbound: new Map(),
    outbound: new Map(),
    internal: new Map(),
  };
  return (subject) => {
    const domain = ruleDomain(subject) ?? "";
    const domainKey = domains.has(domain) ? domain : "";
    let bySender = known[subject.direction].get(domainKey);
    if (bySender === undefined) {
      bySender = new Map();
      known[subject.direction].set(domainKey, bySender);
    }
    const senderKey = subject.sender ?? subject.senderDomain ?? "";
    let set = bySender.get(senderKey);
    if (set === undefined) {
      set = build(subject);
      bySender.set(senderKey, set);
    }
    return set;
  };
}
