// Between forms and policy input: what was typed becomes the object that `settings.put` parses, and back. No checks of meaning here.
import { sizeText } from "../../observe/size-words.ts";
import type { PolicyProblem } from "../../policy/settings.ts";
import {
  type Field,
  type FieldGroup,
  fieldsOf,
  type LineField,
  type OptionalObject,
  pathParts,
} from "./field.ts";

type Tree = { [key: string]: unknown };

export interface FormInput {
  readonly input: Readonly<Record<string, unknown>>;
  /** What cannot even be handed to the schema: a number that is none. */
  readonly problems: readonly PolicyProblem[];
}

const MAX_ROWS = 200;

function isTree(value: unknown): value is Tree {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function assign(tree: Tree, path: string, value: unknown): void {
  const parts = pathParts(path);
  let at = tree;
  for (const part of parts.slice(0, -1)) {
    const next = at[part];
    const inner: Tree = isTree(next) ? { ...next } : {};
    at[part] = inner;
    at = inner;
  }
  const last = parts.at(-1);
  if (last !== undefined) at[last] = value;
}

/** The value at a path of an object, or undefined. */
function valueAt(source: unknown, path: string): unknown {
  let at: unknown = source;
  for (const part of pathParts(path)) {
    if (Array.isArray(at)) at = at[Number(part)];
    else if (isTree(at) && Object.hasOwn(at, part)) at = at[part];
    else return undefined;
  }
  return at;
}

/** How many rows of a `rows` field the form has. */
export function rowCount(form: URLSearchParams, name: string): number {
  let rows = 0;
  const start = `${name}[`;
  for (const key of form.keys()) {
    if (!key.startsWith(start)) continue;
    const index = Number.parseInt(key.slice(start.length), 10);
    if (index >= 0 && index < MAX_ROWS) rows = Math.max(rows, index + 1);
  }
  return rows;
}

/** Leaves out rows with nothing typed in their first column and numbers the others anew. */
export function withoutEmptyRows(groups: readonly FieldGroup[], form: URLSearchParams): URLSearchParams {
  const result = new URLSearchParams(form);
  for (const field of fieldsOf(groups)) {
    if (field.kind !== "rows") continue;
    const rows = rowCount(form, field.name);
    const first = field.columns[0]?.name ?? "";
    let kept = 0;
    for (let i = 0; i < rows; i++) {
      const filled = (form.get(`${field.name}[${i}].${first}`) ?? "").trim() !== "";
      for (const column of field.columns) {
        const value = form.get(`${field.name}[${i}].${column.name}`) ?? "";
        result.delete(`${field.name}[${i}].${column.name}`);
        if (filled) result.set(`${field.name}[${kept}].${column.name}`, value);
      }
      if (filled) kept++;
    }
  }
  return result;
}

function lineValue(
  field: LineField,
  text: string,
): { readonly value: unknown } | { readonly problem: string } | null {
  const verbatim = field.kind === "password" || (field.kind === "text" && field.verbatim === true);
  const bare = verbatim && text.trim() !== "" ? text : text.trim();
  if (bare === "" && (field.optional === true || field.kind === "password")) return null;
  if (field.kind !== "number") return { value: bare };
  // The settings say what it is by default.
  if (bare === "") return { value: bare };
  if (/^\d{1,15}$/.test(bare)) return { value: Number(bare) };
  return { problem: `"${bare.slice(0, 40)}" is not a whole number` };
}

function linesOf(text: string): readonly string[] {
  return text
    .split(/[\n,]/)
    .map((line) => line.trim())
    .filter((line) => line !== "");
}

function readField(field: Field, form: URLSearchParams, tree: Tree, problems: PolicyProblem[]): void {
  switch (field.kind) {
    case "switch":
      assign(tree, field.name, form.get(field.name) === "on");
      return;
    case "choices":
      assign(tree, field.name, form.getAll(field.name));
      return;
    case "lines":
      assign(tree, field.name, linesOf(form.get(field.name) ?? ""));
      return;
    case "area": {
      const text = (form.get(field.name) ?? "").replaceAll("\r\n", "\n").trim();
      if (text !== "" || field.optional !== true) assign(tree, field.name, text);
      return;
    }
    case "rows": {
      const rows = Array.from({ length: rowCount(form, field.name) }, (_, i) => {
        const row: Tree = {};
        for (const column of field.columns)
          readLine(column, `${field.name}[${i}].${column.name}`, form, row, problems);
        return row;
      });
      assign(tree, field.name, rows);
      return;
    }
    default:
      readLine(field, field.name, form, tree, problems);
  }
}

function readLine(
  field: LineField,
  name: string,
  form: URLSearchParams,
  tree: Tree,
  problems: PolicyProblem[],
): void {
  const read = lineValue(field, form.get(name) ?? "");
  if (read === null) return;
  if ("problem" in read) problems.push({ path: name, message: read.problem });
  else assign(tree, name.includes("[") ? field.name : name, read.value);
}

/** Reads a form into the policy file's form. Call `withoutEmptyRows` first, so that problem paths fit the rows shown. */
export function readForm(
  groups: readonly FieldGroup[],
  form: URLSearchParams,
  optionalObjects: readonly OptionalObject[] = [],
): FormInput {
  const tree: Tree = {};
  const problems: PolicyProblem[] = [];
  for (const field of fieldsOf(groups)) readField(field, form, tree, problems);
  for (const object of optionalObjects) {
    const leading = valueAt(tree, object.leading);
    if (leading !== undefined && leading !== "") continue;
    if (hasPassword(groups, form, object))
      problems.push({
        path: object.leading,
        message:
          "is empty, so nobody would be told the password; name the server, or leave the password empty",
      });
    if (object.absent === "null") tree[object.path] = null;
    else delete tree[object.path];
  }
  const gone = optionalObjects.filter(
    (object) => tree[object.path] === undefined || tree[object.path] === null,
  );
  return {
    input: tree,
    problems: problems.filter(
      ({ path }) => !gone.some((object) => path !== object.leading && path.startsWith(`${object.path}.`)),
    ),
  };
}

/** Was a password typed for an object that is not there? It is never filled in, so whoever types one means it to be used. */
function hasPassword(
  groups: readonly FieldGroup[],
  form: URLSearchParams,
  { path }: OptionalObject,
): boolean {
  return fieldsOf(groups).some(
    ({ kind, name }) =>
      name.startsWith(`${path}.`) && kind === "password" && (form.get(name) ?? "").trim() !== "",
  );
}

function textOf(value: unknown): string {
  return typeof value === "string" || typeof value === "number" ? String(value) : "";
}

/** Fills a form from a stored item. Passwords are never put into a page. */
export function formOf(groups: readonly FieldGroup[], item: unknown): URLSearchParams {
  const form = new URLSearchParams();
  for (const field of fieldsOf(groups)) {
    const value = valueAt(item, field.name);
    switch (field.kind) {
      case "switch":
        if (value === true) form.set(field.name, "on");
        break;
      case "choices":
        if (Array.isArray(value)) for (const one of value) form.append(field.name, textOf(one));
        break;
      case "lines":
        if (Array.isArray(value)) form.set(field.name, value.map(textOf).join("\n"));
        break;
      case "rows":
        if (!Array.isArray(value)) break;
        for (const [i, row] of value.entries())
          for (const column of field.columns)
            form.set(`${field.name}[${i}].${column.name}`, textOf(valueAt(row, column.name)));
        break;
      case "password":
        break;
      case "size":
        form.set(field.name, typeof value === "number" ? sizeText(value) : textOf(value));
        break;
      default:
        form.set(field.name, textOf(value));
    }
  }
  return form;
}

/** Problem paths may carry the file's prefix (`domain[0].routes[1].port`); the form's names do not. */
export function withoutSection(
  problems: readonly PolicyProblem[],
  section: string,
): readonly PolicyProblem[] {
  return problems.map(({ path, message }) => {
    const rest = path === section ? "" : path.replace(new RegExp(`^${section}(\\[\\d+\\])?\\.`), "");
    return { path: rest, message };
  });
}

/** The name of the control a problem belongs to: the longest field name that the path begins with, or null. */
export function fieldFor(groups: readonly FieldGroup[], path: string): string | null {
  const names = fieldsOf(groups).flatMap((field) =>
    field.kind === "rows" ? [field.name, ...rowNames(field, path)] : [field.name],
  );
  const fits = names.filter(
    (name) => path === name || path.startsWith(`${name}.`) || path.startsWith(`${name}[`),
  );
  return fits.toSorted((a, b) => b.length - a.length)[0] ?? null;
}

function rowNames(field: Extract<Field, { kind: "rows" }>, path: string): readonly string[] {
  const index = new RegExp(`^${field.name}\\[(\\d+)\\]`).exec(path)?.[1];
  return index === undefined ? [] : field.columns.map((column) => `${field.name}[${index}].${column.name}`);
}

/** Says which line of a list a problem is about: `trusted[2]` → `line 3: `. */
export function lineOfProblem(fieldName: string, path: string): string {
  const index = /^\[(\d+)\]/.exec(path.slice(fieldName.length))?.[1];
  return index === undefined ? "" : `entry ${Number(index) + 1}: `;
}
