// What a failed libSQL call means for the store. No I/O.
import { LibsqlError } from "@libsql/client/sqlite3";
import type { WireError } from "./worker-message.ts";

/** `busy`: another connection holds the lock, reconnect and retry. `broken`: the file must not be used any further. */
export type FailureClass = "busy" | "disk-full" | "constraint" | "broken" | "failed";

/** Sorts an error thrown by libSQL. */
export function classifyFailure(error: unknown): FailureClass {
  if (!(error instanceof LibsqlError)) return "failed";
  const code = error.code;
  if (code === "SQLITE_BUSY" || code === "SQLITE_LOCKED" || code === "TRANSACTION_ACTIVE") return "busy";
  // A full disk shows as FULL, or as IOERR when a log, index or temporary file cannot grow.
  if (code === "SQLITE_FULL" || code === "SQLITE_IOERR") return "disk-full";
  if (code === "SQLITE_CONSTRAINT") return "constraint";
  if (code === "SQLITE_CORRUPT" || code === "SQLITE_NOTADB") return "broken";
  // A header that claims a version of the format which there is not.
  if (error.message.includes("unsupported file format")) return "broken";
  return "failed";
}

/** A constraint, bad SQL and a full disk end the transaction and leave the connection sound; after anything else it is not trusted (T1). */
const SOUND_AFTER: ReadonlySet<string> = new Set(["SQLITE_CONSTRAINT", "SQLITE_ERROR", "SQLITE_FULL"]);

/** May the connection go on in a transaction that is lost? */
export function mayPoison(error: unknown): boolean {
  return !(error instanceof LibsqlError && SOUND_AFTER.has(error.code));
}

/** The error as it is sent to the main thread, in words people can act on. */
export function wireError(error: unknown, path: string): WireError {
  const failure = classifyFailure(error);
  const detail = error instanceof Error ? error.message : String(error);
  switch (failure) {
    case "disk-full":
      return {
        kind: "disk-full",
        message: `${path} cannot be written: ${detail}; the disk is full or failing, make room on it`,
      };
    case "busy":
      return {
        kind: "failed",
        message: `${path} is locked by another process: ${detail}; only the running gateway may open its databases`,
      };
    case "constraint":
      return { kind: "constraint", message: `${path} refused a change: ${detail}` };
    case "broken":
      return {
        kind: "failed",
        message: `${path} is damaged: ${detail}; restore a backup, or go on without it: "gatepost serve --accept-loss"`,
        damage: detail,
      };
    case "failed":
      return { kind: "failed", message: `${path}: ${detail}` };
  }
}
