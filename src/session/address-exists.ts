// Does an address of our own domains exist? Asked for recipients (I2) and, where a domain wants it, for senders (O10).
import { addressKey, baseKey, domainOf, type MailAddress } from "../message/address.ts";
import type { DomainSettings } from "../policy/schema.ts";
import type { PolicySnapshot } from "../policy/snapshot.ts";
import type { RecipientAnswer, SessionServices } from "./services.ts";

const YES: RecipientAnswer = { known: "yes", text: "" };
const NOT_LISTED: RecipientAnswer = { known: "no", text: "not in the list of the domain" };

const lists = new WeakMap<readonly MailAddress[], ReadonlySet<string>>();

function listOf(domain: DomainSettings): ReadonlySet<string> {
  const { list } = domain.recipients;
  let keys = lists.get(list);
  if (keys === undefined) {
    keys = new Set(list.map(addressKey));
    lists.set(list, keys);
  }
  return keys;
}

function isListed(address: MailAddress, domain: DomainSettings): boolean {
  const list = listOf(domain);
  if (list.has(addressKey(address))) return true;
  const base = baseKey(address, domain.recipient_delimiter);
  return base !== null && list.has(base);
}

/** Yes for addresses of other domains: they are not ours to know. A promise only where a server must be asked. */
export function addressExists(
  address: MailAddress,
  snapshot: PolicySnapshot,
  services: Pick<SessionServices, "verifyRecipient">,
): RecipientAnswer | Promise<RecipientAnswer> {
  const domain = snapshot.domain(domainOf(address));
  if (domain === null) return YES;
  switch (domain.recipients.verify) {
    case "catch-all":
      return YES;
    case "list":
      return isListed(address, domain) ? YES : NOT_LISTED;
    case "callout":
    case "ldap":
      return services.verifyRecipient(address, domain);
  }
}
