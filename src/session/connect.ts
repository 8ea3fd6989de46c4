// The first word of a dialogue: may this client talk to this listener at all, and how long does it wait for the greeting?
import { type IpNetwork, networkMatcher } from "../message/address.ts";
import type { PolicySnapshot } from "../policy/snapshot.ts";
import { type Answer, answer, closing } from "./answer.ts";
import { refuseBanned } from "./refuse-banned.ts";
import type { SessionServices } from "./services.ts";
import type { Session } from "./session.ts";

/** How many connections there are, this one included. */
export interface ConnectionCounts {
  readonly all: number;
  readonly ofClient: number;
}

const matchers = new WeakMap<readonly IpNetwork[], (ip: string) => boolean>();

/** Is the address in one of the networks? The matcher of each list is made once. */
export function inNetworks(networks: readonly IpNetwork[], ip: string): boolean {
  if (networks.length === 0) return false;
  let matcher = matchers.get(networks);
  if (matcher === undefined) {
    matcher = networkMatcher(networks);
    matchers.set(networks, matcher);
  }
  return matcher(ip);
}

/** Is the client's address admitted to the listener? null: yes. */
export function refuseClient({ listener, client }: Session): Answer | null {
  if (listener.clients.length === 0 || inNetworks(listener.clients, client.ip)) return null;
  return closing(554, "7.1", "Access denied", `${client.ip} is not in clients of this listener`);
}

/** Refuses a connection more, or null. (RFC 5321 §3.1: 554 or 421 instead of the greeting) */
export function refuseConnection(
  session: Session,
  counts: ConnectionCounts,
  services: SessionServices,
): Answer | null {
  const { listener } = session;
  const banned = refuseBanned(session, services);
  if (banned !== null) return banned;
  if (services.draining())
    return closing(421, "3.2", `${services.hostname} is shutting down, try again later`);
  if (counts.all > listener.max_connections)
    return closing(421, "3.2", "Too many connections, try again later", "max_connections");
  // Trusted clients are exempt: the mail server behind us may open as many as all may.
  const many = counts.ofClient > listener.max_connections_per_client;
  if (many && !isTrusted(services.snapshot(), session.client.ip))
    return closing(421, "7.0", "Too many connections from your address", "max_connections_per_client");
  return null;
}

/** Trusted networks and IP senders: no greeting delay, and what they send may bounce. */
export function isTrusted(snapshot: PolicySnapshot, ip: string): boolean {
  return snapshot.trustedNetwork(ip) !== null || snapshot.ipSender(ip) !== null;
}

/** The same of a session's client, looked up once for a connection as long as the settings stay. */
export function isTrustedClient(
  session: Pick<Session, "client" | "trusted">,
  snapshot: PolicySnapshot,
): boolean {
  const { ip } = session.client;
  const { version } = snapshot;
  if (session.trusted?.version !== version || session.trusted.ip !== ip)
    session.trusted = { version, ip, is: isTrusted(snapshot, ip) };
  return session.trusted.is;
}

/**
 * Milliseconds before the greeting: none for trusted clients and named proxies, and none where everybody must log in: the
 * pause is there to make spam programs show themselves, people should not wait for it.
 */
export function greetingDelayMs(session: Session, snapshot: PolicySnapshot): number {
  if (session.mayXclient || session.listener.auth === "required" || isTrusted(snapshot, session.client.ip))
    return 0;
  return session.listener.greeting_delay;
}

/** The greeting (requirement L7). It carries no enhanced code (RFC 2034 §4). */
export function greeting(services: SessionServices): Answer {
  return answer(220, null, `${services.hostname} ESMTP Gatepost`);
}

/** For a client that talks before the greeting: mail programs do not, senders of junk do. */
export const TALKED_TOO_SOON: Answer = closing(554, "5.1", "Wait for the greeting before you talk");
