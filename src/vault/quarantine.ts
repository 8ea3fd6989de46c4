// The quarantine's contract: messages kept aside whole, until released, deleted or expired. `createQuarantine` is in `run-quarantine.ts`.

import type { QuarantinedSender, QuarantineFilter, QuarantineItem } from "../store/quarantine-item.ts";
import type { UnseenUndeliverable } from "../store/quarantine-undeliverable.ts";

/** What of a message is taken into memory to be shown; one octet more than a viewer takes apart, so that it knows. */
export const SHOWN_BYTES = 16_777_217;

export interface Quarantine {
  list(filter: QuarantineFilter): Promise<readonly QuarantineItem[]>;
  /** Who has outgoing mail in the quarantine, the most first. */
  senders(filter: {
    readonly senderDomain?: string;
    readonly limit: number;
  }): Promise<readonly QuarantinedSender[]>;
  get(id: string): Promise<QuarantineItem | null>;
  /** The message with our trace headers, or its first `SHOWN_BYTES` octets; null when it is no longer kept. */
  body(id: string): Promise<Uint8Array | null>;
  /** The whole message piece by piece, or null. The reading rejects when the file is damaged. */
  source(id: string): Promise<AsyncGenerator<Uint8Array> | null>;
  /** Queues it for delivery, once however often it is called. `already`: it was released before. `gone`: deleted or expired. */
  release(id: string, by: string): Promise<"released" | "already" | "gone">;
  /** Who released it, and when; null: it was not released, or is forgotten. */
  releaseOf(id: string): Promise<{ readonly by: string; readonly at: number } | null>;
  /** False when it was not there any more. */
  remove(id: string, by: string): Promise<boolean>;
  /** Somebody has looked at what could not be delivered. Changes nothing for other items. */
  see(id: string): Promise<void>;
  /** How much undeliverable mail is kept, and what of it nobody has looked at. */
  undeliverable(): Promise<UnseenUndeliverable & { readonly kept: number }>;
  /** The id of a newer item of the same message and recipient: what was released and came back. Null: there is none. */
  newer(id: string): Promise<string | null>;
  /** Removes what is past its time; resolves to how many. */
  expire(nowMs: number): Promise<number>;
}
