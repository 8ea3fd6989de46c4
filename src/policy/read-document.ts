// A policy document (parsed TOML or JSON, from a person, a token or a hostile client) to checked items, or to problems by path.
// Checks each item for itself; how items fit together is in cross-check.ts. No I/O.
import { didYouMean } from "../rules/nearest-name.ts";
import {
  isGiven,
  keepAlertSecrets,
  keepSmarthostPassword,
  lacksSmarthostPassword,
  NOTHING_HIDDEN,
} from "./keep-secrets.ts";
import { readNone } from "./nullable-words.ts";
import {
  HIDDEN,
  isListSection,
  itemKey,
  POLICY_SECTIONS,
  type PolicyItem,
  policySection,
} from "./policy-document.ts";
import { POLICY_SCHEMAS, type Policy, type SenderSettings, senderSchema } from "./schema.ts";
import { parseWith, type SchemaAnswer } from "./schema-words.ts";
import type { PolicyProblem, PolicySection } from "./settings.ts";

/** An item a document asks for. */
export interface WantedItem {
  readonly item: PolicyItem;
  /** Where it stands in the document: `domain[0]`. */
  readonly path: string;
  /** A new password in clear text, or null. It goes no further than the hash. */
  readonly password: string | null;
  /** A new password for CRAM-MD5 as written, or null. It goes no further than its sealed form. */
  readonly cramPassword: string | null;
}

export interface ReadDocument {
  readonly wanted: readonly WantedItem[];
  /** Sections the document names, also as an empty list. */
  readonly named: ReadonlySet<PolicySection>;
}

export type ReadAnswer =
  | { readonly ok: true; readonly value: ReadDocument }
  | { readonly ok: false; readonly problems: readonly PolicyProblem[] };

const MAX_DEPTH = 8;
const MAX_VALUES = 1_000_000;
const MAX_ITEMS = 50_000;
const MAX_TEXT = 100_000;
const MAX_PROBLEMS = 100;

type Table = Readonly<Record<string, unknown>>;

