// The contract of one delivery attempt: what the queue hands over and what it gets back.
import type { MessageBody } from "../message/body.ts";
import type { RecipientDsn } from "../message/envelope.ts";
import type { Outcome } from "./outcome.ts";
import type { Destination } from "./route.ts";

/** One message for one destination. All recipients share the same header edits, so they get the same bytes. */
export interface Attempt {
  readonly messageId: string;
  readonly destination: Destination;
  /** Empty string for the null reverse-path. */
  readonly reversePath: string;
  readonly recipients: readonly {
    readonly n: number;
    readonly address: string;
    readonly dsn: RecipientDsn | null;
  }[];
  /** The message with CRLF line ends, our headers included, not dot-stuffed. */
  readonly message: MessageBody;
  /** Set when `message` bears our own signature: what was signed, and how the same is signed in 7 bits for a server that wants it so. */
  readonly signed?: {
    readonly unsigned: MessageBody;
    readonly sign: (message: MessageBody) => Promise<MessageBody>;
  };
  readonly smtpUtf8: boolean;
  readonly eightBit: boolean;
  readonly requireTls: boolean;
  readonly dsnRet: "FULL" | "HDRS" | null;
  readonly dsnEnvid: string | null;
  /** Called when a server has greeted and gets the message; left out or null: nobody wants to know. */
  readonly onReached?: (() => void) | null;
}

/** Delivers. Never throws for anything the network does: every recipient gets an Outcome. */
export interface Deliverer {
  /** One outcome per recipient of the attempt, in its order. */
  attempt(attempt: Attempt): Promise<readonly Outcome[]>;
  /** Does one of its servers greet us, as far as a message could follow? Sends none. Bounded in time; never rejects. Its addresses are told. */
  answers(destination: Destination, onAddress?: (address: string) => void): Promise<boolean>;
  /** How many attempts for this destination may run side by side, those under way included; 0 once it is closed. */
  capacity(destinationKey: string): number;
  /** Closes idle connections and waits for busy ones, at most `graceMs`. */
  close(graceMs: number): Promise<void>;
}
