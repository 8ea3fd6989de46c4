// IP addresses as clients and proxies write them, brought to one form. No I/O.
import ipaddr from "ipaddr.js";

/** The address in its usual form, IPv4-mapped IPv6 as IPv4; null when it is none. Short forms like `127.1` are none. */
export function normalIp(text: string): string | null {
  if (!text.includes(":")) return ipaddr.IPv4.isValidFourPartDecimal(text) ? text : null;
  if (text.includes("%") || !ipaddr.IPv6.isValid(text)) return null;
  return ipaddr.process(text).toString();
}
