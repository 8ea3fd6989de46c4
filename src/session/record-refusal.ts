// Writes what was refused in the dialogue to the message log: one record per transaction, bounded.
import { domainOf, parseAddress } from "../message/address.ts";
import type { Direction, Envelope } from "../message/envelope.ts";
import { formatReply, type Reply } from "../policy/reply.ts";
import {
  type MessageDetails,
  type MessageRecord,
  type RecipientRecord,
  refusedState,
} from "../store/log-record.ts";
import { whoBegan } from "./outgoing-message.ts";
import { RECIPIENT_OK_TEXT } from "./rcpt.ts";
import type { SessionServices } from "./services.ts";
import type { RefusedRecipient, Session, Transaction } from "./session.ts";

/** The envelope of a transaction without its recipients. */
export function bareEnvelope(session: Session, transaction: Transaction): Omit<Envelope, "recipients"> {
  return {
    id: transaction.id,
    listener: session.listener.name,
    client: session.client,
    reversePath: transaction.reversePath,
    smtpUtf8: transaction.smtpUtf8,
    body: transaction.body,
    requireTls: transaction.requireTls,
    dsnRet: transaction.dsnRet,
    dsnEnvid: transaction.dsnEnvid,
    receivedAt: transaction.startedAt,
  };
}

/** Records of recipients refused at RCPT, numbered from `firstN`. */
export function refusedRecords(transaction: Transaction, firstN: number): RecipientRecord[] {
  return transaction.refused.map((refused, i) => ({
    n: firstN + i,
    address: refused.address,
    direction: directionOf(transaction, refused),
    grant: null,
    state: refusedState(refused.reply.code),
    verdict: null,
    reply: formatReply(refused.reply),
  }));
}

/** What it would have been: inbound when the domain is ours. */
function directionOf(transaction: Transaction, refused: RefusedRecipient): Direction {
  const parsed = parseAddress(refused.address);
  if (!parsed.ok) return "inbound";
  return transaction.snapshot.domain(domainOf(parsed.value)) === null ? "outbound" : "inbound";
}

/**
 * The transaction with whom it counts for: also a sender that may send nothing because it, or its domain, is switched off. Such a
 * server is an outsider in all else: what it sends in is not looked at.
 */
function withSenderOff(session: Session, transaction: Transaction): Transaction {
  const { party, snapshot, refused } = transaction;
  if (party !== null) return transaction;
  const sentIn = refused.length > 0 && refused.every((one) => directionOf(transaction, one) === "inbound");
  if (session.client.login === null && sentIn) return transaction;
  return { ...transaction, party: snapshot.partyOff(session.listener, session.client) };
}

function emptyRecord(
  session: Session,
  { transaction, reply }: { readonly transaction: Transaction; readonly reply: Reply },
  services: SessionServices,
): MessageRecord {
  return {
    id: transaction.id,
    envelope: bareEnvelope(session, transaction),
    recipients: [],
    size: 0,
    subject: "",
    headerFrom: "",
    headerMessageId: "",
    findings: whoBegan(transaction, services),
    reply: formatReply(reply),
    cause: reply.cause ?? null,
  };
}

/** Nothing of it was taken: it counts for whoever sent it. */
function noteRefused(
  { party }: Transaction,
  { findings }: Pick<MessageRecord, "findings">,
  services: SessionServices,
): void {
  if (party === null) return;
  const name = findings.find(({ fact }) => fact === "identity.name")?.value;
  services.outgoing.noteRefused(party, typeof name === "string" ? name : null);
}

/** MAIL was refused. */
export function recordRefusedSender(
  session: Session,
  what: { readonly transaction: Transaction; readonly reply: Reply },
  services: SessionServices,
): void {
  services.metrics.message(what.reply.code >= 500 ? "refused" : "tempfailed");
  const transaction = withSenderOff(session, what.transaction);
  const record = emptyRecord(session, { ...what, transaction }, services);
  noteRefused(transaction, record, services);
  services.queue.record(record);
}

/** The transaction ends without a message (RSET, QUIT, a lost connection): what was refused in it is logged. */
export function endTransaction(session: Session, services: SessionServices): void {
  const { transaction: ended } = session;
  session.transaction = null;
  const last = ended?.refused.at(-1);
  if (ended === null || last === undefined) return;
  const transaction = withSenderOff(session, ended);
  services.metrics.message(last.reply.code >= 500 ? "refused" : "tempfailed");
  const record = emptyRecord(session, { transaction, reply: last.reply }, services);
  noteRefused(transaction, record, services);
  services.queue.record({ ...record, recipients: refusedRecords(transaction, 0) });
}

/** DATA was read and refused for all recipients. */
export function recordRefusedMessage(
  session: Session,
  what: {
    readonly transaction: Transaction;
    readonly reply: Reply;
    readonly details?: Partial<MessageDetails & Pick<MessageRecord, "findings">>;
    /** With their verdicts; left out: it was not judged. */
    readonly recipients?: readonly RecipientRecord[];
  },
  services: SessionServices,
): void {
  const { transaction, reply, details, recipients } = what;
  services.metrics.message(reply.code >= 500 ? "refused" : "tempfailed");
  const taken =
    recipients ??
    transaction.recipients.slice(0, MAX_RECORDED).map((recipient, n) => ({
      n,
      address: recipient.address,
      direction: recipient.direction,
      grant: recipient.grant,
      state: refusedState(reply.code),
      verdict: null,
      reply: RECIPIENT_OK_TEXT,
    }));
  const record = { ...emptyRecord(session, { transaction, reply }, services), ...details };
  if (recipients === undefined) noteRefused(transaction, record, services);
  services.queue.record({
    ...record,
    recipients: [...taken, ...refusedRecords(transaction, taken.length)],
  });
}

/** Recipients of a refused message that are logged one by one. */
const MAX_RECORDED = 1000;
