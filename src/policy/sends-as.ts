// What the settings make of a sender's mail: whom it counts for now, and what stops all of it before a lock or a limit is asked about.
// The same facts the door judges by (sender index, domains, listeners, networks), for whoever looks at a sender from outside. No I/O.
import type { Domain, MailAddress } from "../message/address.ts";
import { covers } from "./network-index.ts";
import { itemKey } from "./policy-document.ts";
import { trustsNetworks } from "./relay-control.ts";
import type { DomainSettings, Policy, SenderSettings } from "./schema.ts";
import { mayUse } from "./sender-control.ts";
import type { SenderIndex } from "./sender-index.ts";
import { networkOfKey, type OwnerOf } from "./server-mail.ts";
import type { OutgoingParty, SendsAs, SettingsStop } from "./snapshot.ts";

/** What stops the mail of a domain, or null. */
export function domainStop(domain: DomainSettings | null): SettingsStop | null {
  if (domain === null) return "domain-removed";
  if (!domain.enabled) return "domain-off";
  return domain.outgoing.barred ? "domain-barred" : null;
}

/** The IP sender with the narrowest range around the whole network: its addresses send as that one. */
function rangeAround(policy: Policy, network: string): SenderSettings | null {
  const around = policy.sender.filter(({ range }) => range !== undefined && covers(range, network));
  const bits = ({ range }: SenderSettings): number => Number(range?.split("/")[1] ?? 0);
  return around.toSorted((a, b) => bits(b) - bits(a))[0] ?? null;
}

/** Makes the question. */
export function sendsAsIn(
  policy: Policy,
  parts: {
    readonly senders: SenderIndex;
    readonly owner: OwnerOf;
    readonly ofNetwork: (network: string, domain: DomainSettings | null) => OutgoingParty;
  },
): (key: string) => SendsAs {
  const { senders, owner, ofNetwork } = parts;
  const domains = new Map<string, DomainSettings>(policy.domain.map((domain) => [domain.name, domain]));
  const all = new Map(policy.sender.map((sender) => [itemKey("sender", sender), sender]));
  const takesLogins = policy.listener.some(
    ({ auth, relay }) => auth !== "off" && relay.includes("authenticated"),
  );
  const takesNetworks = policy.listener.some(trustsNetworks);
  const stopOf = (name: string): SettingsStop | null => domainStop(domains.get(name) ?? null);
  const unheard = (withLogin: boolean): SettingsStop | null =>
    (withLogin ? takesLogins : takesNetworks) ? null : "no-listener";

  const ofSender = (sender: SenderSettings): SendsAs => {
    const key = itemKey("sender", sender);
    const own = { party: senders.party(key), instead: null, controlled: true };
    if (!sender.enabled) return { ...own, stop: "sender-off" };
    const stop = stopOf(sender.domain);
    if (stop === "domain-removed" || stop === "domain-off") return { ...own, stop };
    const party = senders.standing(key)?.party ?? own.party;
    const instead = party !== null && party.key !== key ? "re-authenticated" : null;
    const barred = instead === null || party === null ? stop : stopOf(party.sender.domain);
    return { party, instead, controlled: true, stop: barred ?? unheard(sender.kind !== "ip") };
  };

  const ofNetworkKey = (network: string, name: string): SendsAs => {
    const range = rangeAround(policy, network);
    if (range !== null) {
      const as = ofSender(range);
      const writes = name === "" || mayUse(range, `postmaster@${name}` as MailAddress, "");
      return { ...as, instead: "address-range", stop: as.stop ?? (writes ? null : "range-of-others") };
    }
    const domain = name === "" ? null : owner(name as Domain);
    const stop = domain === null ? null : domainStop(domain);
    return {
      party: ofNetwork(network, domain),
      instead: (domain?.name ?? "") === name ? null : "domain-removed",
      stop: stop ?? unheard(false),
      controlled: !policy.networks.excepted.some((excepted) => covers(excepted, network)),
    };
  };

  return (key) => {
    const sender = all.get(key);
    if (sender !== undefined) return ofSender(sender);
    const parts = networkOfKey(key, policy.networks.trusted);
    return parts === null
      ? { party: null, instead: null, controlled: true, stop: "removed" }
      : ofNetworkKey(parts.network, parts.domain);
  };
}
