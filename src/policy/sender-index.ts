// The outgoing senders of a policy, found by login, address and domain, each with the party it sends as and the grant it gives.
// Built once per change of settings, so that a look-up makes nothing. A sender that is switched off, or whose domain is, sends nothing.
import { addressKey, domainOf, parseNetwork } from "../message/address.ts";
import type { Grant } from "../message/envelope.ts";
import { networkIndex } from "./network-index.ts";
import { itemKey } from "./policy-document.ts";
import type { DomainSettings, Policy, SenderSettings } from "./schema.ts";
import { senderSchema } from "./schema-sender.ts";
import type { OutgoingParty } from "./snapshot.ts";
import type { Unread } from "./unread.ts";

/** What a sender is to this gateway. `party.sender` is another one than `sender` when an IP sender is re-authenticated (O9). */
export interface Standing {
  readonly sender: SenderSettings;
  readonly party: OutgoingParty;
  readonly grant: Grant;
}

export interface SenderIndex {
  /** By a user's address or a domain sender's bare domain, in any case. */
  byLogin(login: string): Standing | null;
  /** The IP sender with the narrowest range. */
  byIp(ip: string): Standing | null;
  /** Why whoever has the login may not send; null: they may, or there is nobody. */
  whyOff(login: string): string | null;
  /** The same for the IP sender with the narrowest range. */
  whyIpOff(ip: string): string | null;
  /** Whom they would send as, of the two above; null: they may send, or there is nobody. */
  offByLogin(login: string): OutgoingParty | null;
  offByIp(ip: string): OutgoingParty | null;
  /** What the sender of that key is now; null: it may not send, or there is none. */
  standing(key: string): Standing | null;
  /** The setting that would say whether the login, or the address, may send cannot be read. */
  isUnreadLogin(login: string): boolean;
  isUnreadIp(ip: string): boolean;
  /** By `itemKey`: login in lower case, range or `@domain`. */
  byKey(key: string): SenderSettings | null;
  /** The same whether it may send or not. */
  party(key: string): OutgoingParty | null;
}

/** The name a sender logs in with: its address, for a domain sender the bare domain; null for an IP sender. */
export function loginOf(sender: SenderSettings): string | null {
  if (sender.kind === "ip") return null;
  return sender.kind === "domain" ? sender.domain : (sender.login ?? null);
}

/** Why the sender may send nothing, or null. `domains`: those that are switched on; `known` also names those that are not. */
function switchedOff(
  sender: SenderSettings,
  { on, known }: { readonly on: ReadonlyMap<string, DomainSettings>; readonly known: ReadonlySet<string> },
): string | null {
  const name = itemKey("sender", sender);
  if (!sender.enabled) return `the sender ${name} is switched off`;
  if (on.has(sender.domain)) return null;
  return known.has(sender.domain)
    ? `the domain ${sender.domain} of the sender ${name} is switched off`
    : `the domain ${sender.domain} of the sender ${name} is not on this gateway`;
}

/**
 * The user or domain an IP sender is re-authenticated as, or null: it has none, or whoever it names does not exist, is switched off
 * or does not permit it. An address without a sender of its own is covered by the domain's log-in.
 */
function reauthenticatedAs(
  sender: SenderSettings,
  byKey: (key: string) => SenderSettings | null,
): SenderSettings | null {
  if (sender.kind !== "ip" || sender.reauthenticate_as === undefined) return null;
  // Somebody who is switched off is not replaced by the domain's log-in.
  const key = addressKey(sender.reauthenticate_as);
  const named = byKey(key) ?? byKey(`@${domainOf(sender.reauthenticate_as)}`);
  return named?.enabled === true && named.reauthentication_permitted ? named : null;
}

/** Nobody: it permits nothing. */
const UNREAD_SENDER: SenderSettings = senderSchema.parse({
  kind: "domain",
  domain: "unread.invalid",
  enabled: false,
});

/** An entry of a look-up: a sender that stands, or why it does not. */
type Entry =
  | { readonly standing: Standing }
  /** `party`: whom it would send as; null: that cannot be read. */
  | { readonly off: string; readonly party: OutgoingParty | null; readonly unread?: true };

function isUnread(entry: Entry | null | undefined): boolean {
  return entry != null && "off" in entry && entry.unread === true;
}

