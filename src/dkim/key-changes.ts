// What may become of DKIM keys and what it changes (pending → active → retiring). Pure: the book commits it.
import type { DkimKeyRow } from "../store/dkim-rows.ts";
import type { DomainKeys, KeyChange } from "./key-book.ts";

/** What is to be written; with a refusal, in words, what was found out all the same. */
export interface KeyDecision {
  readonly changes: readonly KeyChange[];
  readonly refusal?: string;
}

// A message signed a moment before the rotation may be under way for five days, and is read by slow readers after that.
const RETIRE_AFTER_MS = 7 * 86_400_000;
const MAX_KEYS = 20;

/** Signs from now on when it is published; the key of its kind that did so far steps back in the same commit, so there is no gap. */
export function activation(wish: {
  readonly present: DkimKeyRow;
  readonly all: DomainKeys;
  readonly at: number;
  readonly by: string;
}): KeyDecision {
  const { present, all, at, by } = wish;
  const looked: KeyChange = { kind: "update", row: present, audit: null };
  if (present.state === "active")
    return { changes: [looked], refusal: `The key "${present.selector}" signs already.` };
  if (present.publicationState !== "published") {
    const refusal = `The key "${present.selector}" cannot sign yet, because receivers could not verify it. ${present.publicationWords}`;
    return { changes: [looked], refusal };
  }
  const before = all.filter(({ state, algorithm }) => state === "active" && algorithm === present.algorithm);
  const audit = { by, action: "dkim key activated", detail: present.algorithm };
  const row: DkimKeyRow = { ...present, state: "active", activatedAt: at, retireAt: null };
  return {
    changes: [
      { kind: "update", row, audit },
      ...before.map((old) => retirement(old, { at, by, detail: `"${present.selector}" signs in its place` })),
    ],
  };
}

/** Signs no more; its record must stay until what it signed has arrived. */
export function retirement(
  row: DkimKeyRow,
  { at, by, detail }: { readonly at: number; readonly by: string; readonly detail: string },
): KeyChange {
  const audit = { by, action: "dkim key retired", detail };
  return { kind: "update", row: { ...row, state: "retiring", retireAt: at + RETIRE_AFTER_MS }, audit };
}

/** Why the domain cannot have a key of that selector, in words; null: it can. */
export function refuseNew(rows: DomainKeys, selector: string): string | null {
  if (rows.some((row) => row.selector === selector))
    return `There is a key "${selector}" already; choose another selector.`;
  return rows.length >= MAX_KEYS
    ? `The domain has ${MAX_KEYS} keys already; remove those that no longer sign.`
    : null;
}
