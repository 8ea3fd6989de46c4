// Mail that servers hand in without a login: IP senders and trusted networks. Whose domains they write for, who is behind a message,
// what else of them passes. One who may send for one domain must never pass for another one of this gateway. No I/O.
import { baseKey, type Domain, domainOf, type MailAddress } from "../message/address.ts";
import type { DomainSettings, SenderSettings } from "./schema.ts";
import { mayUse, NOTICE_WRITER } from "./sender-control.ts";
import type { MailServer, OutgoingParty, Writers } from "./snapshot.ts";

/** The domain of this gateway a name belongs to, itself or as a host below it; also one that is switched off. */
export type OwnerOf = (name: Domain) => DomainSettings | null;

/** The local part of an address that was rewritten for a forward (SRS): nobody of ours, though its domain is. */
const REWRITTEN = /^srs[01][=+-]/i;

/** The address is one of those the server writes for: of its domains, and of hosts below them, as cron and web servers have. */
export function writesFor(party: OutgoingParty, address: MailAddress, owner: OwnerOf): boolean {
  const { server } = party;
  const of = owner(domainOf(address));
  const may = (sender: SenderSettings): boolean => mayUse(sender, address, of?.recipient_delimiter ?? "");
  if (server === undefined) return may(party.sender);
  if (server.sender === null) return of !== null;
  // Re-authenticated as somebody, it may also write what that one may.
  if (may(server.sender) || (party.via !== null && may(party.sender))) return true;
  if (of === null || of.name === domainOf(address)) return false;
  return mayUse(server.sender, `postmaster@${of.name}` as MailAddress, "");
}

/** The address of the person: where its domain has a delimiter, what follows it names nobody else (O3). */
function personOf(address: MailAddress, owner: OwnerOf): string {
  return baseKey(address, owner(domainOf(address))?.recipient_delimiter ?? "") ?? address;
}

/**
 * Who is behind a message as far as envelope and From tell (O2): the envelope sender; for servers only when it is one they write for,
 * else the author, so that a made-up return path is no new identity. Bounces and forwards are counted together for each server.
 */
export function writerOf(
  party: OutgoingParty,
  { reversePath, from }: Writers,
  where: { readonly owner: OwnerOf; readonly ip: string },
): string | null {
  const { owner } = where;
  const own = (address: MailAddress): boolean => writesFor(party, address, owner);
  if (party.server === undefined) {
    // Of a log-in everything was asked for already; a receipt without a sender is its author's.
    const author = reversePath ?? from.find(own);
    return author === undefined ? null : personOf(author, owner);
  }
  if (reversePath !== null && !REWRITTEN.test(reversePath) && own(reversePath))
    return personOf(reversePath, owner);
  const author = from.find(own);
  if (author !== undefined) return personOf(author, owner);
  return `(${reversePath === null ? "bounces" : "forwards"} of ${where.ip})`;
}

/** A notice of the mail server itself: the null reverse-path, and the server's name or one of the names such notices come from. */
export function isServerNotice(party: OutgoingParty, { reversePath, from }: Writers): boolean {
  if (reversePath !== null) return false;
  const own = [party.sender.domain, ...(party.server?.sender?.domains ?? [])];
  return from.every(
    (address) =>
      NOTICE_WRITER.test(address) || own.some((domain) => domain !== "" && address.endsWith(`.${domain}`)),
  );
}

/**
 * The domain a trusted network's mail is of: that of the envelope, else of From, when it is ours. One that is switched off too: its
 * mail is refused, and counts for it.
 */
export function domainWrittenFor({ reversePath, from }: Writers, owner: OwnerOf): DomainSettings | null {
  for (const address of reversePath === null ? from : [reversePath, ...from]) {
    const found = owner(domainOf(address));
    if (found !== null) return found;
  }
  return null;
}

/** What of a server's mail needs the author's signature before it passes. */
export function forwardsOf({ server }: OutgoingParty): MailServer["forwards"] {
  return server?.forwards ?? "allow";
}

/** The key of what a trusted network sends for a domain; of what it sends for none, the network's own name. */
export function networkKey(network: string, domain: string): string {
  return domain === "" ? network : `${domain} via ${network}`;
}

/** The same apart, where the network is one of the trusted ones; null: it is none. */
export function networkOfKey(
  key: string,
  trusted: readonly string[],
): { readonly network: string; readonly domain: string } | null {
  const [first = "", second, ...more] = key.split(" via ");
  const parts = second === undefined ? { network: first, domain: "" } : { network: second, domain: first };
  return more.length === 0 && trusted.includes(parts.network) ? parts : null;
}

/** The settings a trusted network sends under: the product's defaults, told apart by the person who writes. */
export function networkSender(
  defaults: SenderSettings,
  what: { readonly range: NonNullable<SenderSettings["range"]>; readonly domain: DomainSettings | null },
): SenderSettings {
  const { range, domain } = what;
  const known = { ...defaults, range, identify_by: "envelope-sender" } as const;
  if (domain !== null) return { ...known, domain: domain.name };
  // Bounces and forwards carry what others wrote: it is stopped, and neither locks anybody nor goes back to a forged sender.
  return {
    ...known,
    domain: "" as Domain,
    lock: { ...defaults.lock, identity: false },
    quarantine_response: "accepted",
  };
}
