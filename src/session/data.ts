// DATA: judges the message that came, hands it to the queue, and answers 250 only when it is safe (RFC 5321 §4.1.1.4).
import { addressKey } from "../message/address.ts";
import { headOf, type MessageBody } from "../message/body.ts";
import type { Envelope } from "../message/envelope.ts";
import { type MessageSummary, summarise } from "../message/summary.ts";
import { type Reply, reply } from "../policy/reply.ts";
import type { DecisionSubject, OutgoingParty } from "../policy/snapshot.ts";
import { envelopeFacts } from "../rules/envelope-facts.ts";
import type { Finding } from "../rules/fact.ts";
import { StoreError } from "../store/database.ts";
import type { MessageDetails } from "../store/log-record.ts";
import { acceptMessage } from "./accept-message.ts";
import { refuseClearLogin, refuseUnknownFrom } from "./admit-sender.ts";
import { type Answer, answer } from "./answer.ts";
import { BodyCollector, type BodyFlaw } from "./body-collector.ts";
import { isTrustedClient } from "./connect.ts";
import { decideAll, decisionSubjects } from "./decide-all.ts";
import { answeredAsSet, identifySent, type SentMessage, whoFindings } from "./outgoing-message.ts";
import { refuseHeaderSenders } from "./own-addresses.ts";
import { provenAuthor } from "./proven-author.ts";
import { bareEnvelope, recordRefusedMessage } from "./record-refusal.ts";
import { refuseStorage, storageReply } from "./refuse-storage.ts";
import { refuseByRoutes } from "./route-limits.ts";
import {
  isOnlyPassedIn,
  refuseUnsigned,
  refuseWithdrawn,
  withAuthor,
  writtenForHere,
} from "./server-transaction.ts";
import type { SessionServices } from "./services.ts";
import type { Session, Transaction } from "./session.ts";
import { shareUser } from "./share-user.ts";
import { signOrder } from "./sign-order.ts";
import { bodyStrictness, isOwnClient } from "./strictness.ts";
import { isDiscreet, isSubmission } from "./submission.ts";

/** RFC 5321 §6.3: more hops than this are a loop. */
const MAX_RECEIVED_FIELDS = 50;
/** A longer header cannot be authenticated: refused at once, for a 451 would only be repeated for days. */
const MAX_HEADER_BYTES = 262_144;
const MAX_HEADER_FIELDS = 2000;

const GO_AHEAD: Answer = { ...answer(354, null, "End data with <CR><LF>.<CR><LF>"), next: "data" };

/** Answers DATA itself. */
export function data(session: Session, argument: string, services: SessionServices): Answer {
  if (argument !== "") return answer(501, "5.4", "DATA has no parameters");
  const { transaction } = session;
  if (transaction === null) return answer(503, "5.1", "MAIL comes first");
  if (transaction.recipients.length > 0) {
    const full = refuseStorage(0, services);
    if (full === null) return GO_AHEAD;
    session.transaction = null;
    recordRefusedMessage(session, { transaction, reply: full }, services);
    return { reply: full };
  }
  // RFC 2920 §3.1: a pipelined DATA after refused recipients gets no 354.
  return transaction.refused.length > 0
    ? answer(554, "5.1", "No valid recipients")
    : answer(503, "5.1", "RCPT comes first");
}

/** Makes the collector for the body that follows. */
export function newBody(session: Session, services: SessionServices): BodyCollector {
  return new BodyCollector({
    maxBytes: session.listener.max_message_bytes,
    share: services.bodies.shareOf(shareUser(session, services.snapshot())),
    newFile: services.newBodyFile,
    ...bodyStrictness(session, services),
  });
}

/** Answers the end of the data. The transaction is over whatever the answer is. Never rejects. */
export async function takeMessage(
  session: Session,
  body: BodyCollector,
  services: SessionServices,
): Promise<Answer> {
  const { transaction } = session;
  session.transaction = null;
  if (transaction === null) return answer(503, "5.1", "MAIL comes first");
  try {
    if (body.flaw !== null) {
      const refusal = replyToFlaw(body.flaw, session);
      const details = { size: body.size };
      recordRefusedMessage(session, { transaction, reply: refusal, details }, services);
      return { reply: refusal };
    }
    const taken = body.take();
    const raw = taken instanceof Promise ? await taken : taken;
    const given = await judge(session, { transaction, raw }, services);
    if (given.reply.code < 400) {
      session.errors = 0;
      session.commands = 0;
    }
    return given;
  } catch (err) {
    return storeFailure(err, session, { transaction, size: body.size }, services);
  } finally {
    body.release();
  }
}

