// The Worker that owns one database file: the only place that opens libSQL, and the only writer of its file.
// Everything is done one after the other, in the order of the messages. It decides nothing: errors go back in words.
import { closeSync, existsSync, openSync, readFileSync, rmSync, type Stats, statSync } from "node:fs";
import { parentPort } from "node:worker_threads";
import { type Client, createClient, type InStatement, type ResultSet } from "@libsql/client/sqlite3";
import type { SqlRow, SqlValue } from "./database.ts";
import { forgetOldMark, type LogMark, markPath, openLogMark } from "./log-mark.ts";
import { dueMigrations, type Migration, migrationHash } from "./migration.ts";
import { mustScrub, scrub } from "./scrub.ts";
import { classifyFailure, mayPoison, wireError } from "./sqlite-failure.ts";
import type { FromWorker, ToWorker, UnitResult, WireUnit } from "./worker-message.ts";
import { type KnownSql, knownSql, planGroup } from "./write-group.ts";

// How often a write is tried again when another process holds the lock; each try waits the busy timeout of the connection.
const BUSY_TRIES = 3;
// The log is copied into the database each time it has grown by so many pages (16 MB).
const CHECKPOINT_PAGES = 4000;

const port = parentPort;
if (port === null) throw new Error("database.worker.ts must be started as a Worker");

const catalogue: KnownSql[] = [];
let client: Client | null = null;
/** Of a database that is written. */
let mark: LogMark | null = null;
let path = "";
let readOnly = false;
let timeoutMs = 0;
let checkpointPages = CHECKPOINT_PAGES;
/** The file and its log as they were when they were first written to: device and inode. */
const places = new Map<string, string>();
/** Set when the connection failed in a way that may poison it: it is replaced before the next use, because libSQL may go on in a lost transaction. */
let suspect = false;
/** Set when nothing may be answered any more: the main thread has been told. */
let ended = false;
let turn: Promise<void> = Promise.resolve();

port.on("message", (message: ToWorker) => {
  turn = turn.then(() => answer(message));
});

async function answer(message: ToWorker): Promise<void> {
  if (ended) return;
  switch (message.kind) {
    case "open":
      checkpointPages = message.checkpointPages ?? CHECKPOINT_PAGES;
      return open(message);
    case "commit":
      for (const sql of message.sql) catalogue.push(knownSql(sql));
      return commit(message.units);
    case "query":
      return query(message.id, message.sql, message.params);
    case "relieve":
      return relieve();
    case "close":
      return close();
  }
}

function send(message: FromWorker, transfer: ArrayBuffer[] = []): void {
  port?.postMessage(message, transfer);
}

async function open(options: ToWorker & { readonly kind: "open" }): Promise<void> {
  const { migrations, counted } = options;
  path = options.path;
  readOnly = migrations === null;
  timeoutMs = options.timeoutMs;
  try {
    if (migrations !== null) forgetOldMark(path);
    client = await connect();
    if (migrations !== null) {
      const forNew = await mustScrub(client);
      await migrate(client, migrations, counted);
      mark = openLogMark(path);
      if (forNew) {
        mark.clear();
        await scrub(client);
      }
      mark.note();
    }
    send({ kind: "opened" });
  } catch (error) {
    ended = true;
    client?.close();
    client = null;
    send({ kind: "open-failed", error: wireError(error, path) });
  }
}

async function connect(): Promise<Client> {
  const connection = createClient({ url: `file:${path}`, concurrency: 1, timeout: timeoutMs });
  try {
    await setUp(connection);
    return connection;
  } catch (error) {
    connection.close();
    throw error;
  }
}

/**
 * Settings that belong to a connection; repeated for each new one. `secure_delete=FAST`: what a row held before leaves no remains in the
 * page, which is written anyway.
 */
async function setUp(connection: Client): Promise<void> {
  if (readOnly) {
    await connection.executeMultiple("PRAGMA query_only=ON; PRAGMA temp_store=MEMORY;");
    return;
  }
  await connection.executeMultiple(
    `PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;
     PRAGMA temp_store=MEMORY; PRAGMA secure_delete=FAST; PRAGMA wal_autocheckpoint=${checkpointPages};`,
  );
}

