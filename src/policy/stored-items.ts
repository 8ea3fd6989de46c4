// Between stored rows and the items in force. An item this version refuses is set aside, never changed and never fatal. No I/O.
import { parseNetwork } from "../message/address.ts";
import { shippedRule } from "../rules/shipped-rules.ts";
import { type Ceiling, ceilingOf, type ItemChange, nextCeiling } from "./ceiling.ts";
import { heldToDomain } from "./domain-ceiling.ts";
import {
  DEFAULT_ITEMS,
  itemId,
  itemKey,
  type PolicyItem,
  type PolicyItems,
  policySection,
} from "./policy-document.ts";
import { CEILINGS, type StoredChange, type StoredItem } from "./policy-store.ts";
import { parseItem } from "./read-document.ts";
import { withoutGrants } from "./removed-domain.ts";
import { deliverySchema, networksSchema, type SenderSettings, settingsSchema } from "./schema.ts";
import type { PolicyChange, PolicySection } from "./settings.ts";
import { SHIPPED_TEMPLATES } from "./shipped-templates.ts";
import { readableFields, type UnreadItem } from "./unread.ts";

export interface StoredPolicy {
  readonly items: PolicyItems;
  /** By `itemId`. */
  readonly refused: ReadonlyMap<string, UnreadItem>;
  /** What is kept of the operator's, by `itemId`. */
  readonly ceilings: Ceilings;
}

export type Ceilings = ReadonlyMap<string, Ceiling>;

/** Reads what is stored. */
export function readStored(stored: readonly StoredItem[]): StoredPolicy {
  const items = new Map(DEFAULT_ITEMS);
  const refused = new Map<string, UnreadItem>();
  const ceilings = new Map<string, Ceiling>();
  for (const row of stored) {
    if (row.section === CEILINGS) {
      if (isTable(row.value)) ceilings.set(row.key, row.value);
      else {
        refused.set(`${CEILINGS} ${row.key}`, { ...row, problems: ["is not what an administrator set"] });
        // Somebody else has changed the sender since: all of it is held to what the operator set for its domain.
        if (row.key.startsWith("sender ")) ceilings.set(row.key, {});
      }
      continue;
    }
    const section = policySection(row.section);
    const answer =
      section === null
        ? {
            ok: false as const,
            problems: [{ path: row.section, message: "is not a section this version knows" }],
          }
        : sameItem(row, parseItem(section, row.value, row.section));
    const { lost: secrets, ...stored } = row;
    if (answer.ok) items.set(itemId(answer.value.section, answer.value.key), answer.value);
    if (answer.ok && secrets === undefined) continue;
    const problems = answer.ok
      ? (secrets ?? []).map((path) => `${path}: was sealed by another key`)
      : answer.problems.map((problem) => `${problem.path}: ${problem.message}`);
    // Without its password the smart host would refuse everything for good; all else works without its secret, and says so.
    const partly =
      answer.ok && row.section !== "delivery"
        ? { partly: "Give the secret again.", secret: true as const }
        : {};
    const found = answer.ok ? null : readableObject(row);
    if (found !== null) items.set(itemId(found.item.section, ""), found.item);
    const fields = found === null ? {} : { fields: found.lost };
    refused.set(`${row.section} ${row.key}`, { ...stored, problems, ...fields, ...partly });
  }
  return { items, refused, ceilings };
}

/** An item that names another than its row does would take that one's place, and its own would be gone without a word. */
function sameItem(
  { section, key }: StoredItem,
  answer: ReturnType<typeof parseItem>,
): ReturnType<typeof parseItem> {
  if (!answer.ok || keyOf(key) === keyOf(answer.value.key)) return answer;
  const message = `is stored as that of "${key}", and names "${answer.value.key}"`;
  return { ok: false, problems: [{ path: section, message }] };
}

/** However it is written: an older version may have written it in another way. */
function keyOf(text: string): string {
  const network = parseNetwork(text);
  return network.ok ? network.value : text.toLowerCase();
}

