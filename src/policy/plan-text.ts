// A plan as people read it on a terminal or in the console.
import { itemLabel } from "./plan-changes.ts";
import type { PlanResult, PolicyChange } from "./settings.ts";

const SIGN: Readonly<Record<PolicyChange["kind"], string>> = { add: "+", change: "~", remove: "-" };

function changeLines(change: PolicyChange): readonly string[] {
  const label = itemLabel(change);
  const heading = `${SIGN[change.kind]} ${label}`;
  const lines = change.words.map((words) =>
    words.startsWith(`${label}: `) ? words.slice(label.length + 2) : words,
  );
  // That it goes says the heading; what goes with it does not.
  const shown = change.kind === "remove" ? lines.filter((words) => words !== "removed") : lines;
  return [heading, ...shown.map((words) => `    ${words}`)];
}

function count(changes: readonly PolicyChange[], kind: PolicyChange["kind"]): number {
  return changes.filter((change) => change.kind === kind).length;
}

function summary(changes: readonly PolicyChange[], done: boolean): string {
  const parts = [
    [count(changes, "add"), done ? "added" : "to add"],
    [count(changes, "change"), done ? "changed" : "to change"],
    [count(changes, "remove"), done ? "removed" : "to remove"],
  ] as const;
  return `${parts
    .filter(([n]) => n > 0)
    .map(([n, words]) => `${n} ${words}`)
    .join(", ")}.`;
}

/** The plan as lines of text, with a line break at the end. `done`: it has been carried out. */
export function planText(result: PlanResult, options: { readonly done: boolean } = { done: false }): string {
  if (!result.ok) {
    const lines = result.problems.map((p) => (p.path === "" ? p.message : `${p.path}: ${p.message}`));
    const heading = `The policy has ${lines.length === 1 ? "a problem" : `${lines.length} problems`}; nothing was changed.`;
    return `${[heading, ...lines.map((line) => `  ${line}`)].join("\n")}\n`;
  }
  const { changes, warnings } = result;
  const lines =
    changes.length === 0
      ? ["No change."]
      : [...changes.flatMap(changeLines), "", summary(changes, options.done)];
  if (result.unfinished !== undefined)
    lines.push("", "Set, but not done yet:", ...result.unfinished.map((what) => `! ${what}`));
  if (warnings.length > 0) lines.push("", ...warnings.map((warning) => `! ${warning}`));
  return `${lines.join("\n")}\n`;
}
