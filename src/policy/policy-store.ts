// Where settings are kept, as the policy sees it: all items at the start, and changes as one unit with their audit entries.
import type { DatabaseWriter } from "../store/database.ts";
import { belongingsRemoval, domainBelongings } from "../store/domain-belongings.ts";
import {
  keptStatement,
  loadPolicyItems,
  policyItemStatements,
  rewriteStatement,
} from "../store/policy-items.ts";
import type { Ceiling } from "./ceiling.ts";
import type { Actor, PolicyChange } from "./settings.ts";

/** An item as it is stored. */
export interface StoredItem {
  readonly section: string;
  readonly key: string;
  readonly value: unknown;
  /** Secrets of it that another key sealed; they are left out of the value. */
  readonly lost?: readonly string[];
}

/** The section under which ceilings are stored; the key is the `itemId` they hold for. */
export const CEILINGS = "ceiling";

/** A change to store. `value` is null for an item that goes; `change` is for the audit log and shows no secrets. */
export interface StoredChange extends StoredItem {
  readonly change: PolicyChange;
  /** What is kept of the operator's from now on, null: nothing. Left out: what was kept. */
  readonly ceiling?: Ceiling | null;
}

export interface PolicyStore {
  load(): Promise<readonly StoredItem[]>;
  /** Writes items anew that mean what they meant. Nothing of it is a change to anybody. */
  rewrite(items: readonly StoredItem[]): Promise<void>;
  /** Resolves when all of it is on disk; rejects with StoreError, and then none of it is. `at`: milliseconds UTC. */
  save(changes: readonly StoredChange[], actor: Actor, at: number): Promise<void>;
  /** What goes with a domain beside its settings, in words for people. Left out: nothing does. */
  belongings?(domain: string): Promise<readonly string[]>;
}

/** The settings in gatepost.db. */
export function createPolicyStore(database: DatabaseWriter): PolicyStore {
  return {
    load: () => loadPolicyItems(database),
    async rewrite(items) {
      await database.commit(items.map(rewriteStatement));
    },
    async save(changes, actor, at) {
      const rows = changes.map(({ section, key, value, change }) => ({
        section,
        key,
        value,
        kind: change.kind,
        words: change.words,
      }));
      await database.commit([
        ...policyItemStatements(rows, actor, at),
        ...changes.flatMap(({ section, key, ceiling }) =>
          ceiling === undefined
            ? []
            : [keptStatement({ section: CEILINGS, key: `${section} ${key}`, value: ceiling }, actor, at)],
        ),
        ...changes.flatMap(({ section, key, value }) =>
          section === "domain" && value === null ? belongingsRemoval(key) : [],
        ),
      ]);
    },
    async belongings(domain) {
      const { keys, accounts } = await domainBelongings(database, domain);
      return [
        ...keys.map((selector) => `its DKIM key ${selector} is deleted`),
        ...accounts.map((login) => `the account ${login} no longer manages it`),
      ];
    },
  };
}
