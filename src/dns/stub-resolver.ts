// The product's own resolver: a stub that asks recursive servers. Cache, coalescing and limits are here;
// the wire is in the exchange files. It does not read the hosts file and does not validate DNSSEC itself.
import type { Answer } from "dns-packet";
import { type Clock, systemClock } from "../observe/clock.ts";
import type { Log } from "../observe/log.ts";
import { createAnswerCache } from "./answer-cache.ts";
import { followChain, MAX_CNAME_HOPS } from "./answer-chain.ts";
import type { QueryType } from "./query-message.ts";
import { ownAddresses, queryName, reverseName } from "./query-name.ts";
import { addressValue, mxValue, nameValue, textValue } from "./record-value.ts";
import type { DnsAnswer, DnsFailure, MxRecord, Resolver } from "./resolver.ts";
import { dnsServers } from "./server-address.ts";
import { createServerList, type ServerAnswer } from "./server-list.ts";
import { createSlowLane } from "./slow-lane.ts";
import type { NoAnswer } from "./udp-exchange.ts";

/** The resolver with CNAME as well, which the DMARC tree walk asks for. */
export interface StubResolver extends Resolver {
  cname(name: string): Promise<DnsAnswer<string>>;
}

const DEFAULT_TIMEOUT_MS = 10_000;
const MAX_IN_FLIGHT = 100;
const MAX_WAITING = 2000;
/** Most names answer in milliseconds; one that has not after its first try waits beside the others. */
const SLOW_SHARE = 0.2;
const MAX_SLOW = 1000;
const MAX_TTL_S = 86_400;
// RFC 2308 §5 suggests one to three hours as a maximum; new names should work sooner.
const MAX_NEGATIVE_TTL_S = 900;
const NO_SOA_TTL_S = 30;
// RFC 2308 §7.1: at most 5 minutes.
const SERVFAIL_TTL_S = 5;
const CACHE = { maxEntries: 5000, maxBytes: 4_000_000, maxEntryBytes: 16_384 } as const;

interface Found<T> {
  readonly answer: DnsAnswer<T>;
  readonly ttlS: number;
}

function no(failure: DnsFailure, words: string, ttlS: number): Found<never> {
  return { answer: { ok: false, failure, words }, ttlS };
}

function roughBytes(answer: DnsAnswer<unknown>): number {
  return answer.ok ? JSON.stringify(answer.records).length : answer.words.length;
}

/** What is asked and how its records are read. */
interface Wanted<T> {
  readonly type: QueryType;
  read(record: Answer): T | null;
}

function readRecords<T>(
  wanted: Wanted<T>,
  records: readonly Answer[],
  extra: { readonly authenticated: boolean; readonly ttlS: number; readonly name: string },
): Found<T> {
  // All of them: who looks for one record among hundreds must not be told that there is none.
  const values = records.flatMap((record) => wanted.read(record) ?? []);
  if (values.length === 0) {
    return no("servfail", `the ${wanted.type} records of "${extra.name}" are not usable`, SERVFAIL_TTL_S);
  }
  const ttlS = Math.min(extra.ttlS, MAX_TTL_S);
  return { answer: { ok: true, records: values, authenticated: extra.authenticated }, ttlS };
}

type Ask = (name: string, type: QueryType, deadline: number) => Promise<ServerAnswer | NoAnswer>;

/** Asks for a name and goes on where a server left a CNAME open. */
async function askThrough<T>(ask: Ask, name: string, wanted: Wanted<T>, deadline: number): Promise<Found<T>> {
  let target = name;
  let authenticated = true;
  let ttlS = MAX_TTL_S;
  for (let hop = 0; hop < MAX_CNAME_HOPS; hop++) {
    const result = await ask(target, wanted.type, deadline);
    if ("failed" in result) {
      return no("servfail", `${wanted.type} of "${name}": ${result.failed}`, SERVFAIL_TTL_S);
    }
    const { answer, server } = result;
    authenticated &&= answer.authentic && server.trusted;
    const chain = followChain(answer.answers, target, wanted.type);
    if (chain.kind === "broken") {
      return no("servfail", `"${name}" leads in circles or through too many CNAMEs`, SERVFAIL_TTL_S);
    }
    ttlS = Math.min(ttlS, chain.ttl);
    if (chain.kind === "found") {
      return readRecords(wanted, chain.records, { authenticated, ttlS, name });
    }
    const noTtlS = Math.min(ttlS, answer.negativeTtl ?? NO_SOA_TTL_S, MAX_NEGATIVE_TTL_S);
    if (answer.rcode === "nxdomain") return no("nxdomain", `there is no name "${chain.target}"`, noTtlS);
    const leftOpen = chain.target !== target && answer.negativeTtl === null;
    if (!leftOpen) return no("nodata", `"${chain.target}" has no ${wanted.type} records`, noTtlS);
    const next = queryName(chain.target);
    if (next === null) {
      // What was not asked is not known.
      const shown = JSON.stringify(chain.target.slice(0, 80));
      return no("servfail", `"${name}" leads to ${shown}, which cannot be asked`, SERVFAIL_TTL_S);
    }
    target = next;
  }
  return no("servfail", `"${name}" leads through too many CNAMEs`, SERVFAIL_TTL_S);
}

