// What of a spooled message's envelope is learnt after it was stored.
import { eq, sql } from "drizzle-orm";
import type { Statement } from "./database.ts";
import type { SpooledEnvelope } from "./spool-entry.ts";
import { message } from "./spool-schema.ts";
import { prepare, sqlBuilder } from "./statement.ts";

const setEnvelope = prepare<{ seq: number; envelope: string }>(
  sqlBuilder
    .update(message)
    .set({ envelope: sql`${sql.placeholder("envelope")}` })
    .where(eq(message.seq, sql.placeholder("seq"))),
);

/** Writes the envelope anew. */
export function changeEnvelope(seq: number, envelope: SpooledEnvelope): Statement {
  return setEnvelope({ seq, envelope: JSON.stringify(envelope) });
}