function replyToFlaw(flaw: BodyFlaw, session: Session): Reply {
  switch (flaw) {
    case "bare-line-end":
      return reply(550, "6.11", "The message has line ends that are not CR LF", "bare CR or LF in the body");
    case "nul":
      return reply(554, "6.0", "The message has NUL characters", "NUL in the body");
    case "too-big":
      return reply(552, "3.4", `At most ${session.listener.max_message_bytes} octets are taken`);
    case "no-room":
      return reply(452, "3.1", "No space at the moment, try again later", "disk for incoming bodies in use");
    case "no-memory":
      return reply(452, "3.1", "Not enough memory at the moment, try again later", "body memory in use");
  }
}

/** The store took nothing, or something of ours broke. The message log is told when it can be written again. */
function storeFailure(
  err: unknown,
  session: Session,
  { transaction, size }: { readonly transaction: Transaction; readonly size: number },
  services: SessionServices,
): Answer {
  services.log.error({ err, id: transaction.id }, "message not taken");
  if (transaction.party !== null) services.outgoing.takeBack(transaction.id);
  const why = err instanceof Error ? err.message : String(err);
  const refusal = storageReply(err instanceof StoreError ? err : { kind: "failed", message: why });
  recordRefusedMessage(session, { transaction, reply: refusal, details: { size } }, services);
  return { reply: refusal };
}

function unclearAuthor(flaw: string): Reply {
  return reply(550, "7.1", `From ${flaw}; write one address there, as name@example.org`);
}

/** What a look at the header section alone refuses. */
function refuseHeader(session: Session, summary: MessageSummary, services: SessionServices): Reply | null {
  if (summary.headerBytes > MAX_HEADER_BYTES) return reply(552, "3.4", "The header section is too long");
  if (summary.headerFields > MAX_HEADER_FIELDS) return reply(554, "6.0", "Too many header fields");
  if (
    summary.headerControls &&
    session.listener.header_controls === "refuse" &&
    !isOwnClient(session, services)
  )
    return reply(554, "6.0", "The header has control characters");
  if (summary.receivedCount > MAX_RECEIVED_FIELDS) return reply(554, "4.6", "Too many hops, this mail loops");
  // Behind a From that was not read to its end, or in a second one, any address could hide from the question who it is.
  if (!summary.fromIsWhole)
    return reply(554, "6.0", "The From header is too long or names too many addresses");
  if (!summary.sendersAreWhole)
    return reply(554, "6.0", "The header names too many senders (Sender, Resent-From, Resent-Sender)");
  return session.client.login === null || summary.fromFlaw === null ? null : unclearAuthor(summary.fromFlaw);
}

/** May the client use the addresses in the header, and do they exist? (L3, O10) A promise only where somebody must be asked. */
function refuseAuthors(
  session: Session,
  { transaction, summary }: { readonly transaction: Transaction; readonly summary: MessageSummary },
  services: SessionServices,
): Reply | null | Promise<Reply | null> {
  const { snapshot, party, reversePath, writer } = transaction;
  const { listener, client } = session;
  if (client.login === null && party === null)
    return snapshot.refuseHeaderFrom(listener, client, { reversePath, from: summary.fromAddresses });
  const clear = party === null ? null : refuseClearLogin(session, party, "data");
  if (clear !== null) return clear;
  const refusal = refuseHeaderSenders(session, { snapshot, summary, reversePath }, services);
  if (party === null) return refusal;
  const start = { party, snapshot, reversePath, writer };
  return refusal instanceof Promise
    ? refusal.then((late) => late ?? refuseUnknownFrom(start, summary.fromAddresses, services))
    : (refusal ?? refuseUnknownFrom(start, summary.fromAddresses, services));
}

const WITH_SENDERS = { senders: true } as const;

/** A message whose header was read. */
interface Arrived {
  readonly transaction: Transaction;
  readonly raw: MessageBody;
  readonly summary: MessageSummary;
  readonly details: MessageDetails;
}

