// The rows of the archive in gatepost.db. Knows no bodies: those are in the vault.
import { eq, gt, sql } from "drizzle-orm";
import type { Direction } from "../message/envelope.ts";
import { archive } from "./archive-schema.ts";
import type { DatabaseReader, Statement } from "./database.ts";
import { prepare, sqlBuilder, typed } from "./statement.ts";

/** One archived message and the hash of its body in the vault. */
export interface ArchivedMessage {
  readonly id: string;
  readonly messageId: string;
  readonly domain: string;
  readonly sender: string;
  /** Empty string for the null reverse-path. */
  readonly reversePath: string;
  readonly recipients: readonly string[];
  readonly subject: string;
  readonly headerFrom: string;
  readonly direction: Direction;
  /** Milliseconds UTC. */
  readonly receivedAt: number;
  readonly size: number;
  readonly bodyHash: string;
}

const p = sql.placeholder;
const insertRow = prepare<ArchivedMessage & Readonly<Record<string, unknown>>>(
  sqlBuilder
    .insert(archive)
    .values({
      id: p("id"),
      messageId: p("messageId"),
      domain: p("domain"),
      sender: p("sender"),
      reversePath: p("reversePath"),
      recipients: p("recipients"),
      subject: p("subject"),
      headerFrom: p("headerFrom"),
      direction: p("direction"),
      receivedAt: p("receivedAt"),
      size: p("size"),
      bodyHash: p("bodyHash"),
    })
    // The recipients of a message may come one by one, each with its release from the quarantine.
    .onConflictDoUpdate({
      target: archive.id,
      set: {
        recipients: sql`(select json_group_array(value) from (
          select value from json_each("archive"."recipients") union select value from json_each(excluded."recipients")
        ))`,
      },
    }),
  { uncounted: true },
);

/** Inserts a message; doing it twice keeps the first, with the recipients of both. */
export function archiveInsert(message: ArchivedMessage): Statement {
  return insertRow({ ...message, domain: message.domain.toLowerCase() });
}

/** True when an archived message needs the body. */
export async function archiveRefersTo(reader: DatabaseReader, bodyHash: string): Promise<boolean> {
  const rows = await typed(reader)
    .select({ id: archive.id })
    .from(archive)
    .where(eq(archive.bodyHash, bodyHash))
    .limit(1);
  return rows.length > 0;
}

/** Hashes of bodies that are kept, above `after`, in their order, at most `limit`. */
export async function archivedBodies(
  reader: DatabaseReader,
  { after, limit }: { readonly after: string; readonly limit: number },
): Promise<readonly string[]> {
  const rows = await typed(reader)
    .selectDistinct({ hash: archive.bodyHash })
    .from(archive)
    .where(gt(archive.bodyHash, after))
    .orderBy(archive.bodyHash)
    .limit(limit);
  return rows.map(({ hash }) => hash);
}
