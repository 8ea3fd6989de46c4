// The policy over the API: lists, objects, plan and apply; the same door as the console's forms.
import { z } from "zod";
import { itemKey, withoutSecrets } from "../../policy/policy-document.ts";
import {
  deliverySchema,
  domainSchema,
  hookSchema,
  listenerSchema,
  networksSchema,
  ruleSchema,
  senderSchema,
  settingsSchema,
  templateSchema,
} from "../../policy/schema.ts";
import type { PlanResult, PolicyProblem, WantedInput } from "../../policy/settings.ts";
import { actorOf } from "../actor.ts";
import type { ConsoleContext } from "../console-env.ts";
import { withoutSection } from "../forms/form-input.ts";
import { waitingWords, withWaiting } from "../waiting-mail.ts";
import { jsonBody, type NamedSchema, notFound, type Operation } from "./operation.ts";
import { problem } from "./problem.ts";

type ListSection = "listener" | "domain" | "sender" | "rule" | "template" | "hook";
type ObjectSection = "networks" | "delivery" | "settings";

interface Noun {
  /** `domains`: the path and the tag. */
  readonly many: string;
  /** `Domain`: the schema's name. */
  readonly one: string;
  readonly schema: z.ZodObject;
}

// The stored form knows hashes only; whoever writes may give the password itself.
const senderInput = senderSchema.safeExtend({
  password: z.string().optional().describe("A new password; left out, the present one stays."),
  cram_password: z
    .string()
    .optional()
    .describe('A new password for CRAM-MD5, kept recoverable; "none" takes it away, left out it stays.'),
});

const LISTS: Readonly<Record<ListSection, Noun>> = {
  listener: { many: "listeners", one: "Listener", schema: listenerSchema },
  domain: { many: "domains", one: "Domain", schema: domainSchema },
  sender: { many: "senders", one: "Sender", schema: senderInput },
  rule: { many: "rules", one: "Rule", schema: ruleSchema },
  template: { many: "templates", one: "Template", schema: templateSchema },
  hook: { many: "hooks", one: "Hook", schema: hookSchema },
};

const OBJECTS: Readonly<Record<ObjectSection, Noun>> = {
  networks: { many: "networks", one: "Networks", schema: networksSchema },
  delivery: { many: "delivery", one: "Delivery", schema: deliverySchema },
  settings: { many: "settings", one: "Settings", schema: settingsSchema },
};

const changeSchema = z.object({
  section: z.string(),
  key: z.string(),
  kind: z.enum(["add", "change", "remove"]),
  before: z.unknown(),
  after: z.unknown(),
  words: z.array(z.string()),
});

const PLAN: NamedSchema = {
  name: "Plan",
  io: "output",
  schema: z.object({
    changes: z.array(changeSchema),
    warnings: z.array(z.string()),
    unfinished: z
      .array(z.string())
      .describe("What is set now and could not be done yet, such as a taken port."),
  }),
};

const DOCUMENT: NamedSchema = {
  name: "PolicyDocument",
  io: "input",
  schema: z.object({
    document: z
      .record(z.string(), z.unknown())
      .describe("Any subset of the sections, as in the policy file."),
    prune: z.boolean().default(false).describe("Remove list items the document does not name."),
  }),
};

function inputSchema(noun: Noun): NamedSchema {
  return { name: noun.one, schema: noun.schema, io: "input" };
}

function listSchema(noun: Noun): NamedSchema {
  return {
    name: `${noun.one}List`,
    schema: z.object({ items: z.array(noun.schema), next: z.null() }),
    io: "input",
  };
}

const PUT_REFUSALS = {
  412: "It is not what `If-Match` names any more; nothing was changed.",
  422: "The input was refused; nothing was changed.",
} as const;

/** A stored item without its secrets: what is kept for senders is left out, other secrets are `***`, which as input keeps them. */
function shown(item: object): unknown {
  const { password_hash: _hash, cram_password: _cram, ...rest }: Record<string, unknown> = { ...item };
  return withoutSecrets(rest);
}

function refused(c: ConsoleContext, problems: readonly PolicyProblem[]): Response {
  const detail = "Nothing was changed. `problems` says what is wrong, field by field.";
  return problem(c, { status: 422, title: "The input was refused", detail, problems });
}

