// Does a domain's own mail server know a recipient? Asked by SMTP call-out, answers kept (requirement I2).
// "unsure" means that no server said yes or no: what follows from it is the session's decision.
import { randomBytes } from "node:crypto";
import { type AnswerCache, createAnswerCache } from "../dns/answer-cache.ts";
import { createGate, type Gate } from "../dns/gate.ts";
import type { Resolver } from "../dns/resolver.ts";
import { addressKey } from "../message/address.ts";
import type { OnAlarm } from "../observe/alarms.ts";
import type { Clock } from "../observe/clock.ts";
import type { Log } from "../observe/log.ts";
import { type ConnectionPool, createConnectionPool, type Link } from "./connection-pool.ts";
import { createDeadlineWatch, type DeadlineWatch } from "./deadline-watch.ts";
import { isUnsafeAddress } from "./envelope-commands.ts";
import type { KnownRecipients } from "./known-recipients.ts";
import { openSession, serverMark } from "./open-session.ts";
import { loopWords, type OwnMark } from "./own-mark.ts";
import type { ProbeResult } from "./recipient-probe.ts";
import { recipientVerdict } from "./recipient-verdict.ts";
import type { RemoteReply } from "./remote-reply.ts";
import { type Host, hostAddresses, resolveHosts, routeKeys } from "./resolve-hosts.ts";
import { createRestingLinks, type RestingLinks } from "./resting-links.ts";
import type { Destination, Route } from "./route.ts";
import type { ServerLimits } from "./server-limits.ts";
import { createServerMarks, type ServerMarks } from "./server-marks.ts";
import { DEFAULT_TIMEOUTS, type DeliveryTimeouts } from "./timeouts.ts";

/** `words` is empty, or says that the server takes every address. `text` is the server's reply or our own words. */
export type RecipientKnown =
  | { readonly known: "yes"; readonly words: string }
  | { readonly known: "no"; readonly text: string }
  | { readonly known: "unsure"; readonly text: string };

export interface RecipientQuestion {
  readonly address: string;
  readonly routes: readonly Route[];
  /** How long a yes is kept before the server is asked again; a no and an "unsure" are kept shorter. */
  readonly cacheMs: number;
}

export interface RecipientVerifier {
  /** Never rejects; bounded by about 30 seconds. */
  verify(question: RecipientQuestion): Promise<RecipientKnown>;
  close(): Promise<void>;
}

const TOTAL_MS = 20_000;
const CONNECT_MS = 5000;
const STEP_MS = 10_000;
const TIMEOUTS: DeliveryTimeouts = {
  ...DEFAULT_TIMEOUTS,
  greeting: STEP_MS,
  command: STEP_MS,
  rcpt: STEP_MS,
  attempt: TOTAL_MS,
};
const CONNECTIONS_PER_DOMAIN = 10;
const MAX_WAITING_PER_DOMAIN = 500;
const MAX_ADDRESSES_TRIED = 4;
/** A mailbox made just now should work soon. */
const MAX_NO_MS = 300_000;
const UNSURE_MS = 10_000;
const BROKEN_TLS_MS = 120_000;
const CATCH_ALL_MS = 3_600_000;
const MAX_SILENT = 2000;
const CACHE = { maxEntries: 20_000, maxBytes: 10_000_000, maxEntryBytes: 4000 } as const;
/** An address that was confirmed before waits no longer for the server to say it again; the answer counts for the next time. */
const PATIENCE_MS = 2000;
const CONFIRMED_BEFORE: RecipientKnown = {
  known: "yes",
  words: "confirmed before; the mail server does not answer now",
};
const TAKES_ALL = "the mail server takes every address of this domain";

interface Parts {
  readonly resolver: Resolver;
  readonly hostname: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly timeouts: DeliveryTimeouts;
  readonly deadlines: DeadlineWatch;
  readonly resting: RestingLinks;
  readonly pool: ConnectionPool;
  readonly brokenTls: ServerMarks;
  readonly kept: AnswerCache<RecipientKnown>;
  /** Whether a domain's server takes every address. */
  readonly catchAll: AnswerCache<boolean>;
  /** Domains whose servers could not be reached a moment ago, with the words. */
  readonly unreachable: AnswerCache<string>;
  /** Those that have not answered since. */
  readonly silent: Set<string>;
  readonly gates: Map<string, Gate>;
  /** Addresses, and `*@domain` where all are taken, that stay known while the server is away. */
  readonly confirmed: KnownRecipients;
  readonly onAlarm: OnAlarm;
  readonly isAsked: (domain: string, routes: readonly Route[]) => boolean;
  readonly onAnswer: () => void;
  readonly limits?: Pick<ServerLimits, "learn">;
  readonly own?: OwnMark;
}

