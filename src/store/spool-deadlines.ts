// Deadlines that are changed while somebody else has the row. Runs nothing itself.
import { sql } from "drizzle-orm";
import type { Statement } from "./database.ts";
import type { EntryKey } from "./spool-entry.ts";
import { recipient } from "./spool-schema.ts";
import { keysJson, namedRows } from "./spool-writing.ts";
import { prepare, sqlBuilder } from "./statement.ts";

const toldRows = prepare<{ keys: string }>(
  sqlBuilder.update(recipient).set({ deadlineAt: sql`max("deadline_at", "expires_at")` }).where(namedRows),
);

/**
 * The sender was told of the delay of recipients that were being tried when the notice was begun. Their attempts write them back with the
 * deadline they were taken with: later, and `putBack` does not let it go back; or before this, and they wait again already.
 */
export function noteDelayTold(keys: readonly EntryKey[]): Statement {
  return toldRows({ keys: keysJson(keys) });
}