function planAnswer(c: ConsoleContext, result: PlanResult): Response {
  if (!result.ok) return refused(c, result.problems);
  const { changes, warnings, unfinished = [] } = result;
  return c.json({ changes, warnings, unfinished });
}

function storedOf(c: ConsoleContext, section: ListSection): readonly object[] {
  return c.get("services").settings.current().policy[section];
}

function keyOf(c: ConsoleContext): string {
  return c.req.param("key") ?? "";
}

/** Of what `shown` gives: another one once the item was changed. (RFC 9110 §8.8.3) */
function entityTag(item: object): string {
  return `"${new Bun.CryptoHasher("sha256")
    .update(JSON.stringify(shown(item)))
    .digest("base64url")
    .slice(0, 27)}"`;
}

function withTag(c: ConsoleContext, item: object): Response {
  c.header("ETag", entityTag(item));
  return c.json(shown(item));
}

/** Is what is there not what `If-Match` names, or there at all where `If-None-Match: *` says that it must not? (RFC 9110 §13.1) */
function isMissed(c: ConsoleContext, now: object | null): boolean {
  if (now !== null && c.req.header("If-None-Match")?.trim() === "*") return true;
  const asked = c.req
    .header("If-Match")
    ?.split(",")
    .map((tag) => tag.trim());
  return asked !== undefined && (now === null || !(asked.includes("*") || asked.includes(entityTag(now))));
}

/** Puts an item; with `If-Match` only in the place of the one it names. (RFC 9110 §13.1.1) */
async function putMatching(
  c: ConsoleContext,
  item: { readonly section: ListSection | ObjectSection; readonly key: string },
  input: unknown,
): Promise<Response> {
  let missed = false;
  const want = (now: object | null): WantedInput => {
    missed = isMissed(c, now);
    return missed ? { ok: false, problems: [] } : { ok: true, input };
  };
  const result = await c.get("services").settings.change(item, want, actorOf(c));
  if (missed) return changedMeanwhile(c);
  return result.ok ? planAnswer(c, result) : refused(c, withoutSection(result.problems, item.section));
}

function changedMeanwhile(c: ConsoleContext): Response {
  const detail =
    "Nothing was changed: what is stored is not what `If-Match` names. Read it again, and its `ETag`.";
  return problem(c, { status: 412, title: "It was changed meanwhile", detail });
}

async function putItem(c: ConsoleContext, section: ListSection): Promise<Response> {
  const body = jsonBody(c);
  if (!body.ok) return body.refusal;
  const input = body.value;
  if (typeof input !== "object" || input === null || Array.isArray(input)) {
    return refused(c, [{ path: "", message: "must be a JSON object" }]);
  }
  if (itemKey(section, { ...(section === "sender" ? { kind: "user" } : {}), ...input }) !== keyOf(c)) {
    return refused(c, [
      {
        path: section === "sender" ? "login" : "name",
        message: `must be the key in the address, "${keyOf(c)}"`,
      },
    ]);
  }
  return putMatching(c, { section, key: keyOf(c) }, input);
}

