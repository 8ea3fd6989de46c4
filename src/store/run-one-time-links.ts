// One-time links in gatepost.db. Who uses one is decided by a single conditional UPDATE, so that no two callers both get it.
import { createHash, randomBytes } from "node:crypto";
import { and, eq, gt, inArray, isNull, lte } from "drizzle-orm";
import type { Clock } from "../observe/clock.ts";
import type { DatabaseReader, DatabaseWriter } from "./database.ts";
import { SLICE_ROWS } from "./delete-old.ts";
import { oneTimeLink } from "./notice-schema.ts";
import type { LinkKind, LinkState, OneTimeLinks } from "./one-time-links.ts";
import { sqlBuilder, statement, typed } from "./statement.ts";

const TOKEN_BYTES = 32;
/** base64url of 32 octets; anything else is no token of ours and never reaches the database. */
const TOKEN = /^[A-Za-z0-9_-]{43}$/;
/** A link that is over still says so for a while, instead of "unknown". */
const REMEMBERED_MS = 30 * 86_400_000;
const UNKNOWN: LinkState = { state: "unknown", subject: null };

/** What is left is forgotten with the next link. */
function oldLinks(now: number) {
  return sqlBuilder
    .select({ tokenHash: oneTimeLink.tokenHash })
    .from(oneTimeLink)
    .where(lte(oneTimeLink.expiresAt, now - REMEMBERED_MS))
    .limit(SLICE_ROWS);
}

/** One-time links kept in `db`; what people only look at is read through `reader`, which is the same file. */
export function createOneTimeLinks(parts: {
  readonly db: DatabaseWriter;
  readonly reader: DatabaseReader;
  readonly clock: Pick<Clock, "now">;
}): OneTimeLinks {
  const { db, reader, clock } = parts;

  async function find(from: DatabaseReader, kind: LinkKind, tokenHash: string): Promise<LinkState> {
    const [row] = await typed(from)
      .select({
        subject: oneTimeLink.subject,
        expiresAt: oneTimeLink.expiresAt,
        usedAt: oneTimeLink.usedAt,
      })
      .from(oneTimeLink)
      .where(and(eq(oneTimeLink.tokenHash, tokenHash), eq(oneTimeLink.kind, kind)));
    if (row === undefined) return UNKNOWN;
    const { subject } = row;
    if (row.usedAt !== null) return { state: "used", subject };
    return { state: row.expiresAt <= clock.now() ? "expired" : "valid", subject };
  }

  return {
    async create({ kind, subject, validMs }) {
      const token = randomBytes(TOKEN_BYTES).toString("base64url");
      const createdAt = clock.now();
      await db.commit([
        statement(sqlBuilder.delete(oneTimeLink).where(inArray(oneTimeLink.tokenHash, oldLinks(createdAt)))),
        statement(
          sqlBuilder.insert(oneTimeLink).values({
            tokenHash: hashOf(token),
            kind,
            subject: { ...subject },
            createdAt,
            expiresAt: createdAt + validMs,
          }),
        ),
      ]);
      return token;
    },

    async look(kind, token) {
      return TOKEN.test(token) ? find(reader, kind, hashOf(token)) : UNKNOWN;
    },

    async use(kind, token) {
      if (!TOKEN.test(token)) return UNKNOWN;
      const tokenHash = hashOf(token);
      const usedAt = clock.now();
      const [changed] = await db.commit([
        statement(
          sqlBuilder
            .update(oneTimeLink)
            .set({ usedAt })
            .where(
              and(
                eq(oneTimeLink.tokenHash, tokenHash),
                eq(oneTimeLink.kind, kind),
                isNull(oneTimeLink.usedAt),
                gt(oneTimeLink.expiresAt, usedAt),
              ),
            ),
        ),
      ]);
      const found = await find(db, kind, tokenHash);
      return changed === 1 ? { ...found, state: "valid" } : found;
    },
  };
}

function hashOf(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}
