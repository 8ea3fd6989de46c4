// Recipients confirmed by their mail server, in gatepost.db. What is kept how long is src/delivery's business.
import { asc, desc, eq, inArray, lt } from "drizzle-orm";
import type { DatabaseReader, Statement } from "./database.ts";
import { SLICE_ROWS } from "./delete-old.ts";
import { knownRecipient } from "./known-recipient-schema.ts";
import { sqlBuilder, statement, typed } from "./statement.ts";

export interface KnownRecipientRow {
  readonly address: string;
  readonly seenAt: number;
}

/** The `limit` newest, in any order. */
export function loadKnownRecipients(reader: DatabaseReader, limit: number): Promise<KnownRecipientRow[]> {
  return typed(reader)
    .select()
    .from(knownRecipient)
    .orderBy(desc(knownRecipient.seenAt), asc(knownRecipient.address))
    .limit(limit);
}

/** Keeps what was confirmed, forgets what was refused, and what was confirmed before `before`. */
export function knownRecipientStatements(changes: {
  readonly confirmed: readonly KnownRecipientRow[];
  readonly refused: readonly string[];
  readonly before: number;
}): Statement[] {
  const { confirmed, refused, before } = changes;
  // What is left is forgotten with the next changes.
  const old = sqlBuilder
    .select({ address: knownRecipient.address })
    .from(knownRecipient)
    .where(lt(knownRecipient.seenAt, before))
    .limit(SLICE_ROWS);
  return [
    ...confirmed.map(({ address, seenAt }) =>
      statement(
        sqlBuilder
          .insert(knownRecipient)
          .values({ address, seenAt })
          .onConflictDoUpdate({ target: knownRecipient.address, set: { seenAt } }),
      ),
    ),
    ...refused.map((address) =>
      statement(sqlBuilder.delete(knownRecipient).where(eq(knownRecipient.address, address))),
    ),
    statement(sqlBuilder.delete(knownRecipient).where(inArray(knownRecipient.address, old))),
  ];
}
