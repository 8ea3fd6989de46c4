// Saving a policy form: the difference somebody made → input → `settings.change`, with what was wrong handed back for the page to show.
import { isListSection } from "../../policy/policy-document.ts";
import type { PolicyProblem, PolicySection, WantedInput } from "../../policy/settings.ts";
import { actorOf } from "../actor.ts";
import type { ConsoleContext } from "../console-env.ts";
import { type FieldGroup, fieldsOf, MORE_ROWS, type OptionalObject } from "./field.ts";
import { readForm, rowCount, withoutEmptyRows, withoutSection } from "./form-input.ts";
import { type SavedWords, savedWords } from "./saved-words.ts";
import { differenceTo } from "./shown-values.ts";

export type SaveResult =
  | { readonly kind: "saved"; readonly notice: SavedWords }
  /** Show the form again: with problems, or with one more row that was asked for. */
  | { readonly kind: "again"; readonly form: URLSearchParams; readonly problems: readonly PolicyProblem[] };

export interface SaveOptions {
  readonly section: PolicySection;
  /** Of the item that is being changed; `""` for a new one, and in a section that holds one object. */
  readonly key: string;
  readonly groups: readonly FieldGroup[];
  readonly optionalObjects?: readonly OptionalObject[];
  /** The form of an item as a page shows it; null: of a new one. */
  readonly filled: (now: object | null) => URLSearchParams;
  /** Last changes to the input, and problems only this page can see. `now` is the item as it is, or null. */
  readonly finish?: (input: Record<string, unknown>, now: object | null) => readonly PolicyProblem[];
}

/** Reads the posted form and saves it. */
export async function savePolicyForm(c: ConsoleContext, options: SaveOptions): Promise<SaveResult> {
  const { section, key, groups } = options;
  const posted = c.get("form");
  const more = posted.get(MORE_ROWS);
  if (more !== null) return { kind: "again", form: withMoreRows(posted, more, groups), problems: [] };
  let form = withoutEmptyRows(groups, posted);
  const want = (now: object | null): WantedInput => {
    if (now === null && key !== "")
      return { ok: false, problems: [{ path: "", message: "It was removed meanwhile." }] };
    const difference = differenceTo(options.filled(now), form, groups);
    form = difference.form;
    const read = readForm(groups, form, options.optionalObjects);
    const input = mergeStored(options, read.input, now);
    const own = options.finish?.(input, now) ?? [];
    const problems = [...difference.problems, ...read.problems, ...own];
    return problems.length > 0 ? { ok: false, problems } : { ok: true, input };
  };
  const result = await c.get("services").settings.change({ section, key }, want, actorOf(c));
  if (!result.ok) return { kind: "again", form, problems: withoutSection(result.problems, section) };
  return { kind: "saved", notice: savedWords(section, result) };
}

/**
 * What the form does not show is kept; what it shows and was left empty is meant to be empty. Secrets, and all that a document leaves out
 * of a section that holds one object, are kept by the settings.
 */
function mergeStored(
  { section, groups }: SaveOptions,
  input: Readonly<Record<string, unknown>>,
  now: object | null,
): Record<string, unknown> {
  const merged: Record<string, unknown> = { ...(isListSection(section) ? now : null), ...input };
  const shown = new Set(fieldsOf(groups).map((field) => field.name.split(".")[0] ?? ""));
  for (const key of shown) if (!(key in input)) delete merged[key];
  return merged;
}

function withMoreRows(posted: URLSearchParams, name: string, groups: readonly FieldGroup[]): URLSearchParams {
  const form = new URLSearchParams(posted);
  form.delete(MORE_ROWS);
  const field = groups.flatMap((group) => group.fields).find((one) => one.name === name);
  if (field?.kind !== "rows") return form;
  const next = rowCount(form, name);
  for (const column of field.columns) form.set(`${name}[${next}].${column.name}`, "");
  return form;
}
