// What notices remember across restarts: small JSON values by kind and key. What they mean is the business of notify/.
import { and, eq } from "drizzle-orm";
import type { DatabaseReader, DatabaseWriter } from "./database.ts";
import { noticeState } from "./notice-schema.ts";
import { sqlBuilder, statement, typed } from "./statement.ts";

/** A value by its key. To keep null is to forget it. */
export interface KeptNoticeState {
  readonly key: string;
  readonly value: unknown;
}

/** The memory of notices. */
export interface NoticeState {
  /** All values of a kind. */
  load(kind: string): Promise<readonly KeptNoticeState[]>;
  /** Resolves when all of them are kept, or rejects with StoreError and none is. */
  keep(kind: string, entries: readonly KeptNoticeState[]): Promise<void>;
}

/** The memory of notices in gatepost.db. */
export function createNoticeState(db: DatabaseWriter, reader: DatabaseReader): NoticeState {
  return {
    load(kind) {
      return typed(reader)
        .select({ key: noticeState.key, value: noticeState.value })
        .from(noticeState)
        .where(eq(noticeState.kind, kind));
    },
    async keep(kind, entries) {
      if (entries.length === 0) return;
      await db.commit(
        entries.map(({ key, value }) =>
          statement(
            value === null
              ? sqlBuilder
                  .delete(noticeState)
                  .where(and(eq(noticeState.kind, kind), eq(noticeState.key, key)))
              : sqlBuilder
                  .insert(noticeState)
                  .values({ kind, key, value })
                  .onConflictDoUpdate({ target: [noticeState.kind, noticeState.key], set: { value } }),
          ),
        ),
      );
    },
  };
}
