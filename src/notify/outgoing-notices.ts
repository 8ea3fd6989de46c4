// The contract of what people are told about outgoing mail: alerts, lock notices, abuse reports, scheduled reports, password links.
// `createOutgoingNotices` is in `run-outgoing-notices.ts`. Nothing here ever makes mail wait: what cannot be told raises an alarm.

/** A message of an outgoing sender that a rule stopped. */
export interface StoppedMessage {
  readonly messageId: string;
  readonly at: number;
  readonly domain: string;
  readonly sender: string;
  readonly identity: string | null;
  readonly kind: "spam" | "virus" | "bulk" | "program" | null;
  /** It is in the quarantine. */
  readonly quarantined: boolean;
  readonly rule: string;
  readonly words: string;
  readonly reversePath: string;
  readonly recipients: readonly string[];
  readonly clientIp: string;
  /** Header section as it came, for the ARF report; at most 64 KB. */
  readonly header: Uint8Array;
  /** The value of the Authentication-Results field we wrote for it, when there is one. */
  readonly authenticationResults?: string;
}

/** A lock that was set. */
export interface LockNews {
  readonly at: number;
  readonly domain: string;
  readonly sender: string;
  readonly identity: string | null;
  /** Milliseconds UTC, null: only a person lifts it. */
  readonly until: number | null;
  /** The person who locked it; left out: nobody, it fell by itself. */
  readonly by?: string;
  readonly words: string;
  /** The sender's `lock.template`. */
  readonly template: string;
  /** Where the locked user is told: its login or an identity that is an address; null: nowhere. */
  readonly user: string | null;
}

export type AlertChannel = "mail" | "webhook" | "sms";

export interface OutgoingNotices {
  /** Counts toward the domain's thresholds and its abuse reports. Returns at once. */
  stopped(message: StoppedMessage): void;
  /** Alerts the domain's contacts with a one-time unlock link, and tells the user. Returns at once. */
  locked(news: LockNews): void;
  /** Accepted mail that no server takes was filed in the quarantine. Returns at once. */
  undeliverable(): void;
  /** Sends a trial alert; says in words what came of it. */
  test(domain: string, channel: AlertChannel): Promise<{ readonly ok: boolean; readonly words: string }>;
  /** Mails a link for a new relay password. */
  passwordLink(address: string, url: string): Promise<void>;
  close(): Promise<void>;
}
