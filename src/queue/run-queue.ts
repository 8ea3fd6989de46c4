// The queue at work: puts its parts together, takes mail in, starts where the last process stopped, and closes.
import type { Deliverer } from "../delivery/attempt.ts";
import type { DestinationFor } from "../delivery/route.ts";
import type { MessageBody } from "../message/body.ts";
import { headOf } from "../message/body.ts";
import type { SignOrder } from "../message/sign-order.ts";
import type { OnAlarm } from "../observe/alarms.ts";
import type { Clock } from "../observe/clock.ts";
import type { Log } from "../observe/log.ts";
import { type Statement, StoreError } from "../store/database.ts";
import type { LogEvent, MessageRecord } from "../store/log-record.ts";
import type { Spool } from "../store/spool.ts";
import type { SpooledRecipient } from "../store/spool-entry.ts";
import { forgetReleased, rememberReleased } from "../store/spool-writing.ts";
import type { ArchivedCopy } from "../vault/keep-in-archive.ts";
import type { QuarantinedCopy } from "../vault/keep-in-quarantine.ts";
import { createAdministration } from "./administer.ts";
import { whoSent } from "./claim-work.ts";
import { createCutThrough } from "./cut-through.ts";
import { Dispatcher } from "./dispatch.ts";
import { createArchiveFiler } from "./file-archive.ts";
import { createQuarantineFiler } from "./file-quarantine.ts";
import { createLostBodies } from "./lost-bodies.ts";
import { mailOf, type ReleasedItem, releasedMail, writtenBy } from "./new-mail.ts";
import { createOutbox, type WriteLog } from "./outbox.ts";
import { ownDestination, prepareOwnMail } from "./own-mail.ts";
import { createNotices } from "./own-notice.ts";
import { stateEvent } from "./plan-settlement.ts";
import type { Acceptance, Queue } from "./queue.ts";
import type { QueueSettings } from "./queue-settings.ts";
import { recoverInterrupted } from "./recover-interrupted.ts";
import { createRefusalLog } from "./refusal-log.ts";
import { createFailureReports, type FailureReports } from "./report-failures.ts";
import { createSettling } from "./settle-attempt.ts";
import { createSettlementWriter } from "./settlement-writer.ts";
import { createSigning, type Sign } from "./sign-copy.ts";
import { createDeadlineSweep, type DeadlineSweep } from "./sweep-deadlines.ts";
import { createTakeIn, type NewMail } from "./take-in.ts";
import type { StorageWatch } from "./watch-storage.ts";

// A quarantine item is long gone when its release is forgotten.
const REMEMBER_RELEASED_MS = 400 * 86_400_000;
// The log catches up at the next start if it cannot now.
const LOG_GRACE_MS = 5000;
const CLOSE_LOOK_MS = 20;
/** From the cutting of connections to the last settlement on disk. */
const CUT_GRACE_MS = 2000;

export interface QueueOptions {
  readonly spool: Spool;
  readonly deliverer: Deliverer;
  /** Says whether mail from outside may be taken now, and is told what became of writing it. */
  readonly storage: Pick<StorageWatch, "refusal" | "written" | "failed">;
  readonly clock: Clock;
  readonly log: Log;
  /** Read at each use, so that a change counts at once. */
  readonly settings: () => QueueSettings;
  /** Our own name, in the notices we send. */
  readonly hostname: string;
  /** Where mail for an address goes now: for our own notices, and for waiting mail after routes have changed. */
  readonly destinationFor: DestinationFor;
  /** Writes events to the message log. */
  readonly writeLog: WriteLog;
  /** Files a copy in the quarantine, durable when it resolves; twice keeps one. */
  readonly fileInQuarantine: (copy: QuarantinedCopy) => Promise<void>;
  /** Files a copy in the archive, durable when it resolves; twice keeps one. */
  readonly fileInArchive: (copy: ArchivedCopy) => Promise<void>;
  /** Signs a copy after its edits; rejects when a key cannot be used. Left out: what is to be signed waits. */
  readonly sign?: Sign;
  /** Does the domain send mail here, as it is set? Left out: each does. */
  readonly isSet?: (domain: string) => boolean;
  /** How mail of our own is signed: notices, alerts, reports. Left out or null: not. */
  readonly ownSign?: () => SignOrder | null;
  /** Raises (words) or clears (null) an alarm. */
  readonly onAlarm: OnAlarm;
  /** Numbers from 0 up to 1 for the jitter; Math.random when left out. */
  readonly random?: () => number;
}

/** The queue, and what the composition root calls besides. */
export interface RunningQueue extends Queue {
  /**
   * Takes a message back from the quarantine, durable when it resolves; the same `id` is delivered once, however often and whenever
   * it is called. Rejects with StoreError, and nothing is kept.
   */
  acceptReleased(item: ReleasedItem, message: MessageBody): Promise<"released" | "already">;
  /** Something was heard of a mail server, or routes were changed: looks at once which of our own answer again. */
  lookForLife(): void;
  /** A client has connected to us: a mail server that sends is there again, maybe. Costs nothing while none is away. */
  heardFrom(ip: string): void;
  /** For metrics. */
  figures(): QueueFigures;
}

