// Mail that was taken before its domain was barred, switched off or removed, and would leave by another door: the queue, the quarantine.
// "Off" means no sending (O12). No I/O.
import type { WhoSent } from "../delivery/route.ts";
import { domainOf, parseAddress, parseDomain } from "../message/address.ts";
import type { PolicySnapshot } from "./snapshot.ts";

export interface SendingStop {
  readonly domain: string;
  /** A sentence without its full stop. */
  readonly words: string;
}

/** The domain in the key of a sender: `ann@example.org`, `@example.org`, `example.org via 10.0.0.0/8`; null: there is none in it. */
function domainInKey(key: string): string | null {
  const [name = ""] = key.split(" via ");
  if (!name.includes("@") && name === key) return null;
  const parsed = parseDomain(name.slice(name.lastIndexOf("@") + 1));
  return parsed.ok ? parsed.value : null;
}

/** Is it a domain of this gateway, on or off, or below one? */
function isHere({ policy }: PolicySnapshot, domain: string): boolean {
  return policy.domain.some(({ name }) => domain === name || domain.endsWith(`.${name}`));
}

/** The domain that keeps the mail from leaving now, or null. */
export function sendsNothing(now: PolicySnapshot, { sender, reversePath }: WhoSent): SendingStop | null {
  const path = parseAddress(reversePath);
  const ofPath = path.ok ? domainOf(path.value) : null;
  const ofKey = domainInKey(sender);
  const party = now.partyOfKey(sender);
  for (const domain of new Set([ofKey, party?.sender.domain ?? null, ofPath])) {
    const postmaster = domain === null ? null : parseAddress(`postmaster@${domain}`);
    if (domain === null || postmaster === null || !postmaster.ok) continue;
    if (now.refuseDomainOf(postmaster.value, "") !== null)
      return stopOf(domain, "barred from sending or switched off");
  }
  const gone =
    ofKey !== null && party === null && !isHere(now, ofKey) && (ofPath === null || !isHere(now, ofPath));
  return gone ? stopOf(ofKey, "no domain of this gateway any more") : null;
}

function stopOf(domain: string, state: string): SendingStop {
  return {
    domain,
    words: `Mail of ${domain} is held here: the domain is ${state}, until an administrator of the gateway lets it send again`,
  };
}
