// What a form showed when it was filled, field by field, so that saving it is the difference its user made to that: what he did not touch
// stays as others have set it meanwhile, and where both have changed one field he is asked. No checks of meaning here.
import type { PolicyProblem } from "../../policy/settings.ts";
import { type Field, type FieldGroup, fieldsOf } from "./field.ts";
import { rowCount } from "./form-input.ts";

/** The hidden control that says what was shown: `name=digest`, separated by blanks. */
export const SHOWN = "shown-values";

/** The values of a field as one text: equal texts save the same. */
function valueText(field: Field, form: URLSearchParams): string {
  const text = (name: string): string => (form.get(name) ?? "").replaceAll("\r\n", "\n").trim();
  if (field.kind === "choices") return form.getAll(field.name).toSorted().join("\n");
  if (field.kind !== "rows") return text(field.name);
  return Array.from({ length: rowCount(form, field.name) }, (_, i) =>
    field.columns.map((column) => text(`${field.name}[${i}].${column.name}`)).join(" "),
  ).join("\n");
}

/** It tells equal from changed, nothing more: whoever makes up another one harms his own form. */
function digest(text: string): string {
  return Bun.hash(text).toString(36);
}

/** Passwords are never shown, so nobody has seen another one. */
function shownFields(groups: readonly FieldGroup[]): readonly Field[] {
  return fieldsOf(groups).filter(({ kind }) => kind !== "password");
}

/** What the form shows, for `SHOWN`. */
export function shownValues(groups: readonly FieldGroup[], form: URLSearchParams): string {
  return shownFields(groups)
    .map((field) => `${field.name}=${digest(valueText(field, form))}`)
    .join(" ");
}

function setAs(field: Field, form: URLSearchParams, source: URLSearchParams): void {
  const isItsOwn = (name: string): boolean =>
    name === field.name || (field.kind === "rows" && name.startsWith(`${field.name}[`));
  for (const name of [...form.keys()]) if (isItsOwn(name)) form.delete(name);
  for (const [name, value] of source) if (isItsOwn(name)) form.append(name, value);
}

function wordsOf(field: Field, form: URLSearchParams): string {
  if (field.kind === "switch") return form.get(field.name) === "on" ? "on" : "off";
  const text = valueText(field, form).replaceAll("\n", ", ");
  return text === "" ? "empty" : `“${text.slice(0, 80)}”`;
}

export interface Difference {
  /** What was posted, with the fields its user did not touch as they are now. */
  readonly form: URLSearchParams;
  /** The fields that somebody else has set to something else meanwhile. */
  readonly problems: readonly PolicyProblem[];
}

/**
 * Lays the difference between what was shown and what was posted over what is there `now` (a form filled from the stored item). A form that
 * does not say what it showed is taken as it is.
 */
export function differenceTo(
  now: URLSearchParams,
  posted: URLSearchParams,
  groups: readonly FieldGroup[],
): Difference {
  const form = new URLSearchParams(posted);
  form.set(SHOWN, shownValues(groups, now));
  const shown = new Map(
    (posted.get(SHOWN) ?? "").split(" ").map((mark) => {
      const at = mark.lastIndexOf("=");
      return [mark.slice(0, at), mark.slice(at + 1)];
    }),
  );
  const problems: PolicyProblem[] = [];
  for (const field of shownFields(groups)) {
    const before = shown.get(field.name);
    const wanted = digest(valueText(field, posted));
    const present = digest(valueText(field, now));
    if (before === undefined || wanted === present) continue;
    if (wanted === before) setAs(field, form, now);
    else if (present !== before)
      problems.push({
        path: field.name,
        message: `was changed meanwhile: it is ${wordsOf(field, now)} now; save again if it is to be what stands here`,
      });
  }
  return { form, problems };
}
