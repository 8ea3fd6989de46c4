// Which of our domains mail is signed for when it goes out (requirement O5). Looks at settings only; keys are the queue's concern.
import { type Domain, domainOf, type MailAddress } from "../message/address.ts";
import type { SignOrder } from "../message/sign-order.ts";
import type { DomainSettings } from "./schema.ts";
import { mayUse } from "./sender-control.ts";
import type { OutgoingParty, PolicySnapshot } from "./snapshot.ts";

const orders = new WeakMap<DomainSettings, SignOrder>();

/** The order with the domain's own selector; made once for each domain. */
function orderOf(domain: DomainSettings): SignOrder {
  let order = orders.get(domain);
  if (order === undefined) {
    order = { domain: domain.name, selector: domain.outgoing.dkim_selector };
    orders.set(domain, order);
  }
  return order;
}

/**
 * The order for mail the gateway writes itself, as postmaster of its own name: that name, or the nearest domain of ours above it, which
 * DMARC takes for aligned. null: its name is in no domain of ours.
 */
export function signOwn(snapshot: Pick<PolicySnapshot, "domain">, hostname: string): SignOrder | null {
  for (let name = hostname.toLowerCase(); name !== ""; name = name.slice(name.indexOf(".") + 1)) {
    const domain = snapshot.domain(name as Domain);
    if (domain !== null) return orderOf(domain);
    if (!name.includes(".")) return null;
  }
  return null;
}

/** Mail that goes out for our own people. */
export interface SignQuestion {
  /** The one address in From. */
  readonly from: MailAddress;
  /** null: a trusted network, which speaks for all our domains. */
  readonly party: Pick<OutgoingParty, "sender" | "server"> | null;
  /** The From is known to belong to the login. */
  readonly proven: boolean;
}

/** The order, or null: the From is in no domain of ours, or not one its sender may speak for. */
export function signAs(snapshot: PolicySnapshot, { from, party, proven }: SignQuestion): SignOrder | null {
  const domain = snapshot.domain(domainOf(from));
  if (domain === null) return null;
  if (party === null || party.server?.sender === null) return orderOf(domain);
  const { sender, server } = party;
  const own = domain.name === sender.domain;
  const { recipient_delimiter: delimiter } = domain;
  const serves = server?.sender != null && mayUse(server.sender, from, delimiter);
  if (!own && !proven && !serves && !mayUse(sender, from, delimiter)) return null;
  // The sender's selector names a key of its own domain.
  return own && sender.dkim_selector !== undefined
    ? { domain: domain.name, selector: sender.dkim_selector }
    : orderOf(domain);
}
