// The contract of reading the message log. `createMessageLog` is in `read-message-log.ts`.
import type { AttemptRecord, MessageRecord, RecipientState } from "./log-record.ts";

/** A line of the message log. */
export interface LogLine {
  readonly id: string;
  readonly receivedAt: number;
  readonly clientIp: string;
  readonly reversePath: string;
  readonly headerFrom: string;
  readonly subject: string;
  readonly size: number;
  /** Our 4yz or 5yz to the whole; null: it was taken, or it is an old one. */
  readonly refusal: string | null;
  /** Each state once: those of the recipients that are shown, however many; of what was refused before any recipient, its own. */
  readonly states: readonly RecipientState[];
  /** The first hundred; in a list about a domain those that concern it. */
  readonly recipients: readonly {
    readonly address: string;
    readonly state: RecipientState;
    readonly rule: string | null;
  }[];
}

export interface LogFilter {
  /** Free text: an address, a domain, a client's address or network, an id, or words of the subject or of a reply. */
  readonly text?: string;
  readonly sender?: string;
  readonly recipient?: string;
  /** What concerns this domain: mail for its addresses, and mail its people sent. What outsiders claim to send from it is not. */
  readonly domain?: string;
  readonly state?: RecipientState;
  readonly rule?: string;
  /** The client's address, or its network as `203.0.113.0/24`. */
  readonly client?: string;
  /** A mail server it was handed to, by part of its name or address. */
  readonly server?: string;
  /** A part of what we answered, or of what a mail server answered. */
  readonly reply?: string;
  readonly since?: number;
  readonly until?: number;
  readonly limit: number;
  /** Lines before this id, newest first. */
  readonly before?: string;
}

/** All that is known of one message. */
export interface LogMessage {
  readonly record: MessageRecord;
  /** Present state of each recipient, by number. */
  readonly states: readonly {
    readonly n: number;
    readonly state: RecipientState;
    readonly at: number;
    readonly nextAttemptAt: number | null;
    readonly words: string;
  }[];
  readonly attempts: readonly AttemptRecord[];
}

/** What a search found. */
export interface FoundLines {
  /** Newest first. */
  readonly lines: readonly LogLine[];
  /** The search ran out of time: what is older than this id was not looked at. It goes on with `before` set to it. */
  readonly cutAt: string | null;
}

export interface MessageLog {
  /** The lines that match, newest first; see `find` for whether all was looked at. */
  search(filter: LogFilter): Promise<readonly LogLine[]>;
  /** The same, and how far the search came in its time. */
  find(filter: LogFilter): Promise<FoundLines>;
  get(id: string): Promise<LogMessage | null>;
  /** Recipients by their present state per bucket of time, oldest first; what was refused before any recipient counts as one. */
  volume(options: {
    readonly sinceMs: number;
    readonly bucketMs: number;
  }): Promise<readonly { readonly at: number; readonly state: RecipientState; readonly count: number }[]>;
}
