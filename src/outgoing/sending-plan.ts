// What holds for a sender and its identities, worked out once per change of settings: limits as windows, when a lock falls, how
// identities are found. Pure.
import { durationMs } from "../policy/duration.ts";
import { enterpriseParts, wantedBy } from "../policy/enterprise-mode.ts";
import type { DomainSettings } from "../policy/schema.ts";
import type { Limits, SenderSettings } from "../policy/schema-sender.ts";
import type { OutgoingParty } from "../policy/snapshot.ts";
import { type CompiledHeader, compileHeader } from "./find-identity.ts";
import type { LimitUse } from "./outgoing.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** The windows of the limits on connections, milliseconds. */
const WINDOWS = [
  ["per_minute", MINUTE_MS, "minute"],
  ["per_hour", HOUR_MS, "hour"],
  ["per_day", DAY_MS, "day"],
  ["per_week", 7 * DAY_MS, "week"],
  ["per_month", 30 * DAY_MS, "30 days"],
] as const;

/** A limit that is set. */
export interface WindowLimit {
  readonly limit: LimitUse["limit"];
  readonly windowMs: number;
  readonly most: number;
  /** `minute`, `30 days`: for people. */
  readonly per: string;
}

export interface LimitPlan {
  /** Shortest window first. */
  readonly connections: readonly WindowLimit[];
  /** How far back connections must be remembered; 0: they need not be counted. */
  readonly keepConnectionsMs: number;
  readonly recipients: WindowLimit | null;
}

export interface LockPlan {
  readonly identity: boolean;
  readonly sender: boolean;
  /** So many spam messages within `windowMs`. */
  readonly spam: number;
  readonly windowMs: number;
  readonly timeoutMs: number;
  readonly maxTimeouts: number;
  readonly template: string;
}

export interface SendingPlan {
  readonly sender: LimitPlan;
  readonly identity: LimitPlan;
  readonly lock: LockPlan;
  readonly barred: boolean;
  /** Bulk recognition slows it: new recipients wait their turn. */
  readonly slowed: boolean;
  readonly knownIdentitiesOnly: boolean;
  readonly identifyBy: "envelope-sender" | "authenticated-user" | readonly CompiledHeader[];
  /** As they are written in the settings. */
  readonly headerNames: readonly string[];
  /** Lower case. */
  readonly removeHeaders: readonly string[];
}

function limitPlan(limits: Limits): LimitPlan {
  const connections = WINDOWS.flatMap(([limit, windowMs, per]): WindowLimit[] => {
    const most = limits[limit];
    return most === null ? [] : [{ limit, windowMs, most, per }];
  });
  const most = limits.recipients_per_day;
  return {
    connections,
    keepConnectionsMs: connections.at(-1)?.windowMs ?? 0,
    recipients:
      most === null ? null : { limit: "recipients_per_day", windowMs: DAY_MS, most, per: "24 hours" },
  };
}

type Speaking = Pick<OutgoingParty, "sender" | "domain" | "speaksFor">;

/**
 * The limits of an identity: its sender's, and the domain's default where those have none and enterprise mode wants one. Of another
 * domain that it writes for, the default is a ceiling.
 */
export function identityLimits({ sender, domain, speaksFor = [] }: Speaking): Limits {
  return speaksFor.reduce(underCeiling, ownLimits(sender, domain));
}

function underCeiling(limits: Limits, { outgoing }: DomainSettings): Limits {
  if (!enterpriseParts(outgoing).limitIdentities) return limits;
  const { per_minute, per_hour, recipients_per_day } = outgoing.default_limits;
  return {
    ...limits,
    per_minute: Math.min(limits.per_minute ?? per_minute, per_minute),
    per_hour: Math.min(limits.per_hour ?? per_hour, per_hour),
    recipients_per_day: Math.min(limits.recipients_per_day ?? recipients_per_day, recipients_per_day),
  };
}

function ownLimits({ identity_limits: own }: SenderSettings, domain: DomainSettings | null): Limits {
  if (domain === null || !enterpriseParts(domain.outgoing).limitIdentities) return own;
  const { per_minute, per_hour, recipients_per_day } = domain.outgoing.default_limits;
  return {
    ...own,
    per_minute: own.per_minute ?? per_minute,
    per_hour: own.per_hour ?? per_hour,
    recipients_per_day: own.recipients_per_day ?? recipients_per_day,
  };
}

function lockPlan(sender: SenderSettings, lockIdentities: boolean): LockPlan {
  const { lock } = sender;
  return {
    identity: lock.identity || lockIdentities,
    sender: lock.sender,
    spam: lock.spam,
    windowMs: durationMs(lock.window),
    timeoutMs: durationMs(lock.timeout),
    maxTimeouts: lock.max_unlocks,
    template: lock.template,
  };
}

const plans = new WeakMap<object, SendingPlan>();

/** The plan of a party; parties live as long as their policy snapshot, and the plan as long as they. */
export function planOf(party: Speaking): SendingPlan {
  const known = plans.get(party);
  if (known !== undefined) return known;
  const { sender, domain } = party;
  const headers = typeof sender.identify_by === "string" ? [] : [sender.identify_by].flat();
  const plan: SendingPlan = {
    sender: limitPlan(sender.limits),
    identity: limitPlan(identityLimits(party)),
    lock: lockPlan(sender, wantedBy(party, "lockIdentities") !== null),
    barred: domain?.outgoing.barred ?? false,
    slowed: !sender.except_rules.includes("bulk-slow"),
    knownIdentitiesOnly: wantedBy(party, "knownIdentitiesOnly") !== null,
    identifyBy: typeof sender.identify_by === "string" ? sender.identify_by : headers.map(compileHeader),
    headerNames: headers.map(({ header }) => header),
    removeHeaders: headers.filter(({ remove }) => remove).map(({ header }) => header.toLowerCase()),
  };
  plans.set(party, plan);
  return plan;
}

/** What the identities begin with that all forwards, or all bounces, of a server share. */
export const FORWARDS = "(forwards of ";
export const BOUNCES = "(bounces of ";

/** Is it the identity of mail behind which nobody is found? A header may say anything: it names somebody. */
function isNobodys({ identifyBy }: SendingPlan, identity: string | null): boolean {
  if (identity === null) return true;
  return typeof identifyBy === "string" && (identity.startsWith(FORWARDS) || identity.startsWith(BOUNCES));
}

const sharedPlans = new WeakMap<object, SendingPlan>();

/**
 * The plan for mail of the identity; null: nobody was found. What another domain wants of each identity does not hold for one that all
 * of the sender's mail of that kind shares: others would be stopped by it.
 */
export function planBehind(party: Speaking, identity: string | null): SendingPlan {
  const plan = planOf(party);
  if (party.speaksFor === undefined || !isNobodys(plan, identity)) return plan;
  const known = sharedPlans.get(party);
  if (known !== undefined) return known;
  const { identity: limits, lock } = planOf({ sender: party.sender, domain: party.domain });
  const shared = { ...plan, identity: limits, lock };
  sharedPlans.set(party, shared);
  return shared;
}
