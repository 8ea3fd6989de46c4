// Names as they may be asked: checked and normalised before anything is sent. Names come from hostile mail. No I/O.
import { domainToASCII } from "node:url";
import ipaddr from "ipaddr.js";

const MAX_NAME_LENGTH = 253;
const MAX_LABEL_LENGTH = 63;
// Blanks too, in front as well: SPF's macro "%_" makes them (RFC 7208 §7.3), and DNS takes any octet. No top label ends with one.
const PRINTABLE_ASCII = /^[\x20-\x7e]*[\x21-\x7e]$/;
const NON_ASCII = /[^\x00-\x7f]/;

/**
 * The name in lower case without a trailing dot, Unicode as A-labels; null when it cannot be a name in DNS:
 * control characters, empty or over-long labels, over 253 characters. (RFC 1035 §2.3.4)
 */
export function queryName(text: string): string | null {
  if (text.length > 4 * MAX_NAME_LENGTH) return null;
  const ascii = NON_ASCII.test(text) ? domainToASCII(text) : text;
  const bare = (ascii.endsWith(".") ? ascii.slice(0, -1) : ascii).toLowerCase();
  if (bare.length > MAX_NAME_LENGTH || !PRINTABLE_ASCII.test(bare)) return null;
  let start = 0;
  while (start <= bare.length) {
    const dot = bare.indexOf(".", start);
    const end = dot === -1 ? bare.length : dot;
    if (end === start || end - start > MAX_LABEL_LENGTH) return null;
    start = end + 1;
  }
  return bare;
}

/** The same for names of hosts, which never hold a blank. */
export function hostName(text: string): string | null {
  const name = queryName(text);
  return name?.includes(" ") ? null : name;
}

/** `192.0.2.7` → `7.2.0.192.in-addr.arpa`; null when it is no IP address. IPv4-mapped IPv6 counts as IPv4. */
export function reverseName(ip: string): string | null {
  if (!ipaddr.isValid(ip)) return null;
  const address = ipaddr.process(ip);
  const bytes = address.toByteArray();
  if (address.kind() === "ipv4") return `${bytes.reverse().join(".")}.in-addr.arpa`;
  const nibbles = bytes.flatMap((byte) => [byte >> 4, byte & 15]);
  return `${nibbles
    .reverse()
    .map((nibble) => nibble.toString(16))
    .join(".")}.ip6.arpa`;
}

/** The address a reverse name stands for, or null: the inverse of `reverseName`. */
export function addressOfReverseName(name: string): string | null {
  const bare = name.toLowerCase().replace(/\.$/, "");
  const v4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.in-addr\.arpa$/.exec(bare);
  if (v4 !== null) {
    const ip = `${v4[4]}.${v4[3]}.${v4[2]}.${v4[1]}`;
    return ipaddr.IPv4.isValidFourPartDecimal(ip) ? ip : null;
  }
  const v6 = /^((?:[0-9a-f]\.){32})ip6\.arpa$/.exec(bare);
  if (v6?.[1] === undefined) return null;
  const hex = v6[1].split(".").reverse().join("");
  return ipaddr.parse((hex.match(/.{4}/g) ?? []).join(":")).toString();
}

/**
 * The addresses of a name that answers itself (an IP literal, `localhost`), or null when DNS has to be asked. (RFC 6761 §6.3)
 * An empty list: such a name without an address of this family.
 */
export function ownAddresses(name: string, type: "A" | "AAAA"): readonly string[] | null {
  if (name === "localhost" || name.endsWith(".localhost")) return [type === "A" ? "127.0.0.1" : "::1"];
  const bare = name.startsWith("[") && name.endsWith("]") ? name.slice(1, -1).replace(/^ipv6:/i, "") : name;
  if (ipaddr.IPv4.isValidFourPartDecimal(bare)) return type === "A" ? [bare] : [];
  if (bare.includes(":") && ipaddr.IPv6.isValid(bare)) return type === "AAAA" ? [bare] : [];
  return null;
}
