// Builds the policy snapshot: everything a session asks, indexed once per change of settings. Pure; asking costs microseconds.
import { type Destination, unroutedPlace, type WayTaken, waitingPlace } from "../delivery/route.ts";
import { addressKey, type Domain, domainOf } from "../message/address.ts";
import { decide, type RuleSubject } from "../rules/decide.ts";
import { networkIndex } from "./network-index.ts";
import { outgoingParties } from "./outgoing-parties.ts";
import { mayRelay, type RelayFacts } from "./relay-control.ts";
import { type RuleSet, ruleSets } from "./rule-sets.ts";
import type { DeliverySettings, DomainSettings, Policy, SenderSettings } from "./schema.ts";
import { refuseHeaderFrom, refuseLoginAddress, refuseSender } from "./sender-control.ts";
import { indexSenders, type SenderIndex } from "./sender-index.ts";
import type { DecisionSubject, OutgoingParty, PolicySnapshot } from "./snapshot.ts";
import { nothingUnread, type Unread, unreadReply } from "./unread.ts";
import { refuseUnreadWriter, unreadPlaces } from "./unread-mail.ts";

function smarthostDestination(smarthost: NonNullable<DeliverySettings["smarthost"]>): Destination {
  const { host, port, tls, user, password, allow_unverified_tls } = smarthost;
  return {
    kind: "smarthost",
    key: `smarthost:${host}:${port}`,
    route: { host, port, priority: 0, tls },
    login:
      user !== undefined && password !== undefined
        ? { user, password, ...(allow_unverified_tls ? { allowUnverifiedTls: true } : {}) }
        : null,
  };
}

function destinations(policy: Policy, unread: Unread): (domain: Domain, taken: WayTaken) => Destination {
  const { smarthost } = policy.delivery;
  const upstream = smarthost === null ? null : smarthostDestination(smarthost);
  const fixed = new Map<string, Destination>();
  const unrouted = new Map<string, Destination>();
  for (const { name, routes, enabled } of policy.domain) {
    if (!enabled) fixed.set(name, waitingPlace(name));
    else if (routes.length > 0) fixed.set(name, { kind: "routes", key: `routes:${name}`, routes });
    else
      unrouted.set(
        name,
        upstream === null ? { kind: "mx", key: `mx:${name}`, domain: name, ours: true } : unroutedPlace(name),
      );
  }
  const held = unreadPlaces(unread);
  return (domain, taken) =>
    fixed.get(domain) ??
    held(domain) ??
    (taken === "to pass on" ? undefined : unrouted.get(domain)) ??
    upstream ?? { kind: "mx", key: `mx:${domain}`, domain };
}

/** The sender a subject's mail comes from, as rules see it: after re-authentication. */
function ruleSubjects(
  domains: ReadonlyMap<string, DomainSettings>,
  senders: SenderIndex,
): (subject: DecisionSubject) => RuleSubject {
  const partyOf = ({ party, login, clientIp }: DecisionSubject): OutgoingParty | null => {
    if (party !== undefined) return party;
    const user = login === null ? null : senders.byLogin(login);
    return (user ?? (clientIp === undefined ? null : senders.byIp(clientIp)))?.party ?? null;
  };
  return (subject) => {
    const { recipient, direction, reversePath } = subject;
    if (direction === "inbound") return { recipient, direction, senderDomain: null, sender: null };
    const party = partyOf(subject);
    if (party !== null && party.sender.domain !== "")
      return { recipient, direction, senderDomain: party.sender.domain, sender: party.key };
    const claimed = reversePath === null ? null : domainOf(reversePath);
    const senderDomain = claimed !== null && domains.has(claimed) ? claimed : null;
    return { recipient, direction, senderDomain, sender: party?.key ?? null };
  };
}

/** The sender itself, and the domain sender, whose rules hold for everybody of its domain. */
function sendersOf(senders: SenderIndex): (subject: RuleSubject) => readonly SenderSettings[] {
  return ({ sender, senderDomain }) => {
    const own = sender === null ? null : senders.byKey(sender);
    const domain = senderDomain === null ? null : senders.byKey(`@${senderDomain}`);
    return [own, domain === own ? null : domain].filter((found) => found !== null);
  };
}

function wantedBy(sets: readonly (readonly [RuleSet, string])[]): ReadonlySet<string> {
  const wanted = new Set<string>();
  for (const [set, recipient] of sets) {
    for (const fact of set.wanted) wanted.add(fact);
    for (const { rule, facts } of set.addressed) {
      if (rule.scope.addresses.includes(addressKey(recipient))) for (const fact of facts) wanted.add(fact);
    }
  }
  return wanted;
}

