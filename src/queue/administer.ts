// What people do with the queue: look, try now, hold, drop. Works on disk in steps, so that a long queue stops nobody.
import { replyWords } from "../notify/reply-words.ts";
import type { Clock } from "../observe/clock.ts";
import type { LogEvent } from "../store/log-record.ts";
import type { Spool } from "../store/spool.ts";
import {
  type EntryKey,
  NOT_DIALLED,
  type SpooledEntry,
  type SpooledMessage,
  type SpooledRecipient,
  type Taken,
} from "../store/spool-entry.ts";
import { hurry, noteTaken, type SeizeFrom } from "../store/spool-writing.ts";
import { seizeAll } from "./claim-work.ts";
import type { CutThrough } from "./cut-through.ts";
import type { Dispatcher } from "./dispatch.ts";
import type { LostBodies } from "./lost-bodies.ts";
import { stateEvent } from "./plan-settlement.ts";
import type { Queue, QueueEntry } from "./queue.ts";
import type { Settling } from "./settle-attempt.ts";
import { type SettlementWriter, settled } from "./settlement-writer.ts";
import { byMessage } from "./sweep-deadlines.ts";
import { type Intent, keysOf, type Work } from "./work.ts";

const STEP_ROWS = 200;
// Mail that was held past its time gets a day before it is given up.
const AFTER_HOLD_MS = 86_400_000;

/** Makes the part of the queue that people use. */
export function createAdministration(parts: {
  readonly spool: Spool;
  readonly dispatcher: Dispatcher;
  readonly writer: SettlementWriter;
  readonly settling: Pick<Settling, "pendingRecipients">;
  readonly clock: Clock;
  readonly lostBodies: LostBodies;
  readonly cutThrough: Pick<CutThrough, "inDialogue">;
}): Pick<Queue, "list" | "counts" | "retry" | "hold" | "drop"> {
  const { spool, dispatcher, writer, settling, clock, lostBodies, cutThrough } = parts;

  /** What this process has taken. Mail whose sender has no answer yet is not ours: to count, or to hold what may be refused. */
  function* taken(): Generator<Work> {
    for (const work of dispatcher.works()) if (!cutThrough.inDialogue(work)) yield work;
  }

  /** All entries of a message, or of the whole queue as it is now, step by step. */
  async function* steps(messageId: string | null): AsyncGenerator<readonly SpooledEntry[]> {
    if (messageId !== null) {
      yield await spool.ofMessage(messageId);
      return;
    }
    // What comes in meanwhile is not meant, and may come faster than this walks.
    const newest = spool.lastMessageSeq();
    let key = { seq: 0, n: 0 };
    for (;;) {
      const entries = await spool.after(key, STEP_ROWS);
      const last = entries.at(-1);
      if (last === undefined || key.seq > newest) return;
      yield entries.filter(({ message }) => message.seq <= newest);
      key = { seq: last.message.seq, n: last.recipient.n };
    }
  }

  /** Takes those of the entries that still wait, and settles them message by message. Resolves to how many it were. */
  async function change(
    entries: readonly SpooledEntry[],
    settle: (message: SpooledMessage, recipients: readonly SpooledRecipient[]) => Changed,
    from: SeizeFrom = "queued or held",
  ): Promise<number> {
    const mine = await take(entries, from);
    const counts = await Promise.all(
      [...byMessage(mine)].map(async ([message, recipients]) => {
        const changed = settle(message, recipients);
        const wasWritten = await settled(writer, {
          message,
          removed: changed.removed.map(({ n }) => n),
          kept: changed.kept,
          statements: [],
          events: changed.events,
        });
        return wasWritten ? recipients.length : 0;
      }),
    );
    return counts.reduce((sum, count) => sum + count, 0);
  }

  /** Those of the entries that still wait; in halves when somebody else took one of them. */
  async function take(entries: readonly SpooledEntry[], from: SeizeFrom): Promise<readonly SpooledEntry[]> {
    if (entries.length === 0) return [];
    if (await seizeAll(spool, { keys: entries.map(keyOf), at: NOT_DIALLED, from })) return entries;
    if (entries.length === 1) return [];
    const half = Math.ceil(entries.length / 2);
    return [...(await take(entries.slice(0, half), from)), ...(await take(entries.slice(half), from))];
  }

  /** Work in memory that is not settled by the attempt it may be in. The wish is on disk when this resolves. */
  async function mark(messageId: string | null, intent: Intent): Promise<number> {
    let count = 0;
    const keys: EntryKey[] = [];
    for (const work of taken()) {
      if (messageId !== null && work.message.id !== messageId) continue;
      // A wish to deliver is only worth writing when it takes another one back.
      if (intent.kind !== "deliver" || work.intent.kind !== "deliver") keys.push(...keysOf(work));
      work.intent = intent;
      count += work.recipients.length;
    }
    const wish: Taken = intent.kind === "deliver" ? { for: "attempt", at: clock.now() } : { for: "hold" };
    for (let at = 0; at < keys.length; at += STEP_ROWS)
      await spool.commit([noteTaken(keys.slice(at, at + STEP_ROWS), wish)]);
    return count;
  }

  function changedTo(
    message: SpooledMessage,
    recipients: readonly SpooledRecipient[],
    state: { readonly state: "queued" | "held" | "dropped"; readonly words: string },
  ): Changed {
    const at = clock.now();
    const nextAttemptAt = state.state === "queued" ? at : null;
    const events = recipients.map(({ n }) => stateEvent({ message }, n, { ...state, at, nextAttemptAt }));
    if (state.state === "dropped") return { removed: recipients, kept: [], events };
    const kept = recipients.map((recipient) =>
      state.state === "held"
        ? { ...recipient, state: "held" as const }
        : { ...recipient, state: "queued" as const, nextAttemptAt: at, ...moreTime(recipient, at) },
    );
    return { removed: [], kept, events };
  }

  return {
    async list(options) {
      return (await spool.page(options)).map((entry) => entryForPeople(entry, dispatcher));
    },
    async counts() {
      const { queued, held, oldest } = await spool.counts();
      // What this process has taken waits too, until its settlement is on disk.
      let unsettled = writer.pendingRecipients() + settling.pendingRecipients();
      for (const { recipients } of taken()) unsettled += recipients.length;
      return { queued: queued + unsettled, held, oldestReceivedAt: oldest };
    },
    async retry(messageId) {
      let count = await mark(messageId, { kind: "deliver" });
      const keys = new Set<string>();
      for await (const entries of steps(messageId)) {
        const held = entries.filter(({ recipient }) => recipient.state === "held");
        const queued = entries.filter(({ recipient }) => recipient.state === "queued");
        count += await change(held, (message, recipients) =>
          changedTo(message, recipients, { state: "queued", words: "Tried again by an administrator" }),
        );
        if (queued.length > 0) await spool.commit([hurry(queued.map(keyOf), clock.now())]);
        count += queued.length;
        for (const { recipient } of [...held, ...queued]) keys.add(recipient.detail.destination.key);
      }
      // All at once: a thousand dead destinations must not cost a thousand syncs.
      await spool.commit([...keys].flatMap((key) => dispatcher.resume(key)));
      for (const key of keys) dispatcher.noteDue(key, clock.now());
      return count;
    },
    async hold(messageId) {
      let count = await mark(messageId, { kind: "hold" });
      for await (const entries of steps(messageId)) {
        const queued = entries.filter(({ recipient }) => recipient.state === "queued");
        count += await change(queued, (message, recipients) =>
          changedTo(message, recipients, { state: "held", words: "Held by an administrator" }),
        );
      }
      return count;
    },
    async drop(messageId, by) {
      let count = await mark(messageId, { kind: "drop", by });
      const waiting = (await spool.ofMessage(messageId)).filter(
        ({ recipient }) => recipient.state !== "active",
      );
      count += await change(
        waiting,
        (message, recipients) =>
          changedTo(message, recipients, { state: "dropped", words: `Dropped by ${by}` }),
        "any waiting",
      );
      await lostBodies.review();
      return count;
    },
  };
}