/** Makes the index. `domains` are those that are switched on. */
export function indexSenders(
  policy: Policy,
  domains: ReadonlyMap<string, DomainSettings>,
  { unread, held }: { readonly unread: Unread; readonly held: (sender: SenderSettings) => SenderSettings },
): SenderIndex {
  const all = new Map(policy.sender.map((sender) => [itemKey("sender", sender), sender]));
  const names = { on: domains, known: new Set<string>(policy.domain.map(({ name }) => name)) };
  // Somebody who cannot be read is not replaced by the domain's log-in.
  const known = (key: string): SenderSettings | null =>
    unread.isSender(addressKey(key)) ? UNREAD_SENDER : (all.get(key) ?? null);
  const logins = new Map<string, Entry>();
  const ranges: (readonly [NonNullable<SenderSettings["range"]>, Entry])[] = [];
  const entries = new Map<string, Entry>();
  const parties = new Map<string, OutgoingParty>();
  // One for each, so that what is worked out for it is worked out once.
  const partyOf = (sender: SenderSettings): OutgoingParty => {
    const key = itemKey("sender", sender);
    const made = parties.get(key) ?? {
      key,
      sender: held(sender),
      domain: domains.get(sender.domain) ?? null,
      via: null,
      ...(sender.kind === "ip" ? { server: serverOf(sender) } : {}),
    };
    parties.set(key, made);
    return made;
  };
  const offEntry = (sender: SenderSettings, off: string): Entry => ({
    off,
    party: partyOf(sender),
    ...(unread.isDomain(sender.domain) ? { unread: true } : {}),
  });

  for (const sender of policy.sender) {
    const off = switchedOff(sender, names);
    const login = loginOf(sender);
    if (login !== null) {
      const grant: Grant = { by: "authenticated-sender", sender: login };
      const party = partyOf(sender);
      const entry = off === null ? { standing: { sender, party, grant } } : offEntry(sender, off);
      logins.set(addressKey(login), entry);
      entries.set(party.key, entry);
    }
    const { range } = sender;
    if (sender.kind !== "ip" || range === undefined) continue;
    const entry =
      off === null
        ? { standing: rangeStanding(sender, { range, known, names, partyOf }) }
        : offEntry(sender, off);
    ranges.push([range, entry]);
    entries.set(itemKey("sender", sender), entry);
  }
  for (const text of unread.ranges) {
    const range = parseNetwork(text);
    if (range.ok)
      ranges.push([range.value, { off: `the sender ${text} cannot be read`, party: null, unread: true }]);
  }
  const ofIp = networkIndex(ranges);
  const standing = (entry: Entry | null | undefined): Standing | null =>
    entry != null && "standing" in entry ? entry.standing : null;
  const offOf = (entry: Entry | null | undefined): string | null =>
    entry != null && "off" in entry ? entry.off : null;
  const offParty = (entry: Entry | null | undefined): OutgoingParty | null =>
    entry != null && "off" in entry ? entry.party : null;
  return {
    byLogin: (login) => standing(logins.get(addressKey(login))),
    byIp: (ip) => standing(ofIp(ip)),
    whyOff: (login) => offOf(logins.get(addressKey(login))),
    whyIpOff: (ip) => offOf(ofIp(ip)),
    offByLogin: (login) => offParty(logins.get(addressKey(login))),
    offByIp: (ip) => offParty(ofIp(ip)),
    standing: (key) => standing(entries.get(key)),
    isUnreadLogin(login) {
      if (unread.items.length === 0) return false;
      const key = addressKey(login);
      const at = key.lastIndexOf("@");
      if (unread.isSender(key) || unread.isSender(`@${key}`) || unread.isDomain(key.slice(at + 1)))
        return true;
      return isUnread(logins.get(key));
    },
    isUnreadIp: (ip) => unread.items.length > 0 && isUnread(ofIp(ip)),
    byKey: (key) => {
      const sender = all.get(key);
      return sender !== undefined && switchedOff(sender, names) === null ? sender : null;
    },
    party: (key) => {
      const sender = all.get(key);
      return sender === undefined ? null : partyOf(sender);
    },
  };
}

function serverOf(sender: SenderSettings): NonNullable<OutgoingParty["server"]> {
  return { sender, forwards: sender.forwards ?? "signed" };
}

function rangeStanding(
  sender: SenderSettings,
  what: {
    readonly range: NonNullable<SenderSettings["range"]>;
    readonly known: (key: string) => SenderSettings | null;
    readonly names: Parameters<typeof switchedOff>[1];
    readonly partyOf: (sender: SenderSettings) => OutgoingParty;
  },
): Standing {
  const { range, known, names, partyOf } = what;
  const other = reauthenticatedAs(sender, known);
  if (other === null || switchedOff(other, names) !== null)
    return { sender, party: partyOf(sender), grant: { by: "ip-sender", sender: range } };
  return {
    sender,
    party: { ...partyOf(other), via: range, server: serverOf(sender) },
    grant: { by: "ip-sender", sender: range, as: loginOf(other) ?? other.domain },
  };
}
