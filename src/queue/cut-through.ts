// Cut-through: the sender waits while the mail server behind answers, and hears its word. What it took needs no place on our disk; what
// it refuses for all is refused in the dialogue. Anything else, and what takes too long, is stored like other mail, with the attempt
// that is under way, and that attempt settles it. 250 is only ever said for what the server or our disk holds.

import type { Outcome } from "../delivery/outcome.ts";
import { isLarge } from "../message/body.ts";
import { replyWords } from "../notify/reply-words.ts";
import type { Clock } from "../observe/clock.ts";
import type { Log } from "../observe/log.ts";
import type { LogEvent, MessageRecord } from "../store/log-record.ts";
import type { Spool } from "../store/spool.ts";
import type { SpooledMessage } from "../store/spool-entry.ts";
import { insertMessage, insertRecipient } from "../store/spool-writing.ts";
import type { Dispatcher, EndedAttempt } from "./dispatch.ts";
import type { Outbox } from "./outbox.ts";
import { stateEvent } from "./plan-settlement.ts";
import type { QueueSettings } from "./queue-settings.ts";
import { refusalOf, type ServerRefusal } from "./server-refusal.ts";
import type { Settling } from "./settle-attempt.ts";
import { type NewMail, newRecipient } from "./take-in.ts";
import { groupWork, type Work } from "./work.ts";

/** `kept`: on our disk. `taken`: by the mail server. `refused`: by it, for all, in these words; nobody holds the message. */
export type HandedOver =
  | { readonly kind: "kept" | "taken" }
  | { readonly kind: "refused"; readonly reply: ServerRefusal };

export interface CutThrough {
  /**
   * Null: this message is not handed over, nothing was done; so too when it resolves to "not tried". Rejects with StoreError when it
   * was to be kept and could not: then nothing is kept.
   */
  handOver(
    mail: NewMail,
    options: { readonly record: MessageRecord; readonly waitMs: number },
  ): Promise<HandedOver | "not tried"> | null;
  /** An attempt ended, work was given back without one: true when it was that of a sender who waits. */
  ended(attempt: EndedAttempt): boolean;
  handedBack(work: Work): boolean;
}

export interface CutThroughParts {
  readonly spool: Spool;
  readonly outbox: Outbox;
  readonly dispatcher: Dispatcher;
  readonly settling: () => Settling;
  readonly settings: () => QueueSettings;
  readonly clock: Clock;
  readonly log: Log;
}

/** `open`: nothing on disk. `storing`: being written. `stored`: like other mail. `lost`: it could not be written. */
type State = "open" | "storing" | "stored" | "lost";

interface Waiting {
  readonly work: Work;
  readonly record: MessageRecord;
  readonly startedAt: number;
  state: State;
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
  const { spool, outbox, dispatcher, settings, clock, log } = parts;
  const all = new Map<Work, Waiting>();
  let attempts = 0;

  /** The one piece of work that it is, or null: recipients that differ in route or edits are stored first. */
  function workOf(mail: NewMail): Work | null {
    const { id, receivedAt, envelope, body } = mail;
    if (isLarge(body) || mail.archive !== null || mail.recipients.length === 0) return null;
    const wantsReport = mail.recipients.some(
      ({ detail }) => detail.quarantine !== null || detail.dsn?.notify?.includes("SUCCESS") === true,
    );
    if (wantsReport) return null;
    const now = clock.now();
    const seq = spool.nextMessageSeq();
    const message: SpooledMessage = { seq, id, receivedAt, size: body.length, envelope, bodyFile: null };
    const rows = mail.recipients.map((recipient) =>
      newRecipient(recipient, { envelope, now, settings: settings() }),
    );
    const works = groupWork(
      rows.map((recipient) => ({ message, recipient })),
      body,
    );
    return works.length === 1 ? (works[0] ?? null) : null;
  }

  /** Puts it on disk, as the attempt under way that it is. */
  async function store(waiting: Waiting): Promise<void> {
    const { work, record, startedAt } = waiting;
    waiting.state = "storing";
    waiting.cancelTimer();
    const { id, seq } = work.message;
    const body = work.body ?? new Uint8Array();
    try {
      const kept = spool.needsFile(body) ? await spool.keepBody(id, seq, body) : null;
      waiting.message = { ...work.message, bodyFile: kept?.file ?? null };
      await outbox.commit(
        [
          insertMessage(waiting.message, kept === null && !isLarge(body) ? body : (kept?.inRow ?? null)),
          ...work.recipients.map((row) => insertRecipient(seq, row, startedAt)),
        ],
        [{ kind: "message", record }],
      );
      waiting.state = "stored";
      waiting.resolve({ kind: "kept" });
    } catch (error) {
      waiting.state = "lost";
      const { bodyFile } = waiting.message;
      if (bodyFile !== null) void spool.abandonBody(bodyFile, seq);
      waiting.reject(error);
    }
    waiting.later?.();
  }

  /** The server's word, when it is one for all and for good. */
  async function answered(waiting: Waiting, attempt: EndedAttempt): Promise<void> {
    const { work } = waiting;
    waiting.cancelTimer();
    all.delete(work);
    const refusal = refusalOf(attempt.outcomes);
    await write(eventsOf(waiting, attempt, refusal), attempt);
    attempt.written();
    waiting.resolve(refusal === null ? { kind: "taken" } : { kind: "refused", reply: refusal });
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
    const { startedAt, endedAt, outcomes } = attempt;
    const id = `${endedAt.toString(36)}-c${(attempts++).toString(36)}`;
    const tried: LogEvent = {
      kind: "attempt",
      record: {
        id,
        messageId: work.message.id,
        startedAt,
        endedAt,
        destination: work.destination.key,
        outcomes,
      },
    };
    const states = outcomes.map((outcome) => {
      const words = wordsOf(outcome, refusal !== null);
      const state = refusal === null ? ("delivered" as const) : ("refused" as const);
      return stateEvent(work, outcome.n, { state, at: endedAt, nextAttemptAt: null, words });
    });
    const said = refusal === null ? record : { ...record, reply: lineOf(refusal), cause: refusal.cause };
    return [{ kind: "message", record: said }, tried, ...states];
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
      case "lost":
        // The sender was told that nothing is kept, and sends it again.
        all.delete(attempt.work);
        void write([], attempt).then(attempt.written);
        return true;
    }
  }

  function handedBack(work: Work): boolean {
    const waiting = all.get(work);
    if (waiting === undefined) return false;
    switch (waiting.state) {
      case "open":
        waiting.cancelTimer();
        all.delete(work);
        waiting.resolve("not tried");
        return true;
      case "storing":
        waiting.later = () => void handedBack(work);
        return true;
      case "stored":
        all.delete(work);
        parts.settling().handedBack([asStored(waiting)]);
        return true;
      case "lost":
        all.delete(work);
        return true;
    }
  }

  return {
    handOver(mail, { record, waitMs }) {
      const work = workOf(mail);
      if (work === null) return null;
      if (!dispatcher.reserve(work.destination.key, work.message.size)) return null;
      return new Promise((resolve, reject) => {
        const waiting: Waiting = {
          work,
          record,
          startedAt: clock.now(),
          state: "open",
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
    },
    ended,
    handedBack,
  };
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

function wordsOf(outcome: Outcome, refused: boolean): string {
  const server = outcome.server === null ? "the mail server" : outcome.server;
  return `${refused ? "Refused" : "Taken"} by ${server} while the sender waited: ${replyWords(outcome)}`;
}
