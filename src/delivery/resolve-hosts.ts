// Which servers take mail for a destination, in the order to try them (RFC 5321 §5.1, RFC 7505). Asks DNS, opens nothing.
import { isIP } from "node:net";
import { networkInterfaces } from "node:os";
import ipaddr from "ipaddr.js";
import type { MxRecord, Resolver } from "../dns/resolver.ts";
import { atLeastTls, type Destination, type Login, type Route, type TlsPolicy } from "./route.ts";

/** One server to try. Its addresses are looked up when its turn comes. */
export interface Host {
  readonly name: string;
  readonly port: number;
  readonly tls: TlsPolicy;
  readonly login: Login | null;
  /** Names the way: connections with the same key are as good as each other. */
  readonly routeKey: string;
  /** Found by MX: named by a stranger, who must not make us talk to ourselves. */
  readonly fromMx: boolean;
}

/** Why there is no server: what becomes of every recipient. */
export interface NoHosts {
  readonly result: "deferred" | "failed";
  readonly enhanced: string;
  readonly words: string;
  /** Worse servers must not be tried either: they would hand the message to us. */
  readonly stop?: true;
}

export interface ResolveOptions {
  readonly resolver: Resolver;
  /** Our own name, for the detection of loops. */
  readonly hostname: string;
  readonly mxTls: TlsPolicy;
  /** 25, except in tests. */
  readonly mxPort: number;
}

// Beyond these a domain's mail servers are not tried: no honest domain needs them.
const MAX_MX_HOSTS = 20;
const MAX_ADDRESSES_PER_HOST = 4;

function shuffled<T>(list: readonly T[]): T[] {
  const result = [...list];
  for (let last = result.length - 1; last > 0; last--) {
    const other = Math.floor(Math.random() * (last + 1));
    const [a, b] = [result[last], result[other]];
    if (a === undefined || b === undefined) break;
    result[last] = b;
    result[other] = a;
  }
  return result;
}

/** Lower priority first, equal ones in random order. */
export function byPriority<T extends { readonly priority: number }>(list: readonly T[]): T[] {
  return list.length < 2 ? [...list] : shuffled(list).sort((a, b) => a.priority - b.priority);
}

/** `[192.0.2.1]` and `[IPv6:…]` without their brackets. */
function withoutBrackets(host: string): string {
  return host.startsWith("[") && host.endsWith("]") ? host.slice(1, -1).replace(/^ipv6:/i, "") : host;
}

function routeKey(route: Route, login: Host["login"]): string {
  const way = `${route.host}|${route.port}|${route.tls}`;
  return login === null ? way : `${way}|${login.user}|${login.password}`;
}

function mxTlsOf(destination: Destination, mxTls: TlsPolicy): TlsPolicy {
  return destination.overTls ? atLeastTls(mxTls) : mxTls;
}

/** The keys of all ways to a destination as it is set now. Called for each message: no DNS, no waiting. */
export function routeKeys(destination: Destination, mxTls: TlsPolicy): readonly string[] {
  switch (destination.kind) {
    case "routes":
      return destination.routes.map((route) => routeKey(route, null));
    case "smarthost":
      return [routeKey(destination.route, destination.login)];
    case "mx":
      return [`mx|${mxTlsOf(destination, mxTls)}`];
  }
}

function hostOfRoute(route: Route, login: Host["login"]): Host {
  return {
    name: withoutBrackets(route.host),
    port: route.port,
    tls: route.tls,
    login,
    routeKey: routeKey(route, login),
    fromMx: false,
  };
}

/** Servers before ourselves only: handing on to equals or worse would be a loop (RFC 5321 §5.1). */
function withoutOurselves(records: readonly MxRecord[], hostname: string): readonly MxRecord[] {
  const own = records.find((record) => record.exchange === hostname.toLowerCase());
  return own === undefined ? records : records.filter((record) => record.priority < own.priority);
}

async function mxHosts(domain: string, options: ResolveOptions): Promise<readonly Host[] | NoHosts> {
  const hostAt = (name: string): Host => ({
    name,
    port: options.mxPort,
    tls: options.mxTls,
    login: null,
    routeKey: `mx|${options.mxTls}`,
    fromMx: true,
  });
  const literal = withoutBrackets(domain);
  if (literal !== domain) return [hostAt(literal)];
  const answer = await options.resolver.mx(domain);
  if (!answer.ok) {
    switch (answer.failure) {
      case "nodata":
        // RFC 5321 §5.1: the domain itself is its mail server.
        return [hostAt(domain)];
      case "nxdomain":
        return { result: "failed", enhanced: "5.1.2", words: `The domain "${domain}" does not exist` };
      case "servfail":
        return {
          result: "deferred",
          enhanced: "4.4.3",
          words: `The mail servers of "${domain}" cannot be looked up now: ${answer.words}`,
        };
    }
  }
  const usable = answer.records.filter((record) => record.exchange !== "");
  if (usable.length === 0) {
    return { result: "failed", enhanced: "5.1.10", words: `"${domain}" takes no mail (null MX, RFC 7505)` };
  }
  const others = withoutOurselves(usable, options.hostname);
  if (others.length === 0) return mailLoop(domain);
  return byPriority(others)
    .slice(0, MAX_MX_HOSTS)
    .map((record) => hostAt(record.exchange));
}