async function judge(
  session: Session,
  message: { readonly transaction: Transaction; readonly raw: MessageBody },
  services: SessionServices,
): Promise<Answer> {
  const { raw } = message;
  const head = headOf(raw);
  const stranger = session.client.login === null && message.transaction.party === null;
  const summary = stranger ? summarise(head) : summarise(head, WITH_SENDERS);
  const transaction = withAuthor(session, message.transaction, summary);
  const details = {
    size: raw.length,
    subject: summary.subject,
    headerFrom: summary.headerFrom,
    headerMessageId: summary.messageId,
    ...(summary.fromAddresses[0] === undefined ? {} : { author: addressKey(summary.fromAddresses[0]) }),
    ...(summary.fromFlaw === null ? {} : { fromFlaw: summary.fromFlaw }),
  };
  const arrived: Arrived = { transaction, raw, summary, details };
  const asked =
    refuseWithdrawn(session, transaction, services) ??
    refuseHeader(session, summary, services) ??
    refuseByRoutes(transaction, { raw, headerBytes: summary.headerBytes }, services) ??
    refuseAuthors(session, arrived, services);
  const authors = asked instanceof Promise ? await asked : asked;
  const refusal = authors ?? (await refuseUnsigned(session, arrived, services));
  if (refusal !== null) {
    recordRefusedMessage(session, { transaction, reply: refusal, details }, services);
    return { reply: refusal };
  }
  const { party } = transaction;
  return party === null || isOnlyPassedIn(party, transaction)
    ? decideOn(session, { ...arrived, sent: null }, services)
    : judgeSent(session, { arrived, party }, services);
}

/** Mail of an outgoing sender: who is behind it, and may they send now? (O2–O4, O12) */
function judgeSent(
  session: Session,
  { arrived, party }: { readonly arrived: Arrived; readonly party: OutgoingParty },
  services: SessionServices,
): Promise<Answer> | Answer {
  const { transaction, raw, summary } = arrived;
  const header = headOf(raw).subarray(0, summary.headerBytes);
  const sent = identifySent(session, { transaction, party, header }, services);
  const stopped = services.outgoing.admitMessage(sent.message);
  return stopped === null
    ? decideOn(session, { ...arrived, sent }, services)
    : refuseStopped(session, { ...arrived, sent, stopped }, services);
}

async function refuseStopped(
  session: Session,
  { transaction, details, sent, stopped }: Arrived & { readonly sent: SentMessage; readonly stopped: Reply },
  services: SessionServices,
): Promise<Answer> {
  const findings = whoFindings(sent.party, sent.message.identity);
  await services.outgoing.locksKept();
  recordRefusedMessage(session, { transaction, reply: stopped, details: { ...details, findings } }, services);
  return { reply: stopped };
}

/** Finds out what is true about the message, asks the rules, and carries out what they say. */
async function decideOn(
  session: Session,
  message: Arrived & { readonly sent: SentMessage | null },
  services: SessionServices,
): Promise<Answer> {
  const { transaction, raw, summary, details, sent } = message;
  const { snapshot } = transaction;
  const bare = bareEnvelope(session, transaction);
  const subjects = decisionSubjects(session, transaction);
  const findings = await findOut(session, { transaction, raw, bare, subjects, sent }, services);
  const decided = await decideAll(snapshot, subjects, findings);
  const verdicts = sent === null ? decided : answeredAsSet(decided, sent.party, snapshot);
  const sign = signOrder(session, transaction, summary);
  const author = sent === null ? provenAuthor(summary, findings) : null;
  return acceptMessage(
    session,
    {
      transaction,
      raw,
      bare,
      details,
      findings,
      verdicts,
      sent,
      sign,
      author,
      writtenFor: writtenForHere(transaction, summary),
      submitted: isSubmission(session, transaction, summary),
      discreet: isDiscreet(session, transaction),
    },
    services,
  );
}

/** Envelope facts, those of outgoing control, and those of the checks when a rule in scope wants them and the listener has checks. */
async function findOut(
  session: Session,
  message: {
    readonly transaction: Transaction;
    readonly raw: MessageBody;
    readonly bare: Omit<Envelope, "recipients">;
    readonly subjects: readonly DecisionSubject[];
    readonly sent: SentMessage | null;
  },
  services: SessionServices,
): Promise<readonly Finding[]> {
  const { transaction, raw, sent } = message;
  const { snapshot } = transaction;
  const envelope: Envelope = { ...message.bare, recipients: transaction.recipients };
  const arrived = envelopeFacts(envelope, raw.length, isTrustedClient(session, snapshot));
  const known = sent === null ? arrived : [...arrived, ...services.outgoing.findings(sent.message)];
  if (!session.listener.content_checks) return known;
  const wanted = snapshot.wantedFacts(message.subjects);
  if (!wantsChecks(wanted)) return known;
  return [...known, ...(await services.checker.run({ envelope, raw }, wanted))];
}

/** Facts that need no check: the envelope's own, those of outgoing control, and those `decide` adds for each recipient. */
const GIVEN_FACTS = new Set(["client", "listener", "message", "sender", "recipient", "identity", "bulk"]);

function wantsChecks(wanted: ReadonlySet<string>): boolean {
  for (const fact of wanted) if (!GIVEN_FACTS.has(fact.slice(0, fact.indexOf(".")))) return true;
  return false;
}
