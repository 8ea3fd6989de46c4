// The queue's contract: durable before 250, every recipient settled in the end. `createQueue` is in `run-queue.ts`.

import type { Destination } from "../delivery/route.ts";
import type { MailAddress } from "../message/address.ts";
import type { MessageBody } from "../message/body.ts";
import type { Envelope, RecipientDsn } from "../message/envelope.ts";
import type { HeaderEdit } from "../message/header-edit.ts";
import type { SignOrder } from "../message/sign-order.ts";
import type { MessageRecord } from "../store/log-record.ts";
import type { HandedOver } from "./cut-through.ts";

/** What the queue does with one accepted recipient. */
export type Disposition =
  | {
      readonly kind: "deliver";
      readonly destination: Destination;
      readonly edits: readonly HeaderEdit[];
      /** Left out: not signed. */
      readonly sign?: SignOrder;
    }
  | {
      readonly kind: "quarantine";
      readonly destination: Destination;
      readonly rule: string;
      readonly words: string;
      /** Why, for the sender, who is to be told because others of the message were accepted; left out: nobody is told. */
      readonly tell?: string;
    }
  | { readonly kind: "discard" };

export interface AcceptedRecipient {
  /** Number within the message; the same number as in the MessageRecord. */
  readonly n: number;
  readonly address: string;
  readonly dsn: RecipientDsn | null;
  /** False when a failure must not be reported to the reverse-path (an outsider whose address nothing proves). */
  readonly mayBounce: boolean;
  /** It comes from outside, though a server we trust handed it in: kept like all mail from outside when it cannot be delivered. */
  readonly fromOutside?: true;
  readonly disposition: Disposition;
}

/** An accepted message. `message` already has our trace headers on top; below them it is byte for byte what came. */
export interface Acceptance {
  readonly envelope: Omit<Envelope, "recipients">;
  readonly recipients: readonly AcceptedRecipient[];
  readonly message: MessageBody;
  readonly record: MessageRecord;
  /** Domains of this gateway that a client of ours wrote it for (`WrittenBy`); left out: it comes from outside. */
  readonly writtenFor?: readonly string[];
  /** Also kept in the archive of this domain (requirement O7); left out: not. */
  readonly archive?: { readonly domain: string; readonly sender: string };
  /** For whom it counts where the places at a server are shared: a log-in, a sender, a network; left out: for nobody in particular. */
  readonly share?: string;
}

/** A mail the gateway writes itself: an alert, a report, a one-time link. Leaves with the null reverse-path. */
export interface OwnMail {
  readonly to: MailAddress;
  readonly message: Uint8Array;
  readonly smtpUtf8: boolean;
  readonly eightBit: boolean;
  readonly subject: string;
  readonly headerFrom: string;
  /** For the log: `alert about alice@example.test`. */
  readonly words: string;
}

/** A line of the queue for people. */
export interface QueueEntry {
  readonly messageId: string;
  readonly n: number;
  readonly reversePath: string;
  readonly recipient: string;
  readonly destination: string;
  readonly state: "queued" | "active" | "held" | "quarantine";
  readonly tries: number;
  readonly size: number;
  readonly receivedAt: number;
  readonly nextAttemptAt: number;
  readonly expiresAt: number;
  readonly lastReply: string | null;
}

export interface Queue {
  /** Resolves after the commit: only then may 250 be sent. Rejects with StoreError, and nothing is kept. */
  accept(acceptance: Acceptance): Promise<void>;
  /**
   * The same, but the mail server behind is asked first, for at most `waitMs`, and its answer is told: taken or refused for all.
   * "kept" when it did not say either in that time, or is not asked: then the message is kept as by `accept`.
   */
  handOver(acceptance: Acceptance, waitMs: number): Promise<HandedOver>;
  /** Takes a mail of our own; resolves to its message id when it is kept. Rejects with StoreError, and nothing is kept. */
  send(mail: OwnMail): Promise<string>;
  /** Writes a refused transaction to the message log; does not wait for the disk. */
  record(record: MessageRecord): void;
  list(options: { readonly limit: number; readonly offset: number }): Promise<readonly QueueEntry[]>;
  counts(): Promise<{
    readonly queued: number;
    readonly held: number;
    readonly oldestReceivedAt: number | null;
  }>;
  /** Try now. `null` means every entry. Resolves to the number of recipients concerned; the same for hold and drop. */
  retry(messageId: string | null): Promise<number>;
  hold(messageId: string | null): Promise<number>;
  /** Settles without delivery and without a DSN, also what waits to be filed in the quarantine; the log says who did it. */
  drop(messageId: string, by: string): Promise<number>;
  /** Stops taking new work, waits for attempts under way (at most `graceMs`, then they are cut), leaves the rest on disk. */
  close(graceMs: number): Promise<void>;
}
