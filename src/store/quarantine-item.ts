// A quarantined message as it is listed, and the questions a list answers. Plain data.
import type { Direction } from "../message/envelope.ts";

/** One recipient's quarantined message. */
export interface QuarantineItem {
  /** `MESSAGE_ID-N`. */
  readonly id: string;
  readonly messageId: string;
  readonly n: number;
  readonly recipient: string;
  readonly reversePath: string;
  readonly headerFrom: string;
  readonly subject: string;
  readonly direction: Direction;
  readonly rule: string;
  readonly words: string;
  readonly size: number;
  readonly receivedAt: number;
  readonly expiresAt: number;
  readonly state: "kept" | "released" | "deleted" | "expired";
}

export interface QuarantineFilter {
  readonly recipient?: string;
  readonly domain?: string;
  readonly rule?: string;
  readonly state?: QuarantineItem["state"];
  readonly limit: number;
  /** Items before this one in newest-first order: its `receivedAt` and `id`. */
  readonly before?: { readonly receivedAt: number; readonly id: string };
}
