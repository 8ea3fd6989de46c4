// Which of many networks an address is in: the longest prefix wins. Pure; answers are cached per address.
import ipaddr from "ipaddr.js";
import type { IpNetwork } from "../message/address.ts";

const MAX_CACHED = 4096;

/** Is all of `narrow` within `wide`? */
export function covers(wide: string, narrow: string): boolean {
  const [outer, inner] = [ipaddr.parseCIDR(wide), ipaddr.parseCIDR(narrow)];
  return outer[0].kind() === inner[0].kind() && outer[1] <= inner[1] && inner[0].match(outer);
}

/** Makes the look-up: an IP address to the value of the narrowest network that holds it, or null. */
export function networkIndex<T>(entries: readonly (readonly [IpNetwork, T])[]): (ip: string) => T | null {
  const ranges = entries
    .map(([network, value]) => ({ range: ipaddr.parseCIDR(network), value }))
    .toSorted((a, b) => b.range[1] - a.range[1]);
  const known = new Map<string, T | null>();
  const find = (ip: string): T | null => {
    if (!ipaddr.isValid(ip)) return null;
    // `process` turns IPv4-mapped IPv6 addresses into IPv4.
    const address = ipaddr.process(ip);
    for (const { range, value } of ranges) {
      if (range[0].kind() === address.kind() && address.match(range)) return value;
    }
    return null;
  };
  return (ip) => {
    if (ranges.length === 0) return null;
    const cached = known.get(ip);
    if (cached !== undefined) return cached;
    const value = find(ip);
    if (known.size >= MAX_CACHED) known.clear();
    known.set(ip, value);
    return value;
  };
}
