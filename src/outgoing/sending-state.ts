// Whether somebody may send now, and what stops it if not: one answer for pages, lists and the API, made of the facts the session asks
// (settings, locks, limits, a pause of bulk recognition) and in its order. Pure; what it looks at is handed in.
import type { OutgoingParty, PolicySnapshot, SendsAs, SettingsStop } from "../policy/snapshot.ts";
import { envelopeIdentity } from "./find-identity.ts";
import type { LimitUse, Lock, LockKey } from "./outgoing.ts";
import { NOBODY } from "./outgoing-parts.ts";
import { BOUNCES, FORWARDS, planOf, type SendingPlan } from "./sending-plan.ts";

export type SendingCode =
  | SettingsStop
  | "may-send"
  /** Its network is excepted: neither locks nor limits hold. */
  | "not-controlled"
  | "locked"
  | "sender-locked"
  | "identities-locked"
  | "at-limit"
  | "sender-at-limit"
  | "slowed"
  /** Mail behind which nobody is found, where only known identities may send. */
  | "unknown-refused"
  /** Mail of other authors that a server passes on, by what its forwards are set to. */
  | "forwards-refused"
  | "forwards-signed"
  | "notices-only";

/** What its mail is answered with; "some": it depends on the message. */
export type MailAnswer = "taken" | "some" | "put-off" | "refused";

export interface SendingState {
  readonly code: SendingCode;
  readonly mail: MailAnswer;
  /** When that ends by itself, milliseconds UTC; null: it does not, or nothing is to end. */
  readonly until: number | null;
  /** The limit that is reached. */
  readonly limit: LimitUse["limit"] | null;
  /** Why it is locked, as it was said; "" where that is not what stops it. */
  readonly reason: string;
  /** Identities of the sender that are locked. */
  readonly locked: number;
  /** The sender its mail counts for where that is another one; null: it is not. */
  readonly as: { readonly sender: string; readonly why: NonNullable<SendsAs["instead"]> } | null;
}

/** What is looked at. A name is "" for the sender itself. */
export interface SendingFacts {
  readonly snapshot: Pick<PolicySnapshot, "sendsAs">;
  lock(sender: string, name: string): Pick<Lock, "until" | "words"> | null;
  identitiesLocked(sender: string): number;
  limits(party: OutgoingParty, name: string): readonly LimitUse[];
  waitsUntil(sender: string, name: string): number | null;
}

/** Somebody as mail counts for them. */
interface Who {
  readonly party: OutgoingParty;
  readonly name: string;
}

function state(
  code: SendingCode,
  mail: MailAnswer,
  more: Partial<Pick<SendingState, "until" | "limit" | "reason" | "locked">> = {},
): SendingState {
  return { code, mail, until: null, limit: null, reason: "", locked: 0, as: null, ...more };
}

/** Makes the question. What it found of senders is remembered: to be made anew for each page. */
export function sendingStates(facts: SendingFacts): (key: LockKey) => SendingState {
  const sendsAs = remembered((sender: string) => facts.snapshot.sendsAs(sender));
  // A sender's own limits are the same for all identities of it.
  const limits = new Map<string, LimitUse | null>();
  const senderLimit = (party: OutgoingParty): LimitUse | null => {
    const before = limits.get(party.key);
    if (before !== undefined) return before;
    const found = reachedLast(facts.limits(party, ""));
    limits.set(party.key, found);
    return found;
  };
  return ({ sender, identity }) => {
    const { party, instead, stop, controlled } = sendsAs(sender);
    const as = instead === null || party === null ? null : { sender: party.key, why: instead };
    if (party === null || stop !== null) return { ...state(stop ?? "removed", "refused"), as };
    if (!controlled) return { ...state("not-controlled", "taken"), as };
    const name = (as === null ? identity : nameElsewhere(party, identity)) ?? "";
    return { ...stateOf({ party, name }, facts, senderLimit), as };
  };
}

