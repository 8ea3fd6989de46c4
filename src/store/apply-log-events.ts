// Turns outbox events into rows of the message log. Applying an event twice, or a state before its message, changes nothing for the worse.
import { sql } from "drizzle-orm";
import type { Statement } from "./database.ts";
import { attempt, message, messageDetail, messageRecipient } from "./gatepost-schema.ts";
import { type LogEvent, type MessageRecord, type RecipientState, refusedState } from "./log-record.ts";
import { prepare, sqlBuilder } from "./statement.ts";

const p = sql.placeholder;
// Row counts of the log are not looked at, so equal inserts of many events share one statement.
const uncounted = { uncounted: true };

/** So many characters of why something was refused are found by a search; a mail server's reply may be long. */
const MAX_CAUSE = 500;

const insertMessage = prepare<{
  readonly id: string;
  readonly receivedAt: number;
  readonly clientIp: string;
  readonly sender: string;
  readonly senderDomain: string;
  readonly headerFrom: string;
  readonly headerAddress: string | null;
  readonly subject: string;
  readonly size: number;
  readonly refusal: string | null;
  readonly cause: string | null;
  readonly state: RecipientState | null;
}>(
  sqlBuilder
    .insert(message)
    .values({
      id: p("id"),
      receivedAt: p("receivedAt"),
      clientIp: p("clientIp"),
      sender: p("sender"),
      senderDomain: p("senderDomain"),
      headerFrom: p("headerFrom"),
      headerAddress: p("headerAddress"),
      subject: p("subject"),
      size: p("size"),
      refusal: p("refusal"),
      cause: p("cause"),
      state: p("state"),
    })
    .onConflictDoNothing(),
  uncounted,
);

const insertDetail = prepare<{ readonly id: string; readonly record: string }>(
  sqlBuilder
    .insert(messageDetail)
    .values({ id: p("id"), record: p("record") })
    .onConflictDoNothing(),
  uncounted,
);

interface RecipientRow extends Readonly<Record<string, unknown>> {
  readonly messageId: string;
  readonly n: number;
  readonly address: string;
  readonly domain: string;
  readonly rule: string | null;
  readonly state: RecipientState;
  readonly stateAt: number;
  readonly nextAttemptAt: number | null;
  readonly words: string;
}

const recipientRow = {
  messageId: p("messageId"),
  n: p("n"),
  address: p("address"),
  domain: p("domain"),
  rule: p("rule"),
  state: p("state"),
  stateAt: p("stateAt"),
  nextAttemptAt: p("nextAttemptAt"),
  words: p("words"),
};
const recipientKey = [messageRecipient.messageId, messageRecipient.n];

// A row may already be there, made by a state event that came first: its state stands.
const insertRecipient = prepare<RecipientRow>(
  sqlBuilder
    .insert(messageRecipient)
    .values(recipientRow)
    .onConflictDoUpdate({
      target: recipientKey,
      set: {
        address: sql.raw("excluded.address"),
        domain: sql.raw("excluded.domain"),
        rule: sql.raw("excluded.rule"),
      },
      setWhere: sql.raw("message_recipient.address = ''"),
    }),
  uncounted,
);

// The latest state by time wins, whatever the order of arrival. After an end nothing follows, and no clock that was set back
// may keep it out of the log.
const ENDS = "('delivered', 'failed', 'dropped')";
const upsertState = prepare<RecipientRow>(
  sqlBuilder
    .insert(messageRecipient)
    .values(recipientRow)
    .onConflictDoUpdate({
      target: recipientKey,
      set: {
        state: sql.raw("excluded.state"),
        stateAt: sql.raw("excluded.state_at"),
        nextAttemptAt: sql.raw("excluded.next_attempt_at"),
        words: sql.raw("excluded.words"),
      },
      setWhere: sql.raw(
        `excluded.state_at >= message_recipient.state_at or (excluded.state in ${ENDS} and message_recipient.state not in ${ENDS})`,
      ),
    }),
  uncounted,
);

const insertAttempt = prepare<{
  readonly messageId: string;
  readonly id: string;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly destination: string;
  readonly outcomes: unknown;
  readonly servers: string | null;
}>(
  sqlBuilder
    .insert(attempt)
    .values({
      messageId: p("messageId"),
      id: p("id"),
      startedAt: p("startedAt"),
      endedAt: p("endedAt"),
      destination: p("destination"),
      outcomes: p("outcomes"),
      servers: p("servers"),
    })
    .onConflictDoNothing(),
  uncounted,
);

/**
 * The statements that write one event to the message log; idempotent, so at-least-once delivery is enough.
 * Statements of many events may be committed as one unit: the store joins equal inserts.
 * `json` is the event as `JSON.stringify` wrote it, when the caller has it at hand: it saves writing it again.
 */
export function logEventStatements(event: LogEvent, json?: string): Statement[] {
  switch (event.kind) {
    case "message":
      return messageStatements(event.record, json ?? JSON.stringify(event));
    case "attempt": {
      const { id, messageId, startedAt, endedAt, destination, outcomes } = event.record;
      const servers = [...new Set(outcomes.flatMap(({ server }) => server ?? []))].join(" ") || null;
      return [insertAttempt({ id, messageId, startedAt, endedAt, destination, outcomes, servers })];
    }
    case "state":
      return [
        upsertState({
          messageId: event.messageId,
          n: event.n,
          address: "",
          domain: "",
          rule: null,
          state: event.state,
          stateAt: event.at,
          nextAttemptAt: event.nextAttemptAt,
          words: event.words,
        }),
      ];
  }
}

function messageStatements(record: MessageRecord, json: string): Statement[] {
  const { id, envelope } = record;
  const sender = envelope.reversePath ?? "";
  const headerAddress = record.author ?? bareAddress(record.headerFrom);
  const statements = [
    insertMessage({
      id,
      receivedAt: envelope.receivedAt,
      clientIp: envelope.client.ip,
      sender,
      senderDomain: domainPart(sender),
      headerFrom: record.headerFrom,
      headerAddress: headerAddress === "" || headerAddress === sender.toLowerCase() ? null : headerAddress,
      subject: record.subject,
      size: record.size,
      refusal: /^[45]/.test(record.reply) ? record.reply : null,
      cause: record.cause?.slice(0, MAX_CAUSE) ?? null,
      state: record.recipients.length > 0 ? null : refusedState(Number.parseInt(record.reply, 10)),
    }),
    insertDetail({ id, record: json }),
  ];
  for (const recipient of record.recipients) {
    statements.push(
      insertRecipient({
        messageId: id,
        n: recipient.n,
        address: recipient.address,
        domain: domainPart(recipient.address),
        rule: recipient.verdict?.rule ?? null,
        state: recipient.state,
        stateAt: envelope.receivedAt,
        nextAttemptAt: null,
        words: recipient.verdict?.words ?? recipient.reply,
      }),
    );
  }
  return statements;
}

/** For records without an author: what stands in the last angle brackets of From, or the whole. */
function bareAddress(headerFrom: string): string {
  const close = headerFrom.lastIndexOf(">");
  const open = close < 0 ? -1 : headerFrom.lastIndexOf("<", close);
  return (open < 0 ? headerFrom : headerFrom.slice(open + 1, close)).trim().toLowerCase();
}

function domainPart(address: string): string {
  const at = address.lastIndexOf("@");
  return at < 0 ? "" : address.slice(at + 1).toLowerCase();
}
