// From replies and troubles to outcomes. No I/O.
import type { TlsInfo } from "../message/envelope.ts";
import type { Outcome } from "./outcome.ts";
import { cleanText } from "./remote-reply.ts";
import type { SettlingReply } from "./transaction.ts";

/** Where it happened. */
export interface Place {
  readonly server: string | null;
  readonly tls: TlsInfo | null;
}

/** What went wrong before a recipient was settled. */
export interface Trouble extends Place {
  readonly code: number | null;
  readonly enhanced: string | null;
  readonly words: string;
}

/** RFC 5321 §4.5.3.1.10: 552 to RCPT may mean "too many recipients" and is then temporary; a full mailbox says so (5.2.2). */
function resultOf({ reply, toRcpt }: SettlingReply): Outcome["result"] {
  const { code, enhanced } = reply;
  if (code === null || code < 200) return "deferred";
  if (code < 300) return "delivered";
  if (code < 500) return "deferred";
  return toRcpt && code === 552 && (enhanced === null || enhanced === "5.5.3") ? "deferred" : "failed";
}

/** The outcome of a recipient the far side gave a reply for. */
export function outcomeOfReply(n: number, settling: SettlingReply, at: Place): Outcome {
  const { code, enhanced, text } = settling.reply;
  return { n, result: resultOf(settling), code, enhanced, text, server: at.server, tls: at.tls };
}

/** The outcome of a recipient that our own side had to settle. */
export function outcomeOfTrouble(n: number, result: "deferred" | "failed", trouble: Trouble): Outcome {
  const { code, enhanced, server, tls } = trouble;
  return { n, result, code, enhanced, text: cleanText(trouble.words), server, tls };
}

/** Several servers' troubles as one: the words of all, the rest of the last one that answered. */
export function joinTroubles(troubles: readonly Trouble[]): Trouble | null {
  const last = troubles.findLast((trouble) => trouble.code !== null) ?? troubles.at(-1);
  if (last === undefined) return null;
  if (troubles.length === 1) return last;
  const words = troubles.map(({ server, words }) => (server === null ? words : `${server}: ${words}`));
  return { ...last, words: words.join("; ") };
}