function verdictOf(reply: RemoteReply, server: string): RecipientKnown {
  const known = recipientVerdict(reply);
  return known === "yes" ? { known, words: "" } : { known, text: `${server} said ${reply.text}` };
}

/** An address nobody has: a server that takes it takes all. */
function inventedAddress(domain: string): string {
  return `gatepost-check-${randomBytes(8).toString("hex")}@${domain}`;
}

interface ToOpen {
  readonly destination: Destination;
  readonly host: Host;
  readonly address: string;
  readonly deadlineAt: number;
}

async function openTo(
  parts: Parts,
  { destination, host, address, deadlineAt }: ToOpen,
): Promise<Link | string> {
  const server = `${host.name} [${address}]:${host.port}`;
  const opened = await openSession({
    address,
    port: host.port,
    serverName: host.name,
    hostname: parts.hostname,
    tls: host.tls,
    mustVerify: false,
    login: null,
    brokenTls: parts.brokenTls,
    connectTimeoutMs: Math.min(CONNECT_MS, parts.timeouts.greeting),
    deadlineAt,
    timeouts: parts.timeouts,
    trusted: null,
    deadlines: parts.deadlines,
    resting: parts.resting,
    ownMark: parts.own?.mark,
  });
  if (!opened.ok && opened.failure.loops) {
    parts.own?.onLoop(destination, server);
    return loopWords(destination, server);
  }
  if (!opened.ok) return `${server}: ${opened.failure.reply?.text ?? opened.failure.words}`;
  const { session, security } = opened;
  if (session.extensions !== null) parts.limits?.learn(host, session.extensions);
  return { session, security, routeKey: host.routeKey, server, openedAt: parts.clock.now() };
}

/** `server`: who said it. */
type Answered = ProbeResult & { readonly server: string };

/** Asks over resting connections, then over new ones, until a server has answered. A string: none could be reached. */
async function askServers(
  parts: Parts,
  destination: Destination,
  addresses: readonly string[],
): Promise<Answered | string> {
  const { pool, resolver, hostname } = parts;
  const deadlineAt = performance.now() + parts.timeouts.attempt;
  const askOver = async (link: Link): Promise<Answered> => {
    link.session.attemptDeadlineAt = deadlineAt;
    const result = await link.session.probe(addresses);
    pool.give(destination.key, link);
    return { ...result, server: link.server };
  };
  const askAt = async (host: Host, address: string): Promise<Answered | string> => {
    const link = await openTo(parts, { destination, host, address, deadlineAt });
    if (typeof link === "string") return link;
    pool.adopt(destination.key, link);
    const result = await askOver(link);
    if (result.replies[0] !== null) return result;
    const mark = serverMark({ address, port: host.port });
    if (link.security === "bare") parts.brokenTls.clear(mark);
    // One that said too much has spoken: its TLS is whole.
    if (link.security !== "may-be-bare" || link.session.failure === null || result.close)
      return `${link.server}: ${result.trouble ?? "no reply"}`;
    // It hung up right behind the handshake: once more without TLS.
    parts.brokenTls.mark(mark);
    return askAt(host, address);
  };
  const wanted = { routeKeys: routeKeys(destination, "opportunistic"), fits: () => true };
  for (let link = pool.take(destination.key, wanted); link !== null; ) {
    const result = await askOver(link);
    const isClosing = result.replies[0]?.code === 421;
    if (result.replies[0] !== null && !isClosing) return result;
    // A server that is there and does not answer the question is not asked again over its next connection; one that hangs up is.
    if (isClosing) link.session.leave();
    else if (link.session.failure === null) return `${link.server}: ${result.trouble ?? "no reply"}`;
    link = pool.take(destination.key, wanted);
  }
  const hosts = await resolveHosts(destination, { resolver, hostname, mxTls: "opportunistic", mxPort: 25 });
  if ("result" in hosts) return hosts.words;
  let words = "its servers have no address";
  let tried = 0;
  for (const host of hosts) {
    const found = await hostAddresses(host.name, resolver);
    if (!found.ok) words = found.words;
    for (const address of found.ok ? found.addresses : []) {
      if (tried++ >= MAX_ADDRESSES_TRIED || performance.now() > deadlineAt) return words;
      const answered = await askAt(host, address);
      if (typeof answered !== "string") return answered;
      words = answered;
    }
  }
  return words;
}

