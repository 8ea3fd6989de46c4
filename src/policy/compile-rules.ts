// Rules as set by people to rules that can be asked: own ones are parsed, shipped ones take over what a [[rule]] of their name changes.
import { addressKey } from "../message/address.ts";
import type { Direction } from "../message/envelope.ts";
import type { HeaderEdit } from "../message/header-edit.ts";
import { compareRules } from "../rules/decide.ts";
import { factsNamed } from "../rules/evaluate.ts";
import { parseExpression } from "../rules/expression.ts";
import type { Rule, RuleKind, RuleScope } from "../rules/rule.ts";
import {
  rulesOfShipped,
  SHIPPED_RULES,
  type ShippedRule,
  type ShippedSettings,
  shippedRule,
} from "../rules/shipped-rules.ts";
import type { RuleAction } from "../rules/verdict.ts";
import { type Policy, type RuleSettings, ruleSchema } from "./schema.ts";
import { nothingUnread, type Unread, type UnreadRule } from "./unread.ts";
import { unreadRule } from "./unread-mail.ts";

/** The priority of own rules that name none; in a [[rule]] for a shipped rule it means: leave the shipped one. */
export const OWN_PRIORITY = 5000;

/** What is wrong with one field of a rule. */
export interface RuleProblem {
  readonly field: string;
  readonly message: string;
}

export type CompiledRule =
  | { readonly ok: true; readonly rules: readonly Rule[] }
  | { readonly ok: false; readonly problems: readonly RuleProblem[] };

const REPLIES: Readonly<Record<RuleAction, { readonly code: number; readonly text: string }>> = {
  accept: { code: 250, text: "Message accepted" },
  mark: { code: 250, text: "Message accepted" },
  redirect: { code: 250, text: "Message accepted" },
  copy: { code: 250, text: "Message accepted" },
  discard: { code: 250, text: "Message accepted" },
  quarantine: { code: 250, text: "Message accepted" },
  reject: { code: 550, text: "Message refused by policy" },
  tempfail: { code: 451, text: "Message not accepted now, please try again later" },
};

function codeProblem(action: RuleAction, code: number): string | null {
  const first = Math.floor(code / 100);
  if (action === "reject") return first === 5 ? null : `is ${code}; reject answers with 500 to 599`;
  if (action === "tempfail") return first === 4 ? null : `is ${code}; tempfail answers with 400 to 499`;
  if (action === "quarantine")
    return code === 250 || first === 5 ? null : `is ${code}; quarantine answers with 250 or 550`;
  return code === 250 ? null : `is ${code}; ${action} always answers with 250, so leave it out`;
}

function editsOf(settings: RuleSettings): readonly HeaderEdit[] {
  const edits: HeaderEdit[] = [];
  if (settings.subject !== undefined) edits.push({ kind: "subject", ...settings.subject });
  if (settings.header !== undefined) edits.push({ kind: "add", ...settings.header });
  return edits;
}

function scopeOf(settings: Pick<RuleSettings, "scope">, directions: readonly Direction[]): RuleScope {
  return {
    directions,
    domains: settings.scope.domains,
    addresses: settings.scope.addresses.map(addressKey),
    senders: settings.scope.senders.map(addressKey),
  };
}

/** Only the rule that decides can count a message as spam or lock. */
function lockProblems(settings: RuleSettings, action: RuleAction): readonly RuleProblem[] {
  const final = action !== "mark" && action !== "redirect" && action !== "copy";
  if (final) return [];
  return (["counts_as_spam", "lock_identity"] as const)
    .filter((field) => settings[field] === true)
    .map((field) => ({
      field,
      message: `is only for rules that decide (quarantine, reject, tempfail, discard, accept), not for ${action}`,
    }));
}

function actionProblems(settings: RuleSettings, action: RuleAction): readonly RuleProblem[] {
  const problems: RuleProblem[] = [...lockProblems(settings, action)];
  const code = settings.code === undefined ? null : codeProblem(action, settings.code);
  if (code !== null) problems.push({ field: "code", message: code });
  if ((action === "redirect" || action === "copy") && settings.to === undefined) {
    problems.push({ field: "to", message: `is missing; ${action} needs a mail address` });
  }
  if (settings.to !== undefined && action !== "redirect" && action !== "copy") {
    problems.push({ field: "to", message: `is only for redirect and copy, not for ${action}` });
  }
  if (action === "mark" && settings.header === undefined && settings.subject === undefined) {
    problems.push({
      field: "action",
      message: "is mark, but there is no header and no subject to mark with",
    });
  }
  return problems;
}

