// What administrators of domains may change: less than the operator set, never more. A ceiling is what the operator set last of each
// field that stops somebody; it stays when a domain administrator sets less, or removes the item and adds it again. Pure.
import { aboveDomain, isFreer } from "./domain-ceiling.ts";
import { durationMs } from "./duration.ts";
import { enterpriseParts } from "./enterprise-mode.ts";
import type { PolicyItem } from "./policy-document.ts";
import type { DomainSettings, SenderSettings } from "./schema.ts";
import type { OutgoingSettings } from "./schema-outgoing.ts";
import { limitsSchema } from "./schema-sender.ts";

/** By path. A field that is not in it has no ceiling: nobody but the domain's own administrators has set it. */
export type Ceiling = Readonly<Record<string, unknown>>;

/** A field of an input that is above what whoever gave it may set. */
export interface CeilingProblem {
  /** `limits.per_hour`; "" is the item itself. */
  readonly field: string;
  readonly message: string;
}

const LIMIT_NAMES = limitsSchema.keyof().options;

type Refusal = (set: unknown, wanted: unknown) => string | null;

function isNumber(value: unknown): value is number {
  return typeof value === "number";
}

/** null is no limit. */
const atMost: Refusal = (set, wanted) => {
  if (!isNumber(set) || (isNumber(wanted) && wanted <= set)) return null;
  return `an administrator of the gateway has set ${set}; you may set less, not ${isNumber(wanted) ? "more" : "take it away"}`;
};

/** Milliseconds. */
const atLeast: Refusal = (set, wanted) =>
  isNumber(set) && isNumber(wanted) && wanted < set
    ? "is shorter than an administrator of the gateway has set; you may set a longer one"
    : null;

const staysOn: Refusal = (set, wanted) =>
  set === true && wanted !== true
    ? "was switched on by an administrator of the gateway, who alone can switch it off"
    : null;

const staysOff: Refusal = (set, wanted) =>
  set === false && wanted !== false
    ? "was switched off by an administrator of the gateway, who alone can switch it on again"
    : null;

const keepsAll: Refusal = (set, wanted) => {
  const has = Array.isArray(wanted) ? wanted : [];
  const gone = (Array.isArray(set) ? set : []).filter((one) => !has.includes(one));
  return gone.length === 0
    ? null
    : `${gone.join(", ")} was chosen by an administrator of the gateway and must stay`;
};

const staysSame: Refusal = (set, wanted) =>
  Bun.deepEquals(set, wanted) ? null : "was set by an administrator of the gateway, who alone can change it";

/** Where the operator set nothing it is free. */
const staysIfSet: Refusal = (set, wanted) => (set === null ? null : staysSame(set, wanted));

interface Field<T> {
  readonly path: string;
  readonly of: (value: T) => unknown;
  readonly refuse: Refusal;
}

const limitFields = (which: "limits" | "identity_limits"): readonly Field<SenderSettings>[] =>
  LIMIT_NAMES.map((name) => ({
    path: `${which}.${name}`,
    of: (sender) => sender[which][name],
    refuse: atMost,
  }));

const SENDER_FIELDS: readonly Field<SenderSettings>[] = [
  { path: "enabled", of: ({ enabled }) => enabled, refuse: staysOff },
  ...limitFields("limits"),
  ...limitFields("identity_limits"),
  { path: "lock.identity", of: ({ lock }) => lock.identity, refuse: staysOn },
  { path: "lock.sender", of: ({ lock }) => lock.sender, refuse: staysOn },
  { path: "lock.spam", of: ({ lock }) => lock.spam, refuse: atMost },
  { path: "lock.window", of: ({ lock }) => durationMs(lock.window), refuse: atLeast },
  { path: "lock.timeout", of: ({ lock }) => durationMs(lock.timeout), refuse: atLeast },
  { path: "lock.max_unlocks", of: ({ lock }) => lock.max_unlocks, refuse: atMost },
  { path: "block", of: ({ block }) => block, refuse: keepsAll },
  { path: "archive", of: ({ archive }) => archive, refuse: staysOn },
  // Whoever may choose what an identity is called has a new one for each message.
  { path: "identify_by", of: (sender) => sender.identify_by, refuse: staysSame },
  { path: "rules", of: ({ rules }) => rules, refuse: staysSame },
  { path: "except_rules", of: (sender) => sender.except_rules, refuse: staysSame },
  // What may be done with it follows from what the operator set for the domains.
  { path: "domain", of: ({ domain }) => domain, refuse: () => null },
];

