// May this client use this sender address? A login's own address, a domain login's domain, and send-as grants (O10); outsiders
// claiming to be us (L3). No I/O.
import { addressKey, baseKey, type Domain, domainOf, type MailAddress } from "../message/address.ts";
import type { Client } from "../message/envelope.ts";
import { type RelayFacts, standingGrant } from "./relay-control.ts";
import { type Reply, reply } from "./reply.ts";
import type { ListenerSettings, SenderSettings } from "./schema.ts";
import { unreadReply } from "./unread.ts";

/** Characters of an address in a reply: a line has at most 512 octets (RFC 5321 §4.5.3.1.5). */
const MAX_SHOWN = 150;

/**
 * May the sender use the address? Its own, those of a domain sender's domain, and its send-as grants. `delimiter` is that of the
 * address's domain; "": its addresses have no tags.
 */
export function mayUse(sender: SenderSettings, address: MailAddress, delimiter: string): boolean {
  if (mayUseKey(sender, address, addressKey(address))) return true;
  const base = baseKey(address, delimiter);
  return base !== null && mayUseKey(sender, address, base);
}

function mayUseKey(sender: SenderSettings, address: MailAddress, key: string): boolean {
  const of = domainOf(address);
  if (sender.kind !== "user" && (sender.domain === of || sender.domains.includes(of))) return true;
  if (sender.login !== undefined && addressKey(sender.login) === key) return true;
  const domain = `@${of}`;
  return sender.send_as.some((granted) => {
    const grantedKey = addressKey(granted);
    return grantedKey === key || grantedKey === domain;
  });
}

/** Whom mail servers write notices as. */
export const NOTICE_WRITER = /^(mailer-daemon|postmaster)@/i;

/** The domain of this gateway that a name is, or is a host below of; "": of none. */
function ownName(facts: RelayFacts, name: string): string {
  for (let rest = name; rest !== ""; rest = rest.slice(rest.indexOf(".") + 1)) {
    if (facts.domain(rest as Domain) !== null || facts.isOff(rest as Domain)) return rest;
    if (!rest.includes(".")) return "";
  }
  return "";
}

/** A mail server that logs in for its domain writes its notices in the name of its host: `MAILER-DAEMON@mail.example.org`. */
function isOwnServer(facts: RelayFacts, sender: SenderSettings, address: MailAddress): boolean {
  if (sender.kind !== "domain" || !NOTICE_WRITER.test(address)) return false;
  const own: string = ownName(facts, domainOf(address));
  return own !== "" && (sender.domain === own || sender.domains.some((domain) => domain === own));
}

/** May the login write the address? */
function mayWrite(facts: RelayFacts, sender: SenderSettings, address: MailAddress): boolean {
  const delimiter = facts.domain(domainOf(address))?.recipient_delimiter ?? "";
  return mayUse(sender, address, delimiter) || isOwnServer(facts, sender, address);
}

/** The client is logged in, so the text may say what to do. It is the same whether the address exists or not. */
function notGranted(login: string, address: MailAddress, where: string): Reply {
  const shown = (text: string): string => (text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}...` : text);
  return reply(
    550,
    "7.1",
    `${shown(login)} may not send as ${shown(address)}; ask your administrator to allow it (send as)`,
    `login "${login}" may not use ${address} in ${where}: it is neither its own address nor in its send_as`,
  );
}

function claimsOurs(
  facts: RelayFacts,
  listener: ListenerSettings,
  client: Client,
  address: MailAddress,
): boolean {
  return (
    listener.refuse_outsiders_claiming_local &&
    facts.domain(domainOf(address)) !== null &&
    standingGrant(facts, listener, client) === null
  );
}

function claimRefused(client: Client, address: MailAddress, where: string): Reply {
  return reply(
    550,
    "7.1",
    "Mail from this domain must be sent through its own servers with a login",
    `outsider ${client.ip} uses ${address}, an address of ours, as ${where}`,
  );
}

function loginRefused(facts: RelayFacts, login: string): Reply {
  if (facts.isUnreadLogin(login)) return unreadReply(`the stored setting of the login ${login}`);
  const why = facts.whyOff(login) ?? "there is no such sender (any more)";
  return reply(
    550,
    "7.1",
    "This login may not send mail; ask your administrator",
    `login "${login}" is not, or no longer, an enabled sender: ${why}`,
  );
}

/** Answers MAIL FROM. null: the client may use this reverse-path. */
export function refuseSender(
  facts: RelayFacts,
  listener: ListenerSettings,
  client: Client,
  reversePath: MailAddress | null,
): Reply | null {
  if (client.login === null) {
    if (reversePath === null || !claimsOurs(facts, listener, client, reversePath)) return null;
    return claimRefused(client, reversePath, "envelope sender");
  }
  return refuseLoginAddress(facts, client.login, { address: reversePath, where: "the envelope" });
}

/** An address that a login uses, and where: `the envelope`, `Sender`. */
export interface UsedAddress {
  readonly address: MailAddress | null;
  readonly where: string;
}

/** May the login use the address there? null: yes. */
export function refuseLoginAddress(
  facts: RelayFacts,
  login: string,
  { address, where }: UsedAddress,
): Reply | null {
  const sender = facts.byLogin(login)?.sender ?? null;
  if (sender === null) return loginRefused(facts, login);
  // Notices of servers have no sender, nor have receipts that people's programs write (RFC 8098 §3): From says who it is.
  if (address === null || mayWrite(facts, sender, address)) return null;
  return notGranted(login, address, where);
}

/** Asked when the data is in: the addresses in From. null: they are in order. */
export function refuseHeaderFrom(
  facts: RelayFacts,
  listener: ListenerSettings,
  client: Client,
  headerFrom: readonly MailAddress[],
): Reply | null {
  if (client.login === null) {
    const claimed = headerFrom.find((address) => claimsOurs(facts, listener, client, address));
    return claimed === undefined ? null : claimRefused(client, claimed, "From");
  }
  const sender = facts.byLogin(client.login)?.sender ?? null;
  if (sender === null) return loginRefused(facts, client.login);
  const [from] = headerFrom;
  if (from === undefined || headerFrom.length > 1) {
    return reply(
      550,
      "7.1",
      "The message must have exactly one From address",
      `login "${client.login}": the From header has ${headerFrom.length} readable addresses`,
    );
  }
  return mayWrite(facts, sender, from) ? null : notGranted(client.login, from, "From");
}
