// Requirement L2: may this client send to this recipient? Exactly one grant, recorded; never an open relay. No I/O.
import { type Domain, domainOf, type MailAddress } from "../message/address.ts";
import type { Client, Direction, Grant } from "../message/envelope.ts";
import { type Reply, reply } from "./reply.ts";
import type { DomainSettings, ListenerSettings } from "./schema.ts";
import type { Standing } from "./sender-index.ts";
import { type Unread, unreadReply } from "./unread.ts";

/** What relay control asks of the policy. */
export interface RelayFacts {
  domain(name: Domain): DomainSettings | null;
  /** Is it a domain here that is switched off? */
  isOff(name: Domain): boolean;
  /** Who logs in by that name. */
  byLogin(login: string): Standing | null;
  /** The IP sender of that address. */
  byIp(ip: string): Standing | null;
  /** Why the IP sender of that address may not send at present; null: it may, or there is none. */
  whyIpOff(ip: string): string | null;
  /** Why a login that is in the settings may not be used at present; null: it may, or nobody has it. */
  whyOff(login: string): string | null;
  /** A trusted network proper, without IP senders. */
  localNetwork(ip: string): string | null;
  /** Is the setting unread that would say whether the login, or the address, may send? */
  isUnreadLogin(login: string): boolean;
  isUnreadIp(ip: string): boolean;
  readonly unread: Unread;
}

/** Characters of a name in a reply: a line has at most 512 octets (RFC 5321 §4.5.3.1.5). */
const MAX_SHOWN = 150;

export type RelayAnswer =
  | { readonly granted: true; readonly grant: Grant; readonly direction: Direction }
  | { readonly granted: false; readonly reply: Reply };

/** Are clients told by their network on this listener? */
export function trustsNetworks(listener: Pick<ListenerSettings, "auth" | "relay">): boolean {
  return listener.auth !== "required" && listener.relay.includes("trusted-networks");
}

/**
 * The outgoing sender this client is by this listener, or null. The listener's `relay` decides what counts; a login comes before the
 * network it was made from.
 */
export function standingSender(
  facts: RelayFacts,
  listener: ListenerSettings,
  client: Client,
): Standing | null {
  if (client.login !== null && listener.relay.includes("authenticated")) {
    const user = facts.byLogin(client.login);
    if (user !== null) return user;
  }
  return trustsNetworks(listener) ? facts.byIp(client.ip) : null;
}

/** The grant that lets this client send anywhere by this listener, or null for an outsider. */
export function standingGrant(facts: RelayFacts, listener: ListenerSettings, client: Client): Grant | null {
  const sender = standingSender(facts, listener, client);
  if (sender !== null) return sender.grant;
  const network = trustedBy(facts, listener, client);
  return network === null ? null : { by: "trusted-network", network };
}

/** The setting that cannot be read and would say whether the client is one of ours; null: all that would is read. For the log. */
export function standingUnread(
  facts: RelayFacts,
  listener: ListenerSettings,
  { login, ip }: Pick<Client, "login" | "ip">,
): string | null {
  if (facts.unread.items.length === 0) return null;
  if (login !== null) return facts.isUnreadLogin(login) ? `the stored setting of ${login}` : null;
  if (!trustsNetworks(listener)) return null;
  if (facts.isUnreadIp(ip)) return `the stored setting of the IP sender of ${ip}`;
  return facts.unread.networks ? "the stored setting of the trusted networks" : null;
}

/** The trusted network that counts for the client. What is switched off as an IP sender is not let in by a wider network around it. */
export function trustedBy(
  facts: Pick<RelayFacts, "localNetwork" | "whyIpOff">,
  listener: ListenerSettings,
  { ip }: Pick<Client, "ip">,
): string | null {
  return trustsNetworks(listener) && facts.whyIpOff(ip) === null ? facts.localNetwork(ip) : null;
}

/**
 * An address that asks the next server to send the mail on somewhere else: percent hack, bang path, or a source route
 * inside quotes. Our own servers trust what we hand them, so they must never see one. (RFC 5321 §3.6.1, §F.2)
 */
function routesOnward(recipient: MailAddress): boolean {
  const at = recipient.lastIndexOf("@");
  for (let i = 0; i < at; i++) {
    const code = recipient.charCodeAt(i);
    if (code === 0x25 || code === 0x21 || code === 0x40) return true;
  }
  return false;
}

function denied(client: Client, why: string): RelayAnswer {
  return { granted: false, reply: reply(550, "7.1", "Relaying denied", `client ${client.ip}: ${why}`) };
}

/** Answers RCPT TO. */
export function mayRelay(
  facts: RelayFacts,
  listener: ListenerSettings,
  client: Client,
  recipient: MailAddress,
): RelayAnswer {
  if (listener.auth === "required" && client.login === null) {
    return {
      granted: false,
      reply: reply(530, "7.0", "Authentication required", `client ${client.ip} has not logged in`),
    };
  }
  const name = domainOf(recipient);
  if (name.startsWith("[")) return denied(client, `"${recipient}" names a host by address, not a domain`);
  if (facts.unread.isDomain(name))
    return { granted: false, reply: unreadReply(`the stored setting of the domain ${name}`) };
  const ours = facts.domain(name);
  if (ours !== null && routesOnward(recipient)) {
    return denied(client, `"${recipient}" asks our server to send the mail on`);
  }
  const grant = standingGrant(facts, listener, client);
  if (grant !== null && facts.isOff(name))
    return {
      granted: false,
      reply: reply(
        550,
        "1.2",
        `Mail for ${name.slice(0, MAX_SHOWN)} is not taken, the domain is switched off; ask the administrator`,
        `the domain ${name} is switched off`,
      ),
    };
  if (grant !== null) return { granted: true, grant, direction: ours === null ? "outbound" : "internal" };
  const unread = standingUnread(facts, listener, client);
  // Judged as a stranger's, what a server of ours hands in would be refused for good where SPF or DMARC say so of its address.
  const maybeOurs =
    unread !== null &&
    (client.login !== null || facts.isUnreadIp(client.ip) || facts.unread.mayBeTrusted(client.ip));
  if (ours !== null && listener.auth !== "required" && !maybeOurs) {
    return { granted: true, grant: { by: "relay-domain", domain: ours.name }, direction: "inbound" };
  }
  if (unread !== null) return { granted: false, reply: unreadReply(unread) };
  const off = client.login === null ? facts.whyIpOff(client.ip) : facts.whyOff(client.login);
  if (off !== null) return denied(client, off);
  return denied(
    client,
    client.login === null
      ? `not logged in, in no trusted network that counts on listener ${listener.name}, and ${name} is not one of our domains`
      : `login "${client.login}" may not relay by listener ${listener.name}`,
  );
}
