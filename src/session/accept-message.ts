// Carries out the verdicts: what the queue gets, what the log says, what the client is told.
import { domainOf, type MailAddress } from "../message/address.ts";
import { headOf, type MessageBody } from "../message/body.ts";
import type { Envelope } from "../message/envelope.ts";
import type { SignOrder } from "../message/sign-order.ts";
import { missingFields, NOT_PASSED_ON } from "../message/submission.ts";
import { addTraceHeaders, mailDate, type TraceOptions } from "../message/trace.ts";
import { durationMs } from "../policy/duration.ts";
import { formatReply, reply } from "../policy/reply.ts";
import type { Acceptance } from "../queue/queue.ts";
import { type Finding, factsOf } from "../rules/fact.ts";
import type { Verdict } from "../rules/verdict.ts";
import type { MessageDetails } from "../store/log-record.ts";
import type { Answer } from "./answer.ts";
import { type Combined, combineVerdicts } from "./combine-verdicts.ts";
import { type SentJudgement, type SentMessage, settleSent, tellStopped } from "./outgoing-message.ts";
import { planRecipients } from "./plan-recipients.ts";
import { recordRefusedMessage } from "./record-refusal.ts";
import type { SessionServices } from "./services.ts";
import type { Session, Transaction } from "./session.ts";
import { mailUser } from "./share-user.ts";

export interface JudgedMessage {
  readonly transaction: Transaction;
  readonly raw: MessageBody;
  readonly bare: Omit<Envelope, "recipients">;
  readonly details: MessageDetails;
  readonly findings: readonly Finding[];
  /** One per recipient of the transaction. */
  readonly verdicts: readonly Verdict[];
  /** What outgoing control knows of it; null for mail that has no outgoing sender. */
  readonly sent: SentMessage | null;
  readonly sign: SignOrder | null;
  /** Who wrote it, for mail from outside: writing back to them is not bulk. */
  readonly author: MailAddress | null;
  /** Domains of ours that a client of ours wrote it for; null: it comes from outside. */
  readonly writtenFor: readonly string[] | null;
  /** It was written here, by one of our people or machines: what is missing in its header is added (RFC 6409 §8). */
  readonly submitted: boolean;
  /** Neither the client nor our notes are named in it. */
  readonly discreet: boolean;
}

/** Answers the message. Rejects with StoreError when the queue could not keep it; then nothing is kept. */
export async function acceptMessage(
  session: Session,
  message: JudgedMessage,
  services: SessionServices,
): Promise<Answer> {
  const { sent, verdicts } = message;
  const combined = combineVerdicts(verdicts);
  if (sent === null) return carryOut(session, { message, combined }, services);
  const judged = { sent, verdicts, combined, facts: factsOf(message.findings) };
  const settled: SentJudgement = { ...judged, combined: settleSent(judged, services) };
  const given = await carryOut(session, { message, combined: settled.combined }, services);
  const { transaction } = message;
  tellStopped(settled, { transaction, clientIp: session.client.ip }, services);
  // A client that has its answer may meet the lock this message brought, or hears of one: then it must hold, whatever happens to this process.
  if (settled.combined.refusal !== null || verdicts.some(({ spam, lock }) => spam === true || lock === true))
    await services.outgoing.locksKept();
  return given;
}

