// Moves quarantined copies from the spool to the quarantine: filed there first, settled here after. A crash in between files
// the same item again, which changes nothing.
import { headOf } from "../message/body.ts";
import { summarise } from "../message/summary.ts";
import type { OnAlarm } from "../observe/alarms.ts";
import type { Clock } from "../observe/clock.ts";
import type { Log } from "../observe/log.ts";
import type { Spool } from "../store/spool.ts";
import type { SpooledMessage, SpooledRecipient } from "../store/spool-entry.ts";
import type { QuarantinedCopy } from "../vault/keep-in-quarantine.ts";
import { createFilingLoop, type Filer, type Walk } from "./filing-loop.ts";
import { type SettlementWriter, settled } from "./settlement-writer.ts";
import { byMessage } from "./sweep-deadlines.ts";

const ROWS = 200;

/** Makes the filer. `file` resolves when the copy is kept durable; doing it twice keeps one. */
export function createQuarantineFiler(parts: {
  readonly spool: Spool;
  readonly writer: SettlementWriter;
  readonly file: (copy: QuarantinedCopy) => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
  readonly onAlarm: OnAlarm;
}): Filer {
  const { spool, writer, file, clock, log, onAlarm } = parts;
  /** Filed; that they are could not be written yet. */
  const aside = new Set<number>();

  async function walk(mayGoOn: () => boolean): Promise<Walk> {
    let failure: unknown = null;
    let more = false;
    let after = 0;
    while (mayGoOn()) {
      const entries = await spool.toQuarantine(after, ROWS);
      if (entries.length === 0) break;
      for (const [message, recipients] of byMessage(entries)) {
        after = message.seq;
        if (aside.has(message.seq)) continue;
        // One copy that cannot be filed does not keep the others waiting.
        await fileMessage(message, recipients).catch((error: unknown) => {
          failure = error;
          log.warn({ err: error, id: message.id }, "copy not filed in the quarantine; it waits in the spool");
        });
      }
      // More recipients of the last message than one read brings are found in the next walk, or when it is written.
      if (entries.length === ROWS && !aside.has(after)) more = true;
    }
    return { failure, more };
  }

  async function fileMessage(
    message: SpooledMessage,
    recipients: readonly SpooledRecipient[],
  ): Promise<void> {
    const body = await spool.body(message);
    const header = recipients.some(({ detail }) => detail.quarantine?.subject === undefined)
      ? summarise(headOf(body))
      : null;
    const [first, ...others] = recipients.flatMap(({ n, address, detail }) => {
      if (detail.quarantine === null) return [];
      const { reversePath, writtenFor } = message.envelope;
      const { receivedAt } = message;
      const about = { messageId: message.id, n, recipient: address, reversePath, receivedAt };
      const { tell: _, ...why } = detail.quarantine;
      const { subject = header?.subject ?? "", headerFrom = header?.headerFrom ?? "" } = why;
      const written = writtenFor === undefined ? {} : { writtenFor };
      return [{ ...about, ...written, ...why, subject, headerFrom, message: body }];
    });
    // The first one stores the body; the others then share the commits of their rows.
    if (first !== undefined) await file(first);
    await Promise.all(others.map(file));
    const wasWritten = await settled(writer, {
      message,
      removed: recipients.map(({ n }) => n),
      kept: [],
      statements: [],
      events: [],
      written() {
        if (aside.delete(message.seq)) filer.wake();
      },
    });
    if (!wasWritten) aside.add(message.seq);
  }

  const filer = createFilingLoop({
    walk,
    clock,
    onTrouble: (words) =>
      onAlarm(
        "quarantine",
        words === null ? null : `Mail for the quarantine cannot be filed and waits in the queue: ${words}`,
      ),
  });
  return filer;
}
