// Is a message written here, or only passed on? What is submitted is completed and tells less of its way (RFC 6409 §8). Decides by who
// handed it in and whose name it bears.
import { domainOf, type MailAddress } from "../message/address.ts";
import type { MessageSummary } from "../message/summary.ts";
import type { Session, Transaction } from "./session.ts";

function isPassedIn({ client }: Session, { recipients }: Transaction): boolean {
  return client.login !== null || recipients.some(({ direction }) => direction !== "inbound");
}

/**
 * Mail of a login is. Of a trusted network or IP sender it is when its author is of our domains: what a mail server forwards for others
 * stays as it is, and so does everything of strangers.
 */
export function isSubmission(session: Session, transaction: Transaction, summary: MessageSummary): boolean {
  if (!isPassedIn(session, transaction)) return false;
  if (session.client.login !== null) return true;
  const { reversePath, snapshot } = transaction;
  const envelope: readonly MailAddress[] = reversePath === null ? [] : [reversePath];
  const authors = summary.fromAddresses.length > 0 ? summary.fromAddresses : envelope;
  return authors.length > 0 && authors.every((author) => snapshot.domain(domainOf(author)) !== null);
}

/** Is it not told where the message comes from? (`hide_clients` of the listener) */
export function isDiscreet(session: Session, transaction: Transaction): boolean {
  switch (session.listener.hide_clients) {
    case "nobody":
      return false;
    case "log-ins":
      return session.client.login !== null;
    case "all":
      return isPassedIn(session, transaction);
  }
}
