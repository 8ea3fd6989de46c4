// Header edits of several rules gathered for one copy. Parts of one named rule share a header line and a subject mark.
import type { HeaderEdit } from "../message/header-edit.ts";
import type { Rule } from "./rule.ts";

/** A header edit and the name of the rule it comes from. */
export interface OwnedEdit {
  readonly rule: string;
  readonly edit: HeaderEdit;
}

/** One edit out of two of the same rule, or null when they stand apart. */
function joined(before: HeaderEdit, next: HeaderEdit): HeaderEdit | null {
  if (before.kind === "add" && next.kind === "add") {
    if (before.name.toLowerCase() !== next.name.toLowerCase()) return null;
    return before.value === next.value ? before : { ...before, value: `${before.value} ${next.value}` };
  }
  if (before.kind !== "subject" || next.kind !== "subject") return null;
  if (before.prefix.includes(next.prefix) && before.suffix.includes(next.suffix)) return before;
  return { kind: "subject", prefix: next.prefix + before.prefix, suffix: before.suffix + next.suffix };
}

/** The edits gathered so far and those of `rule`; a later subject mark stands outside the earlier ones. */
export function collectEdits(gathered: readonly OwnedEdit[], rule: Rule): readonly OwnedEdit[] {
  if (rule.edits.length === 0) return gathered;
  const all = [...gathered];
  for (const edit of rule.edits) {
    let merged = false;
    for (const [i, owned] of all.entries()) {
      const both = owned.rule === rule.name ? joined(owned.edit, edit) : null;
      if (both === null) continue;
      all[i] = { rule: owned.rule, edit: both };
      merged = true;
      break;
    }
    if (!merged) all.push({ rule: rule.name, edit });
  }
  return all;
}
