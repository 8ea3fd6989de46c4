// What servers without a login may not write: domains of this gateway that are not theirs, are barred or switched off (O1, O12), and
// what `forwards` does not let through. No I/O: where a signature decides, the session asks for it.
import { domainOf, type MailAddress } from "../message/address.ts";
import { type Reply, reply } from "./reply.ts";
import type { DomainSettings } from "./schema.ts";
import { forwardsOf, isServerNotice, type OwnerOf, writesFor } from "./server-mail.ts";
import type { OutgoingParty, Writers } from "./snapshot.ts";

/** Characters of an address in a reply: a line has at most 512 octets (RFC 5321 §4.5.3.1.5). */
const MAX_SHOWN = 150;

/** Mail of a server as it is judged. */
export interface ServerQuestion {
  /** null: a trusted network that is excepted from outgoing control. */
  readonly party: OutgoingParty | null;
  readonly ip: string;
  readonly owner: OwnerOf;
}

function shown(text: string): string {
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}...` : text;
}

/** The refusal of one address, or null. */
export function refuseServerAddress(
  { party, ip, owner }: ServerQuestion,
  address: MailAddress,
  where: string,
): Reply | null {
  const domain = owner(domainOf(address));
  if (domain === null) return null;
  const cause = `${ip} uses ${address} in ${where}`;
  if (party !== null && !writesFor(party, address, owner))
    return reply(
      550,
      "7.1",
      `This server may not send as ${shown(address)}; ask your administrator to add the domain to its address range`,
      `${cause}: ${domain.name} is a domain of this gateway, but none of the sender ${party.via ?? party.key}`,
    );
  return refuseOwnDomain(domain, cause);
}

/** Does mail of a domain of ours go out at all? Whoever sends it. `cause`: who uses which address where. */
export function refuseOwnDomain(domain: DomainSettings, cause: string): Reply | null {
  if (!domain.enabled)
    return reply(
      550,
      "7.1",
      `Mail of ${shown(domain.name)} is not sent, the domain is switched off; ask the administrator`,
      `${cause}: the domain ${domain.name} is switched off`,
    );
  if (domain.outgoing.barred)
    return reply(
      550,
      "7.1",
      "This domain may not send mail; ask the administrator",
      `${cause}: the domain ${domain.name} is barred from sending`,
    );
  return null;
}

/** Asked when the data is in, after each address: is it mail of nobody here, and may that pass? */
export function refuseForward({ party, ip, owner }: ServerQuestion, writers: Writers): Reply | null {
  if (party?.server === undefined || !isForward(party, writers, owner)) return null;
  if (forwardsOf(party) !== "refuse") return null;
  const [from] = writers.from;
  return reply(
    550,
    "7.1",
    `This server may send in the name of its own domains only, not as ${shown(from ?? "nobody")}; ask your administrator`,
    `${ip}: From names no domain of the sender ${party.via ?? party.key}, and its forwards are refused`,
  );
}

/** Somebody outside wrote it: a mail server sends it on by a rule of one of its users. Its own notices are none. */
export function isForward(party: OutgoingParty, writers: Writers, owner: OwnerOf): boolean {
  const { server } = party;
  if (server === undefined) return false;
  const { from, reversePath } = writers;
  const own = (address: MailAddress): boolean => writesFor(party, address, owner);
  // Without a readable author nobody can be impersonated, unless nothing else says who sends it.
  if (from.length === 0) return reversePath !== null && !own(reversePath);
  return !from.every(own) && !isServerNotice(party, writers);
}
