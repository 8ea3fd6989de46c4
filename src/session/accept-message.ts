// Carries out the verdicts: what the queue gets, what the log says, what the client is told.
import { domainOf, type MailAddress } from "../message/address.ts";
import type { Envelope, EnvelopeRecipient } from "../message/envelope.ts";
import { addTraceHeaders } from "../message/trace.ts";
import { formatReply, reply } from "../policy/reply.ts";
import type { AcceptedRecipient, Disposition } from "../queue/queue.ts";
import type { Finding } from "../rules/fact.ts";
import type { Verdict } from "../rules/verdict.ts";
import type { MessageRecord, RecipientRecord, RecipientState } from "../store/log-record.ts";
import type { Answer } from "./answer.ts";
import { type Combined, combineVerdicts, type Fate } from "./combine-verdicts.ts";
import { RECIPIENT_OK_TEXT } from "./rcpt.ts";
import { recordRefusedMessage, refusedRecords } from "./record-refusal.ts";
import type { SessionServices } from "./services.ts";
import type { Session, Transaction } from "./session.ts";

export interface JudgedMessage {
  readonly transaction: Transaction;
  readonly raw: Buffer;
  readonly bare: Omit<Envelope, "recipients">;
  readonly details: Pick<MessageRecord, "size" | "subject" | "headerFrom" | "headerMessageId">;
  readonly findings: readonly Finding[];
  /** One per recipient of the transaction. */
  readonly verdicts: readonly Verdict[];
}

/** Extra copies one message may get by rules, all recipients together. */
const MAX_COPIES = 100;

const STATES: Readonly<Record<Fate, RecipientState>> = {
  deliver: "queued",
  quarantine: "quarantined",
  discard: "discarded",
  refused: "refused",
};

/** Answers the message. Rejects with StoreError when the queue could not keep it; then nothing is kept. */
export async function acceptMessage(
  session: Session,
  message: JudgedMessage,
  services: SessionServices,
): Promise<Answer> {
  const { transaction, details, findings, verdicts } = message;
  const combined = combineVerdicts(verdicts);
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
  await services.queue.accept({
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
    }),
    record: {
      ...details,
      id: transaction.id,
      envelope: message.bare,
      recipients: plan.records,
      findings,
      reply: formatReply(final),
      cause: final.cause ?? null,
    },
  });
  services.metrics.message(combined.refusal === null ? "accepted" : "refused");
  return { reply: final };
}

interface Plan {
  readonly accepted: AcceptedRecipient[];
  readonly records: RecipientRecord[];
}

/** Recipients are numbered 0… in their order, then the copies, then those refused at RCPT. */
function planRecipients(message: JudgedMessage, combined: Combined): Plan {
  const { transaction, verdicts } = message;
  const plan: Plan = { accepted: [], records: [] };
  transaction.recipients.forEach((recipient, n) => {
    const verdict = verdicts[n];
    const fate = combined.fates[n];
    if (verdict === undefined || fate === undefined) throw new Error(`recipient ${n} has no verdict`);
    plan.records.push(recordOf(recipient, n, { state: STATES[fate], verdict }));
    const disposition = dispositionOf(message, recipient, { fate, verdict });
    if (disposition === null) return;
    const moved = disposition.kind === "deliver" && verdict.redirectTo !== null;
    const address = moved && verdict.redirectTo !== null ? verdict.redirectTo : recipient.address;
    plan.accepted.push({
      n,
      address,
      dsn: recipient.dsn,
      mayBounce: mayBounce(transaction, recipient),
      disposition,
    });
  });
  addCopies(message, combined, plan);
  if (transaction.refused.length > 0) plan.records.push(...refusedRecords(transaction, plan.records.length));
  return plan;
}

function recordOf(
  recipient: Pick<EnvelopeRecipient, "address" | "direction" | "grant">,
  n: number,
  what: { readonly state: RecipientState; readonly verdict: Verdict | null },
): RecipientRecord {
  return {
    n,
    address: recipient.address,
    direction: recipient.direction,
    grant: recipient.grant,
    state: what.state,
    verdict: what.verdict,
    reply: RECIPIENT_OK_TEXT,
  };
}

function dispositionOf(
  { transaction }: JudgedMessage,
  recipient: EnvelopeRecipient,
  { fate, verdict }: { readonly fate: Fate; readonly verdict: Verdict },
): Disposition | null {
  const target = (verdict.redirectTo ?? recipient.address) as MailAddress;
  switch (fate) {
    case "deliver":
      return { kind: "deliver", destination: transaction.snapshot.destination(target), edits: verdict.edits };
    case "quarantine":
      return {
        kind: "quarantine",
        destination: transaction.snapshot.destination(recipient.address),
        rule: verdict.rule ?? "",
        words: verdict.words,
      };
    case "discard":
      return { kind: "discard" };
    case "refused":
      return null;
  }
}

/** Only a client we authenticated or trust gets bounces; anybody else may have forged the reverse-path. */
function mayBounce(transaction: Transaction, recipient: EnvelopeRecipient): boolean {
  if (transaction.reversePath === null || recipient.direction === "inbound") return false;
  return recipient.grant.by !== "allow-list" && recipient.grant.by !== "relay-domain";
}

/** Copies go out beside what is delivered, each address once; their failure is nobody's bounce. */
function addCopies(message: JudgedMessage, combined: Combined, plan: Plan): void {
  const { transaction, verdicts } = message;
  const { snapshot } = transaction;
  const taken = new Set<string>();
  verdicts.forEach((verdict, i) => {
    const recipient = transaction.recipients[i];
    if (recipient === undefined || combined.fates[i] !== "deliver" || verdict.copyTo.length === 0) return;
    for (const copy of verdict.copyTo) {
      if (taken.has(copy) || taken.size >= MAX_COPIES) continue;
      taken.add(copy);
      const address = copy as MailAddress;
      const direction = snapshot.domain(domainOf(address)) === null ? "outbound" : "inbound";
      const n = plan.records.length;
      plan.records.push(
        recordOf({ address, direction, grant: recipient.grant }, n, { state: "queued", verdict }),
      );
      plan.accepted.push({
        n,
        address,
        dsn: { notify: ["NEVER"], orcpt: null },
        mayBounce: false,
        disposition: { kind: "deliver", destination: snapshot.destination(address), edits: verdict.edits },
      });
    }
  });
}
