// Who may release a quarantined message, and what must be asked before: malware, and mail of one tenant for another.
import { anyStopped, sendsNothing } from "../policy/sends-nothing.ts";
import type { PolicySnapshot } from "../policy/snapshot.ts";
import { whoSent } from "../queue/claim-work.ts";
import { writtenBy } from "../queue/new-mail.ts";
import { isUntold, namedWriters } from "../queue/with-writers.ts";
import { factsNamed } from "../rules/evaluate.ts";
import { parseExpression } from "../rules/expression.ts";
import { knownFact } from "../rules/known-facts.ts";
import { SHIPPED_RULES, shippedRule } from "../rules/shipped-rules.ts";
import type { MessageRecord } from "../store/log-record.ts";
import type { QuarantineItem } from "../store/quarantine-item.ts";
import type { Quarantine } from "../vault/quarantine.ts";
import type { ConsoleContext } from "./console-env.ts";
import { domainPart, inScope, ownDomains } from "./domain-scope.ts";

/** `ask`: whoever releases it must have read what was found. */
export type ReleaseQuestion =
  | { readonly kind: "free" }
  | { readonly kind: "ask"; readonly found: string }
  | { readonly kind: "refused"; readonly words: string };

const MAX_NAMES = 5;

/** The facts by which the shipped rules tell malware. */
const MALWARE_FACTS: readonly string[] = SHIPPED_RULES.filter(({ kind }) => kind === "virus").flatMap(
  ({ parts }) =>
    parts.flatMap(({ when }) => {
      const parsed = parseExpression(when);
      return parsed.ok ? [...factsNamed(parsed.value)] : [];
    }),
);

/** What was found, by its name where the engine gave one; null: no malware. */
export function malwareIn(record: Pick<MessageRecord, "findings"> | null, rule: string): string | null {
  const valueNow = (fact: string) => record?.findings.find((finding) => finding.fact === fact)?.value;
  const found = MALWARE_FACTS.filter((fact) => valueNow(fact) === true);
  const names = found.map((fact) => {
    const detail = knownFact(fact)?.detail;
    const name = detail === undefined ? undefined : valueNow(detail);
    return typeof name === "string" && name !== "" ? name : (knownFact(fact)?.description ?? fact);
  });
  if (names.length > 0) return names.slice(0, MAX_NAMES).join(", ");
  // The log may have forgotten it; the rule that put it aside is still known.
  return shippedRule(rule)?.kind === "virus" ? "malware" : null;
}

/** Why nobody may release it now: its domain sends nothing. null: it may go. */
export async function releaseStop(
  now: PolicySnapshot,
  item: QuarantineItem,
  quarantine: Pick<Quarantine, "body">,
): Promise<string | null> {
  // Lists ask this of each line: a body is read only where something could come of it.
  const body = isUntold(item) && anyStopped(now) ? await quarantine.body(item.id) : null;
  const { reversePath } = item;
  const named = body === null ? {} : { named: namedWriters(body) };
  const behind = whoSent(item, { reversePath, ...writtenBy(item), ...named });
  const stop = behind === undefined ? null : sendsNothing(now, behind);
  return stop === null ? null : `${stop.words}.`;
}

/** May whoever asks release it, and what must be asked before? */
export async function releaseQuestion(c: ConsoleContext, item: QuarantineItem): Promise<ReleaseQuestion> {
  const { messageLog, settings, quarantine } = c.get("services");
  const scope = ownDomains(c);
  const { policy } = settings.current();
  const domain = domainPart(item.recipient);
  // It would reach the other domain's people past the rules and administrators of that domain.
  if (!inScope(scope, domain) && policy.domain.some(({ name }) => name === domain))
    return {
      kind: "refused",
      words: `It is for ${domain}, another domain of this gateway: its own administrators release it, or an administrator of the gateway.`,
    };
  const stop = await releaseStop(settings.current(), item, quarantine);
  if (stop !== null) return { kind: "refused", words: stop };
  const found = malwareIn((await messageLog.get(item.messageId))?.record ?? null, item.rule);
  if (found === null) return { kind: "free" };
  if (scope !== null && policy.settings.malware_release !== "domain-administrators")
    return {
      kind: "refused",
      words: `Malware was found in it: ${found}. Only an administrator of the gateway releases it.`,
    };
  return { kind: "ask", found };
}
