// O10: every address a login sends as must belong to it, in the envelope and in the header. Asks the policy, then for linked addresses.
import { domainOf, type MailAddress } from "../message/address.ts";
import { parseMailboxes } from "../message/mailboxes.ts";
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

/** An address that the client uses, and where: `the envelope`, or the name of a field. */
interface Used {
  readonly snapshot: PolicySnapshot;
  readonly address: MailAddress;
  readonly where: string;
}

/** An address of another domain here, which sends nothing at present (O12). Outgoing control asks about the login's own. */
function refuseBarred(login: string, { snapshot, address, where }: Used): Reply | null {
  if (snapshot.userSender(login)?.domain === domainOf(address)) return null;
  return snapshot.refuseDomainOf(address, `login "${login}" uses ${address} in ${where}`);
}

/** `refusal`: what the policy says of the address. A link by password can undo that, but not a bar. */
function refuseUsed(
  session: Session,
  { refusal, ...used }: Used & { readonly refusal: Reply | null },
  services: SessionServices,
): Reply | null | Promise<Reply | null> {
  const { login } = session.client;
  if (login === null) return refusal;
  const barred = refuseBarred(login, used);
  if (refusal === null) return barred;
  if (barred !== null) return refusal;
  return unlessLinked(session, { ...used, reply: refusal }, services);
}

/** May the client use this reverse-path? null: yes. */
export function refuseReversePath(
  session: Session,
  { snapshot, address }: { readonly snapshot: PolicySnapshot; readonly address: MailAddress | null },
  services: SessionServices,
): Reply | null | Promise<Reply | null> {
  const refusal = snapshot.refuseSender(session.listener, session.client, address);
  return address === null
    ? refusal
    : refuseUsed(session, { snapshot, address, where: "the envelope", refusal }, services);
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
  const { login } = client;
  if (login === null) return refusal;
  const [from] = summary.fromAddresses;
  if (refusal !== null && (from === undefined || summary.fromAddresses.length > 1)) return refusal;
  const open = (address: MailAddress): boolean => {
    const used = { snapshot, address, where: "the header" };
    return snapshot.refuseHeaderSender(listener, client, used) !== null || refuseBarred(login, used) !== null;
  };
  const found = [...(from === undefined ? [] : [from]), ...summary.senderAddresses]
    .filter(open)
    .map((address) => ({ snapshot, address, where: fieldOf(summary, address) }));
  return found.length > 0 ? refuseAnyUsed(session, found, services) : refusal;
}

/** The first field that names the address. */
function fieldOf({ fromAddresses, senderFields }: MessageSummary, address: MailAddress): string {
  if (fromAddresses.includes(address)) return "From";
  const field = senderFields.find(({ value }) => parseMailboxes(value).includes(address));
  return field?.name ?? "Sender, Resent-From or Resent-Sender";
}

async function refuseAnyUsed(
  session: Session,
  found: readonly Used[],
  services: SessionServices,
): Promise<Reply | null> {
  for (const used of found) {
    const refusal = used.snapshot.refuseHeaderSender(session.listener, session.client, used);
    const late = await refuseUsed(session, { ...used, refusal }, services);
    if (late !== null) return late;
  }
  return null;
}
