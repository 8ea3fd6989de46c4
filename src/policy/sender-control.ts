// May this client use this sender address? A login's own address and its send-as grants (O10); outsiders claiming to be us (L3).
import { addressKey, domainOf, type MailAddress } from "../message/address.ts";
import type { Client } from "../message/envelope.ts";
import { type RelayFacts, standingGrant } from "./relay-control.ts";
import { type Reply, reply } from "./reply.ts";
import type { ListenerSettings, SenderSettings } from "./schema.ts";

/** Public text: the same for every wrong address, so that it tells nothing about which exist. */
const NOT_YOURS = "Sender address not allowed for this login";

function mayUse(sender: SenderSettings, address: MailAddress): boolean {
  const key = addressKey(address);
  if (sender.login !== undefined && addressKey(sender.login) === key) return true;
  const domain = `@${domainOf(address)}`;
  return sender.send_as.some((granted) => {
    const grantedKey = addressKey(granted);
    return grantedKey === key || grantedKey === domain;
  });
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

function loginRefused(login: string): Reply {
  return reply(550, "7.1", NOT_YOURS, `login "${login}" is not, or no longer, an enabled sender`);
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
  const sender = facts.userSender(client.login);
  if (sender === null) return loginRefused(client.login);
  if (reversePath === null) {
    // Notices without a sender come from servers; a person who logs in always has an address to be answered at.
    return reply(
      550,
      "7.1",
      "Mail without a sender address is not accepted from a login",
      `login "${client.login}" used the null reverse-path`,
    );
  }
  if (mayUse(sender, reversePath)) return null;
  return reply(
    550,
    "7.1",
    NOT_YOURS,
    `login "${client.login}" may not send as ${reversePath}: it is neither its own address nor in its send_as`,
  );
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
  const sender = facts.userSender(client.login);
  if (sender === null) return loginRefused(client.login);
  const [from] = headerFrom;
  if (from === undefined || headerFrom.length > 1) {
    return reply(
      550,
      "7.1",
      "The message must have exactly one From address",
      `login "${client.login}": the From header has ${headerFrom.length} readable addresses`,
    );
  }
  if (mayUse(sender, from)) return null;
  return reply(
    550,
    "7.1",
    "From address not allowed for this login",
    `login "${client.login}" may not write ${from} in From: it is neither its own address nor in its send_as`,
  );
}
