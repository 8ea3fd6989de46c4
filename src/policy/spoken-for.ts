// Which domains of ours a message speaks for, whichever sender hands it in: those of its envelope and of everybody its header names as a
// writer. What a domain is promised of its mail (O12, O14) is asked of all of them. No I/O.
import { type Domain, domainOf, type MailAddress, parseAddress } from "../message/address.ts";
import { enterpriseParts } from "./enterprise-mode.ts";
import type { DomainSettings, Policy, SenderSettings } from "./schema.ts";
import type { OwnerOf } from "./server-mail.ts";
import type { OutgoingParty, PolicySnapshot, Writers } from "./snapshot.ts";

/** Writers in a header may be put together as somebody likes: no more combinations are remembered. */
const MOST_KNOWN = 1000;

function addressesOf({ reversePath, from, senders = [] }: Writers): readonly MailAddress[] {
  return [...(reversePath === null ? [] : [reversePath]), ...from, ...senders];
}

/** The domains of this gateway, or names below one: kept with a message, for the doors it leaves by later. */
export function domainsHere(now: PolicySnapshot, writers: Writers): readonly Domain[] {
  const domains = new Set(addressesOf(writers).map(domainOf));
  return [...domains].filter(
    (domain) => now.ownerOf(domain) !== null || now.unread.domainOver(domain) !== null,
  );
}

function isStrict({ outgoing }: DomainSettings): boolean {
  return Object.values(enterpriseParts(outgoing)).some((on) => on);
}

/** Makes the question `snapshot.speaking`: the party with the strict sets that its mail by these writers meets besides its own domain's. */
export function speakingParties(policy: Policy, owner: OwnerOf): PolicySnapshot["speaking"] {
  if (!policy.domain.some(isStrict)) return (party) => party;
  const strict = new Set<DomainSettings>(policy.domain.filter(isStrict));
  const known = new Map<string, OutgoingParty>();

  const others = (party: OutgoingParty, writers: Writers): readonly DomainSettings[] => {
    let found: Set<DomainSettings> | null = null;
    for (const address of addressesOf(writers)) {
      const domain = owner(domainOf(address));
      if (domain === null || domain === party.domain || !strict.has(domain)) continue;
      found ??= new Set();
      found.add(domain);
    }
    return found === null ? [] : [...found];
  };

  return (party, writers) => {
    const speaksFor = others(party, writers);
    if (speaksFor.length === 0) return party;
    const names = speaksFor.map(({ name }) => name).sort();
    const key = [party.key, party.via ?? "", ...names].join("\n");
    const made = known.get(key) ?? { ...party, speaksFor };
    if (known.size >= MOST_KNOWN) known.clear();
    known.set(key, made);
    return made;
  };
}

function tellsWriters({ identify_by: by }: SenderSettings): boolean {
  return typeof by === "string" || [by].flat().some(({ header }) => header.toLowerCase() === "from");
}

/** The party as mail of the identity is judged, as far as its name tells for whom it writes: for pages. null: the whole sender. */
export function speakingAs(
  now: Pick<PolicySnapshot, "speaking">,
  party: OutgoingParty,
  identity: string | null,
): OutgoingParty {
  const parsed = identity === null || !tellsWriters(party.sender) ? null : parseAddress(identity);
  return parsed?.ok === true ? now.speaking(party, { reversePath: parsed.value, from: [] }) : party;
}
