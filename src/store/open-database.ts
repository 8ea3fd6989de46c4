// Opens a database: one Worker per handle, units of a turn sent together, everything pending refused when the Worker dies.
// The only way to a database; nothing here knows a table.
import type { Log } from "../observe/log.ts";
import {
  type DatabaseReader,
  type DatabaseWriter,
  type SqlRow,
  type SqlValue,
  type Statement,
  StoreError,
} from "./database.ts";
import type { Migration } from "./migration.ts";
import { bindValues } from "./statement.ts";
import type { FromWorker, ToWorker, UnitResult, WireError, WireUnit } from "./worker-message.ts";

// How long libSQL waits for a lock that another process holds.
const BUSY_TIMEOUT_MS = 2000;
// One grouped transaction; more waits for the next, so that nobody waits for a giant.
const MAX_GROUP_UNITS = 500;
const MAX_GROUP_BYTES = 8 * 1024 * 1024;
// After a group of so many units the next one waits so long for those who are told of it.
const GATHER_FROM_UNITS = 4;
const GATHER_MS = 1;
const MAX_NUMBERED_SQL = 500;

/** A database handle with a lifetime. */
export interface Database extends DatabaseWriter {
  /**
   * Holds commits back until the returned function is called; resolves when none is under way. For moments: whoever waits for a
   * commit waits that much longer.
   */
  pause(): Promise<() => void>;
  /** What was written so far is copied into the file and the log emptied: nothing of what rows held before is left in either. */
  emptyLog(): void;
  /** Finishes what was asked before, copies the log into the file and ends the Worker. */
  close(): Promise<void>;
}

/** A reading handle with a Worker of its own. */
export interface Reader extends DatabaseReader {
  close(): Promise<void>;
}

/**
 * Opens (or makes) the database at `path` and brings it up to date.
 * Rejects with a readable StoreError when it cannot be used.
 * `onBroken` is called once when the Worker died or the file is damaged: every pending and later call is refused then.
 */
export async function openDatabase(options: {
  readonly path: string;
  readonly migrations: readonly Migration[];
  readonly log: Log;
  readonly onBroken: (error: StoreError) => void;
  /** The disk is full: whatever is kept in reserve should be given up now, and what was refused is tried once more. */
  readonly onFull?: () => void;
  /** The log is copied into the file when it has so many pages; on small disks fewer than usual. */
  readonly checkpointPages?: number;
  /** How long one try waits for a lock that another process holds; 2,000 when left out. */
  readonly busyTimeoutMs?: number;
  /** A database of an earlier version is told of in the log before it is brought up to date: its greatest table, and what that is to people. */
  readonly told?: { readonly table: string; readonly words: string };
}): Promise<Database> {
  const handle = new DatabaseHandle(options.path, options.log, options);
  const { busyTimeoutMs: timeoutMs = BUSY_TIMEOUT_MS, checkpointPages, told } = options;
  await handle.open(options.migrations, {
    timeoutMs,
    ...(checkpointPages === undefined ? {} : { checkpointPages }),
    ...(told === undefined ? {} : { counted: told.table }),
  });
  return handle;
}

/** Opens a second, reading Worker on a database that `openDatabase` has opened, for long searches: they stall no write. */
export async function openReader(options: {
  readonly path: string;
  readonly log: Log;
  readonly onBroken?: (error: StoreError) => void;
}): Promise<Reader> {
  const handle = new DatabaseHandle(options.path, options.log, { onBroken: options.onBroken ?? (() => {}) });
  await handle.open(null);
  return { query: (statement) => handle.query(statement), close: () => handle.close() };
}

interface Callbacks {
  readonly onBroken: (error: StoreError) => void;
  readonly onFull?: () => void;
  readonly told?: { readonly words: string };
}

interface WaitingUnit {
  /** Set when it found the disk full once. */
  retried?: true;
  readonly wire: WireUnit;
  readonly bytes: number;
  readonly resolve: (changed: readonly number[]) => void;
  readonly reject: (error: StoreError) => void;
}

interface WaitingQuery {
  readonly resolve: (rows: readonly SqlRow[]) => void;
  readonly reject: (error: StoreError) => void;
}

/** The main thread's end: keeps what waits for the next group, matches answers to callers. */
class DatabaseHandle implements Database {
  readonly #path: string;
  readonly #log: Log;
  readonly #callbacks: Callbacks;
  readonly #worker: Worker;
  readonly #sqlNumbers = new Map<string, number>();
  readonly #queries = new Map<number, WaitingQuery>();
  #newSql: string[] = [];
  #pending: WaitingUnit[] = [];
  /** The units of the group that the Worker is committing. */
  #committing: readonly WaitingUnit[] = [];
  #flushPlanned = false;
  #pauses = 0;
  /** Called when no commit is under way. */
  #onQuiet: (() => void)[] = [];
  #lastQuery = 0;
  #dead: StoreError | null = null;
  #opening: { resolve: () => void; reject: (error: StoreError) => void } | null = null;
  #closing: { promise: Promise<void>; resolve: () => void } | null = null;

