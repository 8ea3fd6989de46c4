// Takes a message into the spool: the statements that store it, and what of it goes straight on to delivery once they are committed.
import { isLarge, type MessageBody } from "../message/body.ts";
import type { Clock } from "../observe/clock.ts";
import type { Statement } from "../store/database.ts";
import type { Spool } from "../store/spool.ts";
import type {
  ArchiveDetail,
  RecipientDetail,
  SpooledEnvelope,
  SpooledMessage,
  SpooledRecipient,
  UnreportedEntry,
} from "../store/spool-entry.ts";
import { insertUnreported } from "../store/spool-unreported.ts";
import { insertArchiveCopy, insertMessage, insertRecipient } from "../store/spool-writing.ts";
import type { Dispatcher } from "./dispatch.ts";
import type { QueueSettings } from "./queue-settings.ts";
import { mayReport } from "./undeliverable.ts";
import { groupWork, type Work } from "./work.ts";

/** A message that is to be stored: from a client, from ourselves, or from the quarantine. */
export interface NewMail {
  readonly id: string;
  /** Milliseconds UTC. */
  readonly receivedAt: number;
  readonly envelope: SpooledEnvelope;
  readonly body: MessageBody;
  readonly recipients: readonly {
    readonly n: number;
    readonly address: string;
    readonly detail: RecipientDetail;
  }[];
  /** A copy is also filed in the archive; null: not. */
  readonly archive: ArchiveDetail | null;
  /** For whom it counts where the places at a server are shared; empty: nobody in particular. */
  readonly share: string;
}

/** A message ready to be committed. Exactly one of `stored` and `abandoned` is called afterwards. */
export interface Intake {
  readonly statements: readonly Statement[];
  /** After the commit: delivery begins. */
  stored(): void;
  /** The commit failed: nothing of the message is kept. */
  abandoned(): void;
}

export type TakeIn = (mail: NewMail) => Promise<Intake>;

/** Makes the function that prepares a message for its commit. It rejects with StoreError when a large body cannot be kept. */
export function createTakeIn(parts: {
  readonly spool: Spool;
  readonly dispatcher: Dispatcher;
  readonly clock: Clock;
  readonly settings: () => QueueSettings;
  readonly onQuarantine: () => void;
  readonly onArchive: () => void;
  /** These are on disk now. */
  readonly onKept: (recipients: readonly SpooledRecipient[]) => void;
  /** The sender of the message is to be told of recipients that were stopped. */
  readonly onOwed: (message: SpooledMessage, at: number) => void;
}): TakeIn {
  const { spool, dispatcher, clock, settings, onQuarantine, onArchive } = parts;
  return async (mail) => {
    const seq = spool.nextMessageSeq();
    const size = mail.body.length;
    // Most bodies stand in the row: nothing is waited for then.
    const kept = spool.needsFile(mail.body) ? await spool.keepBody(mail.id, seq, mail.body) : null;
    const bodyFile = kept?.file ?? null;
    const body = kept?.body ?? mail.body;
    const { id, receivedAt, envelope, share } = mail;
    const message: SpooledMessage = { seq, id, receivedAt, size, envelope, bodyFile };
    const now = clock.now();
    const recipients = mail.recipients.map((recipient) =>
      newRecipient(recipient, { envelope, share, now, settings: settings() }),
    );

    // Recorded as under way in the same commit, so that a message delivered at once costs no write of its own for that.
    const atOnce: Work[] = [];
    const waitsAt = new Set<string>();
    const rows: SpooledRecipient[] = recipients.filter(({ state }) => state === "quarantine");
    const toDeliver = recipients.filter(({ state }) => state === "active");
    for (const work of groupWork(
      toDeliver.map((recipient) => ({ message, recipient })),
      body,
    )) {
      if (dispatcher.reserve(work.destination.key, { size, share })) {
        atOnce.push(work);
        rows.push(...work.recipients);
      } else {
        waitsAt.add(work.destination.key);
        for (const recipient of work.recipients) rows.push({ ...recipient, state: "queued" });
      }
    }
    const owed = rows.flatMap((row) => stoppedEntry(envelope, row, now) ?? []);
    return {
      statements: [
        insertMessage(message, kept === null ? inMemory(mail.body) : kept.inRow),
        ...rows.map((row) => insertRecipient(seq, row, row.state === "active" ? now : null)),
        ...owed.map((entry) => insertUnreported(seq, entry)),
        ...(mail.archive === null ? [] : [insertArchiveCopy(seq, mail.archive)]),
      ],
      stored() {
        for (const work of atOnce) dispatcher.enter(work);
        for (const key of waitsAt) dispatcher.noteDue(key, now);
        parts.onKept(rows);
        if (rows.some(({ state }) => state === "quarantine")) onQuarantine();
        if (mail.archive !== null) onArchive();
        if (owed.length > 0) parts.onOwed(message, now);
      },
      abandoned() {
        for (const work of atOnce) dispatcher.release(work.destination.key, { size, share });
        if (bodyFile !== null) void spool.abandonBody(bodyFile, seq);
      },
    };
  };
}

/** A copy that a rule stopped while others were accepted: its sender is told, if he wants to be (O11). */
function stoppedEntry(
  envelope: SpooledEnvelope,
  recipient: SpooledRecipient,
  failedAt: number,
): UnreportedEntry | null {
  const tell = recipient.detail.quarantine?.tell;
  if (tell === undefined || !mayReport(envelope, recipient, "FAILURE")) return null;
  const { n } = recipient;
  const nobody = { code: null, server: null, tls: null };
  return {
    recipient,
    outcome: { n, result: "failed", enhanced: "5.7.1", text: tell, ...nobody },
    stopped: true,
    failedAt,
  };
}

/** What `needsFile` calls small is in memory. */
function inMemory(body: MessageBody): Uint8Array | null {
  return isLarge(body) ? null : body;
}

/** A recipient as it is stored, under way or for the quarantine. */
export function newRecipient(
  { n, address, detail }: NewMail["recipients"][number],
  {
    envelope,
    share,
    now,
    settings,
  }: {
    readonly envelope: SpooledEnvelope;
    readonly share: string;
    readonly now: number;
    readonly settings: QueueSettings;
  },
): SpooledRecipient {
  const recipient: SpooledRecipient = {
    n,
    state: detail.quarantine === null ? "active" : "quarantine",
    address,
    detail,
    nextAttemptAt: now,
    tries: 0,
    deadlineAt: now + settings.giveUpAfterMs,
    expiresAt: now + settings.giveUpAfterMs,
    lastOutcome: null,
    ...(share === "" ? {} : { share }),
  };
  return settings.delayNoticeAfterMs < settings.giveUpAfterMs && mayReport(envelope, recipient, "DELAY")
    ? { ...recipient, deadlineAt: now + settings.delayNoticeAfterMs }
    : recipient;
}
