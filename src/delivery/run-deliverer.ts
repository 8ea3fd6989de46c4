// The deliverer. One attempt: a resting connection if there is one, else the servers in order, until every recipient is settled.
// It never rejects for anything the network does; with StoreError when a body cannot be read from its file. When to try again is the queue's business.
import type { Resolver } from "../dns/resolver.ts";
import type { Clock } from "../observe/clock.ts";
import type { Log } from "../observe/log.ts";
import { StoreError } from "../store/database.ts";
import type { Attempt, Deliverer } from "./attempt.ts";
import { type ConnectionPool, createConnectionPool, type Link } from "./connection-pool.ts";
import { createDeadlineWatch, type DeadlineWatch } from "./deadline-watch.ts";
import { openSession, serverMark } from "./open-session.ts";
import type { Outcome } from "./outcome.ts";
import { joinTroubles, outcomeOfTrouble, type Trouble } from "./outcomes.ts";
import { loopWords, type OwnMark } from "./own-mark.ts";
import {
  type Host,
  hostAddresses,
  mxAddresses,
  type NoHosts,
  resolveHosts,
  routeKeys,
} from "./resolve-hosts.ts";
import { createRestingLinks, type RestingLinks } from "./resting-links.ts";
import type { Destination, TlsPolicy } from "./route.ts";
import { sendOver, setUnsafeAside } from "./send-over.ts";
import type { ServerLimits } from "./server-limits.ts";
import { createServerMarks, type ServerMarks } from "./server-marks.ts";
import type { SessionFailure } from "./smtp-session.ts";
import { DEFAULT_TIMEOUTS, type DeliveryTimeouts } from "./timeouts.ts";

/** What the deliverer takes from the delivery settings; asked several times in each attempt: it must cost nothing. */
export interface DeliverySettingsLike {
  /** TLS policy of destinations found by MX. */
  readonly tls: TlsPolicy;
  readonly maxConnectionsPerDestination: number;
  readonly connectTimeoutMs: number;
}

export interface DelivererOptions {
  readonly resolver: Resolver;
  /** Our name for EHLO and for the detection of loops. */
  readonly hostname: string;
  readonly own?: OwnMark;
  readonly settings: () => DeliverySettingsLike;
  readonly log: Log;
  readonly clock: Clock;
  readonly timeouts?: DeliveryTimeouts;
  /** The connections that rest, with those of others who open some; left out: only these. */
  readonly resting?: RestingLinks;
  /** Told what the servers of routes offer. */
  readonly limits?: Pick<ServerLimits, "learn">;
  /** Further certificates (PEM) to trust for `verified`. */
  readonly trusted?: readonly string[];
  /** For tests: another port than 25 for servers found by MX, which may then be on this machine. */
  readonly mxPort?: number;
}

const MAX_ADDRESSES_PER_ATTEMPT = 12;
const SMTP_PORT = 25;
const WATCH_MS = 1000;
/** A look whether a server is back takes no longer. */
const LOOK_MS = 20_000;
/** A server that could not be reached is tried after all others for so long. */
const DOWN_MS = 60_000;
/** A server whose TLS breaks is spoken to without it for so long, where the policy allows it. */
const BROKEN_TLS_MS = 120_000;
/** A new session that breaks within this time without a word broke because of TLS, maybe. */
const BREAKS_SOON_MS = 10_000;
/** A slow but honest peer gets a second for this many bytes on top of the attempt's time. */
const BYTES_PER_SECOND = 10_000;

type Recipient = Attempt["recipients"][number];

/** One address of one server. */
interface Way {
  readonly host: Host;
  readonly address: string;
}

interface Parts {
  readonly options: DelivererOptions;
  readonly timeouts: DeliveryTimeouts;
  readonly deadlines: DeadlineWatch;
  readonly resting: RestingLinks;
  readonly pool: ConnectionPool;
  readonly down: ServerMarks;
  readonly brokenTls: ServerMarks;
}

