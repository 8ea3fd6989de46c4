// Where a sender's own value takes the place of its domain's, what the operator set for the domain is a ceiling for the sender's as well:
// whoever may write the one would undo the other. A value the operator set for the very sender is his exception from his own. Pure.
import type { Ceiling, CeilingProblem } from "./ceiling.ts";
import { durationMs } from "./duration.ts";
import { type SenderSettings, senderSchema } from "./schema-sender.ts";

/** What is kept of the operator's: of the sender itself, and of a domain. */
export interface Ceilings {
  readonly own: Ceiling;
  readonly ofDomain: (name: string) => Ceiling;
}

/** A value of a sender that takes the place of its domain's. */
interface Pair {
  readonly path: string;
  /** Of another domain that it writes for, the limits are a ceiling for that mail alone, and found there. */
  readonly ofOthers: boolean;
  /** What the operator set for the domain; null: nothing. Durations in milliseconds. */
  readonly set: (domain: Ceiling) => number | null;
  readonly of: (sender: SenderSettings) => number | null;
  readonly isAbove: (value: number, set: number) => boolean;
  readonly words: (set: number, domain: string) => string;
  readonly with: (sender: SenderSettings, set: number) => SenderSettings;
}

const LIMITS = ["per_minute", "per_hour", "recipients_per_day"] as const;

const PARTS = [
  "from_must_exist",
  "known_identities_only",
  "require_tls",
  "limit_identities",
  "lock_identities",
] as const;

/** How the product locks: what "every identity is locked" means where nobody says how. */
const LOCK = senderSchema.parse({ kind: "domain", domain: "any.invalid" }).lock;

const OPERATOR = "an administrator of the gateway has set";

function has(domain: Ceiling, part: (typeof PARTS)[number]): boolean {
  return domain[`outgoing.${part}`] === true;
}

function numberIn(ceiling: Ceiling, path: string): number | null {
  const value = ceiling[path];
  return typeof value === "number" ? value : null;
}

function limitPair(name: (typeof LIMITS)[number]): Pair {
  return {
    path: `identity_limits.${name}`,
    ofOthers: false,
    set: (domain) =>
      has(domain, "limit_identities") ? numberIn(domain, `outgoing.default_limits.${name}`) : null,
    of: (sender) => sender.identity_limits[name],
    isAbove: (value, set) => value > set,
    words: (set, domain) =>
      `${OPERATOR} ${set} for every identity of ${domain}; you may set less here, not more`,
    with: (sender, set) => ({ ...sender, identity_limits: { ...sender.identity_limits, [name]: set } }),
  };
}

const locks = (domain: Ceiling, value: number): number | null =>
  has(domain, "lock_identities") ? value : null;

function lockCount(name: "spam" | "max_unlocks", how: string): Pair {
  return {
    path: `lock.${name}`,
    ofOthers: true,
    set: (domain) => locks(domain, LOCK[name]),
    of: ({ lock }) => lock[name],
    isAbove: (value, set) => value > set,
    words: (set, domain) =>
      `${OPERATOR} the automatic lock of every identity of ${domain}, ${how} ${set}; you may set less here, not more`,
    with: (sender, set) => ({ ...sender, lock: { ...sender.lock, [name]: set } }),
  };
}

function lockTime(name: "window" | "timeout", how: string): Pair {
  return {
    path: `lock.${name}`,
    ofOthers: true,
    set: (domain) => locks(domain, durationMs(LOCK[name])),
    of: ({ lock }) => durationMs(lock[name]),
    isAbove: (value, set) => value < set,
    words: (_set, domain) =>
      `${OPERATOR} the automatic lock of every identity of ${domain}, ${how} ${LOCK[name]}; you may set a longer time here, not a shorter one`,
    with: (sender) => ({ ...sender, lock: { ...sender.lock, [name]: LOCK[name] } }),
  };
}

const PAIRS: readonly Pair[] = [
  ...LIMITS.map(limitPair),
  lockCount("spam", "whose spam messages are at most"),
  lockTime("window", "counted over"),
  lockTime("timeout", "which holds for"),
  lockCount("max_unlocks", "whose ends by themselves are at most"),
];

/** The domains the sender writes for besides its own. */
function writesFor({ domain, domains, send_as }: SenderSettings): readonly string[] {
  const granted = send_as.map((address) => address.slice(address.lastIndexOf("@") + 1));
  return [...new Set<string>([...domains, ...granted])].filter((name) => name !== domain);
}

interface Above {
  readonly pair: Pair;
  readonly set: number;
  /** The domain it is set for. */
  readonly domain: string;
}

/** The values of the sender that are above a domain's. What the operator set of the sender itself is another's concern. */
function above(sender: SenderSettings, { own, ofDomain }: Ceilings): readonly Above[] {
  const others = writesFor(sender);
  return PAIRS.flatMap((pair): readonly Above[] => {
    const value = numberIn(own, pair.path) === null ? pair.of(sender) : null;
    if (value === null) return [];
    const found = [sender.domain, ...(pair.ofOthers ? others : [])].flatMap((domain): readonly Above[] => {
      const set = pair.set(ofDomain(domain));
      return set !== null && pair.isAbove(value, set) ? [{ pair, set, domain }] : [];
    });
    return found.slice(0, 1);
  });
}

/** What an administrator of the domain may not give the sender, because of what the operator set for a domain it writes for. */
export function aboveDomain(sender: SenderSettings, ceilings: Ceilings): readonly CeilingProblem[] {
  const { own, ofDomain } = ceilings;
  const problems = above(sender, ceilings).map(({ pair, set, domain }) => ({
    field: pair.path,
    message: pair.words(set, domain),
  }));
  if (typeof sender.identify_by === "string" || own.identify_by !== undefined) return problems;
  const counted = [sender.domain, ...writesFor(sender)].find((name) => {
    const domain = ofDomain(name);
    return has(domain, "limit_identities") || has(domain, "lock_identities");
  });
  if (counted === undefined) return problems;
  // A header says what whoever writes the message likes: each message would be another identity's.
  const message = `${OPERATOR} limits or locks for every identity of ${counted}; header lines that name an identity are set by administrators of the gateway`;
  return [...problems, { field: "identify_by", message }];
}

/** The sender as it is held to what the operator set for its domains, also where its own value was there first. */
export function heldToDomain(sender: SenderSettings, ceilings: Ceilings): SenderSettings {
  return above(sender, ceilings).reduce((held, { pair, set }) => pair.with(held, set), sender);
}

/** Is a sender in the other domain free of something the operator set for the one? */
export function isFreer(domain: Ceiling, other: Ceiling): boolean {
  return (
    PARTS.some((part) => has(domain, part) && !has(other, part)) ||
    LIMITS.map(limitPair).some(({ set }) => (set(other) ?? 0) > (set(domain) ?? Number.POSITIVE_INFINITY))
  );
}
