// What to tell after a form was saved: what changed, briefly, and the warnings that concern it.
import type { PlanResult, PolicyChange, PolicySection } from "../../policy/settings.ts";
import { listed } from "../words/amount.ts";

export interface SavedWords {
  readonly tone: "good" | "warn" | "info";
  readonly text: string;
}

const MOST_CHANGES = 4;

/** `change.words` name the item again and again; the notice names it once. */
function wordsOf(change: PolicyChange): string {
  const prefix = `${change.section} ${change.key}`.trim();
  switch (change.kind) {
    case "add":
      return `${prefix} was added.`;
    case "remove":
      return `${prefix} was removed.`;
    case "change": {
      const words = change.words.map((line) => line.replace(`${prefix}: `, ""));
      return `${prefix}: ${listed(words, MOST_CHANGES)}.`;
    }
  }
}

/** The notice for a saved form. Warnings about other items are left to their own pages. */
export function savedWords(
  section: PolicySection,
  result: Omit<Extract<PlanResult, { ok: true }>, "ok">,
): SavedWords {
  if (result.changes.length === 0)
    return { tone: "info", text: "Nothing was different; nothing was changed." };
  const ours = new Set(result.changes.map((change) => `${section} ${change.key}`.trim()));
  const warnings = result.warnings.filter((warning) => [...ours].some((name) => warning.startsWith(name)));
  const text = result.changes.map(wordsOf).join(" ");
  const unfinished = section === "listener" ? (result.unfinished ?? []) : [];
  if (unfinished.length > 0)
    return { tone: "warn", text: `Saved, but not done yet: ${[...unfinished, text].join(" ")}` };
  if (warnings.length === 0) return { tone: "good", text: `Saved: ${text}` };
  return { tone: "warn", text: `Saved: ${text} Mind: ${warnings.join("; ")}.` };
}