/** An attempt as it goes: what is settled, who is still open, what went wrong on the way. */
interface Progress {
  readonly attempt: Attempt;
  /** By `performance.now()`. */
  readonly deadlineAt: number;
  readonly settled: Outcome[];
  readonly troubles: Trouble[];
  open: readonly Recipient[];
}

function fits(link: Link, attempt: Attempt): boolean {
  return !attempt.requireTls || link.session.certificateProblem() === null;
}

async function useLink(
  parts: Parts,
  link: Link,
  progress: Progress,
): Promise<{ readonly stale: boolean; readonly silent: boolean }> {
  link.session.attemptDeadlineAt = progress.deadlineAt;
  progress.attempt.onReached?.();
  const result = await sendOver(link, progress.attempt, progress.open).finally(() =>
    parts.pool.give(progress.attempt.destination.key, link),
  );
  progress.settled.push(...result.settled);
  progress.open = result.open;
  if (result.trouble !== null && !result.stale) progress.troubles.push(result.trouble);
  return { stale: result.stale, silent: result.silent };
}

type Opened =
  | { readonly ok: true; readonly link: Link }
  | { readonly ok: false; readonly server: string; readonly failure: SessionFailure };

/** Opens a session with one address. */
async function openWay(
  parts: Parts,
  { host, address }: Way,
  { deadlineAt, requireTls }: { readonly deadlineAt: number; readonly requireTls: boolean },
): Promise<Opened> {
  const { options, timeouts, deadlines, brokenTls, resting } = parts;
  const server = `${host.name} [${address}]:${host.port}`;
  const wasBroken = brokenTls.has(serverMark({ address, port: host.port }));
  const opened = await openSession({
    address,
    port: host.port,
    serverName: host.name,
    hostname: options.hostname,
    // REQUIRETLS wants a proven server (RFC 8689 §4.2.1).
    tls: requireTls && host.tls !== "implicit" ? "verified" : host.tls,
    mustVerify: requireTls,
    login: host.login,
    brokenTls,
    connectTimeoutMs: options.settings().connectTimeoutMs,
    deadlineAt,
    timeouts,
    trusted: options.trusted ?? null,
    deadlines,
    resting,
    ownMark: options.own?.mark,
  });
  if (!opened.ok) return { ok: false, server, failure: opened.failure };
  const { session, security } = opened;
  if (session.extensions !== null && !host.fromMx) options.limits?.learn(host, session.extensions);
  if (security === "bare" && !wasBroken)
    options.log.warn(
      { server },
      "TLS with this server breaks; as its policy allows, it gets mail without TLS",
    );
  return {
    ok: true,
    link: { session, routeKey: host.routeKey, server, security, openedAt: options.clock.now() },
  };
}

/** Opens a connection to one address and sends over it. */
async function tryAddress(parts: Parts, way: Way, progress: Progress): Promise<void> {
  const { pool, down, brokenTls } = parts;
  const { destination, requireTls } = progress.attempt;
  const mark = serverMark({ address: way.address, port: way.host.port });
  const opened = await openWay(parts, way, { deadlineAt: progress.deadlineAt, requireTls });
  if (!opened.ok) {
    const { reply, words, connected, loops } = opened.failure;
    if (loops) parts.options.own?.onLoop(destination, opened.server);
    const said = loops ? loopWords(destination, opened.server) : (reply?.text ?? words);
    progress.troubles.push({
      code: reply?.code ?? null,
      enhanced: loops ? "4.4.6" : (reply?.enhanced ?? null),
      words: connected ? said : `${opened.server}: ${said}`,
      server: connected ? opened.server : null,
      tls: null,
    });
    down.mark(mark);
    return;
  }
  down.clear(mark);
  const { link } = opened;
  pool.adopt(destination.key, link);
  const startedAt = performance.now();
  const { silent } = await useLink(parts, link, progress);
  if (progress.open.length === 0) return;
  // What is refused in clear text may pass over TLS the next time.
  if (link.security === "bare") brokenTls.clear(mark);
  const brokeSoon = silent && performance.now() - startedAt < BREAKS_SOON_MS;
  if (!brokeSoon || link.security !== "may-be-bare") return;
  brokenTls.mark(mark);
  await tryAddress(parts, way, progress);
}

