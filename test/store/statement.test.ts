// Drizzle queries as statements, bound and read back over a real database.
import { expect, test } from "bun:test";
import { join } from "node:path";
import { eq, sql } from "drizzle-orm";
import { blob, integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { prepare, sqlBuilder, statement, typed } from "../../src/store/statement.ts";
import { openAt, temporaryDirectory } from "./temporary-database.ts";

const sample = sqliteTable("sample", {
  id: text("id").primaryKey(),
  flag: integer("flag", { mode: "boolean" }).notNull(),
  at: integer("at", { mode: "timestamp_ms" }),
  value: text("value", { mode: "json" }).$type<{ readonly list: readonly number[] } | null>(),
  body: blob("body", { mode: "buffer" }),
});
const migrations = [
  {
    name: "0001",
    sql: "create table sample (id text primary key, flag integer not null, at integer, value text, body blob) strict",
  },
];

test("booleans, dates, JSON, blobs and nulls are mapped, built or prepared", async () => {
  await using directory = temporaryDirectory();
  const database = await openAt(join(directory.path, "a.db"), { migrations });
  const row = {
    id: "a",
    flag: true,
    at: new Date(1_800_000_000_123),
    value: { list: [1, 2] },
    body: Buffer.from([0, 1, 255]),
  };
  const empty = { id: "b", flag: false, at: null, value: null, body: null };
  const insert = prepare<{ [Key in keyof typeof row]: (typeof row)[Key] | null }>(
    sqlBuilder.insert(sample).values({
      id: sql.placeholder("id"),
      flag: sql.placeholder("flag"),
      at: sql.placeholder("at"),
      value: sql.placeholder("value"),
      body: sql.placeholder("body"),
    }),
  );
  await database.commit([
    statement(sqlBuilder.insert(sample).values(row)),
    insert(empty),
    insert({ ...row, id: "c" }),
  ]);
  expect(await typed(database).select().from(sample).orderBy(sample.id)).toEqual([
    row,
    empty,
    { ...row, id: "c" },
  ]);
  expect(await typed(database).select().from(sample).where(eq(sample.id, "a")).get()).toEqual(row);
  expect(await typed(database).select().from(sample).where(eq(sample.id, "none")).get()).toBeUndefined();
  expect(() => insert({ ...row, id: "d" }).sql).not.toThrow();
  await database.close();
});

test("writing through the reading side, or awaiting a built query, is refused", async () => {
  await using directory = temporaryDirectory();
  const database = await openAt(join(directory.path, "a.db"), { migrations });
  const attempts = [typed(database).delete(sample).then(), sqlBuilder.select().from(sample).then()];
  const results = await Promise.allSettled(attempts);
  expect(results.map((result) => result.status)).toEqual(["rejected", "rejected"]);
  expect(await typed(database).select().from(sample)).toEqual([]);
  await database.close();
});
