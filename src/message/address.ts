// Mail addresses, domains and networks: parsed once, trusted afterwards. No I/O.
import { domainToASCII } from "node:url";
import ipaddr from "ipaddr.js";

declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

/** A lower-case ASCII (A-label) domain name without a trailing dot: `example.org`. */
export type Domain = Branded<"Domain">;
/** A mail address whose domain part is a `Domain`; the local part is kept as written. */
export type MailAddress = Branded<"MailAddress">;
/** An address range in CIDR notation, normalised: `192.0.2.0/28`, `2001:db8::/32`. A single host has /32 or /128. */
export type IpNetwork = Branded<"IpNetwork">;

/** The parsed value, or the reason why it is none: a sentence that quotes the input. */
export type Parsed<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly reason: string };

const LABEL = /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/;
const MAX_DOMAIN_LENGTH = 253;
// RFC 5321 §4.5.3.1.3: a path has at most 256 octets with its brackets.
// Deviation: the 64 of a local part (§4.5.3.1.1) are not enforced, for rewritten and tagged addresses (SRS, VERP) need more.
export const MAX_ADDRESS_OCTETS = 254;
// Controls beyond ASCII (C1) are no more than those in it: a terminal takes U+009B for the start of a command.
const DOT_STRING = /^[^\s"(),:;<>@[\\\]\u0000-\u001f\u007f-\u009f]+$/u;
const QUOTED_STRING = /^"(?:[^"\\\u0000-\u001f\u007f-\u009f]|\\[\u0020-\u007e])*"$/u;
/** `domainToASCII` reads a URL's host: it would cut at a slash and decode percent signs. */
const NOT_IN_NAMES = /[^a-z0-9._\-\u0080-\uffff]/;

/** Parses a domain name. Unicode names become A-labels. (RFC 5321 §4.1.2, RFC 5890) */
export function parseDomain(text: string): Parsed<Domain> {
  const bare = text.trim().replace(/\.$/, "").toLowerCase();
  const ascii = /^[\x21-\x7e]*$/.test(bare) || NOT_IN_NAMES.test(bare) ? bare : domainToASCII(bare);
  const labels = ascii.split(".");
  if (ascii === "" || ascii.length > MAX_DOMAIN_LENGTH || !labels.every((label) => LABEL.test(label))) {
    return { ok: false, reason: `"${text.slice(0, 80)}" is not a domain name; write it like example.org` };
  }
  return { ok: true, value: ascii as Domain };
}

/** Parses `local@domain`; quoted local parts and address literals (`user@[192.0.2.1]`) are understood. (RFC 5321 §4.1.2) */
export function parseAddress(text: string): Parsed<MailAddress> {
  const at = text.lastIndexOf("@");
  const fail: Parsed<MailAddress> = {
    ok: false,
    reason: `"${text.slice(0, 120)}" is not a mail address; write it like name@example.org`,
  };
  if (at < 1) return fail;
  const local = text.slice(0, at);
  const domainText = text.slice(at + 1);
  if (text.length > MAX_ADDRESS_OCTETS || Buffer.byteLength(local) > MAX_ADDRESS_OCTETS) return fail;
  // Deviation: dots may stand anywhere (RFC 5321 §4.1.2 wants something between them): telephone companies have given out a..b@ and a.@.
  if (!DOT_STRING.test(local) && !QUOTED_STRING.test(local)) return fail;
  const literal = /^\[(?:IPv6:)?([0-9a-f:.]+)\]$/i.exec(domainText);
  if (literal?.[1] !== undefined) {
    return ipaddr.isValid(literal[1])
      ? { ok: true, value: `${local}@${domainText.toLowerCase()}` as MailAddress }
      : fail;
  }
  const domain = parseDomain(domainText);
  return domain.ok ? { ok: true, value: `${local}@${domain.value}` as MailAddress } : fail;
}

/** The part after the last `@`. */
export function domainOf(address: MailAddress): Domain {
  return address.slice(address.lastIndexOf("@") + 1) as Domain;
}