/** The addresses of a host that may be tried, or why there are none. */
async function waysTo(parts: Parts, host: Host): Promise<readonly Way[] | NoHosts> {
  const { options } = parts;
  const found = await hostAddresses(host.name, options.resolver);
  if (!found.ok) {
    const permanent = host.fromMx && !found.temporary;
    return permanent
      ? { result: "failed", enhanced: "5.4.4", words: found.words }
      : { result: "deferred", enhanced: "4.4.3", words: found.words };
  }
  const isStranger = host.fromMx && options.mxPort === undefined;
  const addresses = isStranger ? mxAddresses(host.name, found.addresses) : found.addresses;
  return "result" in addresses ? addresses : addresses.map((address) => ({ host, address }));
}

/** Settles whoever is still open with what went wrong. */
function settleRest(progress: Progress, noHosts: readonly NoHosts[]): void {
  const joined = joinTroubles(progress.troubles);
  // A server that could not be reached now may be there later: only if none could be tried at all is a failure final.
  const { destination } = progress.attempt;
  const ours = destination.kind === "mx" && destination.ours === true;
  const final = !ours && joined === null && noHosts.every((reason) => reason.result === "failed");
  const reason = noHosts.find((one) => one.result === "deferred") ?? noHosts[0];
  const trouble: Trouble = joined ?? {
    code: null,
    enhanced: reason?.enhanced ?? null,
    words: ours
      ? `${reason?.words ?? "No server was tried"}. No mail server is set for ${destination.domain}: add a route to it`
      : (reason?.words ?? "No server was tried: the attempt's time is over"),
    server: null,
    tls: null,
  };
  const result = final && reason !== undefined ? "failed" : "deferred";
  for (const recipient of progress.open) {
    // A connection that was refused with 5xx is tried again: the server may only dislike us now.
    progress.settled.push(outcomeOfTrouble(recipient.n, result, trouble));
  }
  progress.open = [];
}

/** Servers in order; those that were down a moment ago only when no other took the message. */
async function overServers(parts: Parts, progress: Progress): Promise<void> {
  const { options, down } = parts;
  const hosts = await resolveHosts(progress.attempt.destination, {
    resolver: options.resolver,
    hostname: options.hostname,
    mxTls: options.settings().tls,
    mxPort: options.mxPort ?? SMTP_PORT,
  });
  if ("result" in hosts) {
    settleRest(progress, [hosts]);
    return;
  }
  const noHosts: NoHosts[] = [];
  const postponed: Way[] = [];
  const mayGoOn = (): boolean =>
    progress.open.length > 0 &&
    parts.pool.capacity() > 0 &&
    progress.troubles.length < MAX_ADDRESSES_PER_ATTEMPT &&
    performance.now() < progress.deadlineAt;
  for (const host of hosts) {
    if (!mayGoOn()) break;
    const ways = await waysTo(parts, host);
    if ("result" in ways) {
      noHosts.push(ways);
      if (ways.stop === true) break;
      continue;
    }
    for (const way of ways) {
      if (down.has(serverMark({ address: way.address, port: way.host.port }))) postponed.push(way);
      else if (mayGoOn()) await tryAddress(parts, way, progress);
    }
  }
  for (const way of postponed) if (mayGoOn()) await tryAddress(parts, way, progress);
  settleRest(progress, noHosts);
}

function begin(attempt: Attempt, timeouts: DeliveryTimeouts): Progress {
  const { settled, open } = setUnsafeAside(attempt);
  const timeMs = timeouts.attempt + (attempt.message.length / BYTES_PER_SECOND) * 1000;
  return {
    attempt,
    deadlineAt: performance.now() + timeMs,
    settled: [...settled],
    troubles: [],
    open,
  };
}

