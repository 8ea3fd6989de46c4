// The policy snapshot: an immutable view of all settings, indexed for the questions of a session. Rebuilt and swapped whole.

import type { Destination } from "../delivery/route.ts";
import type { Domain, MailAddress } from "../message/address.ts";
import type { Client, Direction, Grant } from "../message/envelope.ts";
import type { Facts } from "../rules/fact.ts";
import type { Verdict } from "../rules/verdict.ts";
import type { Reply } from "./reply.ts";
import type { DomainSettings, ListenerSettings, Policy, SenderSettings } from "./schema.ts";

/** What `decide` is asked for one recipient. */
export interface DecisionSubject {
  readonly recipient: MailAddress;
  readonly direction: Direction;
  readonly reversePath: MailAddress | null;
  readonly login: string | null;
  /** The client's address: finds the IP sender whose domain and rules hold for outbound and internal mail. */
  readonly clientIp?: string;
}

export interface PolicySnapshot {
  readonly policy: Policy;
  /** Counts up with each change. */
  readonly version: number;
  listener(name: string): ListenerSettings | null;
  /** The relay domain, or null when it is not ours (or switched off). */
  domain(name: Domain): DomainSettings | null;
  /** The outgoing user of that login (case-insensitive), or null. */
  userSender(login: string): SenderSettings | null;
  /** The IP sender or trusted network the address belongs to. */
  trustedNetwork(ip: string): string | null;
  ipSender(ip: string): SenderSettings | null;
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
  /** The same question for the header From, asked when the data is in. */
  refuseHeaderFrom(
    listener: ListenerSettings,
    client: Client,
    headerFrom: readonly MailAddress[],
  ): Reply | null;
  /** Where mail for this address goes. */
  destination(recipient: MailAddress): Destination;
  /** The facts that rules in scope of these recipients name: only these need to be found out. */
  wantedFacts(subjects: readonly DecisionSubject[]): ReadonlySet<string>;
  /** `decide(facts, rules in scope)`: pure. */
  decide(facts: Facts, subject: DecisionSubject): Verdict;
}
