// Settings as rows: one JSON value per item. What they mean is the policy's business; this only keeps them, with their audit entries.
import { and, eq, sql } from "drizzle-orm";
import type { DatabaseReader, Statement } from "./database.ts";
import { policyItem } from "./gatepost-schema.ts";
import { auditInsert } from "./run-accounts.ts";
import { sqlBuilder, statement, typed } from "./statement.ts";

/** A stored item. Sections that hold one object use the key "". */
export interface PolicyItem {
  readonly section: string;
  readonly key: string;
  readonly value: unknown;
}

/** A change to store. `value` is the whole new item, not looked at for `remove`; `words` go to the audit log and hold no secret. */
export interface PolicyItemChange extends PolicyItem {
  readonly kind: "add" | "change" | "remove";
  readonly words: readonly string[];
}

/** Who changes it; the shape of the policy's Actor. */
export interface PolicyActor {
  readonly name: string;
  readonly via: string;
  readonly ip: string | null;
}

/** All items in order of section and key. */
export async function loadPolicyItems(reader: DatabaseReader): Promise<PolicyItem[]> {
  const rows = await typed(reader)
    .select({ section: policyItem.section, key: policyItem.key, text: sql<string>`${policyItem.value}` })
    .from(policyItem)
    .orderBy(policyItem.section, policyItem.key);
  return rows.map(({ section, key, text }) => ({ section, key, value: parsed(text) }));
}

/** What is no JSON is nobody's value: whoever reads the settings says so of the item. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** The statements for the changes, each with its audit entry: commit them as one unit. `at` is milliseconds UTC. */
export function policyItemStatements(
  changes: readonly PolicyItemChange[],
  actor: PolicyActor,
  at: number,
): Statement[] {
  return changes.flatMap((change) => [
    itemStatement(change, actor, at),
    statement(
      auditInsert({
        at,
        actor: actor.name,
        via: actor.via,
        ip: actor.ip,
        action: `policy.${change.kind}`,
        subject: change.key === "" ? change.section : `${change.section} ${change.key}`,
        detail: change.words.join("\n"),
      }),
    ),
  ]);
}

/** Writes a stored value anew, leaving who changed it last and when. */
export function rewriteStatement({ section, key, value }: PolicyItem): Statement {
  return statement(
    sqlBuilder
      .update(policyItem)
      .set({ value })
      .where(and(eq(policyItem.section, section), eq(policyItem.key, key))),
  );
}

/** Keeps a value that is no item itself, without an audit entry of its own; null takes it away. */
export function keptStatement(row: PolicyItem, actor: PolicyActor, at: number): Statement {
  return itemStatement({ ...row, kind: row.value === null ? "remove" : "change" }, actor, at);
}

function itemStatement(
  { section, key, value, kind }: Pick<PolicyItemChange, "section" | "key" | "value" | "kind">,
  actor: PolicyActor,
  at: number,
): Statement {
  if (kind === "remove") {
    return statement(
      sqlBuilder.delete(policyItem).where(and(eq(policyItem.section, section), eq(policyItem.key, key))),
    );
  }
  const fields = { value, updatedAt: at, updatedBy: actor.name };
  return statement(
    sqlBuilder
      .insert(policyItem)
      .values({ section, key, ...fields })
      .onConflictDoUpdate({ target: [policyItem.section, policyItem.key], set: fields }),
  );
}