function listOperations(section: ListSection, noun: Noun): readonly Operation[] {
  const { many, one } = noun;
  const name = one.toLowerCase();
  const missing = { 404: `There is no such ${name}.` } as const;
  return [
    {
      method: "GET",
      path: `/${many}`,
      scope: "read",
      id: `list${one}s`,
      tag: many,
      summary: `All ${many}`,
      answer: listSchema(noun),
      handle: (c) => c.json({ items: storedOf(c, section).map(shown), next: null }),
    },
    {
      method: "GET",
      path: `/${many}/{key}`,
      scope: "read",
      id: `get${one}`,
      tag: many,
      summary: `One ${name}`,
      answer: inputSchema(noun),
      tagged: true,
      refusals: missing,
      handle: (c) => {
        const item = storedOf(c, section).find((stored) => itemKey(section, stored) === keyOf(c));
        return item === undefined ? notFound(c, name) : withTag(c, item);
      },
    },
    {
      method: "PUT",
      path: `/${many}/{key}`,
      scope: "write",
      id: `put${one}`,
      tag: many,
      summary: `Add or replace a ${name}; what is left out gets its default`,
      conditions: ["If-Match", "If-None-Match"],
      body: inputSchema(noun),
      answer: PLAN,
      refusals: PUT_REFUSALS,
      handle: (c) => putItem(c, section),
    },
    {
      method: "GET",
      path: `/${many}/{key}/removal`,
      scope: "read",
      id: `plan${one}Removal`,
      tag: many,
      summary: `What removing the ${name} would take along; changes nothing`,
      answer: PLAN,
      refusals: missing,
      handle: async (c) => {
        const { settings } = c.get("services");
        const { changes, warnings } = await settings.removal(section, keyOf(c));
        if (changes.length === 0) return notFound(c, name);
        const waiting = await waitingWords(c.get("services"), changes);
        return c.json({ changes, warnings: [...warnings, ...waiting] });
      },
    },
    {
      method: "DELETE",
      path: `/${many}/{key}`,
      scope: "write",
      id: `delete${one}`,
      tag: many,
      summary: `Remove a ${name}`,
      conditions: ["If-Match"],
      answer: "nothing",
      refusals: { ...missing, 412: PUT_REFUSALS[412] },
      handle: async (c) => {
        let missed = false;
        const only = (now: object | null): boolean => {
          missed = now !== null && isMissed(c, now);
          return !missed;
        };
        const removed = await c.get("services").settings.remove(section, keyOf(c), actorOf(c), only);
        if (missed) return changedMeanwhile(c);
        return removed ? c.body(null, 204) : notFound(c, name);
      },
    },
  ];
}

function objectOperations(section: ObjectSection, noun: Noun): readonly Operation[] {
  return [
    {
      method: "GET",
      path: `/${noun.many}`,
      scope: "read",
      id: `get${noun.one}`,
      tag: noun.many,
      summary: `The ${noun.many} settings`,
      answer: inputSchema(noun),
      tagged: true,
      handle: (c) => withTag(c, c.get("services").settings.current().policy[section]),
    },
    {
      method: "PUT",
      path: `/${noun.many}`,
      scope: "write",
      id: `put${noun.one}`,
      tag: noun.many,
      summary: `Change the ${noun.many} settings; what is left out stays`,
      conditions: ["If-Match", "If-None-Match"],
      body: inputSchema(noun),
      answer: PLAN,
      refusals: PUT_REFUSALS,
      handle: (c) => {
        const body = jsonBody(c);
        return body.ok ? putMatching(c, { section, key: "" }, body.value) : body.refusal;
      },
    },
  ];
}

async function planOrApply(c: ConsoleContext, apply: boolean): Promise<Response> {
  const body = jsonBody(c);
  if (!body.ok) return body.refusal;
  const parsed = z
    .strictObject({ document: z.unknown(), prune: z.boolean().default(false) })
    .safeParse(body.value);
  if (!parsed.success || parsed.data.document === undefined) {
    return refused(c, [{ path: "", message: 'must be {"document": {…}, "prune": false}' }]);
  }
  const { document, prune } = parsed.data;
  const services = c.get("services");
  const { settings } = services;
  if (apply) return planAnswer(c, await settings.apply(document, { prune, actor: actorOf(c) }));
  return planAnswer(c, await withWaiting(services, await settings.plan(document, { prune })));
}

const PLAN_OPERATIONS: readonly Operation[] = (["plan", "apply"] as const).map((verb) => ({
  method: "POST" as const,
  path: `/${verb}`,
  // A plan says whether a password in the document is the one that is set: who may only read must not be able to try them out.
  scope: "write" as const,
  id: verb,
  tag: "policy",
  summary:
    verb === "plan"
      ? "What a policy document would change; changes nothing"
      : "Carry a policy document out, all of it or nothing",
  body: DOCUMENT,
  answer: PLAN,
  refusals: { 422: "The document was refused; nothing was changed." },
  handle: (c: ConsoleContext) => planOrApply(c, verb === "apply"),
}));

export const policyOperations: readonly Operation[] = [
  ...listOperations("domain", LISTS.domain),
  ...listOperations("sender", LISTS.sender),
  ...listOperations("listener", LISTS.listener),
  ...listOperations("rule", LISTS.rule),
  ...listOperations("template", LISTS.template),
  ...listOperations("hook", LISTS.hook),
  ...objectOperations("networks", OBJECTS.networks),
  ...objectOperations("delivery", OBJECTS.delivery),
  ...objectOperations("settings", OBJECTS.settings),
  ...PLAN_OPERATIONS,
];