function ownRule(settings: RuleSettings): CompiledRule {
  const problems: RuleProblem[] = [];
  if (settings.when === undefined) {
    problems.push({ field: "when", message: `is missing; write a condition such as message.size > 10 MB` });
  }
  if (settings.action === undefined) {
    problems.push({
      field: "action",
      message: `is missing; choose one of ${Object.keys(REPLIES).join(", ")}`,
    });
  }
  const when = settings.when === undefined ? null : parseExpression(settings.when);
  if (when?.ok === false) problems.push({ field: "when", message: when.reason });
  if (settings.action !== undefined) problems.push(...actionProblems(settings, settings.action));
  if (
    problems.length > 0 ||
    settings.when === undefined ||
    settings.action === undefined ||
    when?.ok !== true
  ) {
    return { ok: false, problems };
  }
  const rule: Rule = {
    name: settings.name,
    description: settings.description,
    shipped: false,
    kind: kindOf(factsNamed(when.value)),
    mode: settings.mode,
    priority: settings.priority,
    scope: scopeOf(settings, settings.scope.directions),
    when: settings.when,
    condition: when.value,
    action: settings.action,
    replyCode: settings.code ?? REPLIES[settings.action].code,
    replyText: settings.reply ?? REPLIES[settings.action].text,
    edits: editsOf(settings),
    target: settings.to ?? null,
    countsAsSpam: settings.counts_as_spam ?? false,
    locks: settings.lock_identity ?? false,
  };
  return { ok: true, rules: [rule] };
}

function changedPart(part: Rule, settings: RuleSettings): Rule | null {
  const wanted = settings.scope.directions;
  const both = part.scope.directions.filter((direction) => wanted.includes(direction));
  const directions =
    wanted.length === 0 ? part.scope.directions : part.scope.directions.length === 0 ? wanted : both;
  // A part for other directions than those asked for falls away.
  if (directions.length === 0 && wanted.length > 0) return null;
  const action = settings.action ?? part.action;
  const kept = action === part.action ? { code: part.replyCode, text: part.replyText } : REPLIES[action];
  const edits = editsOf(settings);
  return {
    ...part,
    description: settings.description === "" ? part.description : settings.description,
    mode: settings.mode,
    priority: settings.priority === OWN_PRIORITY ? part.priority : settings.priority,
    scope: scopeOf(settings, directions),
    action,
    replyCode: settings.code ?? kept.code,
    replyText: settings.reply ?? kept.text,
    edits: edits.length > 0 ? edits : part.edits,
    target: settings.to ?? part.target,
    countsAsSpam: settings.counts_as_spam ?? part.countsAsSpam,
    locks: settings.lock_identity ?? part.locks,
  };
}

/**
 * A part that puts off what cannot be known now, beside parts that decide. What a [[rule]] says of refusing, discarding or the like is
 * meant for those: it must not turn a DNS server that is down into lost mail.
 */
function waits(shipped: ShippedRule, part: { readonly action: RuleAction }): boolean {
  return part.action === "tempfail" && shipped.parts.some(({ action }) => action !== "tempfail");
}

/** What lets mail pass need not wait for an answer; all else takes the settings of where and when, not of what is done. */
function waitingPart(part: Rule, settings: RuleSettings): Rule | null {
  if (settings.action === "accept" || settings.action === "mark" || settings.action === "copy") return null;
  const changed = changedPart(part, settings);
  if (changed === null) return null;
  const { description, mode, priority, scope } = changed;
  return { ...part, description, mode, priority, scope };
}

function changedShipped(
  shipped: ShippedRule,
  settings: RuleSettings,
  shippedSettings: ShippedSettings,
): CompiledRule {
  const problems: RuleProblem[] = [];
  if (settings.when !== undefined) {
    problems.push({
      field: "when",
      message: `cannot be changed: "${shipped.name}" is a rule of the product; give your own rule another name`,
    });
  }
  const marks = shipped.parts.some((part) => part.action === "mark");
  if (marks && (settings.action !== undefined || settings.code !== undefined)) {
    problems.push({ field: "action", message: `and code cannot be changed: "${shipped.name}" only marks` });
  } else if (marks) {
    problems.push(...lockProblems(settings, "mark"));
  } else {
    if (settings.action !== undefined) problems.push(...actionProblems(settings, settings.action));
    else if (settings.code !== undefined) {
      // One code for all parts must suit each of them.
      const wrong = shipped.parts
        .filter((part) => !waits(shipped, part))
        .map((part) => codeProblem(part.action, settings.code ?? 0))
        .find((p) => p !== null);
      if (wrong !== undefined && wrong !== null) problems.push({ field: "code", message: wrong });
    }
  }
  if (problems.length > 0) return { ok: false, problems };
  const parts = rulesOfShipped(shipped, shippedSettings).map((part) =>
    waits(shipped, part) ? waitingPart(part, settings) : changedPart(part, settings),
  );
  return { ok: true, rules: parts.filter((part) => part !== null) };
}

