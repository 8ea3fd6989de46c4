// Stored settings this version cannot read, as a newer one writes them and a roll-back leaves: what depends on them, and what is answered
// until they are saved anew. Nothing opens because of one, and nothing is refused for good. No I/O.
import { type IpNetwork, networkMatcher, parseNetwork } from "../message/address.ts";
import type { AlarmName } from "../observe/alarm-kinds.ts";
import { shippedRule } from "../rules/shipped-rules.ts";
import { type Reply, reply } from "./reply.ts";
import type { RuleSettings } from "./schema.ts";
import { ruleSchema } from "./schema.ts";

/** A row as it is stored, and why it cannot be read. */
export interface UnreadItem {
  readonly section: string;
  readonly key: string;
  readonly value: unknown;
  /** `delivery.max_rate: is not a setting`. */
  readonly problems: readonly string[];
  /** Of a section that holds one object: the fields that cannot be read. */
  readonly fields?: readonly string[];
  /** It is in force but for a part: what that means and what to do, in sentences. */
  readonly partly?: string;
  /** The part is a secret. */
  readonly secret?: true;
  /** The part decides nothing. */
  readonly idle?: true;
}

export interface Unread {
  readonly items: readonly UnreadItem[];
  /** Who is one of ours by the network it comes from is not known. */
  readonly networks: boolean;
  /** Where mail to the world goes is not known. */
  readonly delivery: boolean;
  /** Names of scanners that would be asked. */
  readonly hooks: readonly string[];
  /** Those of which something comes. */
  readonly rules: readonly UnreadRule[];
  readonly ruleNames: ReadonlySet<string>;
  /** Fields of `settings` that are not known; what is, is in force. */
  readonly settings: ReadonlySet<string>;
  /** The same of `delivery`. */
  readonly deliveryFields: ReadonlySet<string>;
  /** The networks cannot be read, and the address lies in one that the row names as trusted, or may do so. */
  mayBeTrusted(ip: string): boolean;
  isDomain(name: string): boolean;
  /** The domain with an unread setting that a name is, or lies below. */
  domainOver(name: string): string | null;
  isSender(key: string): boolean;
  /** Ranges of IP senders. */
  readonly ranges: readonly string[];
}

/** A rule that cannot be asked: mail in its scope is put off. One of the product that is known to be off or to observe stays so. */
export type UnreadRule = Pick<RuleSettings, "name" | "priority" | "scope" | "mode">;

type Table = Readonly<Record<string, unknown>>;

