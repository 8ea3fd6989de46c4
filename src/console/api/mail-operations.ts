// Mail over the API: the message log, the quarantine, the queue, and how the gateway is doing.
import { z } from "zod";
import type { ConsoleContext } from "../console-env.ts";
import {
  cursorOf,
  cursorText,
  deleteItem,
  itemOf,
  releaseItem,
  seeItem,
  sendSource,
} from "../quarantine-actions.ts";
import { actOnQueue, isMessageId, type QueueAction, retryWholeQueue } from "../queue-actions.ts";
import { explainMessage } from "../words/explain-message.ts";
import {
  MESSAGE,
  MESSAGE_PAGE,
  QUARANTINE_ITEM,
  QUARANTINE_PAGE,
  QUEUE_PAGE,
  RECIPIENT_STATE,
  RECIPIENTS,
  RELEASE_RESULT,
  STATUS,
} from "./mail-schemas.ts";
import { notFound, type Operation, queryOf } from "./operation.ts";
import { problem } from "./problem.ts";

const limit = z.coerce.number().int().min(1).max(500).default(50).describe("Lines per page");
const text = z.string().min(1).max(320).optional();
const moment = z.coerce.number().int().nonnegative().optional();

const messageQuery = z.object({
  limit,
  before: z.string().max(64).optional().describe("Lines before this id, newest first"),
  text: text.describe(
    "An address, a domain, a client's IP or network, an id, or words of the subject or of a reply",
  ),
  sender: text,
  recipient: text,
  domain: text.describe("Mail for this domain and mail its people sent"),
  client: text.describe("The client's IP, or its network as 203.0.113.0/24"),
  server: text.describe("A mail server it was handed to: part of its name or IP"),
  reply: text.describe("A part of our answer, or of a mail server's"),
  rule: text,
  state: RECIPIENT_STATE.optional(),
  since: moment.describe("Milliseconds since 1970, UTC"),
  until: moment.describe("Milliseconds since 1970, UTC"),
});

const quarantineQuery = z.object({
  limit,
  before: z
    .string()
    .refine((cursor) => cursorOf(cursor) !== undefined, "is not a cursor; take `next` of the page before")
    .optional(),
  recipient: text,
  domain: text.describe("Of the recipient"),
  direction: z.enum(["incoming", "outgoing"]).optional().describe("Internal mail is both"),
  sender: text.describe("The outgoing sender: login, range or @domain"),
  senderDomain: text.describe("The domain the outgoing sender belongs to"),
  rule: text,
  state: z.enum(["kept", "released", "deleted", "expired"]).optional(),
  class: z.enum(["rule", "undeliverable"]).optional().describe("Put there by a rule, or undeliverable"),
});

const releaseQuery = z.object({
  malware: z.literal("release").optional().describe("Release it although malware was found in it"),
});

const queueQuery = z.object({
  limit,
  before: z
    .string()
    .regex(/^\d{1,7}$/, "is not a cursor; take `next` of the page before")
    .optional(),
});

/** Leaves out what is undefined, which filters with exact optional properties do not take. */
function given<T extends object>(query: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(query).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}

async function listMessages(c: ConsoleContext): Promise<Response> {
  const query = queryOf(c, messageQuery);
  if (!query.ok) return query.refusal;
  const filter = given(query.value);
  const { lines, cutAt } = await c.get("services").messageLog.find({ ...filter, limit: filter.limit + 1 });
  const items = lines.slice(0, filter.limit);
  // A search that ran out of time goes on from where it stopped, also when it has found nothing yet.
  return c.json({ items, next: lines.length > filter.limit ? (items.at(-1)?.id ?? null) : cutAt });
}

async function getMessage(c: ConsoleContext): Promise<Response> {
  const message = await c.get("services").messageLog.get(c.req.param("id") ?? "");
  if (message === null) return notFound(c, "message");
  return c.json({ ...message, explanation: explainMessage(message).sentence });
}

