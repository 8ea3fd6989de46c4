// Removes what is past its time from the message log, in small steps so that no write waits long.
import { and, asc, lt, lte } from "drizzle-orm";
import type { DatabaseWriter } from "./database.ts";
import { attempt, message, messageDetail, messageRecipient } from "./gatepost-schema.ts";
import { firstIdAt } from "./message-id-range.ts";
import { sqlBuilder, statement, typed } from "./statement.ts";

const STEP = 500;

/** Deletes all messages received before `beforeMs` (milliseconds UTC). Resolves to how many. */
export async function expireMessageLog(database: DatabaseWriter, beforeMs: number): Promise<number> {
  const end = firstIdAt(beforeMs);
  let removed = 0;
  for (;;) {
    const due = await typed(database)
      .select({ id: message.id })
      .from(message)
      .where(lt(message.id, end))
      .orderBy(asc(message.id))
      .limit(STEP);
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
  }
  return removed;
}
