// The outgoing senders of a policy, found by login, address and domain, each with the party it sends as and the grant it gives.
// Built once per change of settings, so that a look-up makes nothing. Senders that are switched off are not there.
import { addressKey, domainOf } from "../message/address.ts";
import type { Grant } from "../message/envelope.ts";
import { networkIndex } from "./network-index.ts";
import { itemKey } from "./policy-document.ts";
import type { DomainSettings, Policy, SenderSettings } from "./schema.ts";
import type { OutgoingParty } from "./snapshot.ts";

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
  /** By `itemKey`: login in lower case, range or `@domain`. */
  byKey(key: string): SenderSettings | null;
}

/** The name a sender logs in with: its address, for a domain sender the bare domain; null for an IP sender. */
export function loginOf(sender: SenderSettings): string | null {
  if (sender.kind === "ip") return null;
  return sender.kind === "domain" ? sender.domain : (sender.login ?? null);
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
  const named =
    byKey(addressKey(sender.reauthenticate_as)) ?? byKey(`@${domainOf(sender.reauthenticate_as)}`);
  return named?.enabled === true && named.reauthentication_permitted ? named : null;
}

/** Makes the index. `domains` are those that are switched on. */
export function indexSenders(policy: Policy, domains: ReadonlyMap<string, DomainSettings>): SenderIndex {
  const all = new Map(policy.sender.map((sender) => [itemKey("sender", sender), sender]));
  const known = (key: string): SenderSettings | null => all.get(key) ?? null;
  const partyOf = (sender: SenderSettings, via: string | null): OutgoingParty => ({
    key: itemKey("sender", sender),
    sender,
    domain: domains.get(sender.domain) ?? null,
    via,
  });
  const logins = new Map<string, Standing>();
  const ranges: (readonly [NonNullable<SenderSettings["range"]>, Standing])[] = [];
  for (const sender of policy.sender) {
    if (!sender.enabled) continue;
    const login = loginOf(sender);
    if (login !== null) {
      const grant: Grant = { by: "authenticated-sender", sender: login };
      logins.set(addressKey(login), { sender, party: partyOf(sender, null), grant });
    }
    const { range } = sender;
    if (sender.kind !== "ip" || range === undefined) continue;
    const other = reauthenticatedAs(sender, known);
    const grant: Grant =
      other === null
        ? { by: "ip-sender", sender: range }
        : { by: "ip-sender", sender: range, as: loginOf(other) ?? other.domain };
    const party = other === null ? partyOf(sender, null) : partyOf(other, range);
    ranges.push([range, { sender, party, grant }]);
  }
  return {
    byLogin: (login) => logins.get(addressKey(login)) ?? null,
    byIp: networkIndex(ranges),
    byKey: (key) => {
      const sender = all.get(key);
      return sender?.enabled === true ? sender : null;
    },
  };
}
