// Who outside wrote to us, as chunks of hashes in gatepost.db. What is hashed is src/outgoing's business.
import { asc, lte } from "drizzle-orm";
import type { DatabaseReader, Statement } from "./database.ts";
import { outgoingCorrespondents } from "./outgoing-schema.ts";
import { sqlBuilder, statement, typed } from "./statement.ts";

/** Hashes of four octets each, in the order in which they came. A higher number is newer. */
export interface CorrespondentChunk {
  readonly chunk: number;
  readonly hashes: Uint8Array;
}

/** All chunks, oldest first. */
export function loadCorrespondents(reader: DatabaseReader): Promise<CorrespondentChunk[]> {
  return typed(reader).select().from(outgoingCorrespondents).orderBy(asc(outgoingCorrespondents.chunk));
}

/** Keeps the chunk as it is now, and deletes all up to `oldest`. */
export function correspondentStatements(
  { chunk, hashes }: CorrespondentChunk,
  { oldest }: { readonly oldest: number },
): Statement[] {
  return [
    statement(
      sqlBuilder
        .insert(outgoingCorrespondents)
        .values({ chunk, hashes })
        .onConflictDoUpdate({ target: outgoingCorrespondents.chunk, set: { hashes } }),
    ),
    statement(sqlBuilder.delete(outgoingCorrespondents).where(lte(outgoingCorrespondents.chunk, oldest))),
  ];
}
