// How commands talk to the person: text out, errors out, exit codes by sysexits(3).
import { writeSync } from "node:fs";

export interface Terminal {
  /** For people: control characters are replaced, because mail carries hostile text. */
  out(text: string): void;
  /** For programs: JSON lines, a policy file; exactly as given. */
  data(text: string): void;
  err(text: string): void;
}

/** Exit codes (sysexits.h where one fits). */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 64,
  input: 66,
  unavailable: 69,
  cannotCreate: 73,
  config: 78,
} as const;

// C0 but tab and line feed, DEL, C1, and what turns the direction of writing.
const UNSHOWABLE = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g;

const FULL_PIPE_PAUSE_MS = 5;

/** The text without anything a terminal would obey. */
export function showable(text: string): string {
  return text.replace(UNSHOWABLE, "\ufffd");
}

/** Writes all of it before it returns: what a stream holds back for a slow reader is lost when the process ends. */
function write(descriptor: 1 | 2, text: string): void {
  let rest: Buffer = Buffer.from(`${text}\n`);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(descriptor, rest));
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EAGAIN")) throw error;
      Bun.sleepSync(FULL_PIPE_PAUSE_MS);
    }
  }
}

/** The standard streams. `out` and `data` throw when nobody reads them any more (EPIPE). */
export const terminal: Terminal = {
  out: (text) => write(1, showable(text)),
  data: (text) => write(1, text),
  err(text) {
    try {
      write(2, showable(text));
    } catch {
      // Nobody reads it: a gateway does not stop for that.
    }
  },
};

/** A command that cannot go on: the message is for the person, the code for the shell. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  readonly exitCode: number;
  constructor(exitCode: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

/** The words of anything thrown. */
export function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Where an error came from, for who mends it: all of those that several parts failed with as they were closed. */
export function traceOf(error: unknown): string {
  if (error instanceof SuppressedError) return `${traceOf(error.suppressed)}\n${traceOf(error.error)}`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/** `1536` → `1.5 KB`. */
export function formatSize(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  const units = ["KB", "MB", "GB"];
  let value = bytes / 1024;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value.toFixed(1)} ${units[unit] ?? ""}`;
}

/** Milliseconds UTC as local time to the second: `2026-11-21 19:28:03`. */
export function formatTime(ms: number): string {
  const date = new Date(ms - new Date(ms).getTimezoneOffset() * 60_000);
  return date.toISOString().slice(0, 19).replace("T", " ");
}

/** Columns aligned by two spaces. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  }
  return rows
    .map((row) =>
      row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i] ?? 0))).join("  "),
    )
    .join("\n");
}