  constructor(path: string, log: Log, callbacks: Callbacks) {
    this.#path = path;
    this.#log = log;
    this.#callbacks = callbacks;
    this.#worker = new Worker("./src/store/database.worker.ts", { smol: true });
    this.#worker.onmessage = (event: MessageEvent<FromWorker>) => this.#receive(event.data);
    this.#worker.onerror = (event) => this.#die(`its thread failed: ${event.message}`);
    this.#worker.addEventListener("close", () => this.#die("its thread ended"));
  }

  open(
    migrations: readonly Migration[] | null,
    options: { readonly timeoutMs: number; readonly checkpointPages?: number; readonly counted?: string } = {
      timeoutMs: BUSY_TIMEOUT_MS,
    },
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#opening = { resolve, reject };
      this.#post({ kind: "open", path: this.#path, migrations, ...options });
    });
  }

  commit(statements: readonly Statement[]): Promise<readonly number[]> {
    const refusal = this.#refusal();
    if (refusal !== null) return Promise.reject(refusal);
    if (statements.length === 0) return Promise.resolve([]);
    return new Promise((resolve, reject) => {
      const wire: (number | string | readonly SqlValue[])[] = [];
      let bytes = 0;
      // Throws for a value that cannot be bound, which rejects the unit before anything is sent.
      for (const statement of statements) {
        const values = bindValues(statement);
        bytes += sizeOf(values);
        wire.push(this.#sqlNumber(statement.sql), values);
      }
      this.#pending.push({ wire, bytes, resolve, reject });
      this.#planFlush();
    });
  }

  async pause(): Promise<() => void> {
    this.#pauses++;
    if (this.#committing.length > 0) await new Promise<void>((resolve) => this.#onQuiet.push(resolve));
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#pauses--;
      this.#flush();
    };
  }

  emptyLog(): void {
    if (this.#refusal() === null) this.#post({ kind: "relieve" });
  }

  query(statement: Statement): Promise<readonly SqlRow[]> {
    const refusal = this.#refusal();
    if (refusal !== null) return Promise.reject(refusal);
    return new Promise((resolve, reject) => {
      const params = bindValues(statement);
      const id = ++this.#lastQuery;
      this.#queries.set(id, { resolve, reject });
      this.#post({ kind: "query", id, sql: statement.sql, params });
    });
  }

  close(): Promise<void> {
    if (this.#dead !== null) return Promise.resolve();
    if (this.#closing === null) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#closing = { promise, resolve };
      if (this.#pending.length === 0 && this.#committing.length === 0) this.#post({ kind: "close" });
    }
    return this.#closing.promise;
  }

  /** Groups form here: while the Worker commits one, the next one gathers. At rest a group is what one turn of the loop brought. */
  #planFlush(when: (flush: () => void) => void = setImmediate): void {
    if (this.#flushPlanned || this.#committing.length > 0) return;
    this.#flushPlanned = true;
    when(() => {
      this.#flushPlanned = false;
      this.#flush();
    });
  }

  /**
   * The next group goes out before anybody is told, so that the disk works while the callers do. Where groups are large those who are told
   * now come with more at once: a moment later all share one commit, instead of two halves taking turns with twice as many.
   */
  #flushNext(lastUnits: number): void {
    const gathers = lastUnits >= GATHER_FROM_UNITS && this.#pending.length < 2 * lastUnits;
    if (gathers) this.#planFlush((flush) => setTimeout(flush, GATHER_MS));
    else this.#flush();
  }

  #flush(): void {
    if (this.#dead !== null || this.#committing.length > 0 || this.#pending.length === 0) return;
    if (this.#pauses > 0) return;
    let count = 0;
    let bytes = 0;
    for (const unit of this.#pending) {
      if (count > 0 && (count >= MAX_GROUP_UNITS || bytes + unit.bytes > MAX_GROUP_BYTES)) break;
      count++;
      bytes += unit.bytes;
    }
    const group = count === this.#pending.length ? this.#pending : this.#pending.slice(0, count);
    this.#pending = count === this.#pending.length ? [] : this.#pending.slice(count);
    this.#committing = group;
    const sql = this.#newSql;
    this.#newSql = [];
    this.#post({ kind: "commit", sql, units: group.map((unit) => unit.wire) });
  }

  /** The number under which the Worker knows the text; rare texts beyond the limit travel as they are. */
  #sqlNumber(sql: string): number | string {
    const known = this.#sqlNumbers.get(sql);
    if (known !== undefined) return known;
    const number = this.#sqlNumbers.size;
    if (number >= MAX_NUMBERED_SQL) return sql;
    this.#sqlNumbers.set(sql, number);
    this.#newSql.push(sql);
    return number;
  }

  #receive(message: FromWorker): void {
    switch (message.kind) {
      case "opened":
        this.#opening?.resolve();
        this.#opening = null;
        return;
      case "migrating":
        this.#log.info(
          { database: this.#path, steps: message.steps },
          `${this.#callbacks.told?.words ?? "the database"} of ${message.rows} rows is being brought to this version; mail is taken afterwards`,
        );
        return;
      case "open-failed": {
        const opening = this.#opening;
        this.#opening = null;
        this.#end();
        opening?.reject(storeError(message.error));
        return;
      }
      case "committed":
        if (message.trouble !== null) {
          this.#log.warn({ database: this.#path, units: message.results.length }, message.trouble);
        }
        this.#settle(message.results);
        return;
      case "rows": {
        const waiting = this.#queries.get(message.id);
        this.#queries.delete(message.id);
        waiting?.resolve(message.rows);
        return;
      }
      case "query-failed": {
        const waiting = this.#queries.get(message.id);
        this.#queries.delete(message.id);
        waiting?.reject(storeError(message.error));
        return;
      }
      case "broken":
        this.#die(message.error.message, message.error.damage);
        return;
      case "closed":
        this.#end();
        this.#closing?.resolve();
        return;
    }
  }

  #settle(results: readonly UnitResult[]): void {
    const group = this.#committing;
    this.#committing = [];
    const again = this.#relieved(group, results);
    if (this.#pending.length > 0) this.#flushNext(group.length);
    else if (this.#closing !== null) this.#post({ kind: "close" });
    this.#tellQuiet();
    for (const [index, unit] of group.entries()) {
      if (again.has(unit)) continue;
      const result = results[index];
      if (result === undefined)
        unit.reject(new StoreError("failed", `${this.#path}: a commit got no answer`));
      else if ("kind" in result) unit.reject(storeError(result));
      else unit.resolve(result);
    }
  }

  /** Units that found the disk full go first into the next group, once, after what can be given up was. */
  #relieved(group: readonly WaitingUnit[], results: readonly UnitResult[]): ReadonlySet<WaitingUnit> {
    const again = new Set<WaitingUnit>();
    for (const [index, unit] of group.entries()) {
      const result = results[index];
      if (result === undefined || !("kind" in result) || result.kind !== "disk-full" || unit.retried)
        continue;
      unit.retried = true;
      again.add(unit);
    }
    if (again.size === 0) return again;
    this.#callbacks.onFull?.();
    this.#post({ kind: "relieve" });
    this.#pending = [...again, ...this.#pending];
    return again;
  }

  #tellQuiet(): void {
    if (this.#committing.length > 0) return;
    const waiting = this.#onQuiet;
    this.#onQuiet = [];
    for (const tell of waiting) tell();
  }

  /** The Worker or the file is lost: nobody may wait for an answer that never comes. */
  #die(why: string, damage?: string): void {
    if (this.#dead !== null) return;
    const error = new StoreError(
      "failed",
      `the database ${this.#path} cannot be used any more: ${why}`,
      damage === undefined ? {} : { damage },
    );
    const units = [...this.#committing, ...this.#pending];
    const queries = [...this.#queries.values()];
    const opening = this.#opening;
    this.#end();
    this.#dead = error;
    this.#committing = [];
    this.#pending = [];
    this.#queries.clear();
    this.#tellQuiet();
    this.#log.error({ database: this.#path, err: error }, "database lost");
    for (const unit of units) unit.reject(error);
    for (const query of queries) query.reject(error);
    if (opening !== null) opening.reject(error);
    else this.#callbacks.onBroken(error);
    this.#closing?.resolve();
  }

  /** Only called when the Worker is idle or dead: ending one that is inside libSQL aborts the whole process. */
  #end(): void {
    this.#dead = this.#closedError();
    this.#worker.terminate();
  }

  #refusal(): StoreError | null {
    if (this.#dead !== null) return this.#dead;
    return this.#closing === null ? null : this.#closedError();
  }

  #closedError(): StoreError {
    return new StoreError("failed", `the database ${this.#path} is closed`);
  }

  #post(message: ToWorker): void {
    this.#worker.postMessage(message);
  }
}

/** Roughly what the values take up. */
function sizeOf(values: readonly SqlValue[]): number {
  let bytes = 0;
  for (const value of values) {
    if (typeof value === "string") bytes += value.length;
    else if (value instanceof Uint8Array) bytes += value.byteLength;
    else bytes += 8;
  }
  return bytes;
}

function storeError({ kind, message, damage }: WireError): StoreError {
  return new StoreError(kind, message, damage === undefined ? {} : { damage });
}
