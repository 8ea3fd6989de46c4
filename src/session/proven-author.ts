// Who outside wrote a message, where that is proven: only they become known to the people they write to (O12).
import type { MailAddress } from "../message/address.ts";
import type { MessageSummary } from "../message/summary.ts";
import { type Finding, factsOf } from "../rules/fact.ts";

/**
 * The author whose own domain vouches for the message, by DKIM or SPF. Anybody may write a name into From: who only claims to be
 * somebody makes nobody known, and neither does a check that was not made.
 */
export function provenAuthor(
  { fromAddresses, fromFlaw }: Pick<MessageSummary, "fromAddresses" | "fromFlaw">,
  findings: readonly Finding[],
): MailAddress | null {
  const [author] = fromAddresses;
  if (author === undefined || fromAddresses.length > 1 || fromFlaw !== null) return null;
  const facts = factsOf(findings);
  const proven = (check: "dkim" | "spf"): boolean =>
    facts[`${check}.result`] === "pass" && facts[`${check}.aligned`] === true;
  return proven("dkim") || proven("spf") ? author : null;
}
