// The networks a client belongs to, as keys for counting: its own, and the wider one that usually has one owner. No I/O.
import ipaddr from "ipaddr.js";

export interface ClientNetwork {
  /** One host: an IPv4 address (/32), or the /64 of an IPv6 address, of which one person usually has a whole one. */
  readonly host: string;
  /** Its neighbours: /24 of IPv4, /48 of IPv6. */
  readonly wide: string;
}

/** `192.0.2.7` → `192.0.2.7/32` and `192.0.2.0/24`. null: not an IP address. */
export function clientNetwork(ip: string): ClientNetwork | null {
  if (!ip.includes(":")) {
    if (!ipaddr.IPv4.isValidFourPartDecimal(ip)) return null;
    return { host: `${ip}/32`, wide: `${ip.slice(0, ip.lastIndexOf("."))}.0/24` };
  }
  if (ip.includes("%") || !ipaddr.IPv6.isValid(ip)) return null;
  const address = ipaddr.process(ip);
  if (address.kind() === "ipv4") return clientNetwork(address.toString());
  // RFC 6052 §2.1: the whole of IPv4 is in one /96 behind a translator; one guesser there must not shut out everybody.
  if (address.range() === "rfc6052") return clientNetwork(address.toByteArray().slice(12).join("."));
  const base = (bits: number) => `${ipaddr.IPv6.networkAddressFromCIDR(`${ip}/${bits}`).toString()}/${bits}`;
  return { host: base(64), wide: base(48) };
}

/** The address as text that is safe in a line of any protocol, without a zone; IPv4 within IPv6 as IPv4. null: not an IP address. */
export function ipLiteral(ip: string): string | null {
  if (ip.includes("%") || !(ipaddr.IPv4.isValidFourPartDecimal(ip) || ipaddr.IPv6.isValid(ip))) return null;
  return ipaddr.process(ip).toString();
}

/** With whom a stranger counts where something is shared: the /24 of IPv4, the /64 of IPv6. */
export function neighbourhood(ip: string): string {
  const network = clientNetwork(ip);
  if (network === null) return ip;
  return network.host.includes(":") ? network.host : network.wide;
}

const INSIDE: ReadonlySet<string> = new Set([
  "private",
  "loopback",
  "linkLocal",
  "uniqueLocal",
  "carrierGradeNat",
]);

/** The same for people who log in: in a house's own network (RFC 1918, RFC 4193) everybody has an address, and counts alone. */
export function personsNetwork(ip: string): string {
  return ipaddr.isValid(ip) && INSIDE.has(ipaddr.process(ip).range()) ? ip : neighbourhood(ip);
}

/** The machine itself. */
export function isLoopback(ip: string): boolean {
  return ip.startsWith("127.") || ip === "::1";
}