/** Asks about an address, and once an hour about an invented one of the same domain as well. */
async function callOut(parts: Parts, address: string, destination: Destination): Promise<RecipientKnown> {
  const domain = address.slice(address.lastIndexOf("@") + 1);
  const isKnown = parts.catchAll.get(destination.key) !== undefined;
  const result = await askServers(
    parts,
    destination,
    isKnown ? [address] : [address, inventedAddress(domain)],
  );
  if (typeof result === "string") {
    parts.unreachable.put(destination.key, result, { ttlMs: UNSURE_MS, bytes: result.length });
    if (parts.silent.size < MAX_SILENT) parts.silent.add(destination.key);
    return { known: "unsure", text: result };
  }
  if (parts.silent.delete(destination.key)) parts.onAnswer();
  const [reply, invented] = result.replies;
  if (reply === undefined || reply === null) return { known: "unsure", text: result.trouble ?? "no reply" };
  const ofInvented =
    isKnown || invented === undefined || invented === null ? null : verdictOf(invented, result.server).known;
  // "Not now" says nothing about whether all are taken: what was found before stands.
  if (ofInvented !== null && ofInvented !== "unsure") {
    const takesAll = ofInvented === "yes";
    parts.catchAll.put(destination.key, takesAll, { ttlMs: CATCH_ALL_MS, bytes: 1 });
    noteTakesAll(parts, domain, takesAll);
    if (!takesAll) parts.onAlarm(`call-out ${domain}`, null);
  }
  const verdict = verdictOf(reply, result.server);
  const takesAll = parts.catchAll.get(destination.key) === true;
  // Each time: where call-outs were switched off for a while, the alarm ended with them.
  if (takesAll) tellTakesAll(parts, domain, destination);
  // Where all are taken, an invented address must not fill the list.
  if (verdict.known === "yes" && !takesAll) parts.confirmed.confirm(addressKey(address));
  if (verdict.known === "no") parts.confirmed.refuse(addressKey(address));
  return verdict.known === "yes" && takesAll ? { known: "yes", words: TAKES_ALL } : verdict;
}

function noteTakesAll(parts: Parts, domain: string, takesAll: boolean): void {
  const all = anyOf(domain);
  if (takesAll) {
    parts.log.warn({ domain }, "recipients cannot be verified: the mail server takes every address");
    parts.confirmed.confirm(all);
  } else {
    parts.confirmed.refuse(all);
  }
}

function tellTakesAll(parts: Parts, domain: string, destination: Destination): void {
  const routes = destination.kind === "routes" ? destination.routes : [];
  parts.onAlarm(
    `call-out ${domain}`,
    `The mail server of ${domain} takes every address, so unknown recipients are not refused. Let it refuse them, or set how recipients of ${domain} are checked (a list, or catch-all).`,
    { isSet: () => parts.isAsked(domain, routes) },
  );
}

function anyOf(domain: string): string {
  return `*@${domain}`;
}

function keepMs(verdict: RecipientKnown, cacheMs: number): number {
  switch (verdict.known) {
    case "yes":
      return cacheMs;
    case "no":
      return Math.min(cacheMs, MAX_NO_MS);
    case "unsure":
      return Math.min(cacheMs, UNSURE_MS);
  }
}

/** One question with its place in the caches. */
interface Asked {
  readonly question: RecipientQuestion;
  readonly key: string;
  readonly destination: Destination;
}