/**
 * The key under which two spellings of one address are the same person here: lower case, the domain as A-labels, and no quotes around a
 * local part that needs none (RFC 5321 §4.1.2: `"info"@` and `info@` are one). What is no address is in lower case alone.
 */
export function addressKey(address: string): string {
  return PLAIN_KEY.test(address) ? address.toLowerCase() : oddKey(address);
}

const PLAIN_KEY = /^[^"\u0080-\uffff]*$/;

function oddKey(address: string): string {
  const at = address.lastIndexOf("@");
  if (at < 1) return address.normalize("NFC").toLowerCase();
  const bare = QUOTED_STRING.test(address.slice(0, at))
    ? unquoted(address.slice(0, at))
    : address.slice(0, at);
  return `${bare.normalize("NFC").toLowerCase()}@${domainKey(address.slice(at + 1))}`;
}

function unquoted(local: string): string {
  const inner = local.slice(1, -1).replace(/\\(.)/g, "$1");
  return DOT_STRING.test(inner) ? inner : local;
}

/** A domain as it is compared: A-labels in lower case. What is no name is in lower case alone. */
export function domainKey(domain: string): string {
  const parsed = parseDomain(domain);
  return parsed.ok ? parsed.value : domain.toLowerCase();
}

/**
 * The key of the address without what follows the delimiter in its local part: `info+x@example.org` is info@example.org where `+` is
 * one. null: it has none, or nothing before it.
 */
export function baseKey(address: MailAddress, delimiter: string): string | null {
  if (delimiter === "") return null;
  const key = addressKey(address);
  const at = key.lastIndexOf("@");
  const end = key.indexOf(delimiter);
  return end < 1 || end >= at || key.startsWith('"') ? null : key.slice(0, end) + key.slice(at);
}

/** Parses an IP address or a CIDR range. */
export function parseNetwork(text: string): Parsed<IpNetwork> {
  const bare = text.trim();
  try {
    // ipaddr.js reads 010.0.0.1 as 8.0.0.1 and 10.1 as 10.0.0.1: nobody is trusted on a guess.
    const host = bare.replace(/\/.*$/, "");
    if (!host.includes(":") && !ipaddr.IPv4.isValidFourPartDecimal(host)) throw new Error("not four numbers");
    if (bare.includes("/")) {
      const [given, length] = ipaddr.parseCIDR(bare);
      // An IPv4 range in its IPv6 spelling: clients are compared as IPv4.
      const mapped = given instanceof ipaddr.IPv6 && given.isIPv4MappedAddress() && length >= 96;
      const address = mapped ? given.toIPv4Address() : given;
      const bits = mapped ? length - 96 : length;
      const base =
        address.kind() === "ipv4"
          ? ipaddr.IPv4.networkAddressFromCIDR(`${address.toString()}/${bits}`)
          : ipaddr.IPv6.networkAddressFromCIDR(`${address.toString()}/${bits}`);
      return { ok: true, value: `${base.toString()}/${bits}` as IpNetwork };
    }
    const address = ipaddr.process(bare);
    return { ok: true, value: `${address.toString()}/${address.kind() === "ipv4" ? 32 : 128}` as IpNetwork };
  } catch {
    return {
      ok: false,
      reason: `"${text.slice(0, 60)}" is not an IP address or range; write it like 192.0.2.7 or 10.0.0.0/8`,
    };
  }
}

/** Makes a test for membership in any of the networks; IPv4-mapped IPv6 addresses count as IPv4. */
export function networkMatcher(networks: readonly IpNetwork[]): (ip: string) => boolean {
  const ranges = networks.map((network) => ipaddr.parseCIDR(network));
  const known = new Map<string, boolean>();
  return (ip) => {
    const cached = known.get(ip);
    if (cached !== undefined) return cached;
    let inside = false;
    if (ipaddr.isValid(ip)) {
      const address = ipaddr.process(ip);
      inside = ranges.some((range) => range[0].kind() === address.kind() && address.match(range));
    }
    if (known.size >= 4096) known.clear();
    known.set(ip, inside);
    return inside;
  };
}
