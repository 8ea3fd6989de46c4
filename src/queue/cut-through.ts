// Cut-through: the sender waits while the mail server behind answers, and hears its word. What it took needs no place on our disk; what
// it refuses for all is refused in the dialogue. Anything else, and what takes too long, is stored like other mail, with the attempt
// that is under way, and that attempt settles it; if it cannot be stored, that attempt's answer is waited for. 250 is only ever said
// for what the server or our disk holds. A large message is in a file from the start; who ends it here removes the file.
import type { Outcome } from "../delivery/outcome.ts";
import type { Destination } from "../delivery/route.ts";
import { headOf, isLarge, type LargeBody, type MessageBody } from "../message/body.ts";
import { replyWords } from "../notify/reply-words.ts";
import type { Clock } from "../observe/clock.ts";
import type { Log } from "../observe/log.ts";
import type { LogEvent, MessageRecord } from "../store/log-record.ts";
import type { Spool } from "../store/spool.ts";
import type { SpooledMessage } from "../store/spool-entry.ts";
import { insertMessage, insertRecipient } from "../store/spool-writing.ts";
import type { Dispatcher } from "./dispatch.ts";
import type { EndedAttempt } from "./ended-attempt.ts";
import type { Outbox } from "./outbox.ts";
import { stateEvent } from "./plan-settlement.ts";
import type { QueueSettings } from "./queue-settings.ts";
import { refusalOf, type ServerRefusal } from "./server-refusal.ts";
import type { Settling } from "./settle-attempt.ts";
import { sharedWay } from "./shared-way.ts";
import { type NewMail, newRecipient } from "./take-in.ts";
import type { StorageWatch } from "./watch-storage.ts";
import { groupWork, MAX_RECIPIENTS_PER_ATTEMPT, type Work } from "./work.ts";

/** `kept`: on our disk. `taken`: by the mail server. `refused`: by it, for all, in these words; nobody holds the message. */
export type HandedOver =
  | { readonly kind: "kept" | "taken" }
  | { readonly kind: "refused"; readonly reply: ServerRefusal };

export interface CutThrough {
  /**
   * Null: this message is not handed over, nothing was done; so too when it resolves to "not tried". Rejects with StoreError when it
   * was to be kept and could not, and the server did not take it either: then nothing is kept. The storage watch knows of it then.
   */
  handOver(
    mail: NewMail,
    options: { readonly record: MessageRecord; readonly waitMs: number },
  ): Promise<HandedOver | "not tried"> | null;
  /** An attempt ended, work was given back without one, or an administrator took it away: true when it was handed over. */
  ended(attempt: EndedAttempt): boolean;
  handedBack(work: Work): boolean;
  withdrawn(work: Work): boolean;
  /** Its sender still waits for the answer and it is not on our disk: it is no mail of the queue's yet. */
  inDialogue(work: Work): boolean;
}

export interface CutThroughParts {
  readonly spool: Spool;
  readonly outbox: Outbox;
  readonly dispatcher: Dispatcher;
  readonly settling: () => Settling;
  readonly storage: Pick<StorageWatch, "refusal" | "written" | "failed">;
  readonly settings: () => QueueSettings;
  readonly clock: Clock;
  readonly log: Log;
}

/** `open`: nothing on disk. `storing`: being written. `stored`: like other mail. */
type State = "open" | "storing" | "stored";

interface Waiting {
  readonly work: Work;
  readonly record: MessageRecord;
  readonly startedAt: number;
  state: State;
  /** Why it could not be stored; it is open again then, and nothing but the server can take it. */
  failure: unknown;
  /** As stored. */
  message: SpooledMessage;
  /** What happened while it was being written. */
  later: (() => void) | null;
  cancelTimer: () => void;
  readonly resolve: (given: HandedOver | "not tried") => void;
  readonly reject: (error: unknown) => void;
}