type Parts = ReturnType<typeof enterpriseParts>;

const partField = (path: string, part: keyof Parts): Field<DomainSettings> => ({
  path: `outgoing.${path}`,
  of: ({ outgoing }) => enterpriseParts(outgoing)[part],
  refuse: staysOn,
});

const defaultLimit = (name: keyof OutgoingSettings["default_limits"]): Field<DomainSettings> => ({
  path: `outgoing.default_limits.${name}`,
  of: ({ outgoing }) => outgoing.default_limits[name],
  refuse: atMost,
});

const THRESHOLDS = ["spam", "virus", "bulk", "program", "undeliverable"] as const;

const EVERY: readonly unknown[] = ["off", "weekly", "daily"];

const noRarer: Refusal = (set, wanted) =>
  EVERY.indexOf(wanted) < EVERY.indexOf(set)
    ? `an administrator of the gateway has set ${set}; it may come more often, not more rarely`
    : null;

/** Who gets the report: without addresses of its own those of the alerts, whom the first address of its own would take it from. */
function reported({ alerts, report }: OutgoingSettings): readonly string[] {
  return report.every === "off" || report.to.length > 0 ? report.to : alerts.mail;
}

/** Whom the operator wants told of what, and how soon: others may be told as well, and of less. */
const TOLD: readonly Field<DomainSettings>[] = [
  { path: "outgoing.abuse_contact", of: ({ outgoing }) => outgoing.abuse_contact, refuse: staysIfSet },
  { path: "outgoing.alerts.mail", of: ({ outgoing }) => outgoing.alerts.mail, refuse: keepsAll },
  ...THRESHOLDS.map(
    (kind): Field<DomainSettings> => ({
      path: `outgoing.alerts.thresholds.${kind}`,
      of: ({ outgoing }) => outgoing.alerts.thresholds[kind],
      refuse: atMost,
    }),
  ),
  {
    path: "outgoing.alerts.thresholds.window",
    of: ({ outgoing }) => durationMs(outgoing.alerts.thresholds.window),
    refuse: atLeast,
  },
  { path: "outgoing.report.every", of: ({ outgoing }) => outgoing.report.every, refuse: noRarer },
  { path: "outgoing.report.to", of: ({ outgoing }) => reported(outgoing), refuse: keepsAll },
];

const DOMAIN_FIELDS: readonly Field<DomainSettings>[] = [
  partField("from_must_exist", "fromMustExist"),
  partField("known_identities_only", "knownIdentitiesOnly"),
  partField("require_tls", "requireTls"),
  partField("limit_identities", "limitIdentities"),
  partField("lock_identities", "lockIdentities"),
  defaultLimit("per_minute"),
  defaultLimit("per_hour"),
  defaultLimit("recipients_per_day"),
  ...TOLD,
];

function valuesOf<T>(fields: readonly Field<T>[], value: T): Ceiling {
  return Object.fromEntries(fields.map(({ path, of }) => [path, of(value)]));
}

/** The item as a ceiling: all of it was set by the operator. */
export function ceilingOf(item: PolicyItem): Ceiling {
  if (item.section === "sender") return valuesOf(SENDER_FIELDS, item.value);
  return item.section === "domain" ? valuesOf(DOMAIN_FIELDS, item.value) : {};
}

function aboveCeiling(ceiling: Ceiling, item: PolicyItem): readonly CeilingProblem[] {
  const found = <T>(fields: readonly Field<T>[], value: T): readonly CeilingProblem[] =>
    fields.flatMap(({ path, of, refuse }) => {
      const message = path in ceiling ? refuse(ceiling[path], of(value)) : null;
      return message === null ? [] : [{ field: path, message }];
    });
  if (item.section === "sender") return found(SENDER_FIELDS, item.value);
  return item.section === "domain" ? found(DOMAIN_FIELDS, item.value) : [];
}

