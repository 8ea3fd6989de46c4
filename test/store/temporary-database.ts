// A database on a real file in a directory of its own, for one test.
import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLog } from "../../src/observe/log.ts";
import { type SqlRow, type Statement, StoreError } from "../../src/store/database.ts";
import { gatepostMigrations } from "../../src/store/gatepost-migrations.ts";
import type { Migration } from "../../src/store/migration.ts";
import { type Database, openDatabase } from "../../src/store/open-database.ts";
import { readyDatabase } from "./ready-database.ts";

/** A table to write to. */
const thingMigrations: readonly Migration[] = [
  {
    name: "0001_thing",
    sql: `CREATE TABLE thing (id TEXT PRIMARY KEY, n INTEGER, body BLOB) STRICT;
          CREATE TABLE other (thing TEXT NOT NULL REFERENCES thing (id), words TEXT NOT NULL) STRICT;`,
  },
];

/** A fresh directory, removed when the test disposes it. */
export function temporaryDirectory(): { readonly path: string } & AsyncDisposable {
  const path = mkdtempSync(join(tmpdir(), "gatepost-store-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** Opens a database at the path; what breaks it is collected in `broken`. With migrations of its own a new one is really migrated. */
export async function openAt(
  path: string,
  options: {
    readonly migrations?: readonly Migration[];
    readonly busyTimeoutMs?: number;
    readonly checkpointPages?: number;
  } = {},
): Promise<Database & { readonly broken: StoreError[] }> {
  const broken: StoreError[] = [];
  if (options.migrations === undefined) await readyDatabase(path, thingMigrations);
  const database = await openDatabase({
    path,
    migrations: options.migrations ?? thingMigrations,
    log: silentLog,
    onBroken: (error) => broken.push(error),
    ...(options.busyTimeoutMs === undefined ? {} : { busyTimeoutMs: options.busyTimeoutMs }),
    ...(options.checkpointPages === undefined ? {} : { checkpointPages: options.checkpointPages }),
  });
  return {
    broken,
    commit: (statements) => database.commit(statements),
    pause: () => database.pause(),
    query: (statement) => database.query(statement),
    emptyLog: () => database.emptyLog(),
    close: () => database.close(),
  };
}

/** The gateway's own books in a fresh directory. */
export async function openBooks(directory: string): ReturnType<typeof openAt> {
  const path = join(directory, "gatepost.db");
  await readyDatabase(path, gatepostMigrations);
  return openAt(path, { migrations: gatepostMigrations });
}

/** Inserts a thing. */
export function insertThing(id: string, n = 0, body: Uint8Array | null = null): Statement {
  return { sql: 'insert into "thing" ("id", "n", "body") values (?, ?, ?)', params: [id, n, body] };
}

/** All rows of a query without parameters. */
export function rows(database: Pick<Database, "query">, sql: string): Promise<readonly SqlRow[]> {
  return database.query({ sql, params: [] });
}

/** The error a promise rejects with. (`expect().rejects` turns the event loop inside itself, and Worker messages can get stuck there.) */
export async function failureOf(promise: Promise<unknown>): Promise<StoreError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof StoreError) return error;
    throw error;
  }
  throw new Error("it was expected to fail, and did not");
}
