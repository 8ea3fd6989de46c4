// The differences between two sets of items, field by field, as data and in words. Secrets are never shown. No I/O.
import {
  isSecretAt,
  itemId,
  POLICY_SECTIONS,
  type PolicyItem,
  type PolicyItems,
  withoutSecrets,
} from "./policy-document.ts";
import { rightsElsewhere } from "./removed-domain.ts";
import type { PolicyChange, PolicyProblem } from "./settings.ts";
import { amountsInWords } from "./small-values.ts";

const MAX_VALUE = 160;
/** `500 MB`, `0 (switched off: …)`: read well without quotes. */
const AMOUNT = /^\d+(?: [KMGT]B|s)?(?: \(switched off: [a-z ']+\))?$/;
const MAX_LINES = 40;
const MAX_ENTRIES = 8;

/** The last field of a path. */
function fieldOf(path: string): string {
  return path.slice(path.lastIndexOf(".") + 1);
}

/** How a secret is called: `password` for a sender's, else its path. */
function secretLabel(path: string): string {
  return path === "password_hash" ? "password" : path;
}

function showValue(value: unknown): string {
  if (value === undefined || value === null) return "none";
  const text =
    typeof value === "string" && (/^[\w.@:/*+[\]-]+$/.test(value) || AMOUNT.test(value))
      ? value
      : (JSON.stringify(value) ?? String(value));
  return text.length > MAX_VALUE ? `${text.slice(0, MAX_VALUE)}…` : text;
}

function isPlainList(value: unknown): value is readonly (string | number | boolean)[] {
  return Array.isArray(value) && value.every((entry) => typeof entry !== "object");
}

function few(entries: readonly unknown[]): string {
  const more = entries.length > MAX_ENTRIES ? ` and ${entries.length - MAX_ENTRIES} more` : "";
  return `${entries.slice(0, MAX_ENTRIES).map(showValue).join(", ")}${more}`;
}

function listDifference(before: readonly unknown[], after: readonly unknown[]): string {
  const had = new Set(before);
  const has = new Set(after);
  const added = after.filter((entry) => !had.has(entry));
  const removed = before.filter((entry) => !has.has(entry));
  if (added.length === 0 && removed.length === 0) return `${showValue(before)} → ${showValue(after)}`;
  const parts = [added.length > 0 ? `+ ${few(added)}` : "", removed.length > 0 ? `- ${few(removed)}` : ""];
  return parts.filter((part) => part !== "").join(", ");
}

function join(path: string, key: string): string {
  return path === "" ? key : `${path}.${key}`;
}

function differences(before: unknown, after: unknown, path: string): readonly string[] {
  if (Bun.deepEquals(before, after, true)) return [];
  if (isSecretAt(path)) {
    const what = before === undefined ? "set" : after === undefined ? "removed" : "changed";
    return [`${secretLabel(path)} ${what}`];
  }
  if (isPlainList(before) && isPlainList(after)) return [`${path} ${listDifference(before, after)}`];
  if (Array.isArray(before) && Array.isArray(after)) {
    const longest = Math.max(before.length, after.length);
    return Array.from({ length: longest }, (_, i) =>
      differences(before[i], after[i], `${path}[${i}]`),
    ).flat();
  }
  if (typeof before === "object" && typeof after === "object" && before !== null && after !== null) {
    const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
    return [...keys].flatMap((key) =>
      differences(Reflect.get(before, key), Reflect.get(after, key), join(path, key)),
    );
  }
  const shown = (value: unknown) => showValue(withoutSecrets(value, fieldOf(path)));
  return [`${path} ${shown(before)} → ${shown(after)}`];
}

/** The fields of an item alone, for one that comes or goes. */
function fieldLines(value: unknown, path: string): readonly string[] {
  if (value === undefined || value === null || (Array.isArray(value) && value.length === 0)) return [];
  if (isPlainList(value)) return [`${path} ${few(value)}`];
  if (Array.isArray(value)) return value.flatMap((inner, i) => fieldLines(inner, `${path}[${i}]`));
  if (typeof value === "object") {
    return Object.entries(value).flatMap(([key, inner]) => fieldLines(inner, join(path, key)));
  }
  if (isSecretAt(path)) return [`${secretLabel(path)} set`];
  return value === "" ? [] : [`${path} ${showValue(value)}`];
}

/** How an item is called: `domain example.test`, `delivery`. */
export function itemLabel(item: { readonly section: string; readonly key: string }): string {
  return item.key === "" ? item.section : `${item.section} ${item.key}`;
}

function wordsOf(item: PolicyItem, lines: readonly string[]): readonly string[] {
  const label = itemLabel(item);
  const shown = lines.slice(0, MAX_LINES).map((line) => `${label}: ${line}`);
  return lines.length > MAX_LINES
    ? [...shown, `${label}: and ${lines.length - MAX_LINES} more settings`]
    : shown;
}

/** What a sender may write besides its own domain is not seen from its name. */
function removedLines(item: PolicyItem): readonly string[] {
  const rights = item.section === "sender" ? rightsElsewhere(item.value) : null;
  return rights === null ? ["removed"] : ["removed", `what it may write for ${rights} goes too`];
}

function change(before: PolicyItem | undefined, after: PolicyItem | undefined): PolicyChange | null {
  const item = after ?? before;
  if (item === undefined || Bun.deepEquals(before, after, true)) return null;
  const kind = before === undefined ? "add" : after === undefined ? "remove" : "change";
  const worded = (one: PolicyItem | undefined) => amountsInWords(item.section, one?.value);
  const lines =
    kind === "add"
      ? fieldLines(withoutSecrets(worded(after)), "")
      : kind === "remove"
        ? removedLines(item)
        : differences(worded(before), worded(after), "");
  return {
    section: item.section,
    key: item.key,
    kind,
    before: before === undefined ? null : withoutSecrets(before.value),
    after: after === undefined ? null : withoutSecrets(after.value),
    words: wordsOf(item, lines),
  };
}

/** What changes from `before` to `after`, in the order of the sections. */
export function planChanges(before: PolicyItems, after: PolicyItems): readonly PolicyChange[] {
  const changes: PolicyChange[] = [];
  const ids = new Set([...before.keys(), ...after.keys()]);
  for (const id of ids) {
    const found = change(before.get(id), after.get(id));
    if (found !== null) changes.push(found);
  }
  const rank = new Map(POLICY_SECTIONS.map((section, i) => [section, i]));
  return changes.sort(
    (a, b) =>
      (rank.get(a.section) ?? 0) - (rank.get(b.section) ?? 0) ||
      (itemId(a.section, a.key) < itemId(b.section, b.key) ? -1 : 1),
  );
}

/**
 * What a file would overrule that others have set since it was handed in. Of two files the later one wins: what one that came before it has
 * put there (`byFiles`, item by item) is nothing of others.
 */
export function overruled(
  changes: readonly PolicyChange[],
  { begun, byFiles }: { readonly begun: PolicyItems; readonly byFiles: ReadonlyMap<string, unknown> },
  now: PolicyItems,
): readonly PolicyProblem[] {
  return changes
    .filter(({ section, key }) => {
      const id = itemId(section, key);
      const value = now.get(id)?.value;
      if (byFiles.has(id) && Bun.deepEquals(byFiles.get(id), value)) return false;
      return !Bun.deepEquals(begun.get(id)?.value, value);
    })
    .map(({ section, key }) => ({
      path: `${section} ${key}`.trim(),
      message: "was changed by somebody else while this file was being worked out; look at the plan again",
    }));
}
