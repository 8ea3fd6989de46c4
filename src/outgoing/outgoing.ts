// The contract of outgoing control: who is behind a message (identity), how much may be sent (limits), and who is stopped (locks).
// `createOutgoing` is in `run-outgoing.ts`. Every question is answered from memory at once; what must outlive the process is saved.
import type { MailAddress } from "../message/address.ts";
import type { Reply } from "../policy/reply.ts";
import type { OutgoingParty } from "../policy/snapshot.ts";
import type { Finding } from "../rules/fact.ts";
import type { SendingState } from "./sending-state.ts";

/** A connection as outgoing control sees it: the same object for all its transactions, so that each counts once. */
export interface OutgoingConnection {
  readonly clientIp: string;
}

/** The identity behind a message, and what finding it asks for. */
export interface Identified {
  /** Lower case, printable, at most 200 characters; null: none could be found. */
  readonly identity: string | null;
  /** Header fields that named it and are not to be sent on (lower case). */
  readonly removeHeaders: readonly string[];
}

/** A message of an outgoing sender that is in: header read, recipients known, rules not asked yet. */
export interface OutgoingMessage {
  readonly id: string;
  readonly party: OutgoingParty;
  readonly identity: string | null;
  readonly connection: OutgoingConnection;
  readonly recipients: readonly MailAddress[];
}

/** What the rules made of it. */
export interface OutgoingResult {
  /** The final action that counts most for it: any quarantine or rejection by a rule that counts as spam. */
  readonly spam: boolean;
  /** A rule says: lock the identity now. */
  readonly lock: boolean;
  readonly kind: "spam" | "virus" | "bulk" | "program" | null;
  /** The deciding rule and its words, for the lock's history and alerts. */
  readonly rule: string | null;
  readonly words: string;
  /** Recipients that count toward the limits: accepted for delivery or quarantined with 250. */
  readonly counted: readonly MailAddress[];
}

/** Who locks when no person does: such a lock may be lifted by a one-time link. No account may be called so. */
export const LOCKED_BY_ITSELF = "gatepost";

/** What is locked: a whole sender (`identity` null) or one identity of it. */
export interface LockKey {
  readonly sender: string;
  readonly identity: string | null;
}

export interface Lock extends LockKey {
  readonly domain: string;
  readonly since: number;
  /** When it ends by itself; null: only a person lifts it. */
  readonly until: number | null;
  /** How often it was lifted by time-out since a person last did. */
  readonly timeouts: number;
  readonly words: string;
  readonly by: string;
}

/** Something that happened to a lock, newest first in lists. */
export interface LockEvent extends LockKey {
  readonly domain: string;
  readonly at: number;
  readonly what: "locked" | "unlocked" | "timed-out";
  readonly by: string;
  readonly words: string;
  /** For `locked`: when it ends by itself, or null. */
  readonly until: number | null;
}

/** How far a limit is used. */
export interface LimitUse {
  readonly limit: "per_minute" | "per_hour" | "per_day" | "per_week" | "per_month" | "recipients_per_day";
  readonly used: number;
  readonly most: number;
  /** When it lets something through again; null while it does. Milliseconds UTC. */
  readonly freeAt: number | null;
}

/** A line of the identities page. `name` is "" for the sender itself. */
export interface IdentitySummary {
  readonly sender: string;
  readonly name: string;
  readonly domain: string;
  readonly firstSeen: number;
  readonly lastSeen: number;
  readonly messagesDay: number;
  readonly recipientsDay: number;
  readonly spamDay: number;
  /** Messages answered with 4yz or 5yz, without spam and viruses. */
  readonly refusedDay: number;
  readonly locked: boolean;
  /** Whether it may send now, and what stops it if not. */
  readonly sending: SendingState;
}

