// What the checks of a whole policy find: problems stop a change, warnings are shown with it.
import { itemId } from "./policy-document.ts";
import type { PolicyProblem, PolicySection } from "./settings.ts";

/** Where things stand in the document being applied, by `itemId`; what is not in it can only be warned of. */
export type DocumentPaths = ReadonlyMap<string, string>;

/** Gathers what is found: against the document when the item is in it, else as a warning. */
export class FoundProblems {
  readonly problems: PolicyProblem[] = [];
  readonly warnings: string[] = [];
  readonly #paths: DocumentPaths;

  constructor(paths: DocumentPaths) {
    this.#paths = paths;
  }

  problem(
    item: { readonly section: PolicySection; readonly key: string },
    field: string,
    message: string,
  ): void {
    const path = this.#paths.get(itemId(item.section, item.key));
    if (path !== undefined) this.problems.push({ path: `${path}${field}`, message });
    else this.warnings.push(`${item.section} ${item.key}${field}: ${message}`.replace("  ", " "));
  }
}
