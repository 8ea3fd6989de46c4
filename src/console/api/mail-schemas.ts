// Schemas of what the API answers about mail. They describe; nothing is parsed with them.
import { z } from "zod";
import type { NamedSchema } from "./operation.ts";

const time = z.number().int().describe("Milliseconds since 1970, UTC");
const state = z.enum([
  "queued",
  "held",
  "delivered",
  "failed",
  "quarantined",
  "released",
  "discarded",
  "refused",
  "put-off",
  "dropped",
]);
const direction = z.enum(["inbound", "outbound", "internal"]);
const tls = z.object({ protocol: z.string(), cipher: z.string() }).nullable();
const action = z.enum(["accept", "mark", "quarantine", "reject", "tempfail", "discard", "redirect", "copy"]);

const logLine = z.object({
  id: z.string(),
  receivedAt: time,
  clientIp: z.string(),
  reversePath: z.string(),
  headerFrom: z.string(),
  subject: z.string(),
  size: z.number().int(),
  refusal: z
    .string()
    .nullable()
    .describe("Our 4yz or 5yz to the whole; null: it was taken, or is an old one"),
  states: z
    .array(state)
    .describe("Each state of its recipients once; of what was refused before any recipient, its own"),
  recipients: z.array(z.object({ address: z.string(), state, rule: z.string().nullable() })),
});

const outcome = z.object({
  rule: z.string(),
  mode: z.enum(["enforce", "observe"]),
  action,
  words: z.string(),
  applied: z.boolean(),
});

const verdict = z
  .object({
    action: z.enum(["accept", "quarantine", "reject", "tempfail", "discard"]),
    rule: z.string().nullable(),
    words: z.string(),
    replyCode: z.number().int(),
    replyText: z.string(),
    edits: z.array(z.record(z.string(), z.unknown())),
    redirectTo: z.string().nullable(),
    copyTo: z.array(z.string()),
    outcomes: z.array(outcome),
  })
  .nullable();

const record = z.object({
  id: z.string(),
  envelope: z.record(z.string(), z.unknown()).describe("Client, TLS, listener, reverse-path, time"),
  recipients: z.array(
    z.object({
      n: z.number().int(),
      address: z.string(),
      direction,
      grant: z.record(z.string(), z.string()).nullable(),
      state,
      verdict,
      reply: z.string(),
    }),
  ),
  size: z.number().int(),
  subject: z.string(),
  headerFrom: z.string(),
  headerMessageId: z.string(),
  author: z.string().optional(),
  fromFlaw: z.string().optional(),
  findings: z.array(
    z.object({
      check: z.string(),
      fact: z.string(),
      value: z.union([z.string(), z.number(), z.boolean(), z.array(z.string())]),
      words: z.string().optional(),
    }),
  ),
  reply: z.string(),
  cause: z.string().nullable(),
});

const attempt = z.object({
  id: z.string(),
  messageId: z.string(),
  startedAt: time,
  endedAt: time,
  destination: z.string(),
  outcomes: z.array(
    z.object({
      n: z.number().int(),
      result: z.enum(["delivered", "deferred", "failed"]),
      code: z.number().int().nullable(),
      enhanced: z.string().nullable(),
      text: z.string(),
      server: z.string().nullable(),
      tls,
    }),
  ),
});

const quarantineItem = z.object({
  id: z.string(),
  messageId: z.string(),
  n: z.number().int(),
  recipient: z.string(),
  reversePath: z.string(),
  headerFrom: z.string(),
  subject: z.string(),
  direction,
  sender: z.string().describe('The outgoing sender; "" for inbound mail'),
  identity: z.string(),
  senderDomain: z.string(),
  rule: z.string(),
  words: z.string(),
  size: z.number().int(),
  receivedAt: time,
  expiresAt: time,
  state: z.enum(["kept", "released", "deleted", "expired"]),
  class: z.enum(["rule", "undeliverable"]).describe("A rule put it there, or no server takes it"),
  server: z.string().describe("Of what is undeliverable: who refused it; empty when no server was reached"),
  answer: z.string().describe("Its words"),
  failedAt: time.nullable(),
  seenAt: time.nullable().describe("When somebody looked at what is undeliverable"),
});

const queueEntry = z.object({
  messageId: z.string(),
  n: z.number().int(),
  reversePath: z.string(),
  recipient: z.string(),
  destination: z.string(),
  state: z.enum(["queued", "active", "held", "quarantine"]),
  tries: z.number().int(),
  size: z.number().int(),
  receivedAt: time,
  nextAttemptAt: time,
  expiresAt: time,
  lastReply: z.string().nullable(),
});

const status = z.object({
  version: z.string(),
  hostname: z.string(),
  startedAt: time,
  connections: z.number().int(),
  memoryBytes: z.number().int(),
  queue: z.object({ queued: z.number().int(), held: z.number().int(), oldestReceivedAt: time.nullable() }),
  listeners: z.array(
    z.object({
      name: z.string(),
      listen: z.string(),
      state: z.enum(["listening", "failed", "off"]),
      words: z.string(),
      connections: z.number().int(),
    }),
  ),
  alarms: z.array(z.object({ name: z.string(), since: time, words: z.string() })),
});

function page(name: string, item: z.ZodType): NamedSchema {
  const next = z
    .string()
    .nullable()
    .describe(
      "Pass it as `before` to get the next page; null on the last one. A page may have fewer items than `limit`, or none, and a next one all the same: a search stops after a second.",
    );
  return { name, io: "output", schema: z.object({ items: z.array(item), next }) };
}

export const MESSAGE_PAGE = page("MessagePage", logLine);
export const MESSAGE: NamedSchema = {
  name: "Message",
  io: "output",
  schema: z.object({
    record,
    states: z.array(
      z.object({ n: z.number().int(), state, at: time, nextAttemptAt: time.nullable(), words: z.string() }),
    ),
    attempts: z.array(attempt),
    explanation: z.string().describe("What became of it and why, in one sentence"),
  }),
};
export const QUARANTINE_PAGE = page("QuarantinePage", quarantineItem);
export const QUARANTINE_ITEM: NamedSchema = { name: "QuarantineItem", io: "output", schema: quarantineItem };
export const QUEUE_PAGE = page("QueuePage", queueEntry);
export const STATUS: NamedSchema = { name: "Status", io: "output", schema: status };
export const RECIPIENTS: NamedSchema = {
  name: "RecipientsConcerned",
  io: "output",
  schema: z.object({ recipients: z.number().int() }),
};
export const RELEASE_RESULT: NamedSchema = {
  name: "ReleaseResult",
  io: "output",
  schema: z.object({ result: z.enum(["released", "already"]) }),
};

export const RECIPIENT_STATE = state;