async function migrate(
  connection: Client,
  migrations: readonly Migration[],
  counted: string | undefined,
): Promise<void> {
  await connection.execute(
    "CREATE TABLE IF NOT EXISTS migration (name TEXT PRIMARY KEY, hash TEXT NOT NULL, applied_at INTEGER NOT NULL) STRICT",
  );
  const rows = (await connection.execute("SELECT name, hash FROM migration ORDER BY name")).rows;
  const plan = dueMigrations(
    migrations,
    rows.map((row) => ({ name: String(row[0]), hash: String(row[1]) })),
  );
  if (!plan.ok) throw new Error(`cannot use this database: ${plan.reason}`);
  if (plan.due.length === 0) return;
  // It may take a while: said before, unless the database is new.
  if (rows.length > 0 && counted !== undefined) {
    const [row] = (await connection.execute(`SELECT count(*) FROM "${counted}"`)).rows;
    send({ kind: "migrating", rows: Number(row?.[0]), steps: plan.due.map(({ name }) => name) });
  }
  await runTogether(connection, plan.due);
}

/** All or none: after a step that fails the version from before can still use the database. */
async function runTogether(connection: Client, due: readonly Migration[]): Promise<void> {
  const transaction = await connection.transaction("write");
  let name = "";
  try {
    for (const migration of due) {
      name = migration.name;
      await transaction.executeMultiple(migration.sql);
      await transaction.execute({
        sql: "INSERT INTO migration (name, hash, applied_at) VALUES (?, ?, ?)",
        args: [name, migrationHash(migration), Date.now()],
      });
    }
    await transaction.commit();
  } catch (error) {
    if (classifyFailure(error) === "broken") throw error;
    throw new Error(`migration "${name}" failed: ${wireError(error, path).message}`, { cause: error });
  } finally {
    transaction.close();
  }
}

/** The connection, replaced when the last one failed. */
async function usable(): Promise<Client> {
  if (client === null) throw new Error("the database is not open");
  if (suspect) {
    // Trap T1: after SQLITE_BUSY libSQL answers "ok" to inserts that are never committed. A new connection heals it. It is there before
    // the old one goes: with the last connection SQLite removes the log, and one made anew would look as if somebody had replaced it.
    const old = client;
    client = await connect();
    suspect = false;
    old.close();
  }
  return client;
}

async function commit(units: readonly WireUnit[]): Promise<void> {
  let results: UnitResult[];
  let trouble: string | null = null;
  const cut = cutShort();
  if (cut !== null) {
    // Nothing is written behind the cut: the file would be as long as it was, and look whole.
    const refused: UnitResult = { kind: "failed", message: cut };
    return send({ kind: "committed", results: units.map(() => refused), trouble: cut });
  }
  try {
    results = await commitTogether(units);
  } catch (error) {
    if (classifyFailure(error) === "broken") return broken(error);
    trouble = wireError(error, path).message;
    results = await commitEach(units, error);
  }
  mark?.note();
  const lost = displaced() ?? cutShort();
  if (lost !== null) results = results.map((result) => refusedFor(lost, result));
  send({ kind: "committed", results, trouble: lost ?? trouble });
}

/** What was committed counts as failed; what failed keeps its own reason. */
function refusedFor(message: string, result: UnitResult): UnitResult {
  return Array.isArray(result) ? { kind: "failed", message } : result;
}

/**
 * Why what was just committed may not be there after a restart, or null: the file or its log was removed or replaced, and the commit went
 * into one without a name. Never throws: what is committed must not be done again because nobody can look at the file.
 */
function displaced(): string | null {
  for (const file of [path, `${path}-wal`]) {
    let info: Stats | undefined;
    try {
      info = statSync(file, { throwIfNoEntry: false });
    } catch (error) {
      return `${file} cannot be looked at while the gateway runs (${String(error)}): what is written now may be lost`;
    }
    const place = info === undefined ? "gone" : `${info.dev}:${info.ino}`;
    const before = places.get(file);
    if (before === undefined && info !== undefined) places.set(file, place);
    else if (before !== place)
      return `${file} was ${info === undefined ? "removed" : "replaced"} while the gateway runs: what is written now would be lost`;
  }
  return null;
}

/** Why nothing may be written any more, or null: the log has lost what was written to it before. */
function cutShort(): string | null {
  if (mark?.isCut() !== true) return null;
  return `${path}-wal was cut short while the gateway runs: what was written last is lost, and what is written now would be`;
}

/**
 * The log is copied into the file and begun anew: the disk was full and small changes are to find a place, or something in it must be gone.
 */
async function relieve(): Promise<void> {
  if (cutShort() !== null) return;
  try {
    const connection = await usable();
    mark?.clear();
    await connection.execute("PRAGMA wal_checkpoint(TRUNCATE)");
  } catch (error) {
    // What is tried next says why.
    suspect ||= mayPoison(error);
  }
  mark?.note();
}

