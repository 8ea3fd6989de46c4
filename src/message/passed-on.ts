// Does a message show that a list or a service passes on what somebody else wrote? Read from its own header. No I/O.
import { domainOf, type MailAddress } from "./address.ts";
import { eachField, type HeaderField, rawValue } from "./header-block.ts";
import { parseMailboxes } from "./mailboxes.ts";
import { sameOrganisation } from "./organisation.ts";

/** Octets of a field that are looked at. */
const MAX_VALUE = 2000;
/** Fields that are looked at; behind them nothing shows it. */
const MAX_LOOKS = 30;

const TELLING: ReadonlySet<string> = new Set(["list-id", "list-post", "dkim-signature", "sender"]);

/**
 * A list names itself (RFC 2919, RFC 2369), a service its Sender, or it signs: one of List-Id, List-Post, Sender and DKIM-Signature must
 * be of the organisation of `own`, the one address in From. Anybody can write them, and so can who wants to mislead: but only in the name
 * of `own`, whose proof is DMARC's business as always, and whose name stands beside the words a person reads.
 */
export function isPassedOn(text: string, own: MailAddress): boolean {
  let shown = false;
  let looks = 0;
  eachField(text, (field) => {
    if (!TELLING.has(field.name)) return undefined;
    looks++;
    shown = hostsNamed(text, field).some((host) => sameOrganisation(host, domainOf(own)));
    return !shown && looks < MAX_LOOKS;
  });
  return shown;
}

function hostsNamed(text: string, field: HeaderField): readonly string[] {
  const valueIs = (pattern: RegExp): readonly string[] => {
    const host = pattern.exec(rawValue(text, field).slice(0, MAX_VALUE))?.[1];
    return host === undefined ? [] : [host];
  };
  switch (field.name) {
    case "list-id":
      return valueIs(/<([A-Za-z0-9._-]{1,253})>\s*$/);
    case "list-post":
      return valueIs(/<mailto:[^<>@]{1,254}@([A-Za-z0-9._-]{1,253})[>?]/i);
    case "dkim-signature":
      return valueIs(/(?:^|;)\s*d\s*=\s*([A-Za-z0-9._-]{1,253})\s*(?:;|$)/);
    case "sender":
      return parseMailboxes(rawValue(text, field).slice(0, MAX_VALUE)).map(domainOf);
    default:
      return [];
  }
}