/** What is known of a policy besides it. */
export interface BesidePolicy {
  readonly unread?: Unread;
  /** A sender as it is held to what the operator set for its domain. Left out: as it is set. */
  readonly held?: (sender: SenderSettings) => SenderSettings;
}

/** Builds the snapshot of a policy. `version` counts up with each change. */
export function createSnapshot(
  settings: Policy,
  version: number,
  { unread = nothingUnread(), held = (sender) => sender }: BesidePolicy = {},
): PolicySnapshot {
  // What can be read of the networks is for forms; whom they would have trusted is not known.
  const policy = unread.networks
    ? { ...settings, networks: { ...settings.networks, trusted: [], excepted: [] } }
    : settings;
  const listeners = new Map(policy.listener.map((listener) => [listener.name, listener]));
  const domains = new Map<string, DomainSettings>(
    policy.domain.filter((domain) => domain.enabled).map((domain) => [domain.name, domain]),
  );
  const senders = indexSenders(policy, domains, { unread, held });
  const local = networkIndex(policy.networks.trusted.map((network) => [network, network] as const));
  const off = new Set<string>(policy.domain.filter(({ enabled }) => !enabled).map(({ name }) => name));
  const facts: RelayFacts = {
    isOff: (name) => off.has(name),
    domain: (name) => domains.get(name) ?? null,
    byLogin: senders.byLogin,
    byIp: senders.byIp,
    whyIpOff: senders.whyIpOff,
    whyOff: senders.whyOff,
    localNetwork: local,
    isUnreadLogin: senders.isUnreadLogin,
    isUnreadIp: senders.isUnreadIp,
    unread,
  };
  const parties = outgoingParties(policy, { facts, senders });
  const subjectOf = ruleSubjects(domains, senders);
  const setOf = ruleSets(policy, { senders: sendersOf(senders), unread });
  const destinationOf = destinations(policy, unread);

  const refuseUnread = refuseUnreadWriter(facts, parties.owner);

  return {
    policy: settings,
    version,
    unread,
    listener: (name) => listeners.get(name) ?? null,
    domain: facts.domain,
    ownerOf: parties.owner,
    userSender: (login) => senders.byLogin(login)?.sender ?? null,
    ipSender: (ip) => senders.byIp(ip)?.sender ?? null,
    trustedNetwork: (ip) =>
      senders.byIp(ip)?.sender.range ?? (senders.whyIpOff(ip) === null ? local(ip) : null),
    outgoingParty: parties.of,
    speaking: parties.speaking,
    writerOf: parties.writerOf,
    isForward: parties.isForward,
    partyOfKey: parties.byKey,
    sendsAs: parties.sendsAs,
    partyOff: parties.partyOff,
    whyOff: senders.whyOff,
    isUnreadLogin: senders.isUnreadLogin,
    mayRelay: (listener, client, recipient) => mayRelay(facts, listener, client, recipient),
    refuseSender: (listener, client, reversePath) =>
      refuseUnread(listener, client, reversePath === null ? [] : [reversePath]) ??
      refuseSender(facts, listener, client, reversePath) ??
      parties.refusePath(listener, client, reversePath),
    refuseHeaderSender: (listener, client, used) =>
      refuseUnread(listener, client, [used.address]) ??
      (client.login === null ? null : refuseLoginAddress(facts, client.login, used)),
    refuseHeaderFrom: (listener, client, writers) =>
      refuseUnread(listener, client, [...writers.from, ...(writers.senders ?? [])]) ??
      refuseHeaderFrom(facts, listener, client, writers.from) ??
      parties.refuseWriters(listener, client, writers),
    refuseDomainOf(address, cause) {
      const domain = unread.domainOver(domainOf(address));
      return domain === null
        ? parties.refuseDomainOf(address, cause)
        : unreadReply(`the stored setting of the domain ${domain}`);
    },
    destination: (recipient, taken = "to pass on") => destinationOf(domainOf(recipient), taken),
    wantedFacts: (subjects) => {
      const sets = subjects.map((subject) => [setOf(subjectOf(subject)), subject.recipient] as const);
      const first = sets[0]?.[0];
      // Nearly always all recipients share one rule set: then nothing is copied.
      if (first !== undefined && first.addressed.length === 0 && sets.every(([set]) => set === first)) {
        return first.wanted;
      }
      return wantedBy(sets);
    },
    decide: (messageFacts, subject) => {
      const ruleSubject = subjectOf(subject);
      return decide(messageFacts, setOf(ruleSubject).rules, ruleSubject);
    },
  };
}
