// The check `domain_age` (requirement O8): how old the domain in From is, by a feed file and an RDAP service, each only when set. What cannot be
// found out is a fact of its own and never fails the message.
import { getDomain } from "tldts";
import { askRdap } from "../hooks/rdap.ts";
import { domainOf } from "../message/address.ts";
import { headOf } from "../message/body.ts";
import { summarise } from "../message/summary.ts";
import type { Clock } from "../observe/clock.ts";
import type { Log } from "../observe/log.ts";
import type { Finding } from "../rules/fact.ts";
import type { Check } from "./check.ts";
import { createDomainAgeFeed, type DomainAgeFeed } from "./domain-age-feed.ts";

/** `settings.domain_age` of the policy. */
export interface DomainAgeSettings {
  /** Path of a feed file; "" is none. */
  readonly feed: string;
  /** Base address of an RDAP service, or null. */
  readonly rdap: string | null;
  /** What is set cannot be read: the check fails, as nobody can say that nothing is set. */
  readonly unread?: boolean;
}

export interface DomainAge {
  readonly check: Check;
  /** Uses other sources from the next message on; the same ones change nothing. */
  use(settings: DomainAgeSettings): void;
}

type Age =
  | { readonly known: true; readonly registeredAt: number }
  | { readonly known: false; readonly words: string };

const DAY_MS = 86_400_000;
const KNOWN_MS = DAY_MS;
const UNKNOWN_MS = 3_600_000;
/** An outage of the service must neither be asked into nor last longer here than there. */
const FAILED_MS = 300_000;
const MAX_KEPT = 10_000;
const MAX_UNDER_WAY = 20;
/** A From with more domains is looked into no further. */
const MAX_DOMAINS = 3;
const ANSWER_WITHIN_MS = 8000;

/** Nothing is read or asked before the first message whose rules want to know. */
export function createDomainAge(parts: {
  readonly settings: DomainAgeSettings;
  readonly clock: Clock;
  readonly log: Log;
}): DomainAge {
  const { clock, log } = parts;
  let sources = sourcesOf(parts.settings, { clock, log });
  return {
    use(settings) {
      if (
        settings.feed === sources.settings.feed &&
        settings.rdap === sources.settings.rdap &&
        settings.unread === sources.settings.unread
      )
        return;
      sources = sourcesOf(settings, { clock, log });
    },
    check: {
      name: "domain_age",
      facts: ["domain_age.known", "domain_age.days"],
      // It answers sooner by itself.
      timeoutMs: 2 * ANSWER_WITHIN_MS,
      async run({ raw }) {
        if (sources.settings.unread) throw new Error('the stored setting "domain_age" cannot be read');
        const domains = fromDomains(headOf(raw));
        if (domains.length === 0) return [unknown("From names no domain that could be registered")];
        const ages = await Promise.all(
          domains.map(async (domain) => ({ domain, age: await inTime(sources.ageOf(domain)) })),
        );
        return youngest(ages, clock.now());
      },
    },
  };
}

/** The organisational domains of the From addresses, each once. */
function fromDomains(raw: Uint8Array): readonly string[] {
  const found = new Set<string>();
  for (const address of summarise(raw).fromAddresses) {
    const domain = getDomain(domainOf(address));
    if (domain !== null) found.add(domain);
    if (found.size === MAX_DOMAINS) break;
  }
  return [...found];
}

/** Of several domains the youngest known counts: it is the one to be wary of. */
function youngest(
  ages: readonly { readonly domain: string; readonly age: Age }[],
  nowMs: number,
): readonly Finding[] {
  let found: { readonly domain: string; readonly registeredAt: number } | null = null;
  const reasons: string[] = [];
  for (const { domain, age } of ages) {
    if (!age.known) reasons.push(age.words);
    else if (found === null || age.registeredAt > found.registeredAt) {
      found = { domain, registeredAt: age.registeredAt };
    }
  }
  if (found === null) return [unknown(reasons.join("; "))];
  const days = Math.max(0, Math.floor((nowMs - found.registeredAt) / DAY_MS));
  const date = new Date(found.registeredAt).toISOString().slice(0, 10);
  const ago = days === 0 ? "less than a day ago" : days === 1 ? "a day ago" : `${days} days ago`;
  const words = `${found.domain} was registered on ${date}, ${ago}`;
  return [
    { check: "domain_age", fact: "domain_age.known", value: true, words },
    { check: "domain_age", fact: "domain_age.days", value: days },
  ];
}

function unknown(words: string): Finding {
  return { check: "domain_age", fact: "domain_age.known", value: false, words };
}

async function inTime(age: Promise<Age>): Promise<Age> {
  const late = Promise.withResolvers<Age>();
  const words = `the age of the domain was not found out within ${ANSWER_WITHIN_MS} ms`;
  const timer = setTimeout(() => late.resolve({ known: false, words }), ANSWER_WITHIN_MS);
  try {
    return await Promise.race([age, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

interface Sources {
  readonly settings: DomainAgeSettings;
  /** Never rejects. */
  ageOf(domain: string): Promise<Age>;
}

function sourcesOf(
  settings: DomainAgeSettings,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
): Sources {
  const feed = settings.feed === "" ? null : createDomainAgeFeed({ path: settings.feed, clock, log });
  const ask = settings.rdap === null ? null : rememberedRdap(settings.rdap, clock);
  return {
    settings,
    async ageOf(domain) {
      const listed = feed === null ? null : await inFeed(feed, domain);
      if (listed?.known === true) return listed;
      if (ask !== null) return ask(domain);
      return (
        listed ?? {
          known: false,
          words: `nothing is set up that would know the age of ${domain} (domain_age)`,
        }
      );
    },
  };
}

async function inFeed(feed: DomainAgeFeed, domain: string): Promise<Age> {
  try {
    const registeredAt = await feed.registeredAt(domain);
    return registeredAt === null
      ? { known: false, words: `the feed of domain ages does not name ${domain}` }
      : { known: true, registeredAt };
  } catch (error) {
    return { known: false, words: error instanceof Error ? error.message : String(error) };
  }
}

/** RDAP with its answers kept for a day, and that there is none for an hour; a domain is asked for once at a time. */
function rememberedRdap(base: string, clock: Clock): (domain: string) => Promise<Age> {
  const kept = new Map<string, { readonly age: Age; readonly until: number }>();
  const underWay = new Map<string, Promise<Age>>();

  const keep = (domain: string, age: Age, forMs: number): Age => {
    kept.delete(domain);
    for (const oldest of kept.keys()) {
      if (kept.size < MAX_KEPT) break;
      kept.delete(oldest);
    }
    kept.set(domain, { age, until: clock.now() + forMs });
    return age;
  };

  const ask = async (domain: string): Promise<Age> => {
    const answer = await askRdap(base, domain);
    switch (answer.kind) {
      case "registered":
        return keep(domain, { known: true, registeredAt: answer.at }, KNOWN_MS);
      case "unknown":
        return keep(domain, { known: false, words: answer.words }, UNKNOWN_MS);
      case "failed":
        return keep(domain, { known: false, words: answer.words }, FAILED_MS);
    }
  };

  return async (domain) => {
    const known = kept.get(domain);
    if (known !== undefined && known.until > clock.now()) return known.age;
    const running = underWay.get(domain);
    if (running !== undefined) return running;
    if (underWay.size >= MAX_UNDER_WAY) {
      return { known: false, words: `too many domains are looked up at once to ask for ${domain}` };
    }
    const answer = ask(domain).finally(() => underWay.delete(domain));
    underWay.set(domain, answer);
    return answer;
  };
}
