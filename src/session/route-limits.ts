// Refuses at once what the mail server of the recipient's domain will not take, as far as it is known (RFC 1870, RFC 6531). EHLO comes
// before the recipient is known: what we offer there is what we can take ourselves.
import { domainOf, type MailAddress } from "../message/address.ts";
import { headOf, type MessageBody } from "../message/body.ts";
import type { EnvelopeRecipient } from "../message/envelope.ts";
import { type Reply, reply } from "../policy/reply.ts";
import { isAscii } from "./path.ts";
import type { SessionServices } from "./services.ts";
import type { Transaction } from "./session.ts";

type Services = Pick<SessionServices, "takenBy">;

/** What is known of the servers of a recipient that is delivered to us or by us to our own; null: nothing. */
function takenFor(recipient: EnvelopeRecipient, { snapshot }: Transaction, services: Services) {
  if (recipient.direction === "outbound") return null;
  const domain = snapshot.domain(domainOf(recipient.address));
  return domain === null ? null : services.takenBy(domain.routes);
}

function tooLarge(maxBytes: number): Reply {
  return reply(552, "3.4", `The mail server of this domain takes at most ${maxBytes} octets`);
}

function needsUnicode(address: MailAddress | null): boolean {
  return address !== null && !isAscii(address);
}

/** At RCPT: by the declared size and the addresses. Null: it may be taken. */
export function refuseByRoute(
  recipient: EnvelopeRecipient,
  transaction: Transaction,
  services: Services,
): Reply | null {
  const taken = takenFor(recipient, transaction, services);
  if (taken === null) return null;
  if (taken.maxBytes > 0 && transaction.declaredBytes > taken.maxBytes) return tooLarge(taken.maxBytes);
  const unicode = needsUnicode(recipient.address) || needsUnicode(transaction.reversePath);
  return unicode && !taken.smtpUtf8
    ? reply(553, "6.7", "The mail server of this domain takes no addresses in Unicode (SMTPUTF8)")
    : null;
}

/** At the end of the data: when no recipient's server takes the message. What some of them take is accepted for all. */
export function refuseByRoutes(
  transaction: Transaction,
  { raw, headerBytes }: { readonly raw: MessageBody; readonly headerBytes: number },
  services: Services,
): Reply | null {
  let refusal: Reply | null = null;
  for (const recipient of transaction.recipients) {
    const taken = takenFor(recipient, transaction, services);
    if (taken === null) return null;
    if (taken.maxBytes > 0 && raw.length > taken.maxBytes) refusal ??= tooLarge(taken.maxBytes);
    else if (!taken.smtpUtf8 && transaction.smtpUtf8 && hasUnicode(headOf(raw).subarray(0, headerBytes)))
      refusal ??= reply(550, "6.7", "The mail server of this domain takes no header in Unicode (SMTPUTF8)");
    else return null;
  }
  return refusal;
}

function hasUnicode(header: Uint8Array): boolean {
  return header.some((octet) => octet > 0x7f);
}