async function carryOut(
  session: Session,
  { message, combined }: { readonly message: JudgedMessage; readonly combined: Combined },
  services: SessionServices,
): Promise<Answer> {
  const { transaction, details, findings, verdicts } = message;
  const plan = planRecipients(message, combined);
  const final = combined.refusal ?? reply(250, "0.0", `Accepted as ${transaction.id}`);
  if (!combined.keep) {
    const recipients = plan.records;
    recordRefusedMessage(
      session,
      { transaction, reply: final, details: { ...details, findings }, recipients },
      services,
    );
    return { reply: final };
  }
  const only = transaction.recipients.length === 1 ? transaction.recipients[0] : undefined;
  const archive = archiveOf(message, combined);
  const trace = traceOf(message, services.hostname);
  const acceptance: Acceptance = {
    envelope: message.bare,
    recipients: plan.accepted,
    message: addTraceHeaders({
      raw: message.raw,
      envelope: message.bare,
      hostname: services.hostname,
      recipient: only?.address ?? null,
      findings,
      verdictWords: verdicts.length === 1 ? (verdicts[0]?.words ?? "") : "",
      noteHeader: transaction.snapshot.policy.settings.note_header,
      ...trace.options,
      ...provenSets(message),
    }),
    record: {
      ...details,
      headerMessageId: trace.messageId ?? details.headerMessageId,
      id: transaction.id,
      envelope: message.bare,
      recipients: plan.records,
      findings,
      reply: formatReply(final),
      cause: final.cause ?? null,
    },
    ...(message.writtenFor === null ? {} : { writtenFor: message.writtenFor }),
    ...(archive === null ? {} : { archive }),
    share: mailUser(session, { transaction, identity: message.sent?.message.identity ?? null }),
  };
  const waitMs = cutThroughMs(message, combined);
  if (waitMs === 0) {
    await services.queue.accept(acceptance);
  } else {
    const given = await services.queue.handOver(acceptance, waitMs);
    if (given.kind === "refused") {
      services.metrics.message("refused");
      return { reply: given.reply };
    }
  }
  services.metrics.message(
    combined.refusal === null ? "accepted" : combined.refusal.code >= 500 ? "refused" : "tempfailed",
  );
  noteAuthor(message, combined, services);
  return { reply: final };
}

/** A stranger's ARC sets are looked at; those of our own servers and people are for the receiver to judge. */
function provenSets({ sent, transaction, findings }: JudgedMessage): Pick<TraceOptions, "provenSets"> {
  if (sent !== null || transaction.party !== null) return {};
  const facts = factsOf(findings);
  const count = facts["arc.result"] === "pass" ? Number(facts["arc.instance"]) : 0;
  return { provenSets: Number.isNaN(count) ? 0 : count };
}

/** What our own people's mail gets and loses on its way, and the Message-ID it was given; null: none. */
function traceOf(
  { submitted, discreet, raw, transaction: { id, startedAt } }: JudgedMessage,
  hostname: string,
): {
  readonly options: Pick<TraceOptions, "added" | "without" | "discreet">;
  readonly messageId: string | null;
} {
  if (!submitted) return { options: { discreet }, messageId: null };
  const { text, messageId } = missingFields(headOf(raw), {
    date: mailDate(startedAt),
    messageId: `<${id}@${hostname}>`,
  });
  return { options: { added: text, without: NOT_PASSED_ON, discreet }, messageId };
}

/**
 * How long the sender may wait for the mail server's own answer; 0: not at all. For mail from outside to domains of ours that all have
 * it on, delivered to all as it came or with the same edits, and nowhere else: the queue looks at route and edits once more.
 */
function cutThroughMs({ transaction, sent, verdicts }: JudgedMessage, combined: Combined): number {
  const { recipients, snapshot, party } = transaction;
  if (sent !== null || party !== null || combined.refusal !== null) return 0;
  const alike = recipients.every(({ address, direction }) => {
    const domain = direction === "inbound" ? snapshot.domain(domainOf(address)) : null;
    return domain?.cut_through === true && domain.routes.length > 0;
  });
  const plain = verdicts.every(
    ({ redirectTo, copyTo }, n) =>
      redirectTo === null && copyTo.length === 0 && combined.fates[n] === "deliver",
  );
  return alike && plain ? durationMs(snapshot.policy.delivery.cut_through_wait) : 0;
}

/** Requirement O7: what a sender with `archive` sends is kept for its domain. What is stopped was not sent. */
function archiveOf(
  { sent, transaction }: JudgedMessage,
  combined: Combined,
): { readonly domain: string; readonly sender: string } | null {
  if (sent === null || !sent.party.sender.archive || !combined.fates.includes("deliver")) return null;
  const { reversePath, snapshot } = transaction;
  const own = reversePath === null ? null : snapshot.domain(domainOf(reversePath));
  return { domain: own?.name ?? sent.party.sender.domain, sender: sent.party.key };
}

/** Somebody outside wrote to people of ours, who may well answer. */
function noteAuthor(
  { author, transaction }: JudgedMessage,
  combined: Combined,
  { outgoing }: SessionServices,
): void {
  if (author === null) return;
  transaction.recipients.forEach(({ address, direction }, n) => {
    if (direction === "inbound" && combined.fates[n] === "deliver")
      outgoing.noteCorrespondent(author, address);
  });
}
