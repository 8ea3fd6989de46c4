// How long the far side may take for each step of a delivery, in milliseconds. (RFC 5321 §4.5.3.2)
import type { Step } from "./transaction.ts";

export type DeliveryTimeouts = Readonly<Record<Step, number>> & {
  /** Greeting, EHLO, STARTTLS and the TLS handshake together. */
  readonly greeting: number;
  /** Each command of AUTH, RSET and QUIT. */
  readonly command: number;
  /** The whole attempt, to which one second is added for every 10 KB of the message. */
  readonly attempt: number;
  /** How long a connection is kept without work. */
  readonly idle: number;
};

const MINUTE = 60_000;

/** RFC 5321's minimum times, except that the greeting's 5 minutes include EHLO and TLS. */
export const DEFAULT_TIMEOUTS: DeliveryTimeouts = {
  greeting: 5 * MINUTE,
  command: 5 * MINUTE,
  mail: 5 * MINUTE,
  rcpt: 5 * MINUTE,
  data: 2 * MINUTE,
  block: 3 * MINUTE,
  final: 10 * MINUTE,
  attempt: 30 * MINUTE,
  idle: 15_000,
};
