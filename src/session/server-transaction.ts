// Mail of servers (IP senders, trusted networks) and notices without a sender, once the header is in: whose mail it is, whether a forward is
// really its author's. Asks the policy and the checks, decides nothing itself.
import type { MessageBody } from "../message/body.ts";
import type { Envelope } from "../message/envelope.ts";
import type { MessageSummary } from "../message/summary.ts";
import { type Reply, reply } from "../policy/reply.ts";
import type { OutgoingParty, Writers } from "../policy/snapshot.ts";
import { domainsHere } from "../policy/spoken-for.ts";
import { factsOf } from "../rules/fact.ts";
import { bareEnvelope } from "./record-refusal.ts";
import type { SessionServices } from "./services.ts";
import type { Session, Transaction } from "./session.ts";

const SIGNATURE_FACTS: ReadonlySet<string> = new Set(["dkim.result", "dkim.aligned"]);

/** Everybody the header names as a writer. */
function writersOf({ reversePath }: Pick<Transaction, "reversePath">, summary: MessageSummary): Writers {
  const { fromAddresses: from, senderAddresses: senders } = summary;
  return { reversePath, from, senders };
}

/** The transaction with who sends it, and for which domains, now that the header names an author. */
export function withAuthor(session: Session, transaction: Transaction, summary: MessageSummary): Transaction {
  const { snapshot, party: begun, reversePath } = transaction;
  if (begun === null) return transaction;
  const { listener, client } = session;
  const writers = writersOf(transaction, summary);
  if (begun.server === undefined) {
    const party = snapshot.speaking(begun, writers);
    if (reversePath === null)
      return { ...transaction, party, writer: snapshot.writerOf(party, writers, client.ip) };
    return party === begun ? transaction : { ...transaction, party };
  }
  const party = snapshot.outgoingParty(listener, client, writers) ?? begun;
  return { ...transaction, party, writer: snapshot.writerOf(party, writers, client.ip) };
}

/** Domains of ours that a client of ours wrote it for: they are asked about again when it leaves. null: it comes from outside. */
export function writtenForHere(
  transaction: Pick<Transaction, "snapshot" | "recipients" | "reversePath">,
  summary: MessageSummary,
): readonly string[] | null {
  const { snapshot, recipients } = transaction;
  if (recipients.every(({ direction }) => direction === "inbound")) return null;
  return domainsHere(snapshot, writersOf(transaction, summary));
}

/**
 * Mail of others for people here, which a trusted network hands in: a second MX or a filter in front. Nobody of ours wrote it and
 * nothing of it leaves, so outgoing control would only hold up mail that comes in.
 */
export function isOnlyPassedIn(
  { server, domain }: OutgoingParty,
  { recipients }: Pick<Transaction, "recipients">,
): boolean {
  return (
    server?.sender === null &&
    domain === null &&
    recipients.every(({ direction }) => direction === "internal")
  );
}

/** Was the right to send taken away since MAIL: switched off, the domain too, or the network trusted no more? null: no. */
export function refuseWithdrawn(
  session: Session,
  { snapshot, party, reversePath, recipients }: Transaction,
  services: Pick<SessionServices, "snapshot">,
): Reply | null {
  const now = services.snapshot();
  if (now === snapshot || party === null) return null;
  const { listener, client } = session;
  if (client.login !== null && party.via === null && party.server === undefined)
    return now.userSender(client.login) === null ? now.refuseSender(listener, client, reversePath) : null;
  const refused = now.refuseSender(listener, client, reversePath);
  if (refused !== null) return refused;
  for (const { address, direction } of recipients) {
    if (direction === "inbound") continue;
    const relay = now.mayRelay(listener, client, address);
    return relay.granted ? null : relay.reply;
  }
  return null;
}

/**
 * A forward that must be signed by its author's own domain: then it is what that author wrote, whoever sends it on. A promise only for
 * those.
 */
export function refuseUnsigned(
  session: Session,
  {
    transaction,
    raw,
    summary,
  }: { readonly transaction: Transaction; readonly raw: MessageBody; readonly summary: MessageSummary },
  services: SessionServices,
): Reply | null | Promise<Reply | null> {
  const { party, snapshot } = transaction;
  if (party?.server?.forwards !== "signed") return null;
  if (!snapshot.isForward(party, writersOf(transaction, summary))) return null;
  return askSignature(session, { transaction, raw }, services);
}

async function askSignature(
  session: Session,
  { transaction, raw }: { readonly transaction: Transaction; readonly raw: MessageBody },
  services: SessionServices,
): Promise<Reply | null> {
  const envelope: Envelope = { ...bareEnvelope(session, transaction), recipients: transaction.recipients };
  const facts = factsOf(await services.checker.run({ envelope, raw }, SIGNATURE_FACTS));
  if (facts["dkim.result"] === "pass" && facts["dkim.aligned"] === true) return null;
  const who = transaction.party?.via ?? transaction.party?.key ?? "";
  if (facts["dkim.failed"] === true || facts["dkim.result"] === "temperror")
    return reply(
      451,
      "7.5",
      "The signature of this forwarded message cannot be checked now, try again later",
      `forward of ${who}: DKIM ${String(facts["dkim.result"] ?? "failed")}`,
    );
  return reply(
    550,
    "7.1",
    "This server may send in the name of its own domains, and forward what its author's domain has signed (DKIM); this is neither",
    `forward of ${who}: DKIM ${String(facts["dkim.result"] ?? "none")}, not aligned with From`,
  );
}