async function listQuarantine(c: ConsoleContext): Promise<Response> {
  const query = queryOf(c, quarantineQuery);
  if (!query.ok) return query.refusal;
  const { before, ...filter } = given(query.value);
  const cursor = cursorOf(before ?? "");
  const found = await c.get("services").quarantine.list({
    ...filter,
    limit: filter.limit + 1,
    ...(cursor === undefined ? {} : { before: cursor }),
  });
  const items = found.slice(0, filter.limit);
  const last = items.at(-1);
  return c.json({ items, next: found.length > filter.limit && last !== undefined ? cursorText(last) : null });
}

async function getQuarantineItem(c: ConsoleContext): Promise<Response> {
  const item = await itemOf(c, c.req.param("id") ?? "");
  return item === null ? notFound(c, "quarantined message") : c.json(item);
}

async function getQuarantineSource(c: ConsoleContext): Promise<Response> {
  const item = await itemOf(c, c.req.param("id") ?? "");
  const source = item === null ? null : await c.get("services").quarantine.source(item.id);
  if (item === null || source === null) return notFound(c, "quarantined message");
  return sendSource(c, item, source);
}

async function postRelease(c: ConsoleContext): Promise<Response> {
  const item = await itemOf(c, c.req.param("id") ?? "");
  if (item === null) return notFound(c, "quarantined message");
  const confirmed = c.req.query("malware") === "release";
  const result = await releaseItem(c, item, { confirmed });
  if (typeof result === "object") {
    const asked = result.kind === "ask";
    const detail = asked
      ? `Malware was found in it: ${result.found}. To release it all the same, call this with ?malware=release.`
      : result.words;
    return problem(c, { status: asked ? 409 : 403, title: "It stays in quarantine", detail });
  }
  if (result !== "gone") return c.json({ result });
  return problem(c, {
    status: 410,
    title: "It is no longer kept",
    detail: "It was deleted, or its time was up.",
  });
}

async function postSeen(c: ConsoleContext): Promise<Response> {
  const item = await itemOf(c, c.req.param("id") ?? "");
  if (item === null) return notFound(c, "quarantined message");
  await seeItem(c, item);
  return c.body(null, 204);
}

async function deleteQuarantined(c: ConsoleContext): Promise<Response> {
  const item = await itemOf(c, c.req.param("id") ?? "");
  if (item === null || !(await deleteItem(c, item))) return notFound(c, "quarantined message");
  return c.body(null, 204);
}

async function listQueue(c: ConsoleContext): Promise<Response> {
  const query = queryOf(c, queueQuery);
  if (!query.ok) return query.refusal;
  const offset = Number(query.value.before ?? 0);
  const found = await c.get("services").queue.list({ limit: query.value.limit + 1, offset });
  const items = found.slice(0, query.value.limit);
  return c.json({ items, next: found.length > items.length ? String(offset + items.length) : null });
}

async function postQueue(c: ConsoleContext, action: QueueAction): Promise<Response> {
  const id = c.req.param("id") ?? "";
  const recipients = isMessageId(id) ? await actOnQueue(c, action, id) : 0;
  return recipients === 0 ? notFound(c, "message in the queue") : c.json({ recipients });
}

async function getStatus(c: ConsoleContext): Promise<Response> {
  const services = c.get("services");
  return c.json({
    version: services.version,
    hostname: services.hostname,
    ...services.figures(),
    queue: await services.queue.counts(),
    listeners: services.listeners(),
    alarms: services.alarms(),
  });
}

const QUEUE_SUMMARIES: Readonly<Record<QueueAction, string>> = {
  retry: "Try a message again now",
  hold: "Hold a message until somebody lets it go on",
  drop: "Take a message out of the queue without delivery and without a notice",
};

