// The contract of the one way to change settings: all three doors (console, API, plan/apply) end here. `createSettings` is in `run-settings.ts`.
import type { Policy } from "./schema.ts";
import type { PolicySnapshot } from "./snapshot.ts";

/** The sections that hold a list, keyed by `itemKey`, and those that hold one object (key `""`). */
export type PolicySection = keyof Policy;

/** One difference between what is and what is wanted. `before`/`after` are the stored forms, secrets replaced by `***`. */
export interface PolicyChange {
  readonly section: PolicySection;
  readonly key: string;
  readonly kind: "add" | "change" | "remove";
  readonly before: unknown;
  readonly after: unknown;
  /** `domain example.test: routes[0].port 25 → 2600`. */
  readonly words: readonly string[];
}

/** What is wrong with an input, field by field: `path` as written in the file (`domain[0].routes[1].port`). */
export interface PolicyProblem {
  readonly path: string;
  readonly message: string;
}

/** What removing an item would change, and what stays although one might think it went, in sentences without their full stop. */
export interface Removal {
  readonly changes: readonly PolicyChange[];
  readonly warnings: readonly string[];
}

export type PlanResult =
  | {
      readonly ok: true;
      readonly changes: readonly PolicyChange[];
      readonly warnings: readonly string[];
      /** What is set now and could not be done, in sentences; it is tried again. Left out where all was. */
      readonly unfinished?: readonly string[];
    }
  | { readonly ok: false; readonly problems: readonly PolicyProblem[] };

/** What an item is to be, in the policy file's form, or why it stays as it is. */
export type WantedInput =
  | { readonly ok: true; readonly input: unknown }
  | { readonly ok: false; readonly problems: readonly PolicyProblem[] };

/** Names one item. */
export interface ItemAddress {
  readonly section: PolicySection;
  /** As `itemKey` makes it; `""` in a section that holds one object, and for an item that is yet to be. */
  readonly key: string;
}

/** Who changes something, for the audit log. */
export interface Actor {
  /** `admin@example.org`, `api token NAME`, `command line`. */
  readonly name: string;
  readonly via: "console" | "api" | "cli" | "system";
  readonly ip: string | null;
  /** The domains it administers, in lower case: then what the operator set is a ceiling. Left out: the operator. */
  readonly domains?: readonly string[];
  /**
   * May it change anything still? Asked when the change is about to be written, which may be long after it was asked for. Left out: yes.
   */
  readonly mayStill?: () => Promise<boolean>;
}

export interface Settings {
  /** The present snapshot. */
  current(): PolicySnapshot;
  /** Called after each swap, with the new and the old snapshot. Returns the way to stop. */
  onChange(listener: (now: PolicySnapshot, before: PolicySnapshot) => void): () => void;
  /**
   * Asked after each `apply` and `put` for what the gateway could not carry out, in sentences: whoever made the change is told in the
   * answer. What was set stays set.
   */
  followUp(ask: () => Promise<readonly string[]>): void;
  /** What a policy document (parsed TOML or JSON; any subset of sections) would change. `prune` removes list items it does not name. */
  plan(document: unknown, options: { readonly prune: boolean }): Promise<PlanResult>;
  /** Checks the same and carries it out: one transaction with its audit entries, then the swap. */
  apply(document: unknown, options: { readonly prune: boolean; readonly actor: Actor }): Promise<PlanResult>;
  /** Adds or replaces one item (a form, the API): input in the policy file's form. */
  put(section: PolicySection, input: unknown, actor: Actor): Promise<PlanResult>;
  /**
   * The same where what is wanted follows from what is there: `want` is asked once all changes before this one are in force, with the item
   * as it is then (null: there is none). What others have set meanwhile is not taken back by a look from before.
   */
  change(item: ItemAddress, want: (now: object | null) => WantedInput, actor: Actor): Promise<PlanResult>;
  /** What removing the item would take along, itself included: senders, keys and accounts of a domain. No changes: there is no such item. */
  removal(section: PolicySection, key: string): Promise<Removal>;
  /** Why the actor may not remove the item, after its name: `is removed by …`; null: may, or there is none. */
  whyKept(section: PolicySection, key: string, actor: Actor): string | null;
  /**
   * Removes one item of a list. False: there was none, or none that the actor may remove. `only` is asked in its turn about the item as it
   * is then (null: it cannot be read); false leaves it.
   */
  remove(
    section: PolicySection,
    key: string,
    actor: Actor,
    only?: (now: object | null) => boolean,
  ): Promise<boolean>;
}
