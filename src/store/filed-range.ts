// What came into the quarantine within a time, for reports that follow one another and must leave nothing out: an item is filed after its
// mail began, by hours when the body was slow or the vault could not be written.
import { type AnyColumn, type SQL, sql } from "drizzle-orm";
import { quarantine } from "./gatepost-schema.ts";

/** Between taking the time and the commit. What was filed so shortly before a report stands in the next one. */
const COMMIT_MS = 60_000;
/** No item is filed later than so long after its mail. Bounds the walk through the index. */
const LATEST_MS = 14 * 86_400_000;

/** Filed after `since` and until `until`, milliseconds UTC. `at`: the time the index has, which counts for items of older versions. */
export function filedWithin(
  at: AnyColumn,
  { since, until }: { readonly since: number; readonly until: number },
): SQL {
  const counted = sql`coalesce(${quarantine.filedAt} + ${COMMIT_MS}, ${at})`;
  return sql`${at} > ${since - LATEST_MS} and ${at} <= ${until} and ${counted} > ${since} and ${counted} <= ${until}`;
}