async function run(parts: Parts, progress: Progress): Promise<void> {
  const { attempt } = progress;
  const { destination } = attempt;
  const wanted = {
    routeKeys: routeKeys(destination, parts.options.settings().tls),
    fits: (link: Link) => fits(link, attempt),
  };
  while (progress.open.length > 0) {
    const link = parts.pool.take(destination.key, wanted);
    if (link === null) break;
    const { stale } = await useLink(parts, link, progress);
    if (!stale) break;
  }
  if (progress.open.length > 0) await overServers(parts, progress);
}

/** In the order of the attempt's recipients. Whoever has no outcome is deferred: after a bug only. */
function inOrder(attempt: Attempt, outcomes: readonly Outcome[]): readonly Outcome[] {
  const [only] = outcomes;
  if (outcomes.length === 1 && attempt.recipients.length === 1 && only !== undefined) return outcomes;
  const byNumber = new Map(outcomes.map((outcome) => [outcome.n, outcome]));
  const words = "The gateway failed in this attempt; its log says why";
  const trouble: Trouble = { code: null, enhanced: "4.3.0", words, server: null, tls: null };
  return attempt.recipients.map(({ n }) => byNumber.get(n) ?? outcomeOfTrouble(n, "deferred", trouble));
}

/** Opens a connection to the first server that greets us; it rests in the pool for the mail that follows. */
async function answers(
  parts: Parts,
  destination: Destination,
  onAddress: (address: string) => void,
): Promise<boolean> {
  const { options, pool } = parts;
  const deadlineAt = performance.now() + LOOK_MS;
  const hosts = await resolveHosts(destination, {
    resolver: options.resolver,
    hostname: options.hostname,
    mxTls: options.settings().tls,
    mxPort: options.mxPort ?? SMTP_PORT,
  });
  for (const host of "result" in hosts ? [] : hosts) {
    const found = await waysTo(parts, host);
    const ways = "result" in found ? [] : found;
    for (const { address } of ways) onAddress(address);
    for (const way of ways) {
      if (performance.now() > deadlineAt || pool.capacity() === 0) return false;
      const opened = await openWay(parts, way, { deadlineAt, requireTls: false });
      if (!opened.ok) continue;
      parts.down.clear(serverMark({ address: way.address, port: host.port }));
      pool.adopt(destination.key, opened.link);
      pool.give(destination.key, opened.link);
      return true;
    }
  }
  return false;
}

/** Makes the deliverer. */
export function createDeliverer(options: DelivererOptions): Deliverer {
  const timeouts = options.timeouts ?? DEFAULT_TIMEOUTS;
  const deadlines = createDeadlineWatch(Math.min(WATCH_MS, ...Object.values(timeouts).map((ms) => ms / 4)));
  const resting = options.resting ?? createRestingLinks();
  const pool = createConnectionPool({
    maxPerDestination: () => options.settings().maxConnectionsPerDestination,
    idleMs: timeouts.idle,
    clock: options.clock,
    deadlines,
    resting,
  });
  const parts: Parts = {
    options,
    timeouts,
    deadlines,
    resting,
    pool,
    down: createServerMarks(options.clock, DOWN_MS),
    brokenTls: createServerMarks(options.clock, BROKEN_TLS_MS),
  };
  return {
    async attempt(attempt) {
      const { key } = attempt.destination;
      const progress = begin(attempt, timeouts);
      pool.enter(key);
      try {
        await run(parts, progress);
      } catch (error) {
        // The body could not be read, a key not used, or a bug: that says nothing about the server, and the queue knows what to do. What a
        // server has answered already must not be lost for it.
        if (error instanceof StoreError || progress.settled.every(({ server }) => server === null))
          throw error;
        options.log.error(
          { err: error, message: attempt.messageId },
          "a delivery attempt failed in the gateway",
        );
      } finally {
        pool.leave(key);
      }
      return inOrder(attempt, progress.settled);
    },
    async answers(destination, onAddress = () => {}) {
      try {
        return await answers(parts, destination, onAddress);
      } catch (error) {
        options.log.error(
          { err: error, destination: destination.key },
          "looking for a mail server failed in the gateway",
        );
        return false;
      }
    },
    capacity: () => pool.capacity(),
    close: (graceMs) => pool.close(graceMs),
  };
}
