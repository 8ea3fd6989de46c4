// A quarantined message as it is listed, and the questions a list answers. Plain data.
import type { Direction } from "../message/envelope.ts";

/** One recipient's quarantined message. */
export interface QuarantineItem {
  /** `MESSAGE_ID-N`; `MESSAGE_ID-N-ROUND` for what was released and could not be delivered then. */
  readonly id: string;
  readonly messageId: string;
  readonly n: number;
  readonly recipient: string;
  readonly reversePath: string;
  readonly headerFrom: string;
  readonly subject: string;
  readonly direction: Direction;
  /** The outgoing sender (login, range, `@domain`; the envelope sender where there is none) and the identity; "" for inbound mail. */
  readonly sender: string;
  readonly identity: string;
  /** Domains of this gateway that outgoing mail was written for; null or left out: from outside, or an older version put it here. */
  readonly writtenFor?: readonly string[] | null;
  /** Whose administrators may handle it as outgoing mail; "" for inbound mail. */
  readonly senderDomain: string;
  readonly rule: string;
  readonly words: string;
  readonly size: number;
  readonly receivedAt: number;
  readonly expiresAt: number;
  readonly state: "kept" | "released" | "deleted" | "expired";
  /** `rule`: a rule put it there. `undeliverable`: it was accepted, and no server took it. */
  readonly class: "rule" | "undeliverable";
  /** Of what could not be delivered: the server (empty when none was reached), its answer or what went wrong, and when. */
  readonly server: string;
  readonly answer: string;
  readonly failedAt: number | null;
  /** When somebody looked at what could not be delivered; null: nobody has. */
  readonly seenAt: number | null;
}

/** What of one outgoing sender is in the quarantine. */
export interface QuarantinedSender {
  readonly sender: string;
  /** Items that are kept. */
  readonly items: number;
  /** When the last of them came. */
  readonly latestAt: number;
}

export interface QuarantineFilter {
  readonly recipient?: string;
  /** Of the recipient. */
  readonly domain?: string;
  /** `incoming`: for addresses of ours. `outgoing`: sent by people of ours; internal mail is both. */
  readonly direction?: "incoming" | "outgoing";
  readonly sender?: string;
  readonly senderDomain?: string;
  readonly rule?: string;
  readonly state?: QuarantineItem["state"];
  readonly class?: QuarantineItem["class"];
  readonly limit: number;
  /** Items before this one in newest-first order: its `receivedAt` and `id`. */
  readonly before?: { readonly receivedAt: number; readonly id: string };
}
