// Mail that was taken before its domain was barred, switched off or removed, and would leave by another door: the queue, the quarantine.
// "Off" means no sending (O12). No I/O.
import type { WhoSent } from "../delivery/route.ts";
import { domainOf, parseAddress, parseDomain } from "../message/address.ts";
import { refuseOwnDomain } from "./refuse-server.ts";
import type { PolicySnapshot } from "./snapshot.ts";

export interface SendingStop {
  readonly domain: string;
  /** A sentence without its full stop. */
  readonly words: string;
  /** A stored setting of the domain cannot be read. */
  readonly awaitsSettings?: true;
}

/** The domain in the key of a sender: `ann@example.org`, `@example.org`, `example.org via 10.0.0.0/8`; null: there is none in it. */
function domainInKey(key: string): string | null {
  const [name = ""] = key.split(" via ");
  if (!name.includes("@") && name === key) return null;
  const parsed = parseDomain(name.slice(name.lastIndexOf("@") + 1));
  return parsed.ok ? parsed.value : null;
}

/** Is there a domain that sends nothing at present? */
export function anyStopped({ policy, unread }: PolicySnapshot): boolean {
  return unread.items.length > 0 || policy.domain.some((domain) => refuseOwnDomain(domain, "") !== null);
}

function isHere(now: PolicySnapshot, domain: string): boolean {
  const parsed = parseDomain(domain);
  return parsed.ok && now.ownerOf(parsed.value) !== null;
}

function isStopped(now: PolicySnapshot, domain: string): boolean {
  const parsed = parseDomain(domain);
  const owner = parsed.ok ? now.ownerOf(parsed.value) : null;
  return owner !== null && refuseOwnDomain(owner, "") !== null;
}

/**
 * The domain that keeps the mail from leaving now, or null. Asked of every domain the dialogue asked about: the sender's own, those of
 * envelope and header.
 */
export function sendsNothing(
  now: PolicySnapshot,
  { sender, reversePath, writtenFor = [], named = [] }: WhoSent,
): SendingStop | null {
  const path = parseAddress(reversePath);
  const ofPath = path.ok ? domainOf(path.value) : null;
  const ofKey = domainInKey(sender);
  const party = now.partyOfKey(sender);
  const all = new Set([ofKey, party?.sender.domain ?? null, ofPath, ...writtenFor, ...named]);
  for (const domain of all) {
    const unread = domain === null ? null : now.unread.domainOver(domain);
    if (unread !== null)
      return {
        domain: unread,
        awaitsSettings: true,
        words: `Mail of ${unread} is held here: the stored setting of the domain cannot be read by this version; save it anew`,
      };
  }
  for (const domain of all)
    if (domain !== null && isStopped(now, domain))
      return stopOf(domain, "barred from sending or switched off");
  const keyIsGone =
    ofKey !== null && party === null && !isHere(now, ofKey) && (ofPath === null || !isHere(now, ofPath));
  const gone = keyIsGone ? ofKey : writtenFor.find((domain) => !isHere(now, domain));
  return gone === undefined ? null : stopOf(gone, "no domain of this gateway any more");
}

function stopOf(domain: string, state: string): SendingStop {
  return {
    domain,
    words: `Mail of ${domain} is held here: the domain is ${state}, until an administrator of the gateway lets it send again`,
  };
}
