// What the console does with locks of senders and identities, for pages and API alike: who may. Outgoing control itself writes the
// audit entries, together with the locks.
import { type IdentityDetail, LOCKED_BY_ITSELF, type Lock, type LockKey } from "../outgoing/outgoing.ts";
import { identityLimits, planOf } from "../outgoing/sending-plan.ts";
import { itemKey } from "../policy/policy-document.ts";
import type { SenderSettings } from "../policy/schema.ts";
import { networkOfKey } from "../policy/server-mail.ts";
import { speakingAs } from "../policy/spoken-for.ts";
import { actorOf } from "./actor.ts";
import type { ConsoleContext } from "./console-env.ts";
import { inScope, ownDomains } from "./domain-scope.ts";

const MAX_WORDS = 300;

/** An identity or a whole sender that whoever asks may see. */
export interface KnownParty {
  readonly key: LockKey;
  /** What is set for the sender; null when it was removed since. */
  readonly sender: SenderSettings | null;
  /** The trusted network it sends from: nothing is set for such a sender, and nothing was removed. null: it is none. */
  readonly network: string | null;
  /** The settings its mail is judged by: those of `sender`, or the product's own for a trusted network. null: there are none. */
  readonly held: Pick<SenderSettings, "lock" | "identify_by" | "identity_limits"> | null;
  readonly domain: string;
  /** For a whole sender: how many identities of it are locked; else 0. */
  readonly identitiesLocked: number;
  readonly detail: IdentityDetail;
}

function senderOf(c: ConsoleContext, key: string): SenderSettings | null {
  const { sender } = c.get("services").settings.current().policy;
  return sender.find((one) => itemKey("sender", one) === key) ?? null;
}

/** The network in force whose mail counts under this key; null: it is none. */
function networkOf(c: ConsoleContext, key: string): string | null {
  const { networks } = c.get("services").settings.current().policy;
  return networkOfKey(key, networks.trusted)?.network ?? null;
}

/** A sender that has sent nothing yet has a page too: it can be locked before it begins. */
function emptyDetail(c: ConsoleContext, sender: SenderSettings): IdentityDetail | null {
  const key = itemKey("sender", sender);
  const lock = lockInForce(c, { sender: key, identity: null });
  const [now] = c.get("services").outgoing.senders([key]);
  if (now === undefined) return null;
  return {
    sender: key,
    name: "",
    domain: sender.domain,
    firstSeen: 0,
    lastSeen: 0,
    messagesDay: 0,
    recipientsDay: 0,
    spamDay: 0,
    refusedDay: 0,
    locked: lock !== null,
    lock,
    ...now,
    days: [],
    history: [],
    bulk: [],
  };
}

/** All that is known of it, or null when there is none that whoever asks may see. The sender's present domain decides. */
export async function partyOf(c: ConsoleContext, key: LockKey): Promise<KnownParty | null> {
  const { outgoing } = c.get("services");
  const sender = senderOf(c, key.sender);
  if (sender !== null && !inScope(ownDomains(c), sender.domain)) return null;
  const found = await outgoing.identity(key);
  if (found === null && (sender === null || key.identity !== null)) return null;
  const domain = sender?.domain ?? found?.domain ?? "";
  if (!inScope(ownDomains(c), domain)) return null;
  const network = sender === null ? networkOf(c, key.sender) : null;
  const detail = found ?? (sender === null ? null : emptyDetail(c, sender));
  if (detail === null) return null;
  const held = heldTo(c, key);
  return { key, sender, network, held, domain, identitiesLocked: lockedOf(c, key), detail };
}

/** The settings in force for the sender or identity, with what its domain adds to them, and another one that it writes for. */
export function heldTo(c: ConsoleContext, { sender, identity }: LockKey): KnownParty["held"] {
  const now = c.get("services").settings.current();
  const own = now.partyOfKey(sender);
  if (own === null) return null;
  const party = speakingAs(now, own, identity);
  const { lock, identify_by } = party.sender;
  return {
    lock: { ...lock, identity: planOf(party).lock.identity },
    identify_by,
    identity_limits: identityLimits(party),
  };
}

function lockedOf(c: ConsoleContext, { sender, identity }: LockKey): number {
  if (identity !== null) return 0;
  const locks = c.get("services").outgoing.locks();
  return locks.filter((one) => one.sender === sender && one.identity !== null).length;
}

/** `identity client-a of sender 192.0.2.64/28`, `sender alice@example.test`. */
export function partyInWords({ sender, identity }: LockKey): string {
  return identity === null ? `sender ${sender}` : `identity ${identity} of sender ${sender}`;
}

/** A lock that fell by itself. What a person has locked is lifted by a person who may. */
export function isAutomatic(lock: Pick<Lock, "by">): boolean {
  return lock.by === LOCKED_BY_ITSELF;
}

/**
 * Why whoever asks may not lift the lock in force, or null. Administrators of domains lift what fell by itself and what one of them
 * has set; a lock of the operator by hand is the operator's.
 */
export async function refuseUnlock(c: ConsoleContext, lock: Lock | null): Promise<string | null> {
  if (lock === null || ownDomains(c) === null || isAutomatic(lock)) return null;
  const by = await c.get("services").accounts.byLogin(lock.by);
  if (by?.role === "domain-administrator") return null;
  return "It was locked by hand by an administrator of the gateway, who alone can unlock it.";
}

/** False: a person has locked it already. Else it is locked until a person unlocks: what fell by itself ends by itself no more. */
export async function lockParty(c: ConsoleContext, { key }: KnownParty, reason: string): Promise<boolean> {
  const present = lockInForce(c, key);
  if (present !== null && !isAutomatic(present)) return false;
  const words = reason.replace(/\s+/g, " ").trim().slice(0, MAX_WORDS) || "locked by hand";
  await c.get("services").outgoing.lock(key, actorOf(c).name, words);
  return true;
}

/** The lock of this very key, or null. */
export function lockInForce(c: ConsoleContext, key: LockKey): Lock | null {
  const locks = c.get("services").outgoing.locks();
  return locks.find((one) => one.sender === key.sender && one.identity === key.identity) ?? null;
}

/** False: it was not locked any more. `by`: somebody who is not logged in. */
export function unlockParty(c: ConsoleContext, key: LockKey, by?: string): Promise<boolean> {
  return c.get("services").outgoing.unlock(key, by ?? actorOf(c).name);
}

/** The locks whoever asks may see, newest first. */
export function visibleLocks(c: ConsoleContext, domain?: string): readonly Lock[] {
  const scope = ownDomains(c);
  return c
    .get("services")
    .outgoing.locks(domain)
    .filter((lock) => inScope(scope, senderOf(c, lock.sender)?.domain ?? lock.domain))
    .toSorted((a, b) => b.since - a.since);
}