/** An item as it is, as it is wanted, and what is kept of the operator's. */
export interface ItemChange {
  readonly before: PolicyItem | null;
  readonly after: PolicyItem | null;
  /** null: nothing is kept, so what is stored is the operator's. */
  readonly ceiling: Ceiling | null;
  /** What the operator set for a domain, or for the nearest one above it. */
  readonly ofDomain: (name: string) => Ceiling;
}

/** What is kept of the operator's after a change; null: nothing need be. */
export function nextCeiling(
  { before, after, ceiling }: Pick<ItemChange, "before" | "after" | "ceiling">,
  byOperator: boolean,
): Ceiling | null {
  if (!byOperator) return ceiling ?? (before === null ? {} : ceilingOf(before));
  // Who adds or removes it as operator has set, or given up, all of it.
  if (ceiling === null || before === null || after === null) return null;
  const was = ceilingOf(before);
  const changed = Object.entries(ceilingOf(after)).filter(
    ([path, value]) => !Bun.deepEquals(was[path], value),
  );
  return { ...ceiling, ...Object.fromEntries(changed) };
}

/** A value of the ceiling as a document writes it: durations are kept in milliseconds. */
function written(path: string, value: unknown): unknown {
  return typeof value === "number" && (path === "lock.window" || path === "lock.timeout")
    ? `${value / 1000}s`
    : value;
}

/** The input of a sender that is added again, with the operator's values where it says nothing. */
export function withCeiling(input: object, ceiling: Ceiling): object {
  const whole: Record<string, unknown> = { ...input };
  for (const { path } of SENDER_FIELDS) {
    const [first = "", second] = path.split(".");
    const value = written(path, ceiling[path]);
    if (value === undefined || value === null) continue;
    const at = whole[first];
    if (second === undefined) whole[first] ??= value;
    else if (at === undefined) whole[first] = { [second]: value };
    else if (typeof at === "object" && at !== null) whole[first] = { [second]: value, ...at };
  }
  return whole;
}

function isOwn(domains: readonly string[], domain: string): boolean {
  return domains.includes(domain.toLowerCase());
}

/** Settings of outgoing mail that say where things are sent to, or that the domain is barred: the operator's alone. */
function refuseDomain(before: DomainSettings, after: DomainSettings): readonly CeilingProblem[] {
  const operators = "is set by administrators of the gateway alone";
  const rest = ({ outgoing: _, ...other }: DomainSettings) => other;
  const problems: CeilingProblem[] = [];
  if (!Bun.deepEquals(rest(before), rest(after)))
    problems.push({ field: "", message: `all but the outgoing settings of a domain ${operators}` });
  const was = before.outgoing;
  const is = after.outgoing;
  if (was.barred !== is.barred) problems.push({ field: "outgoing.barred", message: operators });
  if (!Bun.deepEquals(was.password_server, is.password_server))
    problems.push({ field: "outgoing.password_server", message: operators });
  if (!Bun.deepEquals(was.alerts.webhook, is.alerts.webhook))
    problems.push({ field: "outgoing.alerts.webhook", message: operators });
  if (!Bun.deepEquals(was.alerts.sms, is.alerts.sms))
    problems.push({ field: "outgoing.alerts.sms", message: operators });
  return problems;
}

const RANGES_ARE_OPERATORS =
  "address ranges are added, changed and removed by an administrator of the gateway";

