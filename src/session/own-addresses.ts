// O10: every address a login sends as must belong to it, in the envelope and in the header. Asks the policy, then for linked addresses.
import { domainOf, type MailAddress } from "../message/address.ts";
import type { MessageSummary } from "../message/summary.ts";
import { type Reply, reply } from "../policy/reply.ts";
import type { PolicySnapshot } from "../policy/snapshot.ts";
import { linkedByPassword } from "./linked-sender.ts";
import type { SessionServices } from "./services.ts";
import type { Session } from "./session.ts";

const NOT_NOW = reply(
  450,
  "7.1",
  "Your right to send as this address cannot be verified now, try again later",
);

/** The refusal, unless the address is linked to the login by its password. */
function unlessLinked(
  session: Session,
  refusal: { readonly reply: Reply; readonly snapshot: PolicySnapshot; readonly address: MailAddress },
  services: SessionServices,
): Reply | null | Promise<Reply | null> {
  const outcome = (linked: "yes" | "no" | "busy"): Reply | null =>
    linked === "yes" ? null : linked === "busy" ? NOT_NOW : refusal.reply;
  const linked = linkedByPassword(session, refusal, services);
  return linked instanceof Promise ? linked.then(outcome) : outcome(linked);
}

/** An address of another domain here, which sends nothing at present (O12). Outgoing control asks about the login's own. */
function refuseBarred(snapshot: PolicySnapshot, login: string, address: MailAddress): Reply | null {
  if (snapshot.userSender(login)?.domain === domainOf(address)) return null;
  return snapshot.refuseDomainOf(address, `login "${login}" uses ${address}`);
}

/** May the client use this reverse-path? null: yes. */
export function refuseReversePath(
  session: Session,
  { snapshot, address }: { readonly snapshot: PolicySnapshot; readonly address: MailAddress | null },
  services: SessionServices,
): Reply | null | Promise<Reply | null> {
  const refusal = snapshot.refuseSender(session.listener, session.client, address);
  const { login } = session.client;
  if (address === null || login === null) return refusal;
  const barred = refuseBarred(snapshot, login, address);
  if (refusal === null) return barred;
  if (barred !== null) return refusal;
  return unlessLinked(session, { reply: refusal, snapshot, address }, services);
}

/** May the client write these addresses in From, Sender, Resent-From and Resent-Sender? null: yes. */
export function refuseHeaderSenders(
  session: Session,
  {
    snapshot,
    summary,
    reversePath,
  }: {
    readonly snapshot: PolicySnapshot;
    readonly summary: MessageSummary;
    readonly reversePath: MailAddress | null;
  },
  services: SessionServices,
): Reply | null | Promise<Reply | null> {
  const { listener, client } = session;
  const writers = { reversePath, from: summary.fromAddresses, senders: summary.senderAddresses };
  const refusal = snapshot.refuseHeaderFrom(listener, client, writers);
  if (client.login === null) return refusal;
  const [from] = summary.fromAddresses;
  if (refusal !== null && (from === undefined || summary.fromAddresses.length > 1)) return refusal;
  const { login } = client;
  const open = (address: MailAddress): boolean =>
    snapshot.refuseSender(listener, client, address) !== null ||
    refuseBarred(snapshot, login, address) !== null;
  const addresses = [...(from === undefined ? [] : [from]), ...summary.senderAddresses].filter(open);
  if (addresses.length > 0) return refuseUnlinked(session, { snapshot, addresses }, services);
  return refusal;
}

async function refuseUnlinked(
  session: Session,
  { snapshot, addresses }: { readonly snapshot: PolicySnapshot; readonly addresses: readonly MailAddress[] },
  services: SessionServices,
): Promise<Reply | null> {
  for (const address of addresses) {
    const refusal = await refuseReversePath(session, { snapshot, address }, services);
    if (refusal !== null) return refusal;
  }
  return null;
}
