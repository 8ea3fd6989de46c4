// How a message in the dialogue is to be signed when it goes out (requirement O5): for the one address in its From.
import type { SignOrder } from "../message/sign-order.ts";
import type { MessageSummary } from "../message/summary.ts";
import { signAs } from "../policy/sign-as.ts";
import type { Session, Transaction } from "./session.ts";

/** The order, or null: it comes from outside, has not exactly one From, or that is not one its sender may speak for. */
export function signOrder(
  session: Session,
  { party, snapshot, recipients }: Transaction,
  summary: MessageSummary,
): SignOrder | null {
  const [from] = summary.fromAddresses;
  if (from === undefined || summary.fromFlaw !== null || summary.fromAddresses.length !== 1) return null;
  // Nobody vouches for an outsider, and a login that may not relay by this listener is one.
  if (party === null && recipients.every(({ direction }) => direction === "inbound")) return null;
  return signAs(snapshot, { from, party, proven: session.client.login !== null });
}
