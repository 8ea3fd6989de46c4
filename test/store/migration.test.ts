// Migrations: applied once, in order, each whole; refused on gaps, edits and newer databases. The shipped SQL matches the typed schema.
import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { getTableColumns, getTableName, is } from "drizzle-orm";
import { getTableConfig, SQLiteTable } from "drizzle-orm/sqlite-core";
import { gatepostMigrations } from "../../src/store/gatepost-migrations.ts";
import { failureOf, openAt, rows, temporaryDirectory } from "./temporary-database.ts";

const first = { name: "0001_a", sql: "create table a (x integer);" };
const second = { name: "0002_b", sql: "create table b (x integer); insert into b values (1);" };
const third = { name: "0003_c", sql: "create table c (x integer);" };

test("are applied once and in order, also when they come later", async () => {
  await using directory = temporaryDirectory();
  const path = join(directory.path, "a.db");
  for (const migrations of [[first], [first, second], [first, second], [first, second, third]]) {
    const database = await openAt(path, { migrations });
    expect((await rows(database, "select name from migration order by name")).length).toBe(migrations.length);
    await database.close();
  }
  const database = await openAt(path, { migrations: [first, second, third] });
  expect(await rows(database, "select count(*) from b")).toEqual([[1]]);
  await database.close();
});

test("refuse a database that belongs to another version, with words", async () => {
  await using directory = temporaryDirectory();
  const path = join(directory.path, "a.db");
  await (await openAt(path, { migrations: [first, third] })).close();
  const refusals: [{ name: string; sql: string }[], RegExp][] = [
    [[first, second, third], /number 2 should be "0002_b" but the database has "0003_c"/],
    [[first], /newer version: migration "0003_c" is not known here/],
    [[{ ...first, sql: "create table a (y integer);" }, third], /"0001_a" was applied with other text/],
    [[third, first], /"0001_a" does not sort after "0003_c"/],
  ];
  for (const [migrations, words] of refusals) {
    expect((await failureOf(openAt(path, { migrations }))).message).toMatch(words);
  }
  await (await openAt(path, { migrations: [first, third] })).close();
});

test("that fail leave nothing behind and are tried again", async () => {
  await using directory = temporaryDirectory();
  const path = join(directory.path, "a.db");
  const broken = { name: "0002_b", sql: "create table b (x integer); create table nonsense" };
  expect((await failureOf(openAt(path, { migrations: [first, broken] }))).message).toMatch(
    /migration "0002_b" failed: .*incomplete input/,
  );
  // Nothing of the first either: the version from before can go on with the database.
  await (await openAt(path, { migrations: [] })).close();
  const database = await openAt(path, { migrations: [first, second] });
  expect(await rows(database, "select name from migration order by name")).toEqual([["0001_a"], ["0002_b"]]);
  await database.close();
});

/** Each part of the gateway has a schema file of its own. */
async function gatepostTables(): Promise<readonly SQLiteTable[]> {
  const store = join(import.meta.dir, "../../src/store");
  const files = readdirSync(store).filter(
    (name) => name.endsWith("-schema.ts") && name !== "spool-schema.ts",
  );
  const modules = await Promise.all(
    files.map((name): Promise<Record<string, unknown>> => import(join(store, name))),
  );
  return modules.flatMap((module) => Object.values(module)).filter((value) => is(value, SQLiteTable));
}

test("the typed schema of gatepost.db is what its SQL makes", async () => {
  await using directory = temporaryDirectory();
  const database = await openAt(join(directory.path, "gatepost.db"), { migrations: gatepostMigrations });
  const typedTables = await gatepostTables();
  const made = (
    await rows(
      database,
      "select name from sqlite_schema where type = 'table' and name not like 'sqlite_%' order by name",
    )
  ).map(String);
  expect(
    typedTables
      .map((table) => getTableName(table))
      // Nothing asks `meta`, which the first migration made.
      .concat("migration", "meta")
      .sort(),
  ).toEqual(made);
  for (const table of typedTables) {
    const composite = getTableConfig(table).primaryKeys.flatMap((key) =>
      key.columns.map((column) => column.name),
    );
    const wanted = Object.values(getTableColumns(table)).map((column) => ({
      name: column.name,
      type: column.getSQLType().replace(" collate nocase", "").toUpperCase(),
      required: column.notNull || column.primary,
      key: column.primary || composite.includes(column.name),
    }));
    const found = (
      await rows(
        database,
        `select name, type, "notnull", pk from pragma_table_info('${getTableName(table)}')`,
      )
    ).map(([name, type, notNull, pk]) => ({
      name,
      type,
      required: notNull === 1 || pk !== 0,
      key: pk !== 0,
    }));
    expect<unknown>(found).toEqual(wanted);
  }
  await database.close();
});
