// The check contract. A check looks at a message and writes findings; it never decides and never touches the message.
import type { MessageBody } from "../message/body.ts";
import type { Envelope } from "../message/envelope.ts";
import type { Finding } from "../rules/fact.ts";

/** What a check gets. `raw` is the message as received, in memory or for the greater part in a file, CRLF line ends, without our own headers. */
export interface CheckInput {
  readonly envelope: Envelope;
  readonly raw: MessageBody;
  readonly signal: AbortSignal;
}

/**
 * A check. `name` is the first part of every fact it writes. It runs in parallel with the others under `timeoutMs`.
 * A check that throws, hangs or answers nonsense becomes the finding `NAME.failed = true` (and `scan.failed = true`),
 * for which the shipped rule `check-failed` answers tempfail: nothing passes because something broke.
 */
export interface Check {
  readonly name: string;
  /** The facts it can write; the policy asks only the checks whose facts a rule in scope names. */
  readonly facts: readonly string[];
  readonly timeoutMs: number;
  run(input: CheckInput): Promise<readonly Finding[]>;
}

/** Runs the checks that can write one of `wanted`; always resolves, with the failures as findings. */
export interface Checker {
  run(input: Omit<CheckInput, "signal">, wanted: ReadonlySet<string>): Promise<readonly Finding[]>;
  close(): Promise<void>;
}