/** Makes it. */
export function createCutThrough(parts: CutThroughParts): CutThrough {
  const { spool, outbox, dispatcher, storage, settings, clock, log } = parts;
  const all = new Map<Work, Waiting>();
  let attempts = 0;

  /** The one piece of work that it is, its place reserved; null: it is stored first, like other mail. */
  function reserved(mail: NewMail): Work | null {
    const way = mayHandOver(mail) ? sharedWay(mail.recipients.map(({ detail }) => detail.destination)) : null;
    const counted = { size: mail.body.length, share: mail.share };
    if (way === null || !dispatcher.reserve(way.key, counted)) return null;
    const [work, ...more] = worksOf(mail, way);
    if (work !== undefined && more.length === 0) return work;
    // Edits or signatures differ.
    dispatcher.release(way.key, counted);
    return null;
  }

  function worksOf(mail: NewMail, way: Destination): readonly Work[] {
    const { id, receivedAt, envelope, body, recipients, share } = mail;
    const options = { envelope, share, now: clock.now(), settings: settings() };
    const seq = spool.nextMessageSeq();
    const message: SpooledMessage = { seq, id, receivedAt, size: body.length, envelope, bodyFile: null };
    const entries = recipients.map((one) => ({ message, recipient: newRecipient(one, options) }));
    return groupWork(entries, body, way);
  }

  /**
   * The same, its file under the name it keeps if the message is stored: the attempt opens it when it comes to that, maybe more than
   * once, and a crash before the row leaves it to the sweep. Rejects with StoreError.
   */
  async function named(work: Work, body: LargeBody): Promise<Work> {
    const { message, destination, share } = work;
    try {
      const kept = await spool.keepBody(message.id, message.seq, body);
      return { ...work, message: { ...message, bodyFile: kept.file }, body: kept.body };
    } catch (error) {
      dispatcher.release(destination.key, { size: message.size, share });
      storage.failed(error);
      throw error;
    }
  }

  function begin(
    work: Work,
    { record, waitMs }: { readonly record: MessageRecord; readonly waitMs: number },
  ): Promise<HandedOver | "not tried"> {
    return new Promise((resolve, reject) => {
      const waiting: Waiting = {
        work,
        record,
        startedAt: clock.now(),
        state: "open",
        failure: null,
        message: work.message,
        later: null,
        cancelTimer: () => {},
        resolve,
        reject,
      };
      all.set(work, waiting);
      waiting.cancelTimer = clock.after(waitMs, () => void store(waiting));
      dispatcher.enter(work);
    });
  }

  /** Puts it on disk, as the attempt under way that it is. */
  async function store(waiting: Waiting): Promise<void> {
    waiting.state = "storing";
    waiting.cancelTimer();
    // What is not in memory is on the disk already.
    const refusal = storage.refusal(headOf(bodyOf(waiting.work)).byteLength);
    const failure = refusal ?? (await written(waiting));
    if (failure === null) {
      waiting.state = "stored";
      waiting.resolve({ kind: "kept" });
    } else {
      waiting.state = "open";
      waiting.failure = failure;
      // If it still waits for a place, it is not begun any more: what is refused for want of room should not arrive.
      waiting.work.intent = { kind: "hold" };
    }
    waiting.later?.();
  }

  /** Null when it is on disk, else why not: then nothing of it is. */
  async function written(waiting: Waiting): Promise<unknown> {
    const { work, record, startedAt } = waiting;
    const { id, seq } = work.message;
    const body = bodyOf(work);
    try {
      let inRow: Uint8Array | null = headOf(body);
      if (!isLarge(body) && spool.needsFile(body)) {
        const kept = await spool.keepBody(id, seq, body);
        waiting.message = { ...work.message, bodyFile: kept.file };
        inRow = kept.inRow;
      }
      await outbox.commit(
        [
          insertMessage(waiting.message, inRow),
          ...work.recipients.map((row) => insertRecipient(seq, row, startedAt)),
        ],
        [{ kind: "message", record }],
      );
      storage.written();
      return null;
    } catch (error) {
      const { bodyFile } = waiting.message;
      // The attempt may be reading the file of a large one.
      if (bodyFile !== null && !isLarge(body)) void spool.abandonBody(bodyFile, seq);
      storage.failed(error);
      return error ?? new Error("it could not be stored");
    }
  }

  /** It is not kept: neither is the file of a large one. */
  function forget({ work, failure }: Waiting): void {
    all.delete(work);
    const { bodyFile, seq } = work.message;
    if (bodyFile === null) return;
    if (failure === null) void spool.removeBody(bodyFile);
    // A row that could not be written may be there all the same.
    else void spool.abandonBody(bodyFile, seq);
  }

  /** The server's word, when it is one for all and for good. */
  async function answered(waiting: Waiting, attempt: EndedAttempt): Promise<void> {
    waiting.cancelTimer();
    forget(waiting);
    const refusal = refusalOf(attempt.outcomes);
    await write(eventsOf(waiting, attempt, refusal), attempt);
    attempt.written();
    waiting.resolve(refusal === null ? { kind: "taken" } : { kind: "refused", reply: refusal });
  }

  /** Nobody holds all of it and it cannot be kept: the sender is told so and sends again; the log has what the server took of it. */
  async function refused(waiting: Waiting, attempt: EndedAttempt): Promise<void> {
    const { work } = waiting;
    forget(waiting);
    const taken = attempt.outcomes.filter(({ result }) => result === "delivered");
    const states = taken.map((outcome) => stateOf(work, outcome, attempt.endedAt));
    await write([attemptEvent(attempt), ...states], attempt);
    attempt.written();
    waiting.reject(waiting.failure);
  }

  /** The log cannot be written: the server has the message all the same, and the sender must hear that. */
  async function write(events: readonly LogEvent[], attempt: EndedAttempt): Promise<void> {
    try {
      await outbox.commit(attempt.statements, events);
    } catch (err) {
      const { id } = attempt.work.message;
      log.error({ err, id, outcomes: attempt.outcomes }, "how a message was handed on could not be logged");
    }
  }

  function eventsOf(
    waiting: Waiting,
    attempt: EndedAttempt,
    refusal: ServerRefusal | null,
  ): readonly LogEvent[] {
    const { work, record } = waiting;
    const states = attempt.outcomes.map((outcome) => stateOf(work, outcome, attempt.endedAt));
    const said = refusal === null ? record : { ...record, reply: lineOf(refusal), cause: refusal.cause };
    return [{ kind: "message", record: said }, attemptEvent(attempt), ...states];
  }

  function attemptEvent({ work, startedAt, endedAt, outcomes }: EndedAttempt): LogEvent {
    const id = `${endedAt.toString(36)}-c${(attempts++).toString(36)}`;
    const { key: destination } = work.destination;
    const record = { id, messageId: work.message.id, startedAt, endedAt, destination, outcomes };
    return { kind: "attempt", record };
  }

  /** It is on disk: what happened to it is settled like that of other mail. */
  function asStored({ work, message }: Waiting): Work {
    return { ...work, message };
  }

  function ended(attempt: EndedAttempt): boolean {
    const waiting = all.get(attempt.work);
    if (waiting === undefined) return false;
    switch (waiting.state) {
      case "open":
        if (isFinal(attempt)) {
          void answered(waiting, attempt);
        } else if (waiting.failure !== null) {
          void refused(waiting, attempt);
        } else {
          waiting.later = () => void ended(attempt);
          void store(waiting);
        }
        return true;
      case "storing":
        waiting.later = () => void ended(attempt);
        return true;
      case "stored":
        all.delete(attempt.work);
        parts.settling().ended({ ...attempt, work: asStored(waiting) });
        return true;
    }
  }

  /** Work that was not dialled: nothing was done for who still waits, `asMail` does it for what is on disk. */
  function untried(work: Work, asMail: (stored: Work) => void): boolean {
    const waiting = all.get(work);
    if (waiting === undefined) return false;
    switch (waiting.state) {
      case "open":
        waiting.cancelTimer();
        if (waiting.failure === null && work.message.bodyFile !== null) {
          // Its file has its name: it is stored from here.
          waiting.later = () => void untried(work, asMail);
          void store(waiting);
          return true;
        }
        forget(waiting);
        if (waiting.failure === null) waiting.resolve("not tried");
        else waiting.reject(waiting.failure);
        return true;
      case "storing":
        waiting.later = () => void untried(work, asMail);
        return true;
      case "stored":
        all.delete(work);
        asMail(asStored(waiting));
        return true;
    }
  }

  return {
    handOver(mail, options) {
      const work = reserved(mail);
      if (work === null) return null;
      return isLarge(mail.body)
        ? named(work, mail.body).then((kept) => begin(kept, options))
        : begin(work, options);
    },
    ended,
    handedBack: (work) => untried(work, (stored) => parts.settling().handedBack([stored])),
    withdrawn: (work) => untried(work, (stored) => parts.settling().withdrawn(stored)),
    inDialogue(work) {
      const waiting = all.get(work);
      return waiting !== undefined && waiting.state !== "stored";
    },
  };
}

