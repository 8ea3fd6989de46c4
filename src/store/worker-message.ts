// What a database handle and the Worker that owns the file say to each other. Plain data, cheap to clone.
import type { SqlRow, SqlValue, StoreError } from "./database.ts";
import type { Migration } from "./migration.ts";

/** A unit on the wire: SQL and its parameters, in turns. Most SQL texts travel once and are then known by number. */
export type WireUnit = readonly (number | string | readonly SqlValue[])[];

export interface WireError {
  readonly kind: StoreError["kind"];
  readonly message: string;
  /** The file is damaged: what SQLite says of it. */
  readonly damage?: string;
}

/** What became of one unit: rows changed by each of its statements, or why nothing of it was kept. */
export type UnitResult = readonly number[] | WireError;

export type ToWorker =
  | {
      readonly kind: "open";
      readonly path: string;
      /** null opens for reading only. */
      readonly migrations: readonly Migration[] | null;
      readonly timeoutMs: number;
      /** The log is copied into the file when it has so many pages; left out: the usual number. */
      readonly checkpointPages?: number;
      /** The table whose rows are counted and told when the database is of an earlier version. */
      readonly counted?: string;
    }
  | {
      readonly kind: "commit";
      /** SQL texts not sent before; they get the next numbers. */
      readonly sql: readonly string[];
      readonly units: readonly WireUnit[];
    }
  | {
      readonly kind: "query";
      readonly id: number;
      readonly sql: string;
      readonly params: readonly SqlValue[];
    }
  /** Empties the log: after a full disk, or of what must not lie there; nothing is answered. */
  | { readonly kind: "relieve" }
  | { readonly kind: "close" };

export type FromWorker =
  | { readonly kind: "opened" }
  /** The steps that it takes to bring the database to this version are about to begin. */
  | { readonly kind: "migrating"; readonly rows: number; readonly steps: readonly string[] }
  | { readonly kind: "open-failed"; readonly error: WireError }
  /** One result per unit of the commit message, in its order. */
  | { readonly kind: "committed"; readonly results: readonly UnitResult[]; readonly trouble: string | null }
  | { readonly kind: "rows"; readonly id: number; readonly rows: readonly SqlRow[] }
  | { readonly kind: "query-failed"; readonly id: number; readonly error: WireError }
  /** The file cannot be trusted any more; nothing further is answered. */
  | { readonly kind: "broken"; readonly error: WireError }
  | { readonly kind: "closed" };
