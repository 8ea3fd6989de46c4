// Removes what is past its time from the message log, in small steps with rests between them: mail has the disk and the writer to itself
// for most of the time, however much there is to remove.
import { and, asc, lt, lte } from "drizzle-orm";
import type { DatabaseWriter } from "./database.ts";
import { attempt, message, messageDetail, messageRecipient } from "./gatepost-schema.ts";
import { firstIdAt } from "./message-id-range.ts";
import { sqlBuilder, statement, typed } from "./statement.ts";

const LEAST_STEP = 20;
const MOST_STEP = 500;
/** A step takes about so long; the next one waits so many times as long as it took. */
const STEP_MS = 15;
const REST = 4;
const MOST_REST_MS = 2000;

/**
 * Deletes all messages received before `beforeMs` (milliseconds UTC). Resolves to how many. `goOn` is asked before each step; what is
 * left then is left to the next time.
 */
export async function expireMessageLog(
  database: DatabaseWriter,
  beforeMs: number,
  goOn: () => boolean = () => true,
): Promise<number> {
  const end = firstIdAt(beforeMs);
  let removed = 0;
  let step = LEAST_STEP;
  while (goOn()) {
    const begun = performance.now();
    const due = await typed(database)
      .select({ id: message.id })
      .from(message)
      .where(lt(message.id, end))
      .orderBy(asc(message.id))
      .limit(step);
    const last = due.at(-1)?.id;
    if (last === undefined) break;
    const [changed] = await database.commit(
      [
        sqlBuilder.delete(message).where(and(lte(message.id, last), lt(message.id, end))),
        sqlBuilder.delete(messageDetail).where(lte(messageDetail.id, last)),
        sqlBuilder.delete(messageRecipient).where(lte(messageRecipient.messageId, last)),
        sqlBuilder.delete(attempt).where(lte(attempt.messageId, last)),
      ].map(statement),
    );
    removed += changed ?? 0;
    if (due.length < step) break;
    const tookMs = performance.now() - begun;
    step = Math.round(Math.min(MOST_STEP, Math.max(LEAST_STEP, step * Math.min(2, STEP_MS / tookMs))));
    await Bun.sleep(Math.min(MOST_REST_MS, tookMs * REST));
  }
  return removed;
}
