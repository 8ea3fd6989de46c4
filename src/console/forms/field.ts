// Form fields as data. Names are paths of the policy file (`routes[0].port`), so that one problem list fits form and file.

export interface Option {
  readonly value: string;
  readonly label: string;
  readonly help?: string;
}

interface FieldBase {
  readonly name: string;
  readonly label: string;
  readonly help?: string;
}

/** A field of one line. */
export type LineField = FieldBase & {
  readonly placeholder?: string;
  /** Left out of the input when empty, so that the schema's default (or "not set") holds; else sent as "". */
  readonly optional?: boolean;
} /** `verbatim`: spaces at its ends belong to it. */ & (
    | { readonly kind: "text"; readonly verbatim?: boolean }
    | { readonly kind: "number"; readonly unit?: string }
    | { readonly kind: "duration" }
    /** Octets, like `128 MB`. */
    | { readonly kind: "size" }
    /** `meter`: a new password whose strength is told; else a secret for somewhere else. */
    | { readonly kind: "password"; readonly meter?: boolean }
    | { readonly kind: "choice"; readonly options: readonly Option[] }
  );

export type Field =
  | LineField
  /** `warning`: shown while it is switched on. */
  | (FieldBase & { readonly kind: "switch"; readonly warning?: string })
  /** Several of a few, as check boxes. */
  | (FieldBase & { readonly kind: "choices"; readonly options: readonly Option[] })
  /** A list, one entry per line. */
  | (FieldBase & { readonly kind: "lines"; readonly placeholder?: string; readonly rows?: number })
  /** One long text. */
  | (FieldBase & {
      readonly kind: "area";
      readonly placeholder?: string;
      readonly rows?: number;
      readonly optional?: boolean;
    })
  /** A list of small objects, one per row. */
  | (FieldBase & { readonly kind: "rows"; readonly columns: readonly LineField[]; readonly add: string });

export interface FieldGroup {
  readonly title: string;
  readonly help?: string;
  /** Folded away until opened; unfolded when a field inside has a problem. */
  readonly folded?: boolean;
  /** What is set inside a folded group, in a few words; shown in place of `help`. */
  readonly summary?: string;
  /** Many short fields: side by side where there is room. */
  readonly columns?: boolean;
  readonly fields: readonly Field[];
}

/** An object that exists only when its leading field is filled in: `header` with `header.name`. */
export interface OptionalObject {
  readonly path: string;
  readonly leading: string;
  readonly absent: "omit" | "null";
}

/** The button name that asks for one more empty row instead of saving. */
export const MORE_ROWS = "more-rows";

/** The parts of a path: `routes[0].port` → routes, 0, port. */
export function pathParts(path: string): readonly string[] {
  return path.split(/[.[\]]+/).filter((part) => part !== "");
}

export function fieldsOf(groups: readonly FieldGroup[]): readonly Field[] {
  return groups.flatMap((group) => group.fields);
}

/** The id of a field's control. */
export function fieldId(name: string): string {
  return `f-${name.replace(/[^A-Za-z0-9_-]+/g, "-")}`;
}
