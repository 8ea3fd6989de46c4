// What became of one recipient in one attempt. Plain data, stored with the message log.
import type { TlsInfo } from "../message/envelope.ts";

export interface Outcome {
  /** Recipient number within the message. */
  readonly n: number;
  readonly result: "delivered" | "deferred" | "failed";
  /** The far side's reply code, or null when there was none (no connection, our own time-out). */
  readonly code: number | null;
  /** `5.1.1`, or null. */
  readonly enhanced: string | null;
  /** The far side's reply as it came (control characters replaced), or our own words for what went wrong. */
  readonly text: string;
  /** The server: `mx1.example.org [192.0.2.7]:25`, or null when none was reached. */
  readonly server: string | null;
  readonly tls: TlsInfo | null;
  /** True when the server offers DSN (RFC 3461) and got the recipient's parameters: it reports success itself. */
  readonly dsnPassedOn?: boolean;
}