/** The servers of a destination in order, or why there is none. */
export async function resolveHosts(
  destination: Destination,
  options: ResolveOptions,
): Promise<readonly Host[] | NoHosts> {
  switch (destination.kind) {
    case "routes":
      if (destination.routes.length > 0) {
        return byPriority(destination.routes).map((route) => hostOfRoute(route, null));
      }
      return {
        result: "deferred",
        enhanced: "4.3.5",
        words:
          destination.held ??
          `Mail for ${destination.key.replace("routes:", "")} waits here: the domain is switched off or removed`,
      };
    case "smarthost":
      return [hostOfRoute(destination.route, destination.login)];
    case "mx":
      return mxHosts(destination.domain, { ...options, mxTls: mxTlsOf(destination, options.mxTls) });
  }
}

/** What becomes of mail whose way leads back to us. */
function mailLoop(domain: string): NoHosts {
  const words = `Mail for "${domain}" would come back to this gateway`;
  return { result: "failed", enhanced: "5.4.6", words, stop: true };
}

/** The addresses of this machine, loopback left out. */
function ownAddresses(): ReadonlySet<string> {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return new Set(
    all
      .filter((entry) => !entry.internal)
      .map((entry) => ipaddr.process(entry.address.replace(/%.*$/, "")).toString()),
  );
}

const NEVER_BY_MX = new Set(["loopback", "unspecified", "broadcast", "multicast"]);

/** `never`: an address of no server, or of what a stranger must not reach on this machine. `ours`: this gateway itself. */
export function judgeMxAddress(address: string): "fine" | "never" | "ours" {
  if (!ipaddr.isValid(address)) return "never";
  // In one form, IPv4-mapped addresses as IPv4: a stranger's AAAA record may write our own address in another way.
  const usual = ipaddr.process(address);
  if (NEVER_BY_MX.has(usual.range())) return "never";
  return ownAddresses().has(usual.toString()) ? "ours" : "fine";
}

/** The addresses of a host found by MX that mail may go to, or why there are none. */
export function mxAddresses(name: string, addresses: readonly string[]): readonly string[] | NoHosts {
  const judged = addresses.map((address) => ({ address, judgement: judgeMxAddress(address) }));
  if (judged.some(({ judgement }) => judgement === "ours")) return mailLoop(name);
  const fine = judged.filter(({ judgement }) => judgement === "fine").map(({ address }) => address);
  if (fine.length > 0) return fine;
  const words = `"${name}" has only addresses that no mail server can have: ${addresses.join(", ")}`;
  return { result: "failed", enhanced: "5.4.4", words };
}

export type HostAddresses =
  | { readonly ok: true; readonly addresses: readonly string[] }
  | { readonly ok: false; readonly temporary: boolean; readonly words: string };

/** The addresses of one host: IPv4 first, in random order, at most four of them. */
export async function hostAddresses(name: string, resolver: Resolver): Promise<HostAddresses> {
  if (isIP(name) !== 0) return { ok: true, addresses: [name] };
  const [v4, v6] = await Promise.all([resolver.a(name), resolver.aaaa(name)]);
  const four = v4.ok ? shuffled(v4.records) : [];
  const six = v6.ok ? shuffled(v6.records) : [];
  // One of each family at least, so that a family without a way out does not hide the other.
  const addresses = [
    ...four.slice(0, six.length > 0 ? MAX_ADDRESSES_PER_HOST - 1 : MAX_ADDRESSES_PER_HOST),
    ...six,
  ];
  if (addresses.length > 0) return { ok: true, addresses: addresses.slice(0, MAX_ADDRESSES_PER_HOST) };
  const temporary = [v4, v6].some((answer) => !answer.ok && answer.failure === "servfail");
  const words = [v4, v6].flatMap((answer) => (answer.ok ? [] : [answer.words]))[0] ?? "";
  return { ok: false, temporary, words: `"${name}" has no address: ${words}` };
}