/** Everything the page of one identity shows. */
export interface IdentityDetail extends IdentitySummary {
  readonly lock: Lock | null;
  readonly limits: readonly LimitUse[];
  /** Per day, oldest first, at most 31: day as `2026-11-21` (UTC). */
  readonly days: readonly {
    readonly day: string;
    readonly messages: number;
    readonly recipients: number;
    readonly spam: number;
    readonly refused: number;
  }[];
  readonly history: readonly LockEvent[];
  /** The facts bulk recognition would give for a message now, in words. */
  readonly bulk: readonly Finding[];
}

export interface Outgoing {
  /**
   * MAIL: is the sender locked or over a connection limit? Also the identity when it is known by then. null: go on. `writer`, here and
   * below: who is behind it as far as envelope and From tell (`snapshot.writerOf`).
   */
  admitTransaction(party: OutgoingParty, connection: OutgoingConnection, writer: string | null): Reply | null;
  /** RCPT: is there room in the day's recipients for `pending` + 1? `pending`: recipients of this transaction so far. */
  admitRecipient(party: OutgoingParty, writer: string | null, pending: number): Reply | null;
  /** Who is behind the message. `header` is the raw header section. */
  identify(party: OutgoingParty, writer: string | null, header: Uint8Array): Identified;
  /** End of DATA, before the checks: barred domain, missing identity, locked, limits, a pause of bulk recognition. null: go on. */
  admitMessage(message: OutgoingMessage): Reply | null;
  /**
   * A transaction of the sender was answered with 4yz or 5yz, for whatever reason: at MAIL, for all its recipients, or at the end of DATA
   * before it was judged. `settle` counts those that were.
   */
  noteRefused(party: OutgoingParty, identity: string | null): void;
  /** The facts of outgoing control for the rules (`identity.*`, `bulk.*`). */
  findings(message: OutgoingMessage): readonly Finding[];
  /**
   * Counts the message; spam events may lock. To be called for every message that `admitMessage` let on, also when it is refused or
   * put off (`counted` is empty then). The message that brings a lock gets the rule's own reply (null); one that was to be taken
   * while the lock fell gets the lock's, and is then neither kept nor counted.
   */
  settle(message: OutgoingMessage, result: OutgoingResult): Reply | null;
  /** The message could not be judged or kept, and comes again: its recipients do not count toward limits. Spam events stand. */
  takeBack(messageId: string): void;
  /**
   * Resolves when the locks that fell are on disk, or could not be kept (an alarm says so then): not before is anybody told, be it
   * whoever brought one or who meets it a moment later. Never rejects.
   */
  locksKept(): Promise<void>;
  /** Somebody outside wrote to one of our addresses: writing back to them is not bulk. */
  noteCorrespondent(outside: MailAddress | null, ours: MailAddress): void;
  /** What became of recipients at the far side: rejections of unknown recipients tell bulk apart. */
  noteOutcome(
    messageId: string,
    outcome: {
      readonly delivered: number;
      readonly rejected: number;
      /** How many of the rejected do not exist (enhanced code X.1.1 and its kin); left out: 0. */
      readonly unknown?: number;
    },
  ): void;

  locks(domain?: string): readonly Lock[];
  /** Resolves when it is kept. False: it was not locked. */
  unlock(key: LockKey, by: string): Promise<boolean>;
  lock(key: LockKey, by: string, words: string): Promise<void>;
  /** Newest first. */
  identities(filter: {
    readonly domain?: string;
    readonly sender?: string;
    readonly search?: string;
    readonly locked?: boolean;
    /** Leaves out the lines of the senders themselves. */
    readonly only?: "identities";
    readonly limit: number;
    readonly offset: number;
  }): Promise<{ readonly items: readonly IdentitySummary[]; readonly total: number }>;
  identity(key: LockKey): Promise<IdentityDetail | null>;
  /** Whole senders as they may send now, in that order, also those that never did. From memory, for lists. */
  senders(keys: readonly string[]): readonly Pick<IdentityDetail, "sending" | "limits">[];
  /** Saves what is not saved yet and stops. */
  close(): Promise<void>;
}