/** What can be read of a section that holds one object: forms show it, and its times and limits hold. */
function readableObject({
  section,
  value,
}: StoredItem): { readonly item: PolicyItem; readonly lost: readonly string[] } | null {
  switch (section) {
    case "networks": {
      const { input, lost } = readableFields(networksSchema.shape, value);
      return { item: { section, key: "", value: networksSchema.parse(input) }, lost };
    }
    case "delivery": {
      const { input, lost } = readableFields(deliverySchema.shape, value);
      return { item: { section, key: "", value: deliverySchema.parse(input) }, lost };
    }
    case "settings": {
      const { input, lost } = readableFields(settingsSchema.shape, value);
      // What may have been off does not act: the page where senders set passwords, words in subjects.
      const off = ["self_service", "subject_warnings"].filter((field) => lost.includes(field));
      const closed = Object.fromEntries(off.map((field) => [field, false]));
      return { item: { section, key: "", value: settingsSchema.parse({ ...input, ...closed }) }, lost };
    }
    default:
      return null;
  }
}

function isTable(value: unknown): value is Ceiling {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** What was before and what is to be: the items, and what is kept of the operator's. */
export interface ItemsBefore {
  readonly items: PolicyItems;
  readonly ceilings: Ceilings;
}

/** An item that changes, with what is kept of the operator's. */
export function itemChange(
  { section, key }: Pick<PolicyChange, "section" | "key">,
  { items, ceilings }: ItemsBefore,
  after: PolicyItems,
): ItemChange {
  const id = itemId(section, key);
  return {
    before: items.get(id) ?? null,
    after: after.get(id) ?? null,
    ceiling: ceilings.get(id) ?? null,
    ofDomain: (name) => domainCeiling({ items, ceilings }, name),
  };
}

/** What the operator set for a domain, or for the nearest one above it: `web1.example.org` is of `example.org`. */
function domainCeiling({ items, ceilings }: ItemsBefore, name: string): Ceiling {
  for (let rest = name; rest !== ""; rest = rest.includes(".") ? rest.slice(rest.indexOf(".") + 1) : "") {
    const id = itemId("domain", rest);
    const item = items.get(id);
    if (item !== undefined) return ceilings.get(id) ?? ceilingOf(item);
  }
  return {};
}

/** Makes the look-up: a sender as it is held to what the operator set for the domains it writes for. */
export function heldSenders(now: ItemsBefore): (sender: SenderSettings) => SenderSettings {
  const known = new Map<string, Ceiling>();
  const ofDomain = (name: string): Ceiling => {
    const ceiling = known.get(name) ?? domainCeiling(now, name);
    known.set(name, ceiling);
    return ceiling;
  };
  return (sender) => {
    const own = now.ceilings.get(itemId("sender", itemKey("sender", sender)));
    // Nobody but the operator has changed it.
    return own === undefined ? sender : heldToDomain(sender, { own, ofDomain });
  };
}

/** Pairs each change, whose values are redacted, with the value to store, and with what is kept of the operator's where that changes. */
export function storedChanges(
  changes: readonly PolicyChange[],
  before: ItemsBefore & { readonly byOperator: boolean; readonly unread: StoredPolicy["refused"] },
  items: PolicyItems,
): readonly StoredChange[] {
  return changes.map((change) => {
    const { section, key } = change;
    const unread = before.unread.has(`${CEILINGS} ${itemId(section, key)}`);
    const read = itemChange(change, before, items);
    const of = unread ? { ...read, ceiling: null } : read;
    const ceiling = nextCeiling(of, before.byOperator);
    const same = !unread && Bun.deepEquals(ceiling, of.ceiling);
    return { section, key, value: of.after?.value ?? null, change, ...(same ? {} : { ceiling }) };
  });
}

/** Items that are written though they are as they were: they cannot be read, or what the operator had set of them. */
export function idsToSaveAnew(refused: StoredPolicy["refused"]): ReadonlySet<string> {
  return new Set([...refused].map(([id, { section, key }]) => (section === CEILINGS ? key : id)));
}

/** What can be read once the changes are stored, by the ids of what could not. */
export function settledIds(stored: readonly StoredChange[]): ReadonlySet<string> {
  return new Set(
    stored.flatMap(({ section, key, ceiling }) => {
      const id = `${section} ${key}`;
      return ceiling === undefined ? [id] : [id, `${CEILINGS} ${id}`];
    }),
  );
}

/** The ceilings as they are when the changes are stored. */
export function ceilingsAfter(ceilings: Ceilings, stored: readonly StoredChange[]): Ceilings {
  const next = new Map(ceilings);
  for (const { section, key, ceiling } of stored) {
    if (ceiling === null) next.delete(`${section} ${key}`);
    else if (ceiling !== undefined) next.set(`${section} ${key}`, ceiling);
  }
  return next;
}

/** The change that removes an item nobody can read. */
export function removalOf({ section: name, key }: UnreadItem): StoredChange {
  const section = policySection(name) ?? "settings";
  const words = [`${name} ${key}: removed`];
  return {
    section: name,
    key,
    value: null,
    change: { section, key, kind: "remove", before: null, after: null, words },
  };
}

/** Items nobody can read that a whole file does not name go with the others it does not name. What reads but for a secret goes as one of those. */
export function prunedUnread(
  refused: StoredPolicy["refused"],
  {
    prune,
    document,
    items,
    draft,
  }: {
    readonly prune: boolean;
    readonly document: unknown;
    /** Before the change, and after it. */
    readonly items: PolicyItems;
    readonly draft: PolicyItems;
  },
): readonly { readonly item: UnreadItem; readonly change: PolicyChange }[] {
  if (!prune) return [];
  const listeners = typeof document === "object" && document !== null && Object.hasOwn(document, "listener");
  return [...refused].flatMap(([id, item]) => {
    const spared = item.section === CEILINGS || (item.section === "listener" && !listeners);
    if (item.key === "" || spared || draft.has(id) || items.has(id)) return [];
    return [{ item, change: removalOf(item).change }];
  });
}

/**
 * The items without one. A domain takes its senders with it, and that others may send in its name; what other items say of an own rule
 * or a template that goes is taken out of them.
 */
export function withoutItem(items: PolicyItems, section: PolicySection, key: string): PolicyItems {
  const rule = section === "rule" && shippedRule(key) === null;
  const domains = new Set(
    [...items.values()].flatMap((item) => (item.section === "domain" ? [item.key] : [])),
  );
  if (section === "domain") domains.add(key);
  const unnamed = (item: PolicyItem): PolicyItem => {
    if (section === "domain") return withoutGrants(item, key, domains);
    return rule ? withoutRule(item, key) : section === "template" ? withoutTemplate(item, key) : item;
  };
  const next = new Map<string, PolicyItem>();
  for (const [id, item] of items) {
    const along = section === "domain" && item.section === "sender" && item.value.domain === key;
    if (id !== itemId(section, key) && !along) next.set(id, unnamed(item));
  }
  return next;
}

/** Senders that were told by it are told by the product's own text. */
function withoutTemplate(item: PolicyItem, name: string): PolicyItem {
  if (item.section !== "sender" || item.value.lock.template !== name || SHIPPED_TEMPLATES.includes(name))
    return item;
  return { ...item, value: { ...item.value, lock: { ...item.value.lock, template: "lock-notice" } } };
}

function withoutRule(item: PolicyItem, name: string): PolicyItem {
  if (item.section === "domain" && item.value.rules?.includes(name)) {
    return { ...item, value: { ...item.value, rules: item.value.rules.filter((rule) => rule !== name) } };
  }
  if (item.section === "sender" && item.value.rules.includes(name)) {
    return { ...item, value: { ...item.value, rules: item.value.rules.filter((rule) => rule !== name) } };
  }
  return item;
}
