// Who sends: a login, an IP sender, or what a trusted network sends for one of our domains. Found once per snapshot, then looked up.
import { type Domain, domainOf, type MailAddress } from "../message/address.ts";
import type { Client } from "../message/envelope.ts";
import { networkIndex } from "./network-index.ts";
import {
  isForward,
  refuseForward,
  refuseOwnDomain,
  refuseServerAddress,
  type ServerQuestion,
} from "./refuse-server.ts";
import {
  type RelayFacts,
  standingGrant,
  standingSender,
  trustedBy,
  trustsNetworks,
} from "./relay-control.ts";
import type { Reply } from "./reply.ts";
import type { DomainSettings, ListenerSettings, Policy, SenderSettings } from "./schema.ts";
import { senderSchema } from "./schema-sender.ts";
import type { SenderIndex } from "./sender-index.ts";
import { sendsAsIn } from "./sends-as.ts";
import {
  domainWrittenFor,
  networkKey,
  networkOfKey,
  networkSender,
  type OwnerOf,
  writerOf,
} from "./server-mail.ts";
import type { OutgoingParty, PolicySnapshot, Writers } from "./snapshot.ts";
import { speakingParties } from "./spoken-for.ts";

export interface OutgoingParties
  extends Pick<PolicySnapshot, "writerOf" | "isForward" | "sendsAs" | "partyOff" | "speaking"> {
  readonly owner: OwnerOf;
  readonly of: PolicySnapshot["outgoingParty"];
  readonly byKey: PolicySnapshot["partyOfKey"];
  /** What servers without a login may not write at MAIL, and in the header. null: go on. */
  refusePath(listener: ListenerSettings, client: Client, reversePath: MailAddress | null): Reply | null;
  refuseWriters(listener: ListenerSettings, client: Client, writers: Writers): Reply | null;
  readonly refuseDomainOf: PolicySnapshot["refuseDomainOf"];
}

const NOBODY_YET: Writers = { reversePath: null, from: [] };

/** The domain itself, else the nearest one of ours above it: `web1.example.org` belongs to `example.org`. */
function ownerIn(policy: Policy): OwnerOf {
  const all = new Map<string, DomainSettings>(policy.domain.map((domain) => [domain.name, domain]));
  return (name) => {
    for (let rest: string = name; rest !== ""; ) {
      const found = all.get(rest);
      if (found !== undefined) return found;
      const dot = rest.indexOf(".");
      rest = dot < 0 ? "" : rest.slice(dot + 1);
    }
    return null;
  };
}

/** What trusted networks send: a party for each network and domain, made when it is first asked for. */
function networkParties(policy: Policy): (network: string, domain: DomainSettings | null) => OutgoingParty {
  const defaults = senderSchema.parse({ kind: "ip", range: "127.0.0.1/32", domain: "trusted.invalid" });
  const made = new Map<string, OutgoingParty>();
  return (network, domain) => {
    const key = networkKey(network, domain?.name ?? "");
    const known = made.get(key);
    if (known !== undefined) return known;
    // The network is one of `networks.trusted`, which the schema has parsed.
    const range = network as NonNullable<SenderSettings["range"]>;
    const party: OutgoingParty = {
      key,
      sender: networkSender(defaults, { range, domain }),
      domain,
      via: null,
      server: { sender: null, forwards: policy.networks.forwards },
    };
    made.set(key, party);
    return party;
  };
}

/** Makes the look-ups. */
export function outgoingParties(
  policy: Policy,
  { facts, senders }: { readonly facts: RelayFacts; readonly senders: SenderIndex },
): OutgoingParties {
  const owner = ownerIn(policy);
  const ofNetwork = networkParties(policy);
  const speaking = speakingParties(policy, owner);
  const excepted = networkIndex(policy.networks.excepted.map((network) => [network, true] as const));

  const of = (listener: ListenerSettings, client: Client, writers = NOBODY_YET): OutgoingParty | null => {
    const sender = standingSender(facts, listener, client);
    if (sender !== null) return speaking(sender.party, writers);
    // A login that may not send is no mail of the network it was made from.
    if (client.login !== null && facts.whyOff(client.login) !== null) return null;
    const network = trustedBy(facts, listener, client);
    if (network === null || excepted(client.ip) !== null) return null;
    return speaking(ofNetwork(network, domainWrittenFor(writers, owner)), writers);
  };

  /** Null: whoever logs in, and outsiders, who are judged otherwise. */
  const question = (listener: ListenerSettings, client: Client, writers: Writers): ServerQuestion | null => {
    if (client.login !== null || standingGrant(facts, listener, client) === null) return null;
    return { party: of(listener, client, writers), ip: client.ip, owner };
  };

  return {
    owner,
    of,
    speaking,
    byKey(key) {
      const sender = senders.party(key);
      if (sender !== null) return sender;
      const parts = networkOfKey(key, policy.networks.trusted);
      if (parts === null) return null;
      const domain = parts.domain === "" ? null : owner(parts.domain as Domain);
      return (domain?.name ?? "") === parts.domain ? ofNetwork(parts.network, domain) : null;
    },
    sendsAs: sendsAsIn(policy, { senders, owner, ofNetwork }),
    partyOff(listener, client) {
      if (client.login !== null) return senders.offByLogin(client.login);
      return trustsNetworks(listener) ? senders.offByIp(client.ip) : null;
    },
    writerOf: (party, writers, ip) => writerOf(party, writers, { owner, ip }),
    isForward: (party, writers) => isForward(party, writers, owner),
    refusePath(listener, client, reversePath) {
      const asked = reversePath === null ? null : question(listener, client, { reversePath, from: [] });
      return asked === null || reversePath === null
        ? null
        : refuseServerAddress(asked, reversePath, "the envelope");
    },
    refuseDomainOf(address, cause) {
      const domain = owner(domainOf(address));
      return domain === null ? null : refuseOwnDomain(domain, cause);
    },
    refuseWriters(listener, client, writers) {
      const asked = question(listener, client, writers);
      if (asked === null) return null;
      for (const address of [...writers.from, ...(writers.senders ?? [])]) {
        const where = writers.from.includes(address) ? "From" : "Sender, Resent-From or Resent-Sender";
        const refused = refuseServerAddress(asked, address, where);
        if (refused !== null) return refused;
      }
      return refuseForward(asked, writers);
    },
  };
}
