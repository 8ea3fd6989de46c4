// What the spool keeps of a message and of a recipient, as plain data.

import type { Outcome } from "../delivery/outcome.ts";
import type { Destination, WrittenBy } from "../delivery/route.ts";
import type { Direction, RecipientDsn } from "../message/envelope.ts";
import type { HeaderEdit } from "../message/header-edit.ts";
import type { SignOrder } from "../message/sign-order.ts";

/** The part of an envelope that delivery and notices need. */
export interface SpooledEnvelope extends WrittenBy {
  /** Empty string for the null reverse-path. */
  readonly reversePath: string;
  readonly smtpUtf8: boolean;
  readonly eightBit: boolean;
  readonly requireTls: boolean;
  readonly dsnRet: "FULL" | "HDRS" | null;
  readonly dsnEnvid: string | null;
}

export interface SpooledMessage {
  /** Place in this spool; grows with each message. */
  readonly seq: number;
  readonly id: string;
  /** Milliseconds UTC. */
  readonly receivedAt: number;
  /** Octets of the body as stored, our trace headers included. */
  readonly size: number;
  readonly envelope: SpooledEnvelope;
  readonly bodyFile: string | null;
}

/** Why and with what a quarantined copy is filed. */
export interface QuarantineDetail extends Origin {
  readonly rule: string;
  readonly words: string;
  /** Left out: read from the message when it is filed. */
  readonly headerFrom?: string;
  readonly subject?: string;
  /** It could not be delivered; left out: a rule put it there. */
  readonly undeliverable?: UndeliverableDetail;
  /** Why, for the sender, who is told that this recipient does not get it while others do; left out: the sender is not told. */
  readonly tell?: string;
}

/** Which way a message goes, and who is behind it. */
export interface Origin {
  readonly direction: Direction;
  /** The outgoing sender and the identity behind the message; left out: none is known. */
  readonly sender?: string;
  readonly identity?: string;
}

/** Who said no, with which words, when. */
export interface UndeliverableDetail {
  /** Empty when no server was reached. */
  readonly server: string;
  readonly answer: string;
  /** Milliseconds UTC. */
  readonly failedAt: number;
  /** How often it had been released before. */
  readonly round: number;
}

/** A settled recipient of whom the sender is still to be told. */
export interface UnreportedEntry {
  readonly recipient: SpooledRecipient;
  readonly outcome: Outcome;
  /** A rule of ours stopped it; no server was asked. */
  readonly stopped?: true;
  /** Milliseconds UTC. */
  readonly failedAt: number;
}

/** A recipient of a message that may be settled soon. */
export interface PendingRecipient {
  readonly n: number;
  readonly state: "active" | "queued";
  readonly nextAttemptAt: number;
  readonly destinationKey: string;
}

/** Under what a copy of a message is filed in the archive. */
export interface ArchiveDetail {
  readonly domain: string;
  readonly sender: string;
  readonly recipients: readonly string[];
  readonly direction: Direction;
  readonly headerFrom: string;
  readonly subject: string;
}

/** A message whose copy is still to be filed. */
export interface ArchiveEntry {
  readonly message: SpooledMessage;
  readonly detail: ArchiveDetail;
}

/** The part of a recipient that never changes while it waits, but for the destination when routes change. */
export interface RecipientDetail {
  readonly destination: Destination;
  readonly edits: readonly HeaderEdit[];
  /** With which key it is signed when it is sent, after the edits; null: not signed. */
  readonly sign: SignOrder | null;
  readonly dsn: RecipientDsn | null;
  readonly mayBounce: boolean;
  readonly quarantine: QuarantineDetail | null;
  /** Left out in rows of an older version. */
  readonly origin?: Origin;
  /** How often it was released from the quarantine; left out: never. */
  readonly round?: number;
}

/** As it is stored: each attempt looks its destination up anew, and passwords stand in the settings alone. */
export function withoutLogin(detail: RecipientDetail): RecipientDetail {
  const { destination } = detail;
  if (destination.kind !== "smarthost" || destination.login === null) return detail;
  return { ...detail, destination: { ...destination, login: null } };
}

/** `attempt_started_at` of a row that was taken without anything being dialled. */
export const NOT_DIALLED = 0;

/**
 * What a row was taken for, so that the next process knows what it finds: an attempt that may have delivered, a change that
 * may be undone (it waited before), or a hold (it was held before, or an administrator wants it held or dropped).
 */
export type Taken =
  | { readonly for: "attempt"; readonly at: number }
  | { readonly for: "change" }
  | { readonly for: "hold" };

export type SpooledState = "queued" | "active" | "held" | "quarantine";

export interface SpooledRecipient {
  readonly n: number;
  readonly state: SpooledState;
  readonly address: string;
  readonly detail: RecipientDetail;
  /** Milliseconds UTC, like the other times here. */
  readonly nextAttemptAt: number;
  readonly tries: number;
  /** When the delay notice is due; equal to `expiresAt` when none is (any more), later while the last try is waited for. */
  readonly deadlineAt: number;
  readonly expiresAt: number;
  readonly lastOutcome: Outcome | null;
  /** It waits because its server was not reached or not well, and is due when the server is back. */
  readonly awaitsServer?: boolean;
  /** For whom it counts where places at a server are shared: a log-in, a sender, a network; left out: nobody in particular. */
  readonly share?: string;
}

/** A recipient together with its message. */
export interface SpooledEntry {
  readonly message: SpooledMessage;
  readonly recipient: SpooledRecipient;
}

/** Names one recipient row. */
export interface EntryKey {
  readonly seq: number;
  readonly n: number;
}

/** A destination that could not be reached. */
export interface UnreachableDestination {
  readonly key: string;
  readonly failures: number;
  readonly nextProbeAt: number;
  readonly outcome: Outcome;
}
