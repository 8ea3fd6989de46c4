// Writes settlements to the spool until they are written. While one commit syncs, the next ones gather and share a unit.
// A settlement that is lost would deliver again in silence, so it is never given up while the process lives.
import type { Clock } from "../observe/clock.ts";
import type { Log } from "../observe/log.ts";
import { type Statement, StoreError } from "../store/database.ts";
import type { LogEvent } from "../store/log-record.ts";
import type { Spool } from "../store/spool.ts";
import type { EntryKey, SpooledMessage, SpooledRecipient } from "../store/spool-entry.ts";
import { removeUnreported } from "../store/spool-unreported.ts";
import {
  putBack,
  removeArchiveCopies,
  removeRecipients,
  removeSettledMessages,
} from "../store/spool-writing.ts";
import type { Outbox } from "./outbox.ts";

const MAX_PER_UNIT = 200;
/** While one unit is being committed, the next one stands in front of the next commit. */
const MAX_UNITS = 2;
const FIRST_WAIT_MS = 500;
const MAX_WAIT_MS = 30_000;
const ASIDE_MS = 60_000;

/** What one attempt, or one decision of an administrator, changes. */
export interface Settlement {
  readonly message: SpooledMessage;
  /** Numbers of the settled recipients. */
  readonly removed: readonly number[];
  readonly kept: readonly SpooledRecipient[];
  /** True when the message's copy for the archive is filed. */
  readonly archived?: boolean;
  /** Numbers of the recipients of whom the sender is told with this. */
  readonly reported?: readonly number[];
  /** Statements in front of those that remove what is settled: what keeps the message. */
  readonly first?: readonly Statement[];
  /** Further statements of the same unit: a notice that is queued, a destination that backs off. */
  readonly statements: readonly Statement[];
  readonly events: readonly LogEvent[];
  /** Called after the commit. */
  written(): void;
  /** Called each time the data contradicts it: it is tried again every minute, and nobody should wait for it. */
  setAside?(): void;
}

/** Adds a settlement and waits until it is written or set aside; `false`: set aside. Then `written` may still come, later. */
export function settled(
  writer: SettlementWriter,
  settlement: Omit<Settlement, "written" | "setAside"> & { readonly written?: () => void },
): Promise<boolean> {
  return new Promise((resolve) => {
    writer.add({
      ...settlement,
      written() {
        settlement.written?.();
        resolve(true);
      },
      setAside: () => resolve(false),
    });
  });
}

export interface SettlementWriter {
  add(settlement: Settlement): void;
  /** True while the spool refuses to be written: nothing new is begun then. */
  inTrouble(): boolean;
  /** How many are not written yet. */
  pending(): number;
  /** True when some are not written that may be soon: none that is set aside. */
  isBusy(): boolean;
  /** Recipients of those. */
  pendingRecipients(): number;
}

