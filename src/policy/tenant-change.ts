// What an administrator of domains wants changed, against what the operator set: before it is drafted, and before it is stored. Pure.
import { refuseTenant, withCeiling } from "./ceiling.ts";
import { itemId, itemKey, type PolicyItems } from "./policy-document.ts";
import { CEILINGS } from "./policy-store.ts";
import type { Actor, PolicyChange, PolicyProblem } from "./settings.ts";
import { type ItemsBefore, itemChange } from "./stored-items.ts";

/** What it was before cannot be read, so nobody knows what the operator allowed. */
const SET_ASIDE = {
  field: "",
  message: "is set already, in a way only an administrator of the gateway can mend",
};

export interface TenantChange {
  readonly before: ItemsBefore;
  readonly after: PolicyItems;
  /** `itemId` of the items nobody can read, and of those of which nobody knows what the operator set. */
  readonly refused: { has(id: string): boolean };
  readonly actor: Actor;
}

/** A sender that a domain administrator adds again has what the operator had set of it, unless the document says otherwise. */
export function asSetBefore(
  document: unknown,
  { items, ceilings }: ItemsBefore,
  { domains }: Actor,
): unknown {
  if (domains === undefined || typeof document !== "object" || document === null) return document;
  const given: unknown = Reflect.get(document, "sender");
  if (!Array.isArray(given)) return document;
  const senders = given.map((input: unknown) => {
    if (typeof input !== "object" || input === null) return input;
    const id = itemId("sender", itemKey("sender", input));
    const ceiling = items.has(id) ? undefined : ceilings.get(id);
    return ceiling === undefined ? input : withCeiling(input, ceiling);
  });
  return { ...document, sender: senders };
}

/** What of the changes is more than the actor may do. */
export function beyondTenant(
  changes: readonly Pick<PolicyChange, "section" | "key">[],
  { before, after, refused, actor }: TenantChange,
): readonly PolicyProblem[] {
  const { domains } = actor;
  if (domains === undefined) return [];
  return changes.flatMap((change) => {
    const id = itemId(change.section, change.key);
    const found = [id, `${CEILINGS} ${id}`].some((one) => refused.has(one))
      ? [SET_ASIDE]
      : refuseTenant(itemChange(change, before, after), domains);
    return found.map(({ field, message }) => ({
      path: `${change.section}[0]${field === "" ? "" : `.${field}`}`,
      message,
    }));
  });
}
