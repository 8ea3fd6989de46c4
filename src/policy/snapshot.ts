// The policy snapshot: an immutable view of all settings, indexed for the questions of a session. Rebuilt and swapped whole.
import type { Destination, WayTaken } from "../delivery/route.ts";
import type { Domain, MailAddress } from "../message/address.ts";
import type { Client, Direction, Grant } from "../message/envelope.ts";
import type { Facts } from "../rules/fact.ts";
import type { Verdict } from "../rules/verdict.ts";
import type { Reply } from "./reply.ts";
import type { DomainSettings, ListenerSettings, NetworkSettings, Policy, SenderSettings } from "./schema.ts";
import type { Unread } from "./unread.ts";

/** What `decide` is asked for one recipient. */
export interface DecisionSubject {
  readonly recipient: MailAddress;
  readonly direction: Direction;
  readonly reversePath: MailAddress | null;
  readonly login: string | null;
  /** The client's address: finds the IP sender whose domain and rules hold for outbound and internal mail. */
  readonly clientIp?: string;
  /** `outgoingParty`, when it has been asked for: then login and clientIp find nobody else. */
  readonly party?: OutgoingParty | null;
}

/** The outgoing sender a message is counted for. */
export interface OutgoingParty {
  /** Its `itemKey`: login, range or `@domain`. */
  readonly key: string;
  readonly sender: SenderSettings;
  /** The outgoing settings of the sender's domain; null when the domain is not ours (any more). */
  readonly domain: DomainSettings | null;
  /** The range of the IP sender that handed it in, when that is re-authenticated as this one; else null. */
  readonly via: string | null;
  /** The IP sender or trusted network whose servers hand the mail in without a login; left out: whoever logs in. */
  readonly server?: MailServer;
  /** Other domains here that the message speaks for, and that have a part of the strict set (O14): it holds, too. Left out: none. */
  readonly speaksFor?: readonly DomainSettings[];
}

/** Servers that hand in mail without a login. */
export interface MailServer {
  /** null: a trusted network, which writes for all domains here. */
  readonly sender: SenderSettings | null;
  readonly forwards: NetworkSettings["forwards"];
}

/** Who a message says it is from: what is known at MAIL, and the header's addresses once the data is in. */
export interface Writers {
  readonly reversePath: MailAddress | null;
  readonly from: readonly MailAddress[];
  /** Sender, Resent-From and Resent-Sender, where they were read. */
  readonly senders?: readonly MailAddress[];
}

/** What the settings have against a sender, whoever is behind it. */
export type SettingsStop =
  | "removed"
  | "sender-off"
  | "domain-removed"
  | "domain-off"
  | "domain-barred"
  /** The address range its servers are in now does not write for its domain. */
  | "range-of-others"
  /** No listener takes mail of its kind. */
  | "no-listener";

/** How a sender's mail fares by the settings alone. */
export interface SendsAs {
  /** Whom it counts for; null: the settings have nobody of that key (any more). */
  readonly party: OutgoingParty | null;
  /** Why that is somebody else than the key names; null: it is not. */
  readonly instead: "re-authenticated" | "address-range" | "domain-removed" | null;
  readonly stop: SettingsStop | null;
  /** False: its network is excepted from outgoing control, so that neither locks nor limits hold. */
  readonly controlled: boolean;
}

export interface PolicySnapshot {
  readonly policy: Policy;
  /** Counts up with each change. */
  readonly version: number;
  /** Stored settings that cannot be read, and what is not known for that. */
  readonly unread: Unread;
  listener(name: string): ListenerSettings | null;
  /** The relay domain, or null when it is not ours (or switched off). */
  domain(name: Domain): DomainSettings | null;
  /** The domain here that a name belongs to, itself or below it, also one that is switched off; null: it is nobody's here. */
  ownerOf(name: Domain): DomainSettings | null;
  /** The outgoing sender who logs in by that name (case-insensitive): a user's address, a domain sender's bare domain. Or null. */
  userSender(login: string): SenderSettings | null;
  /** The IP sender or trusted network the address belongs to. */
  trustedNetwork(ip: string): string | null;
  ipSender(ip: string): SenderSettings | null;
  /**
   * The outgoing sender this client sends as by this listener: its login, else the IP sender of its address (O1, O9), else what its
   * trusted network sends for the domain that `writers` names. null: an outsider, or a network that is excepted.
   */
  outgoingParty(listener: ListenerSettings, client: Client, writers?: Writers): OutgoingParty | null;
  /** The same party with the other domains of ours that its mail by these writers speaks for, where one has a part of the strict set. */
  speaking(party: OutgoingParty, writers: Writers): OutgoingParty;
  /** Who is behind the party's mail as far as envelope and From tell; null: they do not tell. */
  writerOf(party: OutgoingParty, writers: Writers, ip: string): string | null;
  /** Mail of somebody outside that a server of ours sends on. It may pass when its author's domain has signed it, where `signed` is set. */
  isForward(party: OutgoingParty, writers: Writers): boolean;
  /** The sender of that key, also one that is switched off, or what a trusted network sends for a domain. */
  partyOfKey(key: string): OutgoingParty | null;
  /** What the settings make of the mail that is counted under that key: the same as the other questions find for a client of it. */
  sendsAs(key: string): SendsAs;
  /** Whose mail the client's would be, were the sender or its domain not switched off: what is refused counts for it. */
  partyOff(listener: ListenerSettings, client: Client): OutgoingParty | null;
  /** Why the login, which is in the settings, cannot be used at present; null: it can, or nobody has it. For the log. */
  whyOff(login: string): string | null;
  /** Is the setting unread that would say whether the login may be used? */
  isUnreadLogin(login: string): boolean;
  /** May this client send to this recipient? (L2: exactly one grant, recorded; never an open relay.) */
  mayRelay(
    listener: ListenerSettings,
    client: Client,
    recipient: MailAddress,
  ):
    | { readonly granted: true; readonly grant: Grant; readonly direction: Direction }
    | { readonly granted: false; readonly reply: Reply };
  /** May this client use this reverse-path? (a login's own address or its send-as grants; L3) null: yes. */
  refuseSender(listener: ListenerSettings, client: Client, reversePath: MailAddress | null): Reply | null;
  /** The same question for one address that a login writes in the header. `where`: the name of the field. */
  refuseHeaderSender(
    listener: ListenerSettings,
    client: Client,
    used: { readonly address: MailAddress; readonly where: string },
  ): Reply | null;
  /** The same question for the header From, asked when the data is in. */
  refuseHeaderFrom(listener: ListenerSettings, client: Client, writers: Writers): Reply | null;
  /** Does mail of that address go out at all? Not when it is of a domain here that is barred or switched off. null: it may. */
  refuseDomainOf(address: MailAddress, cause: string): Reply | null;
  /**
   * Where mail for this address goes. What a stranger sends to a domain of ours that has no server never takes the smart host, which is
   * for what our own people may send anywhere; what is for a domain that is switched off goes nowhere.
   */
  destination(recipient: MailAddress, taken?: WayTaken): Destination;
  /** The facts that rules in scope of these recipients name: only these need to be found out. */
  wantedFacts(subjects: readonly DecisionSubject[]): ReadonlySet<string>;
  /** `decide(facts, rules in scope)`: pure. */
  decide(facts: Facts, subject: DecisionSubject): Verdict;
}
