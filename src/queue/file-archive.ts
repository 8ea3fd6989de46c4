// Files copies for the archive: kept there first, forgotten in the spool after. A crash in between files the same copy again,
// which changes nothing. Delivery goes its own way meanwhile.
import type { OnAlarm } from "../observe/alarms.ts";
import type { Clock } from "../observe/clock.ts";
import type { Log } from "../observe/log.ts";
import { StoreError } from "../store/database.ts";
import type { Spool } from "../store/spool.ts";
import type { ArchiveEntry } from "../store/spool-entry.ts";
import type { ArchivedCopy } from "../vault/keep-in-archive.ts";
import { createFilingLoop, type Filer, type Walk } from "./filing-loop.ts";
import { type SettlementWriter, settled } from "./settlement-writer.ts";

const ROWS = 100;
/** Copies that are filed side by side, so that they share the syncs: so many, and so many octets unless it is one alone. */
const MAX_TOGETHER = 20;
const MAX_TOGETHER_BYTES = 16 * 1024 * 1024;
/** So many failures in a row, and the archive counts as away: the walk ends, or each would read the whole backlog. */
const MAX_FAILURES = 40;

/** Makes the filer. `file` resolves when the copy is kept durable; doing it twice keeps one. */
export function createArchiveFiler(parts: {
  readonly spool: Spool;
  readonly writer: SettlementWriter;
  readonly file: (copy: ArchivedCopy) => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
  readonly onAlarm: OnAlarm;
}): Filer {
  const { spool, writer, file, clock, log, onAlarm } = parts;
  /** Filed; that they are could not be written yet. */
  const aside = new Set<number>();

  async function walk(mayGoOn: () => boolean): Promise<Walk> {
    let failure: unknown = null;
    let inARow = 0;
    let after = 0;
    /** One copy that cannot be filed does not keep the others waiting. */
    async function tryOne(entry: ArchiveEntry): Promise<void> {
      if (aside.has(entry.message.seq)) return;
      try {
        await fileOne(entry);
        inARow = 0;
      } catch (error) {
        failure = error;
        // A body that is lost says nothing about the archive.
        if (!(error instanceof StoreError && error.kind === "lost")) inARow++;
        const { id } = entry.message;
        log.warn({ err: error, id }, "copy not filed in the archive; it waits in the spool");
      }
    }
    while (mayGoOn()) {
      const entries = await spool.toArchive(after, ROWS);
      for (const together of batches(entries)) {
        if (!mayGoOn() || inARow >= MAX_FAILURES) return { failure, more: false };
        await Promise.all(together.map(tryOne));
      }
      const last = entries.at(-1);
      if (last === undefined) break;
      after = last.message.seq;
    }
    return { failure, more: false };
  }

  async function fileOne({ message, detail }: ArchiveEntry): Promise<void> {
    const { id: messageId, receivedAt, envelope } = message;
    const { reversePath } = envelope;
    await file({ ...detail, messageId, receivedAt, reversePath, message: await spool.body(message) });
    const wasWritten = await settled(writer, {
      message,
      removed: [],
      kept: [],
      archived: true,
      statements: [],
      events: [],
      written: () => void aside.delete(message.seq),
    });
    if (!wasWritten) aside.add(message.seq);
  }

  return createFilingLoop({
    walk,
    clock,
    onTrouble: (words) =>
      onAlarm(
        "archive",
        words === null ? null : `Mail for the archive cannot be filed and waits in the queue: ${words}`,
      ),
  });
}

function batches(entries: readonly ArchiveEntry[]): readonly (readonly ArchiveEntry[])[] {
  const all: ArchiveEntry[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const entry of entries) {
    const current = all.at(-1);
    const { size } = entry.message;
    if (current === undefined || current.length >= MAX_TOGETHER || bytes + size > MAX_TOGETHER_BYTES) {
      all.push([entry]);
      bytes = size;
    } else {
      current.push(entry);
      bytes += size;
    }
  }
  return all;
}
