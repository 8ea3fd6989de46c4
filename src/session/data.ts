// DATA: judges the message that came, hands it to the queue, and answers 250 only when it is safe (RFC 5321 §4.1.1.4).
import type { Envelope } from "../message/envelope.ts";
import { type MessageSummary, summarise } from "../message/summary.ts";
import { type Reply, reply } from "../policy/reply.ts";
import type { DecisionSubject } from "../policy/snapshot.ts";
import { envelopeFacts } from "../rules/envelope-facts.ts";
import type { Finding } from "../rules/fact.ts";
import { StoreError } from "../store/database.ts";
import { acceptMessage } from "./accept-message.ts";
import { type Answer, answer } from "./answer.ts";
import { BodyCollector, type BodyFlaw } from "./body-collector.ts";
import { isTrusted } from "./connect.ts";
import { decideAll, decisionSubjects } from "./decide-all.ts";
import { bareEnvelope, recordRefusedMessage } from "./record-refusal.ts";
import type { SessionServices } from "./services.ts";
import type { Session, Transaction } from "./session.ts";

/** RFC 5321 §6.3: more hops than this are a loop. */
const MAX_RECEIVED_FIELDS = 50;
const MAX_HEADER_BYTES = 1_048_576;
const MAX_HEADER_FIELDS = 2000;

const GO_AHEAD: Answer = { ...answer(354, null, "End data with <CR><LF>.<CR><LF>"), next: "data" };

/** Answers DATA itself. */
export function data(session: Session, argument: string): Answer {
  if (argument !== "") return answer(501, "5.4", "DATA has no parameters");
  const { transaction } = session;
  if (transaction === null) return answer(503, "5.1", "MAIL comes first");
  if (transaction.recipients.length > 0) return GO_AHEAD;
  // RFC 2920 §3.1: a pipelined DATA after refused recipients gets no 354.
  return transaction.refused.length > 0
    ? answer(554, "5.1", "No valid recipients")
    : answer(503, "5.1", "RCPT comes first");
}

/** Makes the collector for the body that follows. */
export function newBody(session: Session, services: SessionServices): BodyCollector {
  return new BodyCollector({ maxBytes: session.listener.max_message_bytes, budget: services.bodies });
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
    const given = await judge(session, { transaction, raw: body.take() }, services);
    if (given.reply.code < 400) {
      session.errors = 0;
      session.commands = 0;
    }
    return given;
  } catch (err) {
    return storeFailure(err, transaction, services);
  } finally {
    body.release();
  }
}

function replyToFlaw(flaw: BodyFlaw, session: Session): Reply {
  switch (flaw) {
    case "bare-line-end":
      return reply(550, "6.11", "The message has line ends that are not CR LF", "bare CR or LF in the body");
    case "line-too-long":
      return reply(554, "6.0", "The message has a line that is too long");
    case "too-big":
      return reply(552, "3.4", `At most ${session.listener.max_message_bytes} octets are taken`);
    case "no-memory":
      return reply(452, "3.1", "Not enough memory at the moment, try again later", "body memory in use");
  }
}

function storeFailure(err: unknown, transaction: Transaction, services: SessionServices): Answer {
  services.metrics.message("tempfailed");
  services.log.error({ err, id: transaction.id }, "message not taken");
  return err instanceof StoreError && err.kind === "disk-full"
    ? answer(452, "3.1", "No space at the moment, try again later", err.message)
    : answer(451, "3.0", "The message could not be stored, try again later");
}

/** What a look at the header section alone refuses. */
function refuseHeader(session: Session, transaction: Transaction, summary: MessageSummary): Reply | null {
  if (summary.headerBytes > MAX_HEADER_BYTES) return reply(552, "3.4", "The header section is too long");
  if (summary.headerFields > MAX_HEADER_FIELDS) return reply(554, "6.0", "Too many header fields");
  if (summary.receivedCount > MAX_RECEIVED_FIELDS) return reply(554, "4.6", "Too many hops, this mail loops");
  // Behind a From that was not read to its end, or in a second one, any address could hide from the question below.
  if (!summary.fromIsWhole) return reply(554, "6.0", "The From header is too long");
  if (session.client.login !== null && summary.fromFields > 1)
    return reply(550, "7.1", "The message must have exactly one From header");
  return transaction.snapshot.refuseHeaderFrom(session.listener, session.client, summary.fromAddresses);
}

async function judge(
  session: Session,
  message: { readonly transaction: Transaction; readonly raw: Buffer },
  services: SessionServices,
): Promise<Answer> {
  const { transaction, raw } = message;
  const summary = summarise(raw);
  const details = {
    size: raw.length,
    subject: summary.subject,
    headerFrom: summary.headerFrom,
    headerMessageId: summary.messageId,
  };
  const refusal = refuseHeader(session, transaction, summary);
  if (refusal !== null) {
    recordRefusedMessage(session, { transaction, reply: refusal, details }, services);
    return { reply: refusal };
  }
  const bare = bareEnvelope(session, transaction);
  const subjects = decisionSubjects(session, transaction);
  const findings = await findOut(session, { ...message, bare, subjects }, services);
  const verdicts = await decideAll(transaction.snapshot, subjects, findings);
  return acceptMessage(session, { transaction, raw, bare, details, findings, verdicts }, services);
}

/** Envelope facts, and those of the checks when a rule in scope wants them and the listener has checks. */
async function findOut(
  session: Session,
  message: {
    readonly transaction: Transaction;
    readonly raw: Buffer;
    readonly bare: Omit<Envelope, "recipients">;
    readonly subjects: readonly DecisionSubject[];
  },
  services: SessionServices,
): Promise<readonly Finding[]> {
  const { transaction, raw } = message;
  const { snapshot } = transaction;
  const envelope: Envelope = { ...message.bare, recipients: transaction.recipients };
  const known = envelopeFacts(envelope, raw.length, isTrusted(snapshot, session.client.ip));
  if (!session.listener.content_checks) return known;
  const wanted = snapshot.wantedFacts(message.subjects);
  if (!wantsChecks(wanted)) return known;
  return [...known, ...(await services.checker.run({ envelope, raw }, wanted))];
}

/** Facts that need no check: the envelope's own, and those `decide` adds for each recipient. */
const ENVELOPE_FACTS = new Set(["client", "listener", "message", "sender", "recipient"]);

function wantsChecks(wanted: ReadonlySet<string>): boolean {
  for (const fact of wanted) if (!ENVELOPE_FACTS.has(fact.slice(0, fact.indexOf(".")))) return true;
  return false;
}
