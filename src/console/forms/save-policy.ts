// Saving a policy form: typed text → input → `settings.put`, with what was wrong handed back for the page to show.
import type { PolicyProblem, PolicySection } from "../../policy/settings.ts";
import { actorOf } from "../actor.ts";
import type { ConsoleContext } from "../console-env.ts";
import { type FieldGroup, MORE_ROWS, type OptionalObject } from "./field.ts";
import { readForm, rowCount, withoutEmptyRows, withoutSection } from "./form-input.ts";
import { type SavedWords, savedWords } from "./saved-words.ts";

export type SaveResult =
  | { readonly kind: "saved"; readonly notice: SavedWords }
  /** Show the form again: with problems, or with one more row that was asked for. */
  | { readonly kind: "again"; readonly form: URLSearchParams; readonly problems: readonly PolicyProblem[] };

export interface SaveOptions {
  readonly section: PolicySection;
  readonly groups: readonly FieldGroup[];
  readonly optionalObjects?: readonly OptionalObject[];
  /** The stored item that is being changed, or null for a new one: what the form does not show is kept from it. */
  readonly stored: object | null;
  /** Last changes to the input, and problems only this page can see. */
  readonly finish?: (
    input: Record<string, unknown>,
  ) => readonly PolicyProblem[] | Promise<readonly PolicyProblem[]>;
}

/** Reads the posted form and saves it. */
export async function savePolicyForm(c: ConsoleContext, options: SaveOptions): Promise<SaveResult> {
  const posted = c.get("form");
  const more = posted.get(MORE_ROWS);
  if (more !== null) return { kind: "again", form: withMoreRows(posted, more, options.groups), problems: [] };
  const form = withoutEmptyRows(options.groups, posted);
  const read = readForm(options.groups, form, options.optionalObjects);
  const input = mergeStored(options, read.input);
  const own = (await options.finish?.(input)) ?? [];
  const local = [...read.problems, ...own];
  if (local.length > 0) return { kind: "again", form, problems: local };
  const result = await c.get("services").settings.put(options.section, input, actorOf(c));
  if (!result.ok) return { kind: "again", form, problems: withoutSection(result.problems, options.section) };
  return { kind: "saved", notice: savedWords(options.section, result) };
}

/** What the form does not show is kept; what it shows and was left empty is meant to be empty. Secrets are kept by `settings.put`. */
function mergeStored(
  options: SaveOptions,
  input: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const merged: Record<string, unknown> = { ...options.stored, ...input };
  const shown = new Set(
    options.groups.flatMap((group) => group.fields.map((field) => field.name.split(".")[0] ?? "")),
  );
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
