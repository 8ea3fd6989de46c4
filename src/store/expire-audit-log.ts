// The end of the audit log: what is older than it is kept goes, in slices.
import { inArray, lt } from "drizzle-orm";
import type { DatabaseWriter } from "./database.ts";
import { deleteSlices, SLICE_ROWS } from "./delete-old.ts";
import { auditLog } from "./gatepost-schema.ts";
import { sqlBuilder, statement } from "./statement.ts";

/** As long as the history of locks; longer where the message log is kept longer. */
export const AUDIT_KEEP_MS = 400 * 86_400_000;

/** Deletes entries before `at`, milliseconds UTC. */
export async function expireAuditLog(database: DatabaseWriter, at: number): Promise<void> {
  const old = sqlBuilder
    .select({ id: auditLog.id })
    .from(auditLog)
    .where(lt(auditLog.at, at))
    .limit(SLICE_ROWS);
  await deleteSlices(database, statement(sqlBuilder.delete(auditLog).where(inArray(auditLog.id, old))));
}
