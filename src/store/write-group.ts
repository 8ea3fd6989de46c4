// How the units of one grouped transaction become few statements. Pure; order is kept wherever it could matter.
import type { InStatement } from "@libsql/client/sqlite3";
import type { SqlValue } from "./database.ts";
import type { WireUnit } from "./worker-message.ts";

// SQLite's limit is 32,766 variables in one statement.
const MAX_VARIABLES = 30_000;
const ONE_ROW_INSERT =
  /^(\/\* uncounted \*\/ )?(insert into ("\w+") \([^()]*\) values )(\((?:\?|null)(?:, (?:\?|null))*\))( on conflict [^?]*)?$/i;

/** A SQL text the Worker has been told once, with its pieces when it is an INSERT that may be joined with its like. */
export interface KnownSql {
  readonly sql: string;
  readonly insert: {
    readonly head: string;
    readonly row: string;
    readonly tail: string;
    /** What must not be mixed within a run: the table, and which text writes to it unless its inserts commute (uncounted). */
    readonly table: string;
    readonly writer: string;
  } | null;
}

/**
 * Reads a SQL text once, so that equal INSERTs can be joined at no cost later: plain ones, which change exactly one row each,
 * and those marked uncounted (`statement.ts`), whose ON CONFLICT may change none.
 */
export function knownSql(sql: string): KnownSql {
  const match = ONE_ROW_INSERT.exec(sql);
  const [, uncounted, head, table, row, tail] = match ?? [];
  if (head === undefined || table === undefined || row === undefined) return { sql, insert: null };
  if (tail !== undefined && uncounted === undefined) return { sql, insert: null };
  const writer = uncounted === undefined ? sql : "";
  return { sql, insert: { head, row, tail: tail ?? "", table, writer } };
}

export interface GroupPlan {
  readonly statements: readonly InStatement[];
  /** For each unit and statement: the index in `statements` whose row count is its own, or -1 for a joined INSERT (reported as one row). */
  readonly counts: readonly (readonly number[])[];
}

interface Join {
  readonly insert: NonNullable<KnownSql["insert"]>;
  readonly params: SqlValue[];
  rows: number;
}

/**
 * Plans one transaction for all units. Neighbouring INSERTs of one SQL text become multi-row INSERTs: a statement costs
 * about 10 µs however many rows it has. Only runs of such INSERTs are joined, each table's rows staying in their order;
 * any other statement, or another INSERT into a table of the run, ends it, so nothing is moved across a read, an update or a delete.
 */
export function planGroup(units: readonly WireUnit[], catalogue: readonly KnownSql[]): GroupPlan {
  const statements: InStatement[] = [];
  const joins = new Map<number | string, Join>();
  const writers = new Map<string, string>();
  const counts: number[][] = [];
  for (const unit of units) {
    const own: number[] = [];
    for (let i = 0; i < unit.length; i += 2) {
      const key = unit[i] as number | string;
      const params = unit[i + 1] as readonly SqlValue[];
      const known = typeof key === "number" ? catalogue[key] : knownSql(key);
      if (known === undefined) throw new Error(`SQL number ${key} was never sent`);
      if (known.insert === null) {
        endRun(joins, statements);
        writers.clear();
        own.push(statements.push({ sql: known.sql, args: params as SqlValue[] }) - 1);
        continue;
      }
      own.push(-1);
      const { table, writer } = known.insert;
      if ((writers.get(table) ?? writer) !== writer) {
        endRun(joins, statements);
        writers.clear();
      }
      writers.set(table, writer);
      const join = joins.get(key);
      if (join === undefined) {
        joins.set(key, { insert: known.insert, params: params.slice(), rows: 1 });
      } else {
        for (const param of params) join.params.push(param);
        join.rows++;
        if (join.params.length + params.length > MAX_VARIABLES) endRun(joins, statements);
      }
    }
    counts.push(own);
  }
  endRun(joins, statements);
  return { statements, counts };
}

/** Writes the joined INSERTs in the order in which their tables first appeared, so that parents come before children. */
function endRun(joins: Map<number | string, Join>, statements: InStatement[]): void {
  if (joins.size === 0) return;
  for (const { insert, params, rows } of joins.values()) {
    const more = `, ${insert.row}`.repeat(rows - 1);
    statements.push({ sql: `${insert.head}${insert.row}${more}${insert.tail}`, args: params });
  }
  joins.clear();
}
