// Between stored rows and the items in force. An item this version refuses is set aside, never changed and never fatal. No I/O.
import { shippedRule } from "../rules/shipped-rules.ts";
import { type Ceiling, type ItemChange, nextCeiling } from "./ceiling.ts";
import {
  DEFAULT_ITEMS,
  itemId,
  type PolicyItem,
  type PolicyItems,
  policySection,
} from "./policy-document.ts";
import { CEILINGS, type StoredChange, type StoredItem } from "./policy-store.ts";
import { parseItem } from "./read-document.ts";
import type { PolicyChange, PolicySection } from "./settings.ts";
import { SHIPPED_TEMPLATES } from "./shipped-templates.ts";

/** A stored item that this version cannot use, and why. */
export interface RefusedItem extends StoredItem {
  readonly problems: readonly string[];
}

export interface StoredPolicy {
  readonly items: PolicyItems;
  /** By `itemId`. */
  readonly refused: ReadonlyMap<string, RefusedItem>;
  /** What is kept of the operator's, by `itemId`. */
  readonly ceilings: Ceilings;
}

export type Ceilings = ReadonlyMap<string, Ceiling>;

/** Reads what is stored. */
export function readStored(stored: readonly StoredItem[]): StoredPolicy {
  const items = new Map(DEFAULT_ITEMS);
  const refused = new Map<string, RefusedItem>();
  const ceilings = new Map<string, Ceiling>();
  for (const row of stored) {
    if (row.section === CEILINGS) {
      if (isTable(row.value)) ceilings.set(row.key, row.value);
      continue;
    }
    const section = policySection(row.section);
    const answer =
      section === null
        ? {
            ok: false as const,
            problems: [{ path: row.section, message: "is not a section this version knows" }],
          }
        : parseItem(section, row.value, row.section);
    if (answer.ok) items.set(itemId(answer.value.section, answer.value.key), answer.value);
    else {
      const problems = answer.problems.map((problem) => `${problem.path}: ${problem.message}`);
      refused.set(`${row.section} ${row.key}`, { ...row, problems });
    }
  }
  return { items, refused, ceilings };
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
  return { before: items.get(id) ?? null, after: after.get(id) ?? null, ceiling: ceilings.get(id) ?? null };
}

/** Pairs each change, whose values are redacted, with the value to store, and with what is kept of the operator's where that changes. */
export function storedChanges(
  changes: readonly PolicyChange[],
  before: ItemsBefore & { readonly byOperator: boolean },
  items: PolicyItems,
): readonly StoredChange[] {
  return changes.map((change) => {
    const { section, key } = change;
    const of = itemChange(change, before, items);
    const ceiling = nextCeiling(of, before.byOperator);
    const same = Bun.deepEquals(ceiling, of.ceiling);
    return { section, key, value: of.after?.value ?? null, change, ...(same ? {} : { ceiling }) };
  });
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
export function removalOf({ section: name, key }: RefusedItem): StoredChange {
  const section = policySection(name) ?? "settings";
  const words = [`${name} ${key}: removed`];
  return {
    section: name,
    key,
    value: null,
    change: { section, key, kind: "remove", before: null, after: null, words },
  };
}

/**
 * The items without one. A domain takes its senders with it; what other items say of an own rule or a template that goes is taken out
 * of them.
 */
export function withoutItem(items: PolicyItems, section: PolicySection, key: string): PolicyItems {
  const rule = section === "rule" && shippedRule(key) === null;
  const unnamed = (item: PolicyItem): PolicyItem =>
    rule ? withoutRule(item, key) : section === "template" ? withoutTemplate(item, key) : item;
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
