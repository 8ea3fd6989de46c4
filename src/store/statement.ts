// From Drizzle queries to statements: built once, bound cheaply on the hot path. Runs nothing itself.
import { is, Param, Placeholder, type SQL } from "drizzle-orm";
import { SQLiteAsyncDialect } from "drizzle-orm/sqlite-core";
import { drizzle, type SqliteRemoteDatabase } from "drizzle-orm/sqlite-proxy";
import { type DatabaseReader, type SqlValue, type Statement, StoreError } from "./database.ts";

/** Anything Drizzle can turn into SQL. */
export interface BuildsSql {
  toSQL(): { readonly sql: string; readonly params: readonly unknown[] };
}

/** Builds queries without a database (`sqlBuilder.insert(table).values(…)`); awaiting one of them rejects. */
export const sqlBuilder: SqliteRemoteDatabase = drizzle(() =>
  Promise.reject(new StoreError("failed", "this query was only built: hand it to commit() or query()")),
);

const dialect = new SQLiteAsyncDialect();

/** Drizzle's `sql` template as a statement, for what its query builder cannot say. Values become parameters. */
export function sqlStatement(query: SQL): Statement {
  const { sql, params } = dialect.sqlToQuery(query);
  return { sql, params };
}

/** A Drizzle query as a statement. Booleans, dates and JSON columns are mapped as the schema says. */
export function statement(query: BuildsSql): Statement {
  const { sql, params } = query.toSQL();
  return { sql, params };
}

/**
 * Opens the SQL of an INSERT whose row count nobody looks at and whose order among other uncounted ones does not matter.
 * Equal ones of a group then share one statement even with an ON CONFLICT clause, and 1 is reported for each.
 */
export const UNCOUNTED = "/* uncounted */ ";

/**
 * Compiles a query with `sql.placeholder("name")` once; the function returned only binds values.
 * `uncounted` says that row count and order are not needed (see UNCOUNTED): many equal INSERTs become much cheaper.
 * Values of `values({ column: placeholder })` are mapped as the column says; placeholders in conditions are bound as they are.
 */
export function prepare<Values extends Readonly<Record<string, unknown>>>(
  query: BuildsSql,
  options: { readonly uncounted: boolean } = { uncounted: false },
): (values: Values) => Statement {
  const { sql: text, params } = query.toSQL();
  const sql = options.uncounted ? `${UNCOUNTED}${text}` : text;
  const binders = params.map((param): ((values: Values) => unknown) => {
    if (is(param, Placeholder)) {
      const name = param.name;
      return (values) => values[name];
    }
    if (is(param, Param) && is(param.value, Placeholder)) {
      const { name } = param.value;
      const { encoder } = param;
      return (values) => {
        const value = values[name];
        return value === null ? null : encoder.mapToDriverValue(value);
      };
    }
    return () => param;
  });
  return (values) => {
    const bound: unknown[] = new Array(binders.length);
    for (let i = 0; i < binders.length; i++) bound[i] = binders[i]?.(values);
    return { sql, params: bound };
  };
}

/** Typed reads through Drizzle over a reader: `await typed(reader).select().from(table)`. Writing through it rejects. */
export function typed(reader: DatabaseReader): SqliteRemoteDatabase {
  return drizzle(async (sql, params, method) => {
    if (method === "run") {
      throw new StoreError("failed", `"${sql.slice(0, 80)}" writes; hand it to commit() as a statement`);
    }
    const rows = await reader.query({ sql, params });
    // Drizzle's remote driver takes one bare row for "get"; undefined, against its type, means that there is none.
    return { rows: (method === "get" ? rows[0] : rows) as unknown[] };
  });
}

/** The parameters as SQLite takes them; NUL in text becomes U+FFFD. Throws StoreError for a value that has no place in a column. */
export function bindValues({ sql, params }: Statement): readonly SqlValue[] {
  const values: SqlValue[] = new Array(params.length);
  for (let i = 0; i < params.length; i++) values[i] = bindValue(params[i], sql, i);
  return values;
}

function bindValue(value: unknown, sql: string, index: number): SqlValue {
  switch (typeof value) {
    case "string":
      // libSQL cuts text at a NUL without a word; mail is full of what people like to hide behind one.
      return value.includes("\0") ? value.replaceAll("\0", "\ufffd") : value;
    case "bigint":
      return value;
    case "number":
      if (Number.isFinite(value)) return value;
      break;
    case "boolean":
      return value ? 1 : 0;
    case "object":
      if (value === null) return null;
      // Cloning a view clones all the memory behind it, so a small part of a large buffer is copied out first.
      if (value instanceof Uint8Array) {
        return value.byteLength === value.buffer.byteLength ? value : value.slice();
      }
      if (value instanceof Date) return value.getTime();
      break;
    default:
      break;
  }
  throw new StoreError(
    "constraint",
    `parameter ${index + 1} of "${sql.slice(0, 120)}" is ${value === undefined ? "missing" : `${typeof value} ${String(value).slice(0, 40)}`}; bind text, numbers, bytes or null`,
  );
}
