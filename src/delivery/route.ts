// Where mail for a destination goes. Plain data; no I/O.

export type TlsPolicy = "none" | "opportunistic" | "required" | "verified" | "implicit";

/** One server to deliver to. Lower priority first, equal ones in random order. */
export interface Route {
  readonly host: string;
  readonly port: number;
  readonly priority: number;
  readonly tls: TlsPolicy;
}

/** `allowUnverifiedTls`: the password may go to a server whose certificate proves nothing, or over no TLS at all. */
export interface Login {
  readonly user: string;
  readonly password: string;
  readonly allowUnverifiedTls?: boolean;
}

/**
 * How one recipient's mail leaves. `key` names the destination: entries of one key share connections and back-off.
 * `overTls`: never without TLS, whatever routes and delivery settings say; made by `overTls`.
 */
export type Destination = (
  | {
      readonly kind: "routes";
      readonly key: string;
      readonly routes: readonly Route[];
      /** Why mail waits here, although it has a way; left out: it is on its way. */
      readonly held?: string;
      /** It waits for a stored setting that cannot be read now: nothing of it is given up meanwhile. */
      readonly awaitsSettings?: true;
    }
  | {
      readonly kind: "mx";
      readonly key: string;
      readonly domain: string;
      /** A domain of this gateway for which no server is set: what leads nowhere or back here waits, until one is. */
      readonly ours?: true;
    }
  | {
      readonly kind: "smarthost";
      readonly key: string;
      readonly route: Route;
      readonly login: Login | null;
    }
) & { readonly overTls?: true };

/**
 * How mail was taken. "for us": in for a domain of ours, it waits while that is none. "from outside": by a stranger's wish, maybe sent on to
 * another address by a rule; never to a domain of ours by the way mail to the world takes. "to pass on": of our own people.
 */
export type WayTaken = "for us" | "from outside" | "to pass on";

/** Where mail for an address goes now; routes may have changed since it was accepted. */
export type DestinationFor = (address: string, taken: WayTaken, behind?: WhoSent) => Destination;

/** Who of ours is behind a message: the key of the outgoing sender ("": none), and the envelope sender ("": none). */
export interface WhoSent extends WrittenBy {
  readonly sender: string;
  readonly reversePath: string;
}

/** For which domains a message was written, whoever handed it in: what the dialogue asked about when it was taken. */
export interface WrittenBy {
  /** Domains of this gateway, or below one, in envelope and header. Left out: it came from outside, or an older version took it. */
  readonly writtenFor?: readonly string[];
  /** Of what an older version took: all domains its header names as writers, whosesoever they are. Left out: not looked up. */
  readonly named?: readonly string[];
}

/**
 * Where mail waits that was taken in for a domain which is switched off or removed meanwhile: it has no way until the domain is back,
 * least of all the one that mail to the outside takes.
 */
export function waitingPlace(domain: string): Destination {
  return { kind: "routes", key: `routes:${domain}`, routes: [] };
}

/** Where mail waits that came in for a domain which has no server set. */
export function unroutedPlace(domain: string): Destination {
  const held = `Mail for ${domain} waits here: no mail server is set for the domain; add a route to it`;
  return { kind: "routes", key: `routes:${domain}`, routes: [], held };
}

/** Where mail waits whose sending domain sends nothing at present. Back on, it goes the way it would have gone. */
export function heldPlace(domain: string, words: string, awaitsSettings?: true): Destination {
  const place = { kind: "routes", key: `held:${domain}`, routes: [], held: words } as const;
  return awaitsSettings ? { ...place, awaitsSettings } : place;
}

const BARE: ReadonlySet<TlsPolicy> = new Set(["none", "opportunistic"]);

/** The policy, but at least TLS. */
export function atLeastTls(tls: TlsPolicy): TlsPolicy {
  return BARE.has(tls) ? "required" : tls;
}

function tlsRoute(route: Route): Route {
  return { ...route, tls: atLeastTls(route.tls) };
}

/** The same destination, never without TLS (requirement O14). It shares no connections with the plain one. */
export function overTls(destination: Destination): Destination {
  if (destination.overTls) return destination;
  const key = `${destination.key} over TLS`;
  switch (destination.kind) {
    case "mx":
      return { ...destination, key, overTls: true };
    case "routes":
      return { ...destination, key, overTls: true, routes: destination.routes.map(tlsRoute) };
    case "smarthost":
      return { ...destination, key, overTls: true, route: tlsRoute(destination.route) };
  }
}