/** Makes the writer. `onTrouble` is called when the spool starts or stops refusing, `onRefused` when it takes all but one. */
export function createSettlementWriter(options: {
  readonly spool: Spool;
  readonly outbox: Outbox;
  readonly clock: Clock;
  readonly log: Log;
  readonly onTrouble: (words: string | null) => void;
  readonly onRefused: (words: string | null) => void;
  /** These were written back. */
  readonly onKept: (recipients: readonly SpooledRecipient[]) => void;
}): SettlementWriter {
  const { spool, outbox, clock, log } = options;
  let waiting: Settlement[] = [];
  /** From units that were refused: written one by one, so that a guilty one does not take the others with it. */
  let suspects: Settlement[] = [];
  /** Settlements that the data contradicts; tried again now and then. */
  const contradicted = new Set<Settlement>();
  let aside = 0;
  let writing = 0;
  let recipients = 0;
  let units = 0;
  let resting = false;
  let waitMs = 0;

  function go(): void {
    for (;;) {
      const careful = suspects.length > 0 || waitMs > 0;
      if (resting || units >= (careful ? 1 : MAX_UNITS)) return;
      const batch = (suspects.length > 0 ? suspects : waiting).slice(
        0,
        suspects.length > 0 ? 1 : MAX_PER_UNIT,
      );
      if (batch.length === 0) return;
      if (suspects.length > 0) suspects = suspects.slice(1);
      else waiting = waiting.slice(batch.length);
      writing += batch.length;
      units++;
      void write(batch);
    }
  }

  async function write(batch: readonly Settlement[]): Promise<void> {
    const unit = unitOf(batch);
    let failure: unknown = null;
    let changed: readonly number[] = [];
    try {
      changed = await outbox.commit(unit.statements, unit.events);
    } catch (error) {
      failure = error;
    }
    writing -= batch.length;
    units--;
    if (failure !== null) {
      refused(batch, failure);
      return;
    }
    if (waitMs > 0) {
      waitMs = 0;
      options.onTrouble(null);
    }
    for (const file of unit.files) {
      if ((changed[file.statement] ?? 0) > 0) void spool.removeBody(file.name);
    }
    for (const settlement of batch) {
      if (contradicted.delete(settlement) && contradicted.size === 0) options.onRefused(null);
      recipients -= settlement.removed.length + settlement.kept.length;
      if (settlement.kept.length > 0) options.onKept(settlement.kept);
      settlement.written();
    }
    go();
  }

  function refused(batch: readonly Settlement[], error: unknown): void {
    const kind = error instanceof StoreError ? error.kind : "failed";
    if (kind === "constraint" && batch.length === 1) setAside(batch, error);
    else if (kind === "disk-full") rest(batch, error);
    else {
      suspects.push(...batch);
      if (batch.length === 1) rest([], error, batch);
    }
    go();
  }

  /** Nothing is wrong with the disk but with this one settlement: it must not keep the others, and new deliveries, waiting. */
  function setAside(batch: readonly Settlement[], error: unknown): void {
    const [id = ""] = batch.map(({ message }) => message.id);
    log.error({ err: error, messages: [id], retryInMs: ASIDE_MS }, "a settlement is refused; set aside");
    options.onRefused(`The queue refuses to write how message ${id} ended; the log says why.`);
    aside += batch.length;
    for (const settlement of batch) {
      contradicted.add(settlement);
      settlement.setAside?.();
    }
    clock.after(ASIDE_MS, () => {
      aside -= batch.length;
      suspects.push(...batch);
      go();
    });
  }

  /** The spool cannot be written now: everything waits. `again` goes in front. */
  function rest(
    again: readonly Settlement[],
    error: unknown,
    refusedOnes: readonly Settlement[] = again,
  ): void {
    waiting = [...again, ...waiting];
    waitMs = Math.min(Math.max(waitMs * 2, FIRST_WAIT_MS), MAX_WAIT_MS);
    const words = error instanceof Error ? error.message : String(error);
    log.error(
      { err: error, messages: refusedOnes.map(({ message }) => message.id), retryInMs: waitMs },
      "settlement not written",
    );
    options.onTrouble(`The queue cannot be written: ${words}. No new deliveries are begun until it can.`);
    resting = true;
    clock.after(waitMs, () => {
      resting = false;
      go();
    });
  }

  return {
    add(settlement) {
      recipients += settlement.removed.length + settlement.kept.length;
      waiting.push(settlement);
      go();
    },
    inTrouble: () => waitMs > 0,
    pending: () => waiting.length + suspects.length + aside + writing,
    isBusy: () => waiting.length + suspects.length + writing > 0,
    pendingRecipients: () => recipients,
  };
}

interface Unit {
  readonly statements: readonly Statement[];
  readonly events: readonly LogEvent[];
  /** Body files, with the number of the statement that tells whether their message is gone. */
  readonly files: readonly { readonly name: string; readonly statement: number }[];
}

/** Removals of all settlements are one statement each; the rest follows in order. */
function unitOf(batch: readonly Settlement[]): Unit {
  const removed: EntryKey[] = [];
  const seqs: number[] = [];
  const statements: Statement[] = [];
  const events: LogEvent[] = [];
  const files: { name: string; statement: number }[] = [];
  const withFile: SpooledMessage[] = [];
  const archived: number[] = [];
  const told: EntryKey[] = [];
  for (const { message, removed: settled, archived: isArchived = false, reported = [], first } of batch) {
    if (first !== undefined) statements.push(...first);
    for (const n of reported) told.push({ seq: message.seq, n });
    for (const n of settled) removed.push({ seq: message.seq, n });
    if (isArchived) archived.push(message.seq);
    if (settled.length + reported.length === 0 && !isArchived) continue;
    if (message.bodyFile === null) seqs.push(message.seq);
    else withFile.push(message);
  }
  if (removed.length > 0) statements.push(removeRecipients(removed));
  if (told.length > 0) statements.push(removeUnreported(told));
  if (archived.length > 0) statements.push(removeArchiveCopies(archived));
  if (seqs.length > 0) statements.push(removeSettledMessages(seqs));
  for (const { seq, bodyFile } of withFile) {
    if (bodyFile !== null) files.push({ name: bodyFile, statement: statements.length });
    statements.push(removeSettledMessages([seq]));
  }
  for (const settlement of batch) {
    for (const recipient of settlement.kept) statements.push(putBack(settlement.message.seq, recipient));
    statements.push(...settlement.statements);
    for (const event of settlement.events) events.push(event);
  }
  return { statements, events, files };
}