/** Facts that find something, and are no malware. */
const HARMLESS_FOUND = new Set(["gtube.found", "identity.found"]);

/** Is that what a virus check says, whatever engine it asks? */
export function isVirusFact(fact: string): boolean {
  return fact.endsWith(".found") && !HARMLESS_FOUND.has(fact);
}

/** What a rule of one's own finds, by the facts it names. */
function kindOf(facts: ReadonlySet<string>): RuleKind | null {
  const named = [...facts];
  if (named.some(isVirusFact)) return "virus";
  if (facts.has("attachments.dangerous") || facts.has("attachments.macros")) return "program";
  return named.some((fact) => fact.startsWith("bulk.")) ? "bulk" : null;
}

/**
 * The rule of the product where a [[rule]] of its name does not hold: what is switched off or changed for some stays as it is for all
 * others.
 */
function elsewhere(
  settings: Pick<RuleSettings, "name" | "mode" | "scope">,
  shippedSettings: ShippedSettings,
): readonly Rule[] {
  const shipped = shippedRule(settings.name);
  const { directions, domains, addresses, senders } = settings.scope;
  // A changed rule with directions alone says which parts hold at all; one that is switched off for a direction stays on for the others.
  const some = domains.length + addresses.length + senders.length > 0;
  if (shipped === null || !(some || (settings.mode === "off" && directions.length > 0))) return [];
  const except = scopeOf(settings, directions);
  return rulesOfShipped(shipped, shippedSettings).map((part) => ({ ...part, except }));
}

/** Rules that domains and senders switch on and nobody has: a newer version has them. */
export function unknownNames(policy: Policy, unread: ReadonlySet<string>): ReadonlySet<string> {
  const named = [...policy.domain.flatMap((d) => d.rules ?? []), ...policy.sender.flatMap((s) => s.rules)];
  const known = new Set(policy.rule.map((rule) => rule.name));
  return new Set(named.filter((name) => !known.has(name) && !unread.has(name) && shippedRule(name) === null));
}

/** Compiles one [[rule]]. A shipped rule gives as many rules as it has parts. */
export function compileRule(settings: RuleSettings, shippedSettings: ShippedSettings): CompiledRule {
  const shipped = shippedRule(settings.name);
  return shipped === null ? ownRule(settings) : changedShipped(shipped, settings, shippedSettings);
}

/**
 * What is asked in the place of a rule that cannot be. What is known to be off or to observe decides nothing: an own rule is left out, one
 * of the product stays as it says.
 */
function instead(rule: UnreadRule, shippedSettings: ShippedSettings): readonly Rule[] {
  const { name, mode, scope } = rule;
  if (mode === "enforce") return [unreadRule(rule)];
  if (shippedRule(name) === null) return [];
  const known = compileRule(ruleSchema.parse({ name, mode, scope }), shippedSettings);
  return known.ok ? known.rules : [];
}

/**
 * All rules of a policy in the order they are asked. In the place of one that cannot be read or does not compile, which the schema door
 * refuses and a newer version may have stored, stands one that puts off what it may hold for; so it does for a name nobody knows.
 */
export function compileRules(
  policy: Policy,
  unread: Pick<Unread, "rules" | "ruleNames"> = nothingUnread(),
): readonly Rule[] {
  const { settings: shippedSettings } = policy;
  const changed = new Set<string>();
  const rules: Rule[] = [];
  for (const settings of policy.rule) {
    const compiled = compileRule(settings, shippedSettings);
    changed.add(settings.name);
    const asked = compiled.ok ? compiled.rules : instead(settings, shippedSettings);
    rules.push(...asked, ...elsewhere(settings, shippedSettings));
  }
  for (const rule of unread.rules) {
    changed.add(rule.name);
    rules.push(...instead(rule, shippedSettings), ...elsewhere(rule, shippedSettings));
  }
  for (const name of unknownNames(policy, unread.ruleNames))
    rules.push(unreadRule(ruleSchema.parse({ name })));
  for (const shipped of SHIPPED_RULES) {
    if (!changed.has(shipped.name)) rules.push(...rulesOfShipped(shipped, shippedSettings));
  }
  return rules.sort(compareRules);
}
