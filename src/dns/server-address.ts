// The DNS servers to ask: `host:port` as configured, or the system's own list.
import { readFileSync } from "node:fs";
import ipaddr from "ipaddr.js";

/** A DNS server. `trusted`: on this machine, so that its AD bit may be believed. */
export interface DnsServerAddress {
  readonly host: string;
  readonly port: number;
  readonly family: 4 | 6;
  readonly trusted: boolean;
}

const DEFAULT_PORT = 53;
const MAX_SERVERS = 6;

/** Parses `192.0.2.53:53`, `[2001:db8::53]:53` or a bare address; null when it is neither. */
export function parseServerAddress(text: string): DnsServerAddress | null {
  const match =
    /^\[([0-9a-f:.%a-z]+)\](?::(\d{1,5}))?$/i.exec(text) ?? /^([^:\s]+)(?::(\d{1,5}))?$/.exec(text);
  const host = match?.[1] ?? text;
  const port = match?.[2] === undefined ? DEFAULT_PORT : Number(match[2]);
  if (!ipaddr.isValid(host) || port < 1 || port > 65_535) return null;
  const address = ipaddr.parse(host);
  return {
    host,
    port,
    family: address.kind() === "ipv4" ? 4 : 6,
    trusted: address.range() === "loopback",
  };
}

/** The `nameserver` lines of a resolv.conf; 127.0.0.1 when there are none. (resolv.conf(5)) */
export function systemServers(path = "/etc/resolv.conf"): readonly string[] {
  let text = "";
  try {
    text = readFileSync(path, "utf8");
  } catch {
    // No file means the same as an empty one.
  }
  const servers = [...text.matchAll(/^\s*nameserver\s+(\S+)/gm)].flatMap((match) => match[1] ?? []);
  const bracketed = servers.map((server) => (server.includes(":") ? `[${server}]` : server));
  return bracketed.length > 0 ? bracketed : ["127.0.0.1"];
}

/** Parses the configured list; an empty one means the system's. Throws when a configured entry is no address. */
export function dnsServers(configured: readonly string[]): readonly DnsServerAddress[] {
  if (configured.length === 0) {
    // What the system's file says beyond our understanding is the system's business.
    const usable = systemServers().flatMap((text) => parseServerAddress(text) ?? []);
    return usable.length > 0 ? usable.slice(0, MAX_SERVERS) : dnsServers(["127.0.0.1"]);
  }
  return configured.slice(0, MAX_SERVERS).map((text) => {
    const parsed = parseServerAddress(text);
    if (parsed !== null) return parsed;
    throw new Error(`DNS server "${text}" is not an IP address with a port; write it like 127.0.0.1:53`);
  });
}