function remembered<T>(find: (key: string) => T): (key: string) => T {
  const known = new Map<string, T>();
  return (key) => {
    const found = known.get(key) ?? find(key);
    known.set(key, found);
    return found;
  };
}

/** Whom the identity is told apart as under the sender its mail counts for; null: nobody of a name of their own. */
function nameElsewhere(party: OutgoingParty, identity: string | null): string | null {
  if (identity === null || party.sender.domain === "") return null;
  return envelopeIdentity(party.sender, planOf(party).identifyBy, identity);
}

function stateOf(
  who: Who,
  facts: SendingFacts,
  senderLimit: (party: OutgoingParty) => LimitUse | null,
): SendingState {
  const { party, name } = who;
  const plan = planOf(party);
  const whole = name === "";
  // Who logs in is the only identity of it: what stops that one stops the sender.
  const identity = whole ? envelopeIdentity(party.sender, plan.identifyBy, null) : name;
  const ofIdentity = <T>(ask: (name: string) => T | null): T | null =>
    identity === null ? null : ask(identity);
  return (
    lockState(facts.lock(party.key, ""), whole ? "locked" : "sender-locked") ??
    refusedByName(who, plan) ??
    ofIdentity((one) => lockState(facts.lock(party.key, one), whole ? "identities-locked" : "locked")) ??
    limitState(senderLimit(party), whole ? "at-limit" : "sender-at-limit") ??
    ofIdentity((one) => limitState(reachedLast(facts.limits(party, one)), "at-limit")) ??
    forwardState(who) ??
    ofIdentity((one) => (plan.slowed ? slowedState(facts.waitsUntil(party.key, one)) : null)) ??
    (whole ? someLocked(facts.identitiesLocked(party.key)) : null) ??
    state("may-send", "taken")
  );
}

function lockState(
  lock: Pick<Lock, "until" | "words"> | null,
  code: "locked" | "sender-locked" | "identities-locked",
): SendingState | null {
  if (lock === null) return null;
  const { until, words: reason } = lock;
  const locked = code === "identities-locked" ? 1 : 0;
  return state(code, until === null ? "refused" : "put-off", { until, reason, locked });
}

/** Of the limits that are reached the one that frees last. */
function reachedLast(limits: readonly LimitUse[]): LimitUse | null {
  let last: LimitUse | null = null;
  for (const one of limits)
    if (one.freeAt !== null && (last === null || one.freeAt > (last.freeAt ?? 0))) last = one;
  return last;
}

function limitState(reached: LimitUse | null, code: "at-limit" | "sender-at-limit"): SendingState | null {
  if (reached === null) return null;
  return state(code, "put-off", { until: reached.freeAt, limit: reached.limit });
}

function slowedState(until: number | null): SendingState | null {
  return until === null ? null : state("slowed", "some", { until });
}

function someLocked(locked: number): SendingState | null {
  return locked === 0 ? null : state("identities-locked", "some", { locked });
}

/** Mail of nobody here, which shares one identity: what the settings say of all such mail. */
function refusedByName({ party, name }: Who, plan: SendingPlan): SendingState | null {
  if (name === NOBODY && plan.knownIdentitiesOnly) return state("unknown-refused", "refused");
  return isShared(party, name, FORWARDS) && party.server?.forwards === "refuse"
    ? state("forwards-refused", "refused")
    : null;
}

function forwardState({ party, name }: Who): SendingState | null {
  const forwards = party.server?.forwards ?? "allow";
  const nobodys = name === "" && party.sender.domain === "";
  const bounces = isShared(party, name, BOUNCES);
  if (forwards === "allow" || !(nobodys || bounces || isShared(party, name, FORWARDS))) return null;
  return forwards === "refuse" ? state("notices-only", "some") : state("forwards-signed", "some");
}

/** A header may say anything: only where it is not asked does the name mean that. */
function isShared({ sender }: OutgoingParty, name: string, prefix: string): boolean {
  return typeof sender.identify_by === "string" && name.startsWith(prefix);
}