const queueActions: readonly Operation[] = (["retry", "hold", "drop"] as const).map((action) => ({
  method: "POST" as const,
  path: `/queue/{id}/${action}`,
  scope: "write" as const,
  id: `${action}Message`,
  tag: "queue",
  summary: QUEUE_SUMMARIES[action],
  answer: RECIPIENTS,
  refusals: { 404: "The queue has no such message." },
  handle: (c: ConsoleContext) => postQueue(c, action),
}));

const missing = { 404: "There is no such message." } as const;

export const mailOperations: readonly Operation[] = [
  {
    method: "GET",
    path: "/status",
    scope: "read",
    id: "getStatus",
    tag: "status",
    summary: "How the gateway is doing",
    answer: STATUS,
    handle: getStatus,
  },
  {
    method: "GET",
    path: "/messages",
    scope: "read",
    id: "listMessages",
    tag: "messages",
    summary: "Search the message log, newest first",
    query: messageQuery,
    answer: MESSAGE_PAGE,
    refusals: { 422: "A query parameter is wrong." },
    handle: listMessages,
  },
  {
    method: "GET",
    path: "/messages/{id}",
    scope: "read",
    id: "getMessage",
    tag: "messages",
    summary: "One message with every fact, verdict and attempt",
    answer: MESSAGE,
    refusals: missing,
    handle: getMessage,
  },
  {
    method: "GET",
    path: "/quarantine",
    scope: "read",
    id: "listQuarantine",
    tag: "quarantine",
    summary: "Quarantined messages, newest first",
    query: quarantineQuery,
    answer: QUARANTINE_PAGE,
    refusals: { 422: "A query parameter is wrong." },
    handle: listQuarantine,
  },
  {
    method: "GET",
    path: "/quarantine/{id}",
    scope: "read",
    id: "getQuarantined",
    tag: "quarantine",
    summary: "One quarantined message",
    answer: QUARANTINE_ITEM,
    refusals: missing,
    handle: getQuarantineItem,
  },
  {
    method: "GET",
    path: "/quarantine/{id}/message",
    scope: "read",
    id: "getQuarantinedSource",
    tag: "quarantine",
    summary: "The quarantined message itself",
    answer: "message/rfc822",
    refusals: missing,
    handle: getQuarantineSource,
  },
  {
    method: "POST",
    path: "/quarantine/{id}/release",
    scope: "write",
    id: "releaseQuarantined",
    tag: "quarantine",
    summary: "Release for delivery; delivered once however often it is called",
    query: releaseQuery,
    answer: RELEASE_RESULT,
    refusals: {
      ...missing,
      409: "Malware was found in it; `detail` names it.",
      410: "It was deleted, or its time was up.",
    },
    handle: postRelease,
  },
  {
    method: "POST",
    path: "/quarantine/{id}/seen",
    scope: "write",
    id: "markQuarantinedSeen",
    tag: "quarantine",
    summary: "Somebody has looked at what could not be delivered; changes nothing for what a rule put there",
    answer: "nothing",
    refusals: missing,
    handle: postSeen,
  },
  {
    method: "DELETE",
    path: "/quarantine/{id}",
    scope: "write",
    id: "deleteQuarantined",
    tag: "quarantine",
    summary: "Delete for good",
    answer: "nothing",
    refusals: missing,
    handle: deleteQuarantined,
  },
  {
    method: "GET",
    path: "/queue",
    scope: "read",
    id: "listQueue",
    tag: "queue",
    summary: "What waits for delivery",
    query: queueQuery,
    answer: QUEUE_PAGE,
    refusals: { 422: "A query parameter is wrong." },
    handle: listQueue,
  },
  {
    method: "POST",
    path: "/queue/retry",
    scope: "write",
    id: "retryQueue",
    tag: "queue",
    summary: "Try everything that waits now",
    answer: RECIPIENTS,
    handle: async (c) => c.json({ recipients: await retryWholeQueue(c) }),
  },
  ...queueActions,
];
