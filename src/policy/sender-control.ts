// May this client use this sender address? A login's own address, a domain login's domain, and send-as grants (O10); outsiders
// claiming to be us (L3). No I/O.
import { addressKey, baseKey, domainOf, type MailAddress } from "../message/address.ts";
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

function delimiterOf(facts: RelayFacts, address: MailAddress): string {
  return facts.domain(domainOf(address))?.recipient_delimiter ?? "";
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
  const sender = facts.byLogin(client.login)?.sender ?? null;
  if (sender === null) return loginRefused(facts, client.login);
  if (reversePath === null) {
    // Notices without a sender come from servers, which log in for their domain; a person always has an address to be answered at.
    if (sender.kind === "domain") return null;
    return reply(
      550,
      "7.1",
      "Mail without a sender address is not accepted from a login",
      `login "${client.login}" used the null reverse-path`,
    );
  }
  if (mayUse(sender, reversePath, delimiterOf(facts, reversePath))) return null;
  return notGranted(client.login, reversePath, "the envelope");
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
  return mayUse(sender, from, delimiterOf(facts, from)) ? null : notGranted(client.login, from, "From");
}
