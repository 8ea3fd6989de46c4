// JSON lines on standard output. The only place that writes the log.
import pino from "pino";
import { createLineWriter } from "./line-writer.ts";

export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";
export type LogFields = Readonly<Record<string, unknown>>;

export interface Log {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
}

/** The log of a process that writes it. */
export interface ProcessLog extends Log {
  /** Resolves when every line so far is written, or cannot be: what is held back is lost when the process ends. */
  flush(): Promise<void>;
}

/** A reader that stopped reading must not keep the gateway from ending. */
const FLUSH_MS = 1000;

/** Makes the log. Each line has `time` (RFC 3339), `level`, `msg` and the fields given; errors under `err` with stack and cause. */
export function createLog(level: LogLevel): ProcessLog {
  // Not pino's own destination: it waits for ever at exit when the reader of a pipe is gone, and loses its last lines in a file.
  const writer = createLineWriter(
    1,
    (lines) =>
      `${JSON.stringify({ level: "warn", time: new Date().toISOString(), lines, msg: "log lines left out: nobody read them in time" })}\n`,
  );
  const logger = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: pino.stdSerializers.errWithCause },
    },
    writer,
  );
  return {
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
    flush: () => writer.flush(FLUSH_MS),
  };
}

/** A log that writes nothing, for tests. */
export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };
