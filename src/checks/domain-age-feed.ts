// A text file with the dates domains were registered on, one domain a line. Read again when the file changes; bounded in size.
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import type { Clock } from "../observe/clock.ts";
import type { Log } from "../observe/log.ts";
import { AgeTable } from "./age-table.ts";

export interface DomainAgeFeed {
  /** Milliseconds UTC, or null when the feed does not name the domain. Rejects when there is no usable file. */
  registeredAt(domain: string): Promise<number | null>;
}

const MAX_BYTES = 50_000_000;
const MAX_LINE = 1000;
const LOOK_EVERY_MS = 30_000;

interface Loaded {
  readonly mtimeMs: number;
  readonly size: number;
  readonly table: AgeTable;
}

/**
 * Lines are `example.org 2026-11-20`, also with a time (`2026-11-20T10:00:00Z`); a date alone is its first moment in UTC. Other lines are
 * passed over. Nothing is read before it is asked for; the file's date is looked at again every half minute.
 */
export function createDomainAgeFeed(parts: {
  readonly path: string;
  readonly clock: Clock;
  readonly log: Log;
}): DomainAgeFeed {
  const { path, clock, log } = parts;
  let loaded: Loaded | null = null;
  let failure: Error | null = null;
  let lookedAt = Number.NEGATIVE_INFINITY;
  let looking: Promise<void> | null = null;

  const look = async (): Promise<void> => {
    try {
      const { mtimeMs, size } = await stat(path);
      if (loaded !== null && loaded.mtimeMs === mtimeMs && loaded.size === size) return;
      if (size > MAX_BYTES) throw new Error(`it has ${size} octets, more than ${MAX_BYTES}`);
      const { table, passedOver } = await readTable(path);
      loaded = { mtimeMs, size, table };
      failure = null;
      log.info({ path, domains: table.size, passedOver }, "the feed of domain ages was read");
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      const words = `the feed of domain ages "${path}" cannot be read: ${why}`;
      // What was read before stays in use: the file may just be written anew.
      if (failure?.message !== words)
        log.warn({ err: cause, path }, "the feed of domain ages cannot be read");
      failure = new Error(words, { cause });
    } finally {
      lookedAt = clock.now();
      looking = null;
    }
  };

  return {
    async registeredAt(domain) {
      if (clock.now() - lookedAt >= LOOK_EVERY_MS) looking ??= look();
      if (looking !== null) await looking;
      if (loaded !== null) return loaded.table.get(domain);
      throw failure ?? new Error(`the feed of domain ages "${path}" was not read`);
    },
  };
}

async function readTable(path: string): Promise<{ readonly table: AgeTable; readonly passedOver: number }> {
  const table = new AgeTable();
  let passedOver = 0;
  let bytes = 0;
  let rest = "";
  const take = (line: string): void => {
    const entry = readLine(line);
    if (entry !== null) table.set(entry.domain, entry.at);
    else if (line.trim() !== "" && !line.startsWith("#")) passedOver++;
  };
  // Piece by piece, so that other work goes on in between.
  for await (const piece of createReadStream(path, { encoding: "latin1" })) {
    bytes += String(piece).length;
    if (bytes > MAX_BYTES) throw new Error(`it grew beyond ${MAX_BYTES} octets`);
    const lines = (rest + String(piece)).split("\n");
    rest = (lines.pop() ?? "").slice(0, MAX_LINE);
    for (const line of lines) take(line);
  }
  take(rest);
  return { table, passedOver };
}

const LINE =
  /^([a-z0-9_-][a-z0-9._-]{0,251}[a-z0-9])\.?[ \t,;]+(\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2})?)?)\s*$/i;

function readLine(line: string): { readonly domain: string; readonly at: number } | null {
  if (line.length > MAX_LINE) return null;
  const [, domain, date] = LINE.exec(line) ?? [];
  if (domain === undefined || date === undefined) return null;
  const zoned = date.length <= 10 || /(?:Z|[+-]\d{2}:?\d{2})$/i.test(date) ? date : `${date}Z`;
  const at = Date.parse(zoned.replace(" ", "T"));
  return Number.isFinite(at) && at > 0 ? { domain: domain.toLowerCase(), at } : null;
}