function refuseSender(
  before: SenderSettings | null,
  after: SenderSettings,
  { domains, ceiling }: { readonly domains: readonly string[]; readonly ceiling: Ceiling },
): readonly CeilingProblem[] {
  const problems: CeilingProblem[] = [];
  const refuse = (field: string, message: string) => problems.push({ field, message });
  if (after.kind === "ip") refuse("range", RANGES_ARE_OPERATORS);
  for (const domain of new Set([before?.domain ?? after.domain, after.domain]))
    if (!isOwn(domains, domain))
      refuse("domain", "is not one of your domains; ask an administrator of the gateway");
  // A login that is a plain name has no domain but the sender's.
  const ofDomain =
    after.login?.includes("@") === true ? after.login.slice(after.login.lastIndexOf("@") + 1) : null;
  if (before === null && ofDomain !== null && !isOwn(domains, ofDomain))
    refuse("login", "is not an address of one of your domains");
  if (before === null && after.rules.length > 0 && !Bun.deepEquals(after.rules, ceiling.rules))
    refuse("rules", "are switched on by an administrator of the gateway");
  const excepted = before?.except_rules ?? ceiling.except_rules;
  if (after.except_rules.some((name) => !Array.isArray(excepted) || !excepted.includes(name)))
    refuse("except_rules", "are set by an administrator of the gateway");
  const granted: readonly string[] = before?.send_as ?? [];
  for (const [i, address] of after.send_as.entries())
    if (!granted.includes(address) && !isOwn(domains, address.slice(address.lastIndexOf("@") + 1)))
      refuse(
        `send_as[${i}]`,
        `"${address.slice(0, 80)}" is not of one of your domains; ask an administrator`,
      );
  return problems;
}

/** What the operator set of a log-in for a whole domain holds for everybody of the domain, as long as it is there and switched on. */
function holdsForDomain({ kind }: SenderSettings, ceiling: Ceiling): boolean {
  const some = (path: string): boolean => Array.isArray(ceiling[path]) && ceiling[path].length > 0;
  return kind === "domain" && ceiling.enabled === true && (some("rules") || some("block"));
}

const HOLDS_FOR_DOMAIN =
  "has rules or blocks that an administrator of the gateway has set for everybody of the domain, who alone can take it away or switch it off";

function refuseRemoval(
  before: PolicyItem,
  { domains, ceiling }: { readonly domains: readonly string[]; readonly ceiling: Ceiling },
): readonly CeilingProblem[] {
  if (before.section !== "sender" || !isOwn(domains, before.value.domain))
    return [{ field: "", message: "is removed by administrators of the gateway alone" }];
  if (holdsForDomain(before.value, ceiling)) return [{ field: "", message: HOLDS_FOR_DOMAIN }];
  return before.value.kind === "ip" ? [{ field: "", message: RANGES_ARE_OPERATORS }] : [];
}

/** What the operator set for the sender's domain, or for the one it is taken out of. */
function refuseByDomain(
  after: SenderSettings,
  own: Ceiling,
  ofDomain: ItemChange["ofDomain"],
): readonly CeilingProblem[] {
  const problems = [...aboveDomain(after, { own, ofDomain })];
  const from = own.domain;
  if (typeof from === "string" && from !== after.domain && isFreer(ofDomain(from), ofDomain(after.domain)))
    problems.push({
      field: "domain",
      message: `is ${from} for this sender, and an administrator of the gateway has set more for ${from} than for ${after.domain}; ask one to move it`,
    });
  if (!after.enabled && holdsForDomain(after, own))
    problems.push({ field: "enabled", message: HOLDS_FOR_DOMAIN });
  return problems;
}

/** Why somebody who administers these domains may not make the change; empty: may. */
export function refuseTenant(change: ItemChange, domains: readonly string[]): readonly CeilingProblem[] {
  const { before, after } = change;
  const ceiling = change.ceiling ?? (before === null ? {} : ceilingOf(before));
  if (after === null) return before === null ? [] : refuseRemoval(before, { domains, ceiling });
  if (after.section === "sender") {
    const was = before?.section === "sender" ? before.value : null;
    return [
      ...refuseSender(was, after.value, { domains, ceiling }),
      ...aboveCeiling(ceiling, after),
      ...refuseByDomain(after.value, ceiling, change.ofDomain),
    ];
  }
  if (after.section === "domain" && before?.section === "domain" && isOwn(domains, after.key))
    return [...refuseDomain(before.value, after.value), ...aboveCeiling(ceiling, after)];
  return [{ field: "", message: "is changed by administrators of the gateway alone" }];
}