function bodyOf({ body }: Work): MessageBody {
  return body ?? new Uint8Array();
}

function mayHandOver({ archive, recipients }: NewMail): boolean {
  if (archive !== null || recipients.length > MAX_RECIPIENTS_PER_ATTEMPT) return false;
  // A copy for the quarantine, or a report of success, that must outlive the process.
  const needsDisk = recipients.some(
    ({ detail }) => detail.quarantine !== null || detail.dsn?.notify?.includes("SUCCESS") === true,
  );
  return !needsDisk;
}

/** One answer for all, and no later attempt will change it. */
function isFinal({ fault, outcomes }: EndedAttempt): boolean {
  if (fault !== null || outcomes.length === 0) return false;
  const [first] = outcomes;
  return first?.result !== "deferred" && outcomes.every(({ result }) => result === first?.result);
}

function lineOf({ code, enhanced, text }: ServerRefusal): string {
  return `${code} ${Math.floor(code / 100)}.${enhanced} ${text}`;
}

/** Delivered, or refused. */
function stateOf(work: Work, outcome: Outcome, at: number): LogEvent {
  const isTaken = outcome.result === "delivered";
  const server = outcome.server === null ? "the mail server" : outcome.server;
  const words = `${isTaken ? "Taken" : "Refused"} by ${server} while the sender waited: ${replyWords(outcome)}`;
  const state = isTaken ? "delivered" : "refused";
  return stateEvent(work, outcome.n, { state, at, nextAttemptAt: null, words });
}