async function ask(parts: Parts, { question, key, destination }: Asked): Promise<RecipientKnown> {
  const down = parts.unreachable.get(destination.key);
  if (down !== undefined) return { known: "unsure", text: down };
  let gate = parts.gates.get(destination.key);
  if (gate === undefined) {
    gate = createGate({ limit: CONNECTIONS_PER_DOMAIN, maxWaiting: MAX_WAITING_PER_DOMAIN });
    parts.gates.set(destination.key, gate);
  }
  if (!(await gate.enter(parts.timeouts.attempt / 2))) {
    return { known: "unsure", text: "too many recipients are being verified at once" };
  }
  try {
    const verdict = await callOut(parts, question.address, destination);
    const text = verdict.known === "yes" ? verdict.words : verdict.text;
    parts.kept.put(key, verdict, {
      ttlMs: keepMs(verdict, question.cacheMs),
      bytes: key.length + text.length,
    });
    return verdict;
  } catch (error) {
    parts.log.error({ err: error }, "a recipient could not be verified: the gateway failed");
    return { known: "unsure", text: "the gateway failed; its log says why" };
  } finally {
    gate.leave();
  }
}

/** Makes the verifier. Concurrent questions for one address are one question; connections are used again. */
export function createRecipientVerifier(options: {
  readonly resolver: Resolver;
  readonly hostname: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly timeouts?: DeliveryTimeouts;
  readonly confirmed: KnownRecipients;
  /** Raises (words) or clears (null) an alarm. */
  readonly onAlarm: OnAlarm;
  /** Are recipients of the domain asked of these servers? Left out: always. */
  readonly isAsked?: (domain: string, routes: readonly Route[]) => boolean;
  /** A mail server answered that had not for a while. */
  readonly onAnswer: () => void;
  /** The connections that rest, with those of others who open some; left out: only these. */
  readonly resting?: RestingLinks;
  /** Told what the servers of routes offer. */
  readonly limits?: Pick<ServerLimits, "learn">;
  /** Looks for ourselves behind a route; left out: not looked for. */
  readonly own?: OwnMark;
}): RecipientVerifier {
  const timeouts = options.timeouts ?? TIMEOUTS;
  const deadlines = createDeadlineWatch(Math.min(1000, ...Object.values(timeouts).map((ms) => ms / 4)));
  const { clock } = options;
  const small = { clock, ...CACHE, maxEntries: 2000 };
  const resting = options.resting ?? createRestingLinks();
  const parts: Parts = {
    ...options,
    isAsked: options.isAsked ?? (() => true),
    timeouts,
    deadlines,
    pool: createConnectionPool({
      maxPerDestination: () => CONNECTIONS_PER_DOMAIN,
      idleMs: timeouts.idle,
      clock,
      deadlines,
      resting,
    }),
    resting,
    brokenTls: createServerMarks(clock, BROKEN_TLS_MS),
    kept: createAnswerCache<RecipientKnown>({ clock, ...CACHE }),
    catchAll: createAnswerCache<boolean>(small),
    unreachable: createAnswerCache<string>(small),
    silent: new Set(),
    gates: new Map(),
  };
  const underWay = new Map<string, Promise<RecipientKnown>>();
  return {
    verify(question) {
      const { address, routes } = question;
      if (isUnsafeAddress(address)) {
        return Promise.resolve({ known: "no", text: "The address contains control characters" });
      }
      const domain = address.slice(address.lastIndexOf("@") + 1).toLowerCase();
      const ways = routes.map((route) => `${route.host}:${route.port}`).join();
      const destination: Destination = { kind: "routes", key: `${domain}|${ways}`, routes };
      const key = `${addressKey(address)}|${ways}`;
      const { confirmed } = parts;
      const isConfirmed = confirmed.has(addressKey(address)) || confirmed.has(anyOf(domain));
      const known = parts.kept.get(key);
      // A question that failed is not asked again at once, and hides no older yes.
      if (known !== undefined)
        return Promise.resolve(known.known === "unsure" && isConfirmed ? CONFIRMED_BEFORE : known);
      let answer = underWay.get(key);
      if (answer === undefined) {
        answer = ask(parts, { question, key, destination }).finally(() => underWay.delete(key));
        underWay.set(key, answer);
      }
      return isConfirmed ? stands(answer, clock) : answer;
    },
    async close() {
      await parts.pool.close(0);
      await parts.confirmed.close();
    },
  };
}

/** The answer if one comes soon and says yes or no, else that it was confirmed before. */
function stands(answer: Promise<RecipientKnown>, clock: Clock): Promise<RecipientKnown> {
  return new Promise((resolve) => {
    const cancel = clock.after(PATIENCE_MS, () => resolve(CONFIRMED_BEFORE));
    void answer.then((fresh) => {
      cancel();
      resolve(fresh.known === "unsure" ? CONFIRMED_BEFORE : fresh);
    });
  });
}
