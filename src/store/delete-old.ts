// Deletes what is past its time in slices, each a commit of its own: no statement holds the writer for long, however much there is.
import type { DatabaseWriter, Statement } from "./database.ts";

/** Rows that one statement deletes at the most; its query must have this as its limit. */
export const SLICE_ROWS = 500;

/** Commits the deletion of a slice until it finds less than a whole one. What others want to write comes between. */
export async function deleteSlices(database: DatabaseWriter, slice: Statement): Promise<void> {
  for (;;) {
    const [changed = 0] = await database.commit([slice]);
    if (changed < SLICE_ROWS) return;
  }
}
