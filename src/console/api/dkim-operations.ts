// DKIM keys over the API: the same as the console's page does.
import { z } from "zod";
import type { DkimAnswer, DkimKey } from "../../dkim/dkim.ts";
import { actorOf } from "../actor.ts";
import type { ConsoleContext } from "../console-env.ts";
import { type KeysOfDomain, keysInAddress } from "../dkim-keys.ts";
import { jsonBody, type NamedSchema, notFound, type Operation } from "./operation.ts";
import { problem } from "./problem.ts";

const moment = z.number().int().describe("Milliseconds since 1970, UTC");
const algorithm = z.enum(["rsa", "ed25519"]).describe("rsa: 2048 bits");

const keySchema = z.object({
  domain: z.string(),
  selector: z.string(),
  algorithm,
  state: z
    .enum(["pending", "active", "retiring"])
    .describe(
      "pending: not used yet; active: signs; retiring: signs no more, its record must stay until retireAt",
    ),
  createdAt: moment,
  activatedAt: moment.nullable(),
  retireAt: moment.nullable(),
  record: z.object({ name: z.string(), value: z.string() }).describe("The TXT record to publish"),
  publication: z
    .object({
      state: z.enum(["unchecked", "published", "missing", "different", "failed"]),
      checkedAt: moment.nullable(),
      words: z.string(),
    })
    .describe("What the last look at the DNS said"),
});

const KEY: NamedSchema = { name: "DkimKey", io: "output", schema: keySchema };
const KEY_LIST: NamedSchema = {
  name: "DkimKeyList",
  io: "output",
  schema: z.object({ items: z.array(keySchema), next: z.null() }),
};
const newKey = z.strictObject({
  selector: z.string().describe("Like gate1"),
  algorithm: algorithm.default("rsa"),
});
const NEW_KEY: NamedSchema = { name: "NewDkimKey", io: "input", schema: newKey };

const MISSING = { 404: "There is no such domain or key." } as const;
const REFUSED = { ...MISSING, 409: "It was refused; `detail` says why and what to do." } as const;

type Work = (c: ConsoleContext, shown: KeysOfDomain) => Response | Promise<Response>;

function ofDomain(work: Work): Operation["handle"] {
  return async (c) => {
    const shown = await keysInAddress(c);
    return shown === null ? notFound(c, "domain") : work(c, shown);
  };
}

function ofKey(work: (c: ConsoleContext, key: DkimKey) => Response | Promise<Response>): Operation["handle"] {
  return ofDomain((c, { keys }) => {
    const key = keys.find(({ selector }) => selector === c.req.param("selector"));
    return key === undefined ? notFound(c, "DKIM key") : work(c, key);
  });
}

function refused(c: ConsoleContext, words: string): Response {
  return problem(c, { status: 409, title: "The key was not changed", detail: words });
}

function answered(c: ConsoleContext, answer: DkimAnswer): Response {
  return answer.ok ? c.json(answer.key) : refused(c, answer.words);
}

async function postKey(c: ConsoleContext, { domain, isOurs }: KeysOfDomain): Promise<Response> {
  if (!isOurs) return notFound(c, "domain");
  const body = jsonBody(c);
  if (!body.ok) return body.refusal;
  const parsed = newKey.safeParse(body.value);
  if (!parsed.success) {
    const problems = parsed.error.issues.map(({ path, message }) => ({ path: path.join("."), message }));
    return problem(c, { status: 422, title: "The input was refused", detail: "See problems.", problems });
  }
  return answered(c, await c.get("services").dkim.create({ domain, ...parsed.data }, actorOf(c).name));
}

/** An operation on one key, whose answer is the key as it is then. */
function keyOperation(
  verb: "check" | "activate" | "retire",
  summary: string,
  act: (c: ConsoleContext, key: DkimKey) => Promise<DkimAnswer>,
): Operation {
  return {
    method: "POST",
    path: `/domains/{key}/dkim/{selector}/${verb}`,
    scope: "write",
    id: `${verb}DkimKey`,
    tag: "dkim",
    summary,
    answer: KEY,
    refusals: REFUSED,
    handle: ofKey(async (c, key) => answered(c, await act(c, key))),
  };
}

export const dkimOperations: readonly Operation[] = [
  {
    method: "GET",
    path: "/domains/{key}/dkim",
    scope: "read",
    id: "listDkimKeys",
    tag: "dkim",
    summary: "The DKIM keys of a domain",
    answer: KEY_LIST,
    refusals: MISSING,
    handle: ofDomain((c, { keys }) => c.json({ items: keys, next: null })),
  },
  {
    method: "POST",
    path: "/domains/{key}/dkim",
    scope: "write",
    id: "createDkimKey",
    tag: "dkim",
    summary: "Make a DKIM key; it signs once its record is published and it is activated",
    body: NEW_KEY,
    answer: KEY,
    refusals: { ...REFUSED, 422: "The input was refused; nothing was changed." },
    handle: ofDomain(postKey),
  },
  {
    method: "GET",
    path: "/domains/{key}/dkim/{selector}",
    scope: "read",
    id: "getDkimKey",
    tag: "dkim",
    summary: "One DKIM key",
    answer: KEY,
    refusals: MISSING,
    handle: ofKey((c, key) => c.json(key)),
  },
  keyOperation("check", "Ask the DNS now whether the record is published", (c, key) =>
    c.get("services").dkim.check(key.domain, key.selector),
  ),
  keyOperation(
    "activate",
    "Sign with the key from now on, if its record is published; the active key of its kind retires",
    (c, key) => c.get("services").dkim.activate(key.domain, key.selector, actorOf(c).name),
  ),
  keyOperation("retire", "Sign with the key no more", (c, key) =>
    c.get("services").dkim.retire(key.domain, key.selector, actorOf(c).name),
  ),
  {
    method: "DELETE",
    path: "/domains/{key}/dkim/{selector}",
    scope: "write",
    id: "deleteDkimKey",
    tag: "dkim",
    summary: "Remove a DKIM key that does not sign",
    answer: "nothing",
    refusals: REFUSED,
    handle: ofKey(async (c, key) => {
      const answer = await c.get("services").dkim.remove(key.domain, key.selector, actorOf(c).name);
      return answer.ok ? c.body(null, 204) : refused(c, answer.words);
    }),
  },
];