interface Changed {
  readonly removed: readonly SpooledRecipient[];
  readonly kept: readonly SpooledRecipient[];
  readonly events: readonly LogEvent[];
}

function keyOf({ message, recipient }: SpooledEntry) {
  return { seq: message.seq, n: recipient.n };
}

function moreTime(
  recipient: SpooledRecipient,
  now: number,
): Pick<SpooledRecipient, "deadlineAt" | "expiresAt"> {
  const expiresAt = Math.max(recipient.expiresAt, now + AFTER_HOLD_MS);
  // With more time a delay is not told again; one that was not told for it was held is told if it still cannot be delivered.
  const wasTold = recipient.deadlineAt >= recipient.expiresAt;
  return { expiresAt, deadlineAt: wasTold ? expiresAt : recipient.deadlineAt };
}

function entryForPeople({ message, recipient }: SpooledEntry, dispatcher: Dispatcher): QueueEntry {
  const { key } = recipient.detail.destination;
  const { closedUntil, lastFailure } = dispatcher.backOff(key);
  const last = recipient.lastOutcome ?? lastFailure;
  return {
    messageId: message.id,
    n: recipient.n,
    reversePath: message.envelope.reversePath,
    recipient: recipient.address,
    destination: key,
    state: recipient.state,
    tries: recipient.tries,
    size: message.size,
    receivedAt: message.receivedAt,
    nextAttemptAt: Math.max(recipient.nextAttemptAt, closedUntil),
    expiresAt: recipient.expiresAt,
    lastReply: last === null ? null : replyWords(last),
  };
}
