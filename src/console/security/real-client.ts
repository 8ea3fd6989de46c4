// Who is really asking when a reverse proxy stands in front of the console. What a proxy says counts only when the boot file names it.

import type { IpNetwork } from "../../message/address.ts";
import { inNetworks } from "../../session/connect.ts";
import { normalIp } from "../../session/ip-address.ts";

/** More hops than any site has; the rest is somebody's invention. */
const MAX_HOPS = 20;

/** The addresses of X-Forwarded-For, the client's own claim first; null: the field is not there. */
function forwardedFor(headers: Headers): readonly string[] | null {
  const field = headers.get("X-Forwarded-For");
  return field === null ? null : field.split(",").map((hop) => hop.trim());
}

/** The same of Forwarded (RFC 7239). */
function forwarded(headers: Headers): readonly string[] | null {
  const field = headers.get("Forwarded");
  if (field === null) return null;
  return field.split(",").map((hop) => /(?:^|;)\s*for="?([^";,\s]*)"?/i.exec(hop)?.[1] ?? "");
}

/** `192.0.2.1`, `192.0.2.1:4711`, `[2001:db8::1]:4711` to the address; null: none that is one. */
function addressOf(hop: string): string | null {
  const bare = /^\[([^\]]*)\](?::\d+)?$/.exec(hop)?.[1] ?? /^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(hop)?.[1] ?? hop;
  return normalIp(bare);
}

/** The last hop that is no proxy of ours; the proxy before one that says nothing usable. */
function lastStranger(peer: string, hops: readonly string[], proxies: readonly IpNetwork[]): string {
  let client = peer;
  for (const hop of hops.slice(-MAX_HOPS).toReversed()) {
    const address = addressOf(hop);
    if (address === null) return client;
    client = address;
    if (!inNetworks(proxies, address)) return client;
  }
  return client;
}

/**
 * The address of the browser or program. `peer` is the other end of the connection: unless it is one of `proxies`, it is the answer,
 * whatever the header says. Proxies that pass on one field from the client and write the other contradict themselves: then nobody is
 * believed.
 */
export function realClient(peer: string, headers: Headers, proxies: readonly IpNetwork[]): string {
  const own = normalIp(peer) ?? peer;
  if (proxies.length === 0 || !inNetworks(proxies, own)) return own;
  const said = [forwardedFor(headers), forwarded(headers)].filter((hops) => hops !== null);
  const clients = new Set(said.map((hops) => lastStranger(own, hops, proxies)));
  const [client] = clients;
  return clients.size === 1 && client !== undefined ? client : own;
}