function isTable(value: unknown): value is Table {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function table(value: unknown): Table {
  return isTable(value) ? value : {};
}

/**
 * What of a section that holds one object can be read, field by field. Fields that cannot are left to their defaults; of a row that is no
 * object (cut on disk, say) nobody knows what any of them was.
 */
export function readableFields(
  shape: Readonly<Record<string, { safeParse(value: unknown): { readonly success: boolean } }>>,
  value: unknown,
): { readonly input: Table; readonly lost: readonly string[] } {
  if (!isTable(value)) return { input: {}, lost: Object.keys(shape) };
  const given = table(value);
  const known = Object.keys(shape).filter((field) => Object.hasOwn(given, field));
  const lost = known.filter((field) => shape[field]?.safeParse(given[field]).success !== true);
  const kept = known.filter((field) => !lost.includes(field));
  return { input: Object.fromEntries(kept.map((field) => [field, given[field]])), lost };
}

/** What is known of a rule that does not read: where it may hold, and when it is asked. Nothing known: everywhere, at its usual place. */
function unreadRule({ key, value }: UnreadItem): UnreadRule {
  const { scope, priority, mode } = table(value);
  const known = ruleSchema.safeParse({ name: key, scope, ...(mode === "enforce" ? { priority } : { mode }) });
  return known.success ? known.data : { ...ruleSchema.parse({ name: "unread" }), name: key };
}

/** Does the row say that nothing comes of it? */
function isOff({ section, value }: UnreadItem): boolean {
  const { enabled, mode } = table(value);
  return section === "rule" ? mode === "off" || mode === "observe" : enabled === false;
}

/** Is mail put off or held for it, or a listener closed that would be open? */
function isFelt(item: UnreadItem): boolean {
  if (item.idle || item.secret) return false;
  if (item.section === "settings") return item.fields?.includes("domain_age") === true;
  if (item.section === "networks" || item.section === "delivery") return true;
  return ["domain", "sender", "listener", "rule", "hook"].includes(item.section) && !staysOff(item);
}

/** Off, and known for whom: a rule of the product that is off nobody knows where puts mail off. */
function staysOff(item: UnreadItem): boolean {
  if (!isOff(item)) return false;
  return item.section !== "rule" || shippedRule(item.key) === null || unreadRule(item).mode !== "enforce";
}

/** The trusted networks that the row names; null: what it says of them is not known, or not all of it. */
function namedNetworks({ value }: UnreadItem): readonly IpNetwork[] | null {
  const { trusted } = table(value);
  if (!Array.isArray(trusted)) return null;
  const found = trusted.flatMap((one: unknown) => {
    const parsed = typeof one === "string" ? parseNetwork(one) : null;
    return parsed?.ok === true ? [parsed.value] : [];
  });
  return found.length === trusted.length ? found : null;
}

/** Where not all networks are known, any client may be in one. */
function mayBeTrusted(rows: readonly UnreadItem[]): (ip: string) => boolean {
  const named = rows.map(namedNetworks);
  if (named.includes(null)) return () => true;
  return networkMatcher(named.flatMap((networks) => networks ?? []));
}

const NONE: Unread = unreadSettings([]);

/** Nothing is unread, which is nearly always so. */
export function nothingUnread(): Unread {
  return NONE;
}

/** `items`: what the store has. */
export function unreadSettings(items: readonly UnreadItem[]): Unread {
  const whole = items.filter(({ partly }) => partly === undefined);
  const of = (section: string): readonly UnreadItem[] => whole.filter((item) => item.section === section);
  const fields = (section: string): ReadonlySet<string> =>
    new Set(of(section).flatMap((item) => item.fields ?? []));
  const domains = new Set(of("domain").map(({ key }) => key));
  const senders = new Set(of("sender").map(({ key }) => key));
  return {
    items,
    networks: of("networks").length > 0,
    delivery: of("delivery").length > 0,
    hooks: of("hook").flatMap((item) => (isOff(item) ? [] : [item.key])),
    rules: of("rule").flatMap((item) =>
      isOff(item) && shippedRule(item.key) === null ? [] : [unreadRule(item)],
    ),
    ruleNames: new Set(of("rule").map(({ key }) => key)),
    settings: fields("settings"),
    deliveryFields: fields("delivery"),
    mayBeTrusted: mayBeTrusted(of("networks")),
    isDomain: (name) => domains.has(name),
    domainOver(name) {
      if (domains.size === 0) return null;
      for (let rest = name; rest !== ""; ) {
        if (domains.has(rest)) return rest;
        const dot = rest.indexOf(".");
        rest = dot < 0 ? "" : rest.slice(dot + 1);
      }
      return null;
    },
    isSender: (key) => senders.has(key),
    ranges: [...senders].filter((key) => !key.includes("@")),
  };
}

/** 451: final would be wrong as soon as the setting is saved anew. (RFC 3463 §3.4, 4.3.5: system incorrectly configured) */
export function unreadReply(what: string): Reply {
  return reply(
    451,
    "3.5",
    "This gateway's settings are being mended, please try again later",
    `${what} cannot be read by this version`,
  );
}

/** What an exported policy file does not say, or not whole, as comments at its top; "" when it says all. */
export function unreadComment({ items }: Unread): string {
  return items.map((item) => `# ${unreadWords(item).replace(/[^\x20-\x7e]+/g, " ")}\n`).join("");
}

/** No item: what is kept of an operator's. */
const CEILING = "ceiling";

const MEND =
  "Save it anew (console, API or gatepost apply), remove it if it is not needed any more, or start the version that wrote it.";

const CONSEQUENCES: Readonly<Record<string, string>> = {
  domain: "Mail for and from the domain is put off with 451 meanwhile, and what is here waits.",
  sender:
    "The sender cannot send meanwhile, nor a server of its address hand in mail: it is put off with 454 or 451.",
  rule: "Mail the rule may hold for is put off with 451 meanwhile.",
  hook: "Mail it would have scanned is put off with 451 meanwhile.",
  listener: "The listener is not open meanwhile.",
  networks: "No network is trusted meanwhile: who relies on that is put off with 451.",
  template: "The product's own text is used in its place meanwhile.",
};

/** What is not as by default while the general settings cannot be read. */
const CLOSED: Readonly<Record<string, string>> = {
  log_keep: "nothing goes from the message log",
  quarantine_keep: "what is filed in the quarantine meanwhile stays there until somebody deletes it",
  self_service: "the page where senders set their passwords is closed",
  subject_warnings: "subjects have no warning in words",
  domain_age: "mail is put off with 451 where a rule asks for the age of a domain",
};

function settingsConsequence(fields: readonly string[]): string {
  if (fields.length === 0) return "All of it that this version knows is in force.";
  const closed = fields.flatMap((field) => CLOSED[field] ?? []);
  const other = fields.filter((field) => CLOSED[field] === undefined);
  return [
    "What of it can be read is in force.",
    ...(other.length === 0 ? [] : [`As by default: ${other.join(", ")}.`]),
    ...(closed.length === 0 ? [] : [`Of the rest it is not known what was set: ${closed.join("; ")}.`]),
  ].join(" ");
}

function deliveryConsequence(fields: readonly string[]): string {
  const held = "Mail to the outside is held in the queue meanwhile, and none of it is given up.";
  if (fields.includes("give_up_after"))
    return `${held} Mail to domains of this gateway is tried; none of it is given up either, and no sender is told of a delay.`;
  return fields.includes("delay_notice_after") ? `${held} No sender is told of a delay.` : held;
}

function consequenceOf(item: UnreadItem): string {
  const { section, fields = [] } = item;
  if (["rule", "hook", "listener"].includes(section) && staysOff(item))
    return "It was switched off or only observed, and that stays so.";
  if (section === "settings") return settingsConsequence(fields);
  if (section === "delivery") return deliveryConsequence(fields);
  if (section === "networks" && namedNetworks(item) === null)
    return "Nobody can tell who is trusted meanwhile: all mail that comes without a login is put off with 451.";
  return CONSEQUENCES[section] ?? "Nothing of it is in force.";
}

/** The name of its alarm. */
export function unreadAlarm(item: UnreadItem): AlarmName {
  const { section, key, secret } = item;
  const label = key === "" ? section : `${section} ${key}`;
  if (secret) return `secret of ${label}`;
  return isFelt(item) ? `setting ${label}` : `setting aside ${label}`;
}

/** What is wrong, what it means and what to do, for an alarm. */
export function unreadWords(item: UnreadItem): string {
  const { section, key, problems, partly } = item;
  const label = key === "" ? section : `${section} ${key}`;
  const why = problems.slice(0, 3).join("; ");
  if (partly !== undefined)
    return `The setting "${label}" cannot be carried out as it is stored (${why}). ${partly}`;
  if (section === CEILING)
    return `What an administrator of the gateway had set of "${key}" cannot be read (${why}). Administrators of domains cannot change or add it meanwhile: an administrator of the gateway must save it anew.`;
  return `The stored setting "${label}" cannot be read by this version (${why}). ${consequenceOf(item)} ${MEND}`;
}
