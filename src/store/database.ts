// The contract of a database handle on the main thread: statements go to the Worker that owns the file.

/** One SQL statement with its parameters. Made by Drizzle (`query.toSQL()`), never by hand outside `store/`. */
export interface Statement {
  readonly sql: string;
  readonly params: readonly unknown[];
}

export type SqlValue = string | number | bigint | Uint8Array | null;
export type SqlRow = readonly SqlValue[];

/** Reading a database. */
export interface DatabaseReader {
  /** Rows as arrays in the order of the selected columns. */
  query(statement: Statement): Promise<readonly SqlRow[]>;
}

/** Writing a database; a different type from reading, so that a page cannot write by accident. */
export interface DatabaseWriter extends DatabaseReader {
  /**
   * Runs the statements in order as one unit: all or none. Resolves after the commit that holds them was synced to disk.
   * Units that arrive while a commit is syncing share the next commit. Rejects with StoreError; nothing of the unit is kept then.
   * Resolves to the number of rows each statement changed.
   */
  commit(statements: readonly Statement[]): Promise<readonly number[]>;
}

/**
 * What a failure means. `disk-full`: retry later. `constraint`: the unit contradicts the data or cannot be bound; it never
 * will be taken. `lost`: what a row names is not there or damaged; trying again does not help. `failed`: anything else.
 */
export type StoreFailure = "disk-full" | "constraint" | "lost" | "failed";

/** A failed write or read. */
export class StoreError extends Error {
  override readonly name = "StoreError";
  readonly kind: StoreFailure;
  /** What SQLite says of a file that it found damaged; null: it is another failure. */
  readonly damage: string | null;
  constructor(kind: StoreFailure, message: string, options?: ErrorOptions & { readonly damage?: string }) {
    super(message, options);
    this.kind = kind;
    this.damage = options?.damage ?? null;
  }
}
