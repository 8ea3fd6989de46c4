// One message over one connection: what the server can take, its recipients in lots, an outcome for each that was settled.
import { isLarge, type LargeBody, type MessageBody } from "../message/body.ts";
import type { Attempt } from "./attempt.ts";
import type { Link } from "./connection-pool.ts";
import { inSevenBits, isUnsafeAddress, mailCommand, rcptCommand, unfitFor } from "./envelope-commands.ts";
import type { Outcome } from "./outcome.ts";
import { outcomeOfReply, outcomeOfTrouble, type Place, type Trouble } from "./outcomes.ts";
import type { TransactionResult } from "./transaction.ts";

type Recipient = Attempt["recipients"][number];

export interface SendResult {
  readonly settled: readonly Outcome[];
  /** Not settled: another server may be tried. */
  readonly open: readonly Recipient[];
  /** Why they are not settled; null when none is open. */
  readonly trouble: Trouble | null;
  /** The connection had rested too long: the server said nothing at all in this transaction, or what answers nothing. */
  readonly stale: boolean;
  /** A new connection, and the server hung up without a word in its first transaction. */
  readonly silent: boolean;
}

// RFC 5321 §4.5.3.1.8: every server takes at least 100 recipients.
const RECIPIENTS_PER_TRANSACTION = 100;
const SERVICE_CLOSING = 421;
/** RFC 3207 §4: "Must issue a STARTTLS command first". */
const TLS_WANTED = 530;

interface SendPlace extends Place {
  /** The server offers DSN, so it was told what to report. */
  readonly dsn: boolean;
  /** We speak without TLS only because it broke: a server that wants it refuses the way, not the message. */
  readonly bare: boolean;
}

/** Turns a transaction's replies into outcomes; recipients without one go to `open`. */
function settle(
  lot: readonly Recipient[],
  result: TransactionResult,
  place: SendPlace,
): { readonly settled: Outcome[]; readonly open: Recipient[]; readonly trouble: Trouble | null } {
  const settled: Outcome[] = [];
  const open: Recipient[] = [];
  let trouble: Trouble | null = null;
  lot.forEach((recipient, at) => {
    const settling = result.replies[at] ?? null;
    const reply = settling?.reply ?? null;
    const goesElsewhere = reply?.code === SERVICE_CLOSING || (place.bare && reply?.code === TLS_WANTED);
    if (settling !== null && !(goesElsewhere && !result.afterDot)) {
      const outcome = outcomeOfReply(recipient.n, settling, place);
      const passedOn = place.dsn && recipient.dsn !== null && outcome.result === "delivered";
      settled.push(passedOn ? { ...outcome, dsnPassedOn: true } : outcome);
      return;
    }
    const words = reply === null ? (result.lost ?? "the server closed the connection") : reply.text;
    trouble = {
      server: place.server,
      tls: place.tls,
      code: reply?.code ?? null,
      enhanced: reply?.enhanced ?? null,
      words,
    };
    if (result.afterDot) {
      // RFC 5321 §4.5.3.2.6: the message may have been taken; trying elsewhere now would surely double it.
      const doubtful = { ...trouble, words: `The message was sent, but no reply came: ${words}` };
      settled.push(outcomeOfTrouble(recipient.n, "deferred", doubtful));
    } else {
      open.push(recipient);
    }
  });
  return { settled, open, trouble };
}

/** Sends to all `recipients`, of which some may be settled by an earlier server. Rejects with StoreError when the body cannot be read. */
export async function sendOver(
  link: Link,
  given: Attempt,
  recipients: readonly Recipient[],
): Promise<SendResult> {
  const { session } = link;
  const { extensions } = session;
  if (extensions === null) throw new Error("a session was used before it was open");
  const place: SendPlace = {
    server: link.server,
    tls: session.tlsInfo,
    dsn: extensions.dsn,
    bare: link.security === "bare",
  };
  const ready = extensions.eightBitMime ? given : await inSevenBits(given);
  const attempt = "words" in ready ? given : ready;
  const unfit = "words" in ready ? ready : unfitFor(attempt, extensions);
  if (unfit !== null) {
    const trouble: Trouble = { ...lostTrouble(place, unfit.words), enhanced: unfit.enhanced };
    const settled = recipients.map((recipient) => outcomeOfTrouble(recipient.n, "failed", trouble));
    return { settled, open: [], trouble: null, stale: false, silent: false };
  }
  const message = wireMessage(attempt.message);
  const mail = mailCommand(attempt, extensions);
  const reused = session.transactions > 0;
  const settled: Outcome[] = [];
  for (let at = 0; at < recipients.length; at += RECIPIENTS_PER_TRANSACTION) {
    const lot = recipients.slice(at, at + RECIPIENTS_PER_TRANSACTION);
    const rcpts = lot.map((recipient) => rcptCommand(recipient, extensions));
    const result = await session.transact({ mail, rcpts, message });
    if (result.fault !== null) throw result.fault;
    const lotResult = settle(lot, result, place);
    settled.push(...lotResult.settled);
    if (lotResult.open.length > 0 || session.failure !== null) {
      const open = [...lotResult.open, ...recipients.slice(at + lot.length)];
      const trouble =
        open.length === 0 ? null : (lotResult.trouble ?? lostTrouble(place, session.failure?.words));
      const stale =
        reused &&
        at === 0 &&
        (!result.heard || result.outOfStep || lotResult.trouble?.code === SERVICE_CLOSING);
      const silent = !reused && at === 0 && !result.heard && open.length > 0;
      return { settled, open, trouble, stale, silent };
    }
  }
  return { settled, open: [], trouble: null, stale: false, silent: false };
}

function lostTrouble(place: Place, words: string | undefined): Trouble {
  const { server, tls } = place;
  return { server, tls, code: null, enhanced: null, words: words ?? "the connection was lost" };
}

function wireMessage(body: MessageBody): Buffer | LargeBody {
  return isLarge(body) ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength);
}

/** Outcomes for addresses that no command may carry; the others. */
export function setUnsafeAside(attempt: Attempt): {
  readonly settled: readonly Outcome[];
  readonly open: readonly Recipient[];
} {
  const senderUnsafe = isUnsafeAddress(attempt.reversePath);
  if (!senderUnsafe && !attempt.recipients.some((recipient) => isUnsafeAddress(recipient.address))) {
    return { settled: [], open: attempt.recipients };
  }
  const isUnsafe = (recipient: Recipient): boolean => senderUnsafe || isUnsafeAddress(recipient.address);
  const trouble: Trouble = {
    code: null,
    enhanced: "5.1.3",
    words: "The address contains control characters",
    server: null,
    tls: null,
  };
  return {
    settled: attempt.recipients.filter(isUnsafe).map((r) => outcomeOfTrouble(r.n, "failed", trouble)),
    open: attempt.recipients.filter((recipient) => !isUnsafe(recipient)),
  };
}