/**
 * Makes the resolver. `servers` are `host:port`; an empty list means the system's. AD is believed from loopback servers only.
 * `timeoutMs` bounds a question in all, waiting and retries included. Throws when a server is no IP address.
 */
export function createResolver(options: {
  readonly servers: readonly string[];
  readonly log: Log;
  readonly clock?: Clock;
  readonly timeoutMs?: number;
  /** False: every question is asked anew, for who looks whether a record just published is there. Default true. */
  readonly keepAnswers?: boolean;
  /** Told when no server answers anything (with their names), and when one does again (null). */
  readonly onSilence?: (servers: readonly string[] | null) => void;
}): StubResolver {
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const clock = options.clock ?? systemClock;
  const servers = createServerList({
    servers: dnsServers(options.servers),
    timeoutMs,
    log: options.log,
    ...(options.onSilence === undefined ? {} : { onSilence: options.onSilence }),
  });
  const lane = createSlowLane({
    limit: MAX_IN_FLIGHT,
    maxWaiting: MAX_WAITING,
    slowAfterMs: SLOW_SHARE * timeoutMs,
    maxSlow: MAX_SLOW,
  });

  /** One record type with its cache and its questions under way. */
  function lookup<T>(wanted: Wanted<T>): (name: string) => Promise<DnsAnswer<T>> {
    const cache = createAnswerCache<DnsAnswer<T>>({ clock, ...CACHE });
    const underWay = new Map<string, Promise<DnsAnswer<T>>>();

    const ask = async (name: string): Promise<DnsAnswer<T>> => {
      const deadline = performance.now() + timeoutMs;
      const found = await lane.run(timeoutMs, () => askThrough(servers.ask, name, wanted, deadline));
      if (found === null) {
        return no("servfail", `${wanted.type} of "${name}": too many DNS questions at once`, 0).answer;
      }
      const { answer, ttlS } = found;
      if (options.keepAnswers !== false)
        cache.put(name, answer, { ttlMs: ttlS * 1000, bytes: name.length + roughBytes(answer) });
      return answer;
    };

    return (text) => {
      const name = queryName(text);
      if (name === null) {
        const shown = JSON.stringify(text.slice(0, 80));
        return Promise.resolve(no("nxdomain", `${shown} cannot be a name in DNS`, 0).answer);
      }
      const known = cache.get(name);
      if (known !== undefined) return Promise.resolve(known);
      const running = underWay.get(name);
      if (running !== undefined) return running;
      const answer = ask(name).finally(() => underWay.delete(name));
      underWay.set(name, answer);
      return answer;
    };
  }

  /** Addresses: IP literals and `localhost` answer themselves. */
  function addressLookup(type: "A" | "AAAA"): (name: string) => Promise<DnsAnswer<string>> {
    const ask = lookup<string>({ type, read: addressValue });
    return (name) => {
      const own = ownAddresses(name, type);
      if (own === null) return ask(name);
      return Promise.resolve(
        own.length > 0
          ? { ok: true, records: own, authenticated: false }
          : no("nodata", `"${name}" has no ${type} address`, 0).answer,
      );
    };
  }

  const ptr = lookup<string>({ type: "PTR", read: nameValue });
  return {
    a: addressLookup("A"),
    aaaa: addressLookup("AAAA"),
    mx: lookup<MxRecord>({ type: "MX", read: mxValue }),
    txt: lookup<string>({ type: "TXT", read: textValue }),
    cname: lookup<string>({ type: "CNAME", read: nameValue }),
    ptr(ip) {
      const name = reverseName(ip);
      if (name !== null) return ptr(name);
      return Promise.resolve(no("nxdomain", `"${ip.slice(0, 80)}" is not an IP address`, 0).answer);
    },
    close: () => servers.close(),
  };
}