async function commitTogether(units: readonly WireUnit[]): Promise<UnitResult[]> {
  const plan = planGroup(units, catalogue);
  const changed = await transaction(plan.statements);
  return plan.counts.map((own) => own.map((index) => (index < 0 ? 1 : (changed[index]?.rowsAffected ?? 0))));
}

/** Each unit in a transaction of its own, so that only the guilty one is refused. */
async function commitEach(units: readonly WireUnit[], first: unknown): Promise<UnitResult[]> {
  const results: UnitResult[] = [];
  let blocked: unknown = units.length === 1 ? first : null;
  for (const unit of units) {
    if (blocked !== null) {
      results.push(wireError(blocked, path));
      continue;
    }
    try {
      results.push(...(await commitTogether([unit])));
    } catch (error) {
      results.push(wireError(error, path));
      const failure = classifyFailure(error);
      // A full disk or a foreign lock concerns the others just as well: no use in waiting once for each of them.
      if (failure === "disk-full" || failure === "busy" || failure === "broken") blocked = error;
    }
  }
  return results;
}

async function transaction(statements: readonly InStatement[]): Promise<ResultSet[]> {
  for (let tries = 1; ; tries++) {
    try {
      return await (await usable()).batch([...statements], "write");
    } catch (error) {
      suspect ||= mayPoison(error);
      if (classifyFailure(error) !== "busy" || tries === BUSY_TRIES) throw error;
    }
  }
}

async function query(id: number, sql: string, params: readonly SqlValue[]): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      const result = await (await usable()).execute({ sql, args: [...params] });
      const transfer: ArrayBuffer[] = [];
      send({ kind: "rows", id, rows: rowsOf(result, transfer) }, transfer);
      return;
    } catch (error) {
      suspect ||= mayPoison(error);
      const failure = classifyFailure(error);
      if (failure === "broken") return broken(error);
      if (failure === "busy" && tries < BUSY_TRIES) continue;
      send({ kind: "query-failed", id, error: wireError(error, path) });
      return;
    }
  }
}

/** Rows as plain arrays; blobs as Uint8Array whose memory is handed over, not copied. */
function rowsOf(result: ResultSet, transfer: ArrayBuffer[]): SqlRow[] {
  const width = result.columns.length;
  return result.rows.map((row) => {
    const values: SqlValue[] = new Array(width);
    for (let i = 0; i < width; i++) {
      const value = row[i] ?? null;
      if (value instanceof ArrayBuffer) {
        transfer.push(value);
        values[i] = new Uint8Array(value);
      } else values[i] = value;
    }
    return values;
  });
}

/** Gives the file up. Says so last: the main thread may end this one then, and ending it inside libSQL aborts the process. */
function broken(error: unknown): void {
  ended = true;
  leave();
  const gone = diskGone();
  send({ kind: "broken", error: gone === null ? wireError(error, path) : { kind: "failed", message: gone } });
}

const NO_DEVICE: ReadonlySet<unknown> = new Set(["EIO", "ENXIO", "ENODEV", "ESTALE"]);

/**
 * What SQLite reads from a disk that is gone looks like damage: nobody is to restore a backup then, or to go on without the database. Asked
 * when the file is given up: closing any handle on it gives up SQLite's locks.
 */
function diskGone(): string | null {
  try {
    closeSync(openSync(path, "r"));
    readFileSync(markPath(path));
  } catch (error) {
    const code: unknown = error instanceof Error && "code" in error ? error.code : null;
    if (NO_DEVICE.has(code))
      return `${path} cannot be read (${String(error)}): the disk is gone or failing; bring it back and start again, nothing in the file is known to be damaged`;
  }
  return null;
}

/**
 * Closes the connection. When the log was cut it stays open until the process ends: the last one to close would copy what is left into the
 * file, one page new and the next one old, and nobody could go back to the whole file from before.
 */
function leave(): void {
  if (cutShort() === null) client?.close();
  client = null;
}

async function close(): Promise<void> {
  try {
    if (!readOnly && cutShort() === null) {
      const connection = await usable();
      mark?.clear();
      await connection.execute("PRAGMA wal_checkpoint(TRUNCATE)");
    }
  } catch {
    // The log is simply copied at the next start.
  }
  ended = true;
  leave();
  mark?.close();
  if (mark !== null && !existsSync(`${path}-wal`)) rmSync(markPath(path), { force: true });
  send({ kind: "closed" });
}
