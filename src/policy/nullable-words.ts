// "none" in a policy file: TOML has no null, so a setting that can be nothing is written so wherever leaving it out means something else.
// And what a setting is when it is left out. Reads schemas, knows no setting by name. No I/O.
import { z } from "zod";

const NONE = "none";

type Table = Readonly<Record<string, unknown>>;

function isTable(value: unknown): value is Table {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The object a schema is under its defaults, or null. */
function objectOf(schema: unknown): z.ZodObject | null {
  if (schema instanceof z.ZodObject) return schema;
  const wrapped =
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault ||
    schema instanceof z.ZodNullable ||
    schema instanceof z.ZodOptional;
  return wrapped ? objectOf(schema.unwrap()) : null;
}

function fieldOf(schema: unknown, key: PropertyKey): z.ZodType | null {
  const shape = objectOf(schema)?.shape ?? {};
  const field: unknown = Object.hasOwn(shape, key) ? Reflect.get(shape, key) : null;
  return field instanceof z.ZodType ? field : null;
}

/** Does "none" stand for nothing here? Not where it is a value of its own, like an encryption or a selector of that name. */
function meansNothing(field: z.ZodType): boolean {
  return field.safeParse(null).success && !field.safeParse(NONE).success;
}

/** A copy of a document's table with null wherever it says "none" for nothing. */
export function readNone(schema: unknown, input: unknown): unknown {
  if (!isTable(input)) return input;
  return Object.fromEntries(
    Object.entries(input).map(([key, value]) => {
      const field = fieldOf(schema, key);
      if (value === NONE && field !== null && meansNothing(field)) return [key, null];
      return [key, field === null ? value : readNone(field, value)];
    }),
  );
}

/**
 * A copy with "none" for each null that leaving out would not say. `kept`: what is left out of this table stays as it is, so that
 * all of its nulls are said.
 */
export function writeNone(schema: unknown, value: unknown, { kept }: { readonly kept: boolean }): unknown {
  if (!isTable(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => {
      const field = fieldOf(schema, key);
      if (field === null) return [key, inner];
      if (inner !== null) return [key, writeNone(field, inner, { kept: false })];
      return [key, meansNothing(field) && (kept || field.safeParse(undefined).data !== null) ? NONE : null];
    }),
  );
}

/** What a setting is when it is left out, as it is written; null: it has no such value. */
export function usualText(schema: unknown, path: readonly PropertyKey[]): string | null {
  let field: z.ZodType | null = null;
  let at = schema;
  for (const key of path) {
    field = fieldOf(at, key);
    at = field;
  }
  const usual = field?.safeParse(undefined).data;
  if (Array.isArray(usual) && usual.length > 0) return usual.join(", ");
  return (typeof usual === "string" && usual !== "") || typeof usual === "number" ? String(usual) : null;
}
