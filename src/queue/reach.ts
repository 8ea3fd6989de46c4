// What the outcomes of one attempt say about the destination as a whole. Pure.

import type { Outcome } from "../delivery/outcome.ts";

/**
 * `unreachable`: no server was reached. `lost`: one was, and hung up or fell silent; maybe over this message alone. `unwell`: it says that
 * it cannot do its work now (its database, its filter, its disk). `answered`: anything else, a refusal of this message too.
 */
export type Reach = "answered" | "unwell" | "unreachable" | "lost";

export function reachOf(outcomes: readonly Outcome[]): Reach {
  if (outcomes.length === 0 || !outcomes.every((outcome) => outcome.result === "deferred")) return "answered";
  if (outcomes.every((outcome) => outcome.server === null && outcome.code === null)) return "unreachable";
  // RFC 5321 §4.2.3: 421 is the server's "not now", whatever the command was.
  if (outcomes.every((outcome) => outcome.code === null || outcome.code === 421)) return "lost";
  return outcomes.every(isUnwell) ? "unwell" : "answered";
}

const GREYLISTING = /gr[ae]y.?list/i;
const OUT_OF_ORDER = /service.*unavailable|server error/i;

/**
 * It was the server, or it was not reached: what is put off so waits for the server. RFC 3463 §3.4, §3.5: the mail system or its network, not
 * the address, the mailbox or a policy; words count where the code leaves it open.
 */
export function isUnwell({ code, enhanced, text }: Outcome): boolean {
  if (GREYLISTING.test(text)) return false;
  if (code === null || code === 421) return true;
  if (enhanced === null) return code === 451 || OUT_OF_ORDER.test(text);
  return (
    enhanced.startsWith("4.3.") ||
    enhanced.startsWith("4.4.") ||
    (!/^4\.[12]\./.test(enhanced) && OUT_OF_ORDER.test(text))
  );
}
