// Schemas of what the API answers about senders, identities and locks. They describe; only the lock orders are parsed with them.
import { z } from "zod";
import { limitsSchema } from "../../policy/schema-sender.ts";
import { SENDING_CODES } from "../words/sending-words.ts";
import type { NamedSchema } from "./operation.ts";

const time = z.number().int().describe("Milliseconds since 1970, UTC");

const lock = z.object({
  sender: z.string().describe("Login, range or @domain"),
  identity: z.string().nullable().describe("null: the whole sender"),
  domain: z.string(),
  since: time,
  until: time.nullable().describe("When it ends by itself; null: only a person lifts it"),
  timeouts: z.number().int().describe("How often it ended by itself since a person last lifted it"),
  words: z.string(),
  by: z.string(),
});

const limit = z.enum(["per_minute", "per_hour", "per_day", "per_week", "per_month", "recipients_per_day"]);

const sending = z
  .object({
    code: z.enum(SENDING_CODES).describe("What stops it, or `may-send`"),
    mail: z
      .enum(["taken", "some", "put-off", "refused"])
      .describe("What its mail is answered with now: 2yz, 4yz, 5yz; `some`: it depends on the message"),
    until: time.nullable().describe("When that ends by itself"),
    limit: limit.nullable().describe("The limit that is reached"),
    reason: z.string().describe("Why it is locked"),
    locked: z.number().int().describe("Identities of the sender that are locked"),
    as: z
      .object({
        sender: z.string(),
        why: z.enum(["re-authenticated", "address-range", "domain-removed"]),
      })
      .nullable()
      .describe("The sender its mail counts for, where that is another one"),
    words: z.string().describe("The same for people"),
  })
  .describe("Whether it may send now");

const summary = z.object({
  sender: z.string(),
  name: z.string().describe('"" for the sender itself'),
  domain: z.string(),
  firstSeen: time,
  lastSeen: time,
  messagesDay: z.number().int(),
  recipientsDay: z.number().int(),
  spamDay: z.number().int(),
  refusedDay: z.number().int().describe("Messages answered with 4yz or 5yz, without spam and viruses"),
  locked: z.boolean(),
  sending,
});

const detail = summary.extend({
  lock: lock.nullable(),
  limits: z
    .array(
      z.object({
        limit,
        used: z.number().int(),
        most: z.number().int(),
        freeAt: time.nullable().describe("When it lets something through again; null while it does"),
      }),
    )
    .describe(
      "What holds for it, its domain's limits included; of a log-in that is one identity, that one's too",
    ),
  eachIdentity: limitsSchema
    .nullable()
    .describe(
      "What holds for each identity of the sender, its domain's limits included; null: it is not set",
    ),
  days: z.array(
    z.object({
      day: z.string(),
      messages: z.number().int(),
      recipients: z.number().int(),
      spam: z.number().int(),
      refused: z.number().int(),
    }),
  ),
  history: z.array(
    z.object({
      sender: z.string(),
      identity: z.string().nullable(),
      domain: z.string(),
      at: time,
      what: z.enum(["locked", "unlocked", "timed-out"]),
      by: z.string(),
      words: z.string(),
      until: time.nullable(),
    }),
  ),
  bulk: z.array(
    z.object({
      check: z.string(),
      fact: z.string(),
      value: z.union([z.string(), z.number(), z.boolean(), z.array(z.string())]),
      words: z.string().optional(),
    }),
  ),
});

const key = z.strictObject({
  sender: z.string().min(1).max(320).describe("Login, range or @domain"),
  identity: z.string().min(1).max(320).nullable().default(null).describe("Left out: the whole sender"),
});

export const lockOrder = key.extend({
  words: z.string().max(300).default("").describe("Why, for people"),
});
export const unlockOrder = key;

export const IDENTITY_PAGE: NamedSchema = {
  name: "IdentityPage",
  io: "output",
  schema: z.object({
    items: z.array(summary),
    total: z.number().int(),
    next: z.string().nullable().describe("Pass it as `before` to get the next page; null on the last one."),
  }),
};
export const IDENTITY: NamedSchema = { name: "Identity", io: "output", schema: detail };
export const LOCKS: NamedSchema = {
  name: "LockList",
  io: "output",
  schema: z.object({ items: z.array(lock), next: z.null() }),
};
export const LOCK_ORDER: NamedSchema = { name: "LockOrder", io: "input", schema: lockOrder };
export const UNLOCK_ORDER: NamedSchema = { name: "UnlockOrder", io: "input", schema: unlockOrder };
export const LOCK_RESULT: NamedSchema = {
  name: "LockResult",
  io: "output",
  schema: z.object({ result: z.enum(["locked", "already", "unlocked"]) }),
};