export interface QueueFigures {
  /** Attempts under way. */
  readonly active: number;
  /** Destinations with mail. */
  readonly lanes: number;
  /** Octets of bodies held in memory for delivery. */
  readonly bodyBytes: number;
  /** Settlements that are not on disk yet. */
  readonly unsettled: number;
}

/** Starts the queue on its spool: attempts that a crash interrupted are tried again, then everything due is. */
export async function createQueue(options: QueueOptions): Promise<RunningQueue> {
  const parts = assemble(options);
  const { spool, clock, log, hostname, storage } = options;
  const { outbox, dispatcher, writer, sweep, filers, refusals, takeIn, cutThrough } = parts;
  let closed = false;
  let taking = 0;
  await start(options, parts);

  /** Whatever it writes is waited for at the end, and the watch over the disk hears of it. */
  async function writing(write: () => Promise<unknown>): Promise<void> {
    taking++;
    try {
      await write();
      storage.written();
    } catch (error) {
      storage.failed(error);
      throw error;
    } finally {
      taking--;
    }
  }

  /** One unit: the message, what must be true with it, and its events. Delivery begins after the commit. */
  function store(mail: NewMail, events: readonly LogEvent[], first: readonly Statement[] = []) {
    return writing(async () => {
      const intake = await takeIn(mail);
      try {
        await outbox.commit([...first, ...intake.statements], events);
      } catch (error) {
        intake.abandoned();
        throw error;
      }
      intake.stored();
    });
  }

  async function keep(mail: NewMail, { message, record }: Acceptance): Promise<void> {
    // What is not in memory is on the disk already.
    const refusal = storage.refusal(headOf(message).byteLength);
    if (refusal !== null) throw refusal;
    const events: LogEvent[] = [{ kind: "message", record }];
    // Discarded for everybody and kept nowhere else: the log keeps the record, and that is all.
    if (mail.recipients.length === 0 && mail.archive === null) await writing(() => outbox.commit([], events));
    else await store(mail, events);
  }

  function refuseWhenClosed(): void {
    if (closed) throw new StoreError("failed", "the queue is closed: the gateway is stopping");
  }

  return {
    ...createAdministration({ ...parts, spool, clock }),
    async handOver(acceptance, waitMs) {
      refuseWhenClosed();
      taking++;
      try {
        const mail = mailOf(acceptance);
        const given = await cutThrough.handOver(mail, { record: acceptance.record, waitMs });
        if (given !== null && given !== "not tried") return given;
        await keep(mail, acceptance);
        return { kind: "kept" };
      } finally {
        taking--;
      }
    },
    async accept(acceptance) {
      refuseWhenClosed();
      await keep(mailOf(acceptance), acceptance);
    },
    async send(own) {
      refuseWhenClosed();
      const destination = ownDestination(own.to, options);
      const { mail, event } = prepareOwnMail(own, {
        now: clock.now(),
        hostname,
        destination,
        sign: options.ownSign?.() ?? null,
      });
      await store(mail, [event]);
      return mail.id;
    },
    record(record: MessageRecord) {
      refusals.add(record);
    },
    async acceptReleased(item, message) {
      refuseWhenClosed();
      if (await spool.wasReleased(item.id)) return "already";
      const at = clock.now();
      const mail = releasedMail(item, {
        message,
        destination: options.destinationFor(
          item.recipient,
          item.direction === "outbound" ? "to pass on" : "for us",
          whoSent(item, { ...writtenBy(item), reversePath: item.reversePath }),
        ),
      });
      const state = { state: "released" as const, at, nextAttemptAt: at, words: "Released from quarantine" };
      const event = stateEvent({ message: { id: item.messageId } }, item.n, state);
      try {
        await store(mail, [event], [rememberReleased(item.id, at)]);
        return "released";
      } catch (error) {
        // Two calls at once: the table lets one of them through.
        const twice = error instanceof StoreError && error.kind === "constraint";
        if (twice && (await spool.wasReleased(item.id))) return "already";
        throw error;
      }
    },
    lookForLife: () => dispatcher.lifeSigns.lookNow(),
    heardFrom: (ip) => dispatcher.lifeSigns.heardFrom(ip),
    figures: () => ({ ...dispatcher.figures(), unsettled: writer.pending() }),
    async close(graceMs) {
      if (closed) return;
      closed = true;
      dispatcher.stop();
      parts.reports.stop();
      parts.lostBodies.stop();
      parts.signing.stop();
      const busy = () =>
        dispatcher.isClaiming() ||
        writer.isBusy() ||
        taking + dispatcher.figures().active + parts.settling.pending() > 0;
      const ended = Promise.all([
        sweep.stop(),
        ...filers.map((filer) => filer.stop()),
        until(() => !busy(), clock),
      ]);
      await Promise.race([ended, wait(graceMs, clock)]);
      // Attempts that still hang are cut, and that they delivered nothing is written down.
      if (busy()) {
        await Promise.race([options.deliverer.close(0).then(() => ended), wait(CUT_GRACE_MS, clock)]);
      }
      if (busy()) {
        const left = { active: dispatcher.figures().active, unsettled: writer.pending() };
        log.warn(left, "queue closed with work under way; it is tried again at the next start");
      }
      await Promise.race([refusals.close().then(() => outbox.drain()), wait(LOG_GRACE_MS, clock)]);
      outbox.stop();
    },
  };
}

