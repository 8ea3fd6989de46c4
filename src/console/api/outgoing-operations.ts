// Outgoing control over the API: identities with their figures, the locks, locking and unlocking. The same functions as the pages.
import { z } from "zod";
import type { IdentitySummary, LockKey } from "../../outgoing/outgoing.ts";
import type { ConsoleContext } from "../console-env.ts";
import {
  type KnownParty,
  lockParty,
  partyOf,
  refuseUnlock,
  unlockParty,
  visibleLocks,
} from "../lock-actions.ts";
import { sendingWords } from "../words/sending-words.ts";
import { jsonBody, notFound, type Operation, queryOf } from "./operation.ts";
import {
  IDENTITY,
  IDENTITY_PAGE,
  LOCK_ORDER,
  LOCK_RESULT,
  LOCKS,
  lockOrder,
  UNLOCK_ORDER,
  unlockOrder,
} from "./outgoing-schemas.ts";
import { problem } from "./problem.ts";

const text = z.string().min(1).max(320).optional();

const identitiesQuery = z.object({
  limit: z.coerce.number().int().min(1).max(500).default(50).describe("Lines per page"),
  before: z
    .string()
    .regex(/^\d{1,7}$/, "is not a cursor; take `next` of the page before")
    .optional(),
  sender: text.describe("Login, range or @domain"),
  domain: text,
  search: text.describe("Part of the identity"),
  locked: z.enum(["true", "false"]).optional(),
});

const identityQuery = z.object({
  sender: z.string().min(1).max(320).describe("Login, range or @domain"),
  identity: text.describe("Left out: the sender itself"),
});

const locksQuery = z.object({ domain: text });

/** With the state also in words, as the pages say it. */
function told<T extends IdentitySummary>(one: T) {
  return { ...one, sending: { ...one.sending, words: sendingWords(one.sending).sentence } };
}

async function listIdentities(c: ConsoleContext): Promise<Response> {
  const query = queryOf(c, identitiesQuery);
  if (!query.ok) return query.refusal;
  const { limit, before, sender, domain, search, locked } = query.value;
  const offset = Number(before ?? 0);
  const { items, total } = await c.get("services").outgoing.identities({
    limit,
    offset,
    ...(sender === undefined ? {} : { sender }),
    ...(domain === undefined ? {} : { domain: domain.toLowerCase() }),
    ...(search === undefined ? {} : { search }),
    ...(locked === undefined ? {} : { locked: locked === "true" }),
  });
  const next = offset + items.length;
  return c.json({
    items: items.map(told),
    total,
    next: items.length > 0 && next < total ? String(next) : null,
  });
}

async function getIdentity(c: ConsoleContext): Promise<Response> {
  const query = queryOf(c, identityQuery);
  if (!query.ok) return query.refusal;
  const { sender, identity = null } = query.value;
  const party = await partyOf(c, { sender, identity });
  if (party === null) return notFound(c, "identity");
  return c.json({ ...told(party.detail), eachIdentity: party.held?.identity_limits ?? null });
}

function listLocks(c: ConsoleContext): Response {
  const query = queryOf(c, locksQuery);
  if (!query.ok) return query.refusal;
  return c.json({ items: visibleLocks(c, query.value.domain?.toLowerCase()), next: null });
}

type Order<T> =
  | { readonly ok: true; readonly party: KnownParty; readonly order: T }
  | { readonly ok: false; readonly refusal: Response };

/** The order in the body and what it is about, or the refusal to send. */
async function orderOf<T extends LockKey>(c: ConsoleContext, schema: z.ZodType<T>): Promise<Order<T>> {
  const body = jsonBody(c);
  if (!body.ok) return body;
  const parsed = schema.safeParse(body.value);
  if (!parsed.success) {
    const problems = parsed.error.issues.map(({ path, message }) => ({ path: path.join("."), message }));
    const detail = "Nothing was changed. `problems` says what is wrong, field by field.";
    return {
      ok: false,
      refusal: problem(c, { status: 422, title: "The input was refused", detail, problems }),
    };
  }
  const { sender, identity } = parsed.data;
  const party = await partyOf(c, { sender, identity });
  if (party === null) return { ok: false, refusal: notFound(c, "identity") };
  return { ok: true, party, order: parsed.data };
}

async function postLock(c: ConsoleContext): Promise<Response> {
  const asked = await orderOf(c, lockOrder);
  if (!asked.ok) return asked.refusal;
  const locked = await lockParty(c, asked.party, asked.order.words);
  return c.json({ result: locked ? "locked" : "already" });
}

async function postUnlock(c: ConsoleContext): Promise<Response> {
  const asked = await orderOf(c, unlockOrder);
  if (!asked.ok) return asked.refusal;
  const refused = await refuseUnlock(c, asked.party.detail.lock);
  if (refused !== null) return problem(c, { status: 403, title: "It stays locked", detail: refused });
  const unlocked = await unlockParty(c, asked.party.key);
  return c.json({ result: unlocked ? "unlocked" : "already" });
}

const refusals = {
  404: "There is no such sender or identity.",
  422: "The input was refused; nothing was changed.",
} as const;

export const outgoingOperations: readonly Operation[] = [
  {
    method: "GET",
    path: "/identities",
    scope: "read",
    id: "listIdentities",
    tag: "identities",
    summary: "Who is behind outgoing mail, last seen first",
    query: identitiesQuery,
    answer: IDENTITY_PAGE,
    refusals: { 422: "A query parameter is wrong." },
    handle: listIdentities,
  },
  {
    method: "GET",
    path: "/identity",
    scope: "read",
    id: "getIdentity",
    tag: "identities",
    summary: "One identity, or a whole sender: figures, limits, lock and its history",
    query: identityQuery,
    answer: IDENTITY,
    refusals: { 404: refusals[404], 422: "A query parameter is wrong." },
    handle: getIdentity,
  },
  {
    method: "GET",
    path: "/locks",
    scope: "read",
    id: "listLocks",
    tag: "identities",
    summary: "What is locked now, newest first",
    query: locksQuery,
    answer: LOCKS,
    refusals: { 422: "A query parameter is wrong." },
    handle: listLocks,
  },
  {
    method: "POST",
    path: "/locks",
    scope: "write",
    id: "lock",
    tag: "identities",
    summary: "Lock an identity or a whole sender until a person unlocks; holds on open connections too",
    body: LOCK_ORDER,
    answer: LOCK_RESULT,
    refusals,
    handle: postLock,
  },
  {
    method: "POST",
    path: "/unlock",
    scope: "write",
    id: "unlock",
    tag: "identities",
    summary: "Unlock an identity or a whole sender",
    body: UNLOCK_ORDER,
    answer: LOCK_RESULT,
    refusals,
    handle: postUnlock,
  },
];