function isTable(value: unknown): value is Table {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

/** Why a document is too large to look at, or null. Counts before any schema runs, so that a hostile one costs little. */
function oversized(document: unknown): string | null {
  let left = MAX_VALUES;
  const tooMany = `has more than ${MAX_VALUES} values; split it into several documents`;
  const visit = (value: unknown, depth: number): string | null => {
    if (--left < 0) return tooMany;
    if (typeof value === "string" && value.length > MAX_TEXT)
      return `holds a text of more than ${MAX_TEXT} characters`;
    if (typeof value !== "object" || value === null) return null;
    if (depth >= MAX_DEPTH) return `is nested deeper than ${MAX_DEPTH} levels`;
    // A list is walked as it lies: Object.values would first name each of a million places.
    const inners: readonly unknown[] = Array.isArray(value) ? value : Object.values(value);
    if (inners.length > left) return tooMany;
    for (const inner of inners) {
      const reason = visit(inner, depth + 1);
      if (reason !== null) return reason;
    }
    return null;
  };
  return visit(document, 0);
}

/** Parses one item in its stored or its written form. */
export function parseItem(section: PolicySection, input: unknown, path: string): SchemaAnswer<PolicyItem> {
  const answer: SchemaAnswer<PolicyItem["value"]> = parseWith(POLICY_SCHEMAS[section], input, path);
  if (!answer.ok) return answer;
  // The table above pairs each section with its own schema; the compiler cannot follow the pair through the union.
  const item = { section, key: itemKey(section, answer.value), value: answer.value } as PolicyItem;
  return { ok: true, value: item };
}

type TakenSecret =
  | { readonly ok: true; readonly input: unknown; readonly secret: string | null }
  | { readonly ok: false; readonly problem: PolicyProblem };

/** Takes a secret in clear text out of a sender's input, before the schema, which knows stored forms only. */
function takeSecret(input: unknown, field: "password" | "cram_password", path: string): TakenSecret {
  if (!isTable(input) || !Object.hasOwn(input, field)) return { ok: true, input, secret: null };
  const { [field]: secret, ...rest } = input;
  if (secret === null || secret === HIDDEN || secret === "") return { ok: true, input: rest, secret: null };
  if (typeof secret !== "string") {
    return { ok: false, problem: { path: `${path}.${field}`, message: "must be text in quotes" } };
  }
  if (field === "cram_password") return { ok: true, input: rest, secret };
  // A new password replaces a hash that is given with it: forms send the stored item back.
  const { password_hash: _, ...withoutHash } = rest;
  return { ok: true, input: withoutHash, secret };
}

interface Reading {
  readonly current: Policy;
  /** What is stored of senders, by their key. */
  readonly stored: ReadonlyMap<string, SenderSettings>;
  readonly prune: boolean;
  readonly problems: PolicyProblem[];
  readonly wanted: WantedItem[];
}

const NO_SECRETS = { password: null, cramPassword: null } as const;

function readListItem(reading: Reading, section: PolicySection, input: unknown, path: string): void {
  if (section === "sender") {
    readSender(reading, input, path);
    return;
  }
  const read = readNone(POLICY_SCHEMAS[section], input);
  const kept = section === "domain" ? keepAlertSecrets(read, reading.current) : { input: read, problems: [] };
  if (kept.problems.length > 0) {
    reading.problems.push(
      ...kept.problems.map((problem) => ({ ...problem, path: `${path}.${problem.path}` })),
    );
    return;
  }
  const answer = parseItem(section, kept.input, path);
  if (!answer.ok) reading.problems.push(...answer.problems);
  else reading.wanted.push({ item: answer.value, path, ...NO_SECRETS });
}

function readSender(reading: Reading, given: unknown, path: string): void {
  const hidden = hiddenSecrets(given);
  const input = withoutHiddenHash(readNone(senderSchema, given));
  const password = takeSecret(input, "password", path);
  const cram = password.ok ? takeSecret(password.input, "cram_password", path) : password;
  if (!password.ok || !cram.ok) {
    reading.problems.push(...[password, cram].flatMap((one) => (one.ok ? [] : [one.problem])).slice(0, 1));
    return;
  }
  const answer = parseItem("sender", cram.input, path);
  if (!answer.ok) {
    reading.problems.push(...answer.problems);
    return;
  }
  const item = keepSecrets(reading.stored, answer.value);
  const lost = hidden.find(({ kept }) => Reflect.get(item.value, kept) === undefined);
  if (lost !== undefined) {
    reading.problems.push({ path: `${path}.${lost.field}`, message: NOTHING_HIDDEN });
    return;
  }
  const secrets = { password: password.secret, cramPassword: cram.secret };
  const misplaced = refuseMisplacedSecret(item, secrets, path);
  if (misplaced !== null) reading.problems.push(misplaced);
  else reading.wanted.push({ item, path, ...secrets });
}

/** What a sender's input names as `***`, and where that is kept. */
function hiddenSecrets(input: unknown): readonly { readonly field: string; readonly kept: string }[] {
  if (!isTable(input)) return [];
  return [
    { field: "password_hash", kept: "password_hash" },
    { field: "password", kept: "password_hash" },
    { field: "cram_password", kept: "cram_password" },
  ].filter(({ field, kept }) => input[field] === HIDDEN && (field !== kept || !isGiven(input.password)));
}

function withoutHiddenHash(input: unknown): unknown {
  if (!isTable(input) || input.password_hash !== HIDDEN) return input;
  const { password_hash: _, ...rest } = input;
  return rest;
}

/** The schema sees stored forms only. What it would refuse there must not be stored: the next start would set the sender aside. */
function refuseMisplacedSecret(
  { value }: PolicyItem,
  { password, cramPassword }: Pick<WantedItem, "password" | "cramPassword">,
  path: string,
): PolicyProblem | null {
  const field = password !== null ? "password" : cramPassword !== null ? "cram_password" : null;
  if (field === null || !("kind" in value) || value.kind !== "ip") return null;
  const message = 'does not belong to a sender of kind "ip", which is known by its address; leave it out';
  return { path: `${path}.${field}`, message };
}

/** A sender given without its passwords keeps those it has. */
function keepSecrets(stored: ReadonlyMap<string, SenderSettings>, item: PolicyItem): PolicyItem {
  if (item.section !== "sender") return item;
  const { password_hash, cram_password } = stored.get(item.key) ?? {};
  const kept = {
    ...(password_hash === undefined || item.value.password_hash !== undefined ? {} : { password_hash }),
    ...(cram_password === undefined ? {} : { cram_password }),
  };
  return { ...item, value: { ...item.value, ...kept } };
}

function readList(reading: Reading, section: PolicySection, value: unknown): void {
  if (!Array.isArray(value)) {
    const message = `must be a list: write [[${section}]] before each of its items`;
    reading.problems.push({ path: section, message });
    return;
  }
  if (value.length > MAX_ITEMS) {
    reading.problems.push({
      path: section,
      message: `has ${value.length} items; at most ${MAX_ITEMS} are allowed`,
    });
    return;
  }
  const start = reading.wanted.length;
  for (const [i, input] of value.entries()) readListItem(reading, section, input, `${section}[${i}]`);
  const seen = new Map<string, string>();
  for (const { item, path } of reading.wanted.slice(start)) {
    const before = seen.get(item.key);
    if (before === undefined) seen.set(item.key, path);
    else
      reading.problems.push({
        path,
        message: `is the second ${section} "${item.key}"; the first is ${before}`,
      });
  }
}

function readObject(reading: Reading, section: "networks" | "delivery" | "settings", value: unknown): void {
  if (!isTable(value)) {
    reading.problems.push({ path: section, message: `must be a table: write [${section}]` });
    return;
  }
  const read = readNone(POLICY_SCHEMAS[section], value);
  const input = section === "delivery" ? keepSmarthostPassword(read, reading.current) : read;
  const lacks = section === "delivery" ? lacksSmarthostPassword(read, reading.current) : null;
  if (lacks !== null) {
    reading.problems.push(lacks);
    return;
  }
  // Settings the document does not name are left alone; with prune they go back to their defaults.
  const whole = reading.prune || !isTable(input) ? input : { ...reading.current[section], ...input };
  const answer = parseItem(section, whole, section);
  if (answer.ok) reading.wanted.push({ item: answer.value, path: section, ...NO_SECRETS });
  else reading.problems.push(...answer.problems);
}

/** At most `MAX_PROBLEMS`, so that an answer stays readable. */
export function cutProblems(problems: readonly PolicyProblem[]): readonly PolicyProblem[] {
  if (problems.length <= MAX_PROBLEMS) return problems;
  const more = problems.length - MAX_PROBLEMS;
  return [...problems.slice(0, MAX_PROBLEMS), { path: "", message: `and ${more} more problems` }];
}

/** Reads a document against the present policy. */
export function readDocument(
  document: unknown,
  options: { readonly current: Policy; readonly prune: boolean },
): ReadAnswer {
  if (!isTable(document)) {
    return {
      ok: false,
      problems: [{ path: "", message: "the policy must be a table of sections such as [[domain]]" }],
    };
  }
  const tooLarge = oversized(document);
  if (tooLarge !== null) return { ok: false, problems: [{ path: "", message: `the policy ${tooLarge}` }] };
  const stored = new Map(options.current.sender.map((sender) => [itemKey("sender", sender), sender]));
  const reading: Reading = { ...options, stored, problems: [], wanted: [] };
  const named = new Set<PolicySection>();
  for (const [name, value] of Object.entries(document)) {
    const section = policySection(name);
    if (section === null) {
      const message = `is not a section of the policy${didYouMean(name.slice(0, 60), POLICY_SECTIONS)}`;
      reading.problems.push({ path: name.slice(0, 60), message });
      continue;
    }
    named.add(section);
    if (section === "networks" || section === "delivery" || section === "settings")
      readObject(reading, section, value);
    else if (isListSection(section)) readList(reading, section, value);
  }
  if (reading.problems.length > 0) return { ok: false, problems: cutProblems(reading.problems) };
  return { ok: true, value: { wanted: reading.wanted, named } };
}
