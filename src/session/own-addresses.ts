// O10: every address a login sends as must belong to it, in the envelope and in the header. Asks the policy, then for linked addresses.
import type { MailAddress } from "../message/address.ts";
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

/** May the client use this reverse-path? null: yes. */
export function refuseReversePath(
  session: Session,
  { snapshot, address }: { readonly snapshot: PolicySnapshot; readonly address: MailAddress | null },
  services: SessionServices,
): Reply | null | Promise<Reply | null> {
  const refusal = snapshot.refuseSender(session.listener, session.client, address);
  if (refusal === null || address === null || session.client.login === null) return refusal;
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
  const open = summary.senderAddresses.filter(
    (address) => snapshot.refuseSender(listener, client, address) !== null,
  );
  if (refusal === null && open.length === 0) return null;
  return refuseUnlinked(
    session,
    { snapshot, addresses: refusal === null || from === undefined ? open : [from, ...open] },
    services,
  );
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