type Parts = ReturnType<typeof assemble>;

/** Builds the parts. Some know each other both ways; they meet through functions that are called only after all exist. */
function assemble(options: QueueOptions) {
  const { spool, clock, log, settings, hostname, destinationFor, onAlarm } = options;
  const random = options.random ?? Math.random;
  const outbox = createOutbox(options);
  const writer = createSettlementWriter({
    spool,
    outbox,
    clock,
    log,
    onTrouble(words) {
      onAlarm("spool", words);
      if (words === null) dispatcher.wakeAll();
    },
    onRefused: (words) => onAlarm("settlement", words),
    onKept: (recipients) => sweep.note(recipients),
  });
  const lostBodies = createLostBodies({ spool, clock, log, onAlarm });
  const signing = createSigning(options);
  const dispatcher: Dispatcher = new Dispatcher({
    ...options,
    random,
    lostBodies,
    sign: signing.sign,
    settle(attempt) {
      if (!cutThrough.ended(attempt)) settling.ended(attempt);
    },
    handBack: (works) => settling.handedBack(works.filter((work) => !cutThrough.handedBack(work))),
    withdraw(work) {
      if (!cutThrough.withdrawn(work)) settling.withdrawn(work);
    },
    mayBegin: () => !writer.inTrouble(),
  });
  const takeIn = createTakeIn({
    spool,
    dispatcher,
    clock,
    settings,
    onQuarantine: () => quarantine.wake(),
    onArchive: () => archive.wake(),
    onKept: (recipients) => sweep.note(recipients),
    onOwed: (message, at) => reports.note(message, at),
  });
  const prepareNotice = createNotices({
    takeIn,
    clock,
    hostname,
    log,
    destinationFor,
    ...(options.ownSign === undefined ? {} : { ownSign: options.ownSign }),
    onAlarm,
  });
  const onQuarantine = () => quarantine.wake();
  const reports: FailureReports = createFailureReports({
    spool,
    writer,
    dispatcher: () => dispatcher,
    prepareNotice,
    clock,
    log,
    onQuarantine,
  });
  const onKept = (recipients: readonly SpooledRecipient[]) => sweep.note(recipients);
  const settling = createSettling({
    writer,
    dispatcher,
    reports,
    onQuarantine,
    onKept,
    settings,
    clock,
    random,
  });
  const cutThrough = createCutThrough({ ...options, outbox, dispatcher, settling: () => settling });
  const filing = { spool, writer, clock, log, onAlarm };
  const quarantine = createQuarantineFiler({ ...filing, file: options.fileInQuarantine });
  const archive = createArchiveFiler({ ...filing, file: options.fileInArchive });
  const filers = [quarantine, archive];
  const sweep: DeadlineSweep = createDeadlineSweep({
    spool,
    dispatcher,
    writer,
    prepareNotice,
    reports,
    destinationFor,
    settings,
    onQuarantine,
    clock,
    log,
  });
  const refusals = createRefusalLog({ outbox, clock, log });
  return {
    signing,
    outbox,
    writer,
    dispatcher,
    takeIn,
    settling,
    filers,
    sweep,
    refusals,
    lostBodies,
    reports,
    cutThrough,
  };
}

/** First what the last process left undone, then everything that is due. */
async function start({ spool, clock, log, settings }: QueueOptions, parts: Parts): Promise<void> {
  const { outbox, dispatcher, sweep, filers, lostBodies, reports } = parts;
  const now = clock.now();
  const { foreign, missing } = spool.atOpening;
  if (foreign.length > 0) {
    const files = foreign.slice(0, 100);
    log.warn(
      { count: foreign.length, files },
      "body files of another, older spool.db lie in the spool; they are left alone",
    );
  }
  for (const file of missing) lostBodies.found(messageIdOf(file), `its body file ${file} is missing`);
  await recoverInterrupted({ spool, outbox, log, now, retryMs: settings().retryMs });
  await spool.commit([forgetReleased(now - REMEMBER_RELEASED_MS)]);
  const [waiting, unreachable] = await Promise.all([spool.waitingDestinations(), spool.unreachable()]);
  outbox.start();
  dispatcher.start({ waiting, unreachable });
  sweep.start();
  await reports.start();
  for (const filer of filers) filer.wake();
}

/** The message a body file belongs to (`bodyFileName`). */
function messageIdOf(file: string): string {
  return file.slice(0, Math.max(0, file.indexOf("-")));
}

function wait(ms: number, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    clock.after(ms, resolve);
  });
}

/** Resolves when `done` answers true, looked at every few milliseconds. */
function until(done: () => boolean, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    const look = () => (done() ? resolve() : void clock.after(CLOSE_LOOK_MS, look));
    look();
  });
}
