// One real request for every route of the console: with ids of the sample data, and a form or body that would truly change something.
// A route that is not here fails the tests of route access, so that no new one escapes them.
import type { Route } from "../../src/console/route.ts";
import type { TestBrowser } from "./console-browser.ts";
import { ADMIN_PASSWORD, type FakeGateway } from "./fake-services.ts";
import { formFields } from "./page-form.ts";

export type SampleForm = Readonly<Record<string, string | readonly string[]>>;

export interface RouteSample {
  readonly path: string;
  readonly form: SampleForm;
  readonly json: unknown;
}

/** Posts that change nothing that is kept, with what they do instead. */
const CHANGES_NOTHING: ReadonlyMap<string, string> = new Map([
  ["POST /settings/templates/preview", "shows a text as it would be sent"],
  ["POST /api/v1/plan", "says what a document would change"],
  ["POST /api/v1/quarantine/:id/seen", "notes a look at undeliverable mail; the sample is there by a rule"],
]);

const GOOD_PASSWORD = "copper-violin-meadow-38";
const CARRIER = { sender: "192.0.2.64/28", name: "client-b" };
const LOCKED = { sender: "192.0.2.64/28", name: "client-a" };

/** Values for the parameters of a path, by the noun before them. */
const PARAMETERS: readonly (readonly [pattern: RegExp, value: (ids: Ids) => string])[] = [
  [/\/rules\/:key\/reset$/, () => "subject-marks"],
  [/\/domains\/:key/, () => "example.test"],
  [/\/senders\/:key/, () => "carol%40example.test"],
  [/\/rules\/:key/, () => "no-ads"],
  [/\/listeners\/:key/, () => "mx"],
  [/\/hooks\/:key/, () => "clamd"],
  [/\/templates\/:key/, () => "hello"],
  [/\/accounts\/:id/, () => "account-3"],
  [/\/tokens\/:name/, () => "test-read"],
  [/\/messages\/:id/, ({ message }) => message],
  [/\/quarantine\/:id/, ({ item }) => item],
  [/\/queue\/:id/, ({ entry }) => entry],
];

interface Ids {
  readonly item: string;
  readonly message: string;
  readonly entry: string;
}

/** Forms that are sent as they stand here. */
const FORMS: Readonly<Record<string, SampleForm>> = {
  "POST /quarantine/:id/release": {},
  "POST /quarantine/:id/delete": { confirmed: "yes" },
  "POST /queue/retry": {},
  "POST /queue/:id/retry": {},
  "POST /queue/:id/hold": {},
  "POST /queue/:id/drop": {},
  "POST /logout": {},
  "POST /domains/new": {
    name: "new.example.test",
    enabled: "on",
    "recipients.verify": "catch-all",
    "recipients.cache": "1h",
    "recipients.when_down": "tempfail",
  },
  "POST /domains/:key/remove": {},
  "POST /domains/:key/outgoing/test": { channel: "mail" },
  "POST /domains/:key/dkim": { selector: "gate9", algorithm: "ed25519" },
  "POST /domains/:key/dkim/:selector/check": {},
  "POST /domains/:key/dkim/:selector/activate": {},
  "POST /domains/:key/dkim/:selector/retire": {},
  "POST /domains/:key/dkim/:selector/remove": {},
  "POST /senders/new": {
    login: "new@example.test",
    domain: "example.test",
    password: GOOD_PASSWORD,
    enabled: "on",
  },
  "POST /senders/:key/remove": {},
  "POST /identity/lock": { ...CARRIER, reason: "trial" },
  "POST /identity/unlock": LOCKED,
  "POST /rules/:key/mode": { mode: "off" },
  "POST /rules/:key/reset": {},
  "POST /rules/new": {
    name: "mine",
    mode: "observe",
    action: "quarantine",
    priority: "5000",
    when: "client.tls",
  },
  "POST /rules/:key/remove": {},
  "POST /listeners/:key/remove": {},
  "POST /settings/templates/new": { name: "second", subject: "Hello", text: "Text" },
  "POST /settings/templates/:key/remove": {},
  "POST /settings/templates/preview": { name: "x", subject: "Hello", text: "Text" },
  "POST /settings/hooks/new": {
    name: "other",
    kind: "clamd",
    address: "127.0.0.1:3311",
    timeout: "30s",
    enabled: "on",
  },
  "POST /settings/hooks/:key/remove": {},
  "POST /accounts/new": { login: "new@example.test", role: "user", domains: "", password: GOOD_PASSWORD },
  "POST /accounts/:id/edit": { role: "domain-administrator", domains: "example.test" },
  "POST /accounts/:id/password": { password: GOOD_PASSWORD },
  "POST /accounts/:id/remove": {},
  "POST /bans/lift": { network: "203.0.113.7/32" },
  "POST /tokens": { name: "sample", scope: "read" },
  "POST /tokens/:name/remove": {},
  "POST /account/password": { current: ADMIN_PASSWORD, new: GOOD_PASSWORD, again: GOOD_PASSWORD },
};

/** What is changed in the form of the page itself, which is sent back otherwise untouched. */
const EDITS: Readonly<Record<string, SampleForm>> = {
  "POST /domains/:key/edit": { "recipients.cache": "7h" },
  "POST /domains/:key/outgoing": { barred: "on", "outgoing.barred": "on" },
  "POST /senders/:key/edit": { "limits.per_hour": "17" },
  "POST /rules/:key/edit": { priority: "4444" },
  "POST /listeners/new": { name: "third", listen: "127.0.0.1:2527" },
  "POST /listeners/:key/edit": { max_connections: "77" },
  "POST /settings": { trusted: "10.0.0.0/9" },
  "POST /settings/delivery": { delay_notice_after: "7h" },
  "POST /settings/general": { log_keep: "17d" },
  "POST /settings/templates/:key/edit": { subject: "Another" },
  "POST /settings/hooks/:key/edit": { timeout: "17s" },
};

const BODIES: Readonly<Record<string, unknown>> = {
  "POST /api/v1/quarantine/:id/release": {},
  "POST /api/v1/quarantine/:id/seen": {},
  "DELETE /api/v1/quarantine/:id": null,
  "POST /api/v1/queue/retry": {},
  "POST /api/v1/queue/:id/retry": {},
  "POST /api/v1/queue/:id/hold": {},
  "POST /api/v1/queue/:id/drop": {},
  "POST /api/v1/locks": { sender: CARRIER.sender, identity: CARRIER.name, words: "trial" },
  "POST /api/v1/unlock": { sender: LOCKED.sender, identity: LOCKED.name },
  "PUT /api/v1/domains/:key": { name: "example.test", enabled: false },
  "DELETE /api/v1/domains/:key": null,
  "PUT /api/v1/senders/:key": { login: "carol@example.test", domain: "example.test", enabled: false },
  "DELETE /api/v1/senders/:key": null,
  "PUT /api/v1/listeners/:key": { name: "mx", listen: "127.0.0.1:2528" },
  "DELETE /api/v1/listeners/:key": null,
  "PUT /api/v1/rules/:key": { name: "no-ads", mode: "off", when: "client.tls", action: "discard" },
  "DELETE /api/v1/rules/:key": null,
  "PUT /api/v1/templates/:key": { name: "hello", subject: "Another", text: "Text" },
  "DELETE /api/v1/templates/:key": null,
  "PUT /api/v1/hooks/:key": { name: "clamd", kind: "clamd", address: "127.0.0.1:3399" },
  "DELETE /api/v1/hooks/:key": null,
  "PUT /api/v1/networks": { trusted: [] },
  "PUT /api/v1/delivery": { delay_notice_after: "7h" },
  "PUT /api/v1/settings": { log_keep: "17d" },
  "POST /api/v1/plan": { document: { networks: { trusted: [] } } },
  "POST /api/v1/apply": { document: { networks: { trusted: [] } } },
  "POST /api/v1/domains/:key/dkim": { selector: "gate9", algorithm: "ed25519" },
  "POST /api/v1/domains/:key/dkim/:selector/check": {},
  "POST /api/v1/domains/:key/dkim/:selector/activate": {},
  "POST /api/v1/domains/:key/dkim/:selector/retire": {},
  "DELETE /api/v1/domains/:key/dkim/:selector": null,
};

/** Queries a page or an operation needs to be about something. */
const QUERIES: Readonly<Record<string, string>> = {
  "GET /identity": `?${new URLSearchParams(CARRIER)}`,
  "GET /api/v1/identity": `?${new URLSearchParams({ sender: CARRIER.sender, identity: CARRIER.name })}`,
};

export function nameOf(route: Route): string {
  return `${route.method} ${route.path}`;
}

/** Does the route change things when it is passed? */
export function isUnsafe(route: Route): boolean {
  return route.method !== "GET" && !CHANGES_NOTHING.has(nameOf(route));
}

async function idsOf({ services }: FakeGateway): Promise<Ids> {
  // Malware is released after a question only.
  const kept = await services.quarantine.list({ limit: 100, state: "kept" });
  const item = kept.find(({ rule }) => rule !== "virus");
  const [entry] = await services.queue.list({ limit: 1, offset: 0 });
  return { item: item?.id ?? "", message: item?.messageId ?? "", entry: entry?.messageId ?? "" };
}

/** The path with the ids of the samples. Throws for a parameter nobody has given a value: name it in PARAMETERS. */
function pathOf(route: Route, ids: Ids): string {
  const selector = /retire$/.test(route.path) ? "gate1" : "gate2";
  const found = PARAMETERS.find(([pattern]) => pattern.test(route.path));
  const path = route.path
    .replace(":selector", selector)
    .replace(/:(?:key|id|name)/, found === undefined ? "$&" : found[1](ids));
  if (path.includes(":"))
    throw new Error(`${nameOf(route)} has a parameter without a sample; see PARAMETERS`);
  return path + (QUERIES[nameOf(route)] ?? "");
}

/** The sample request of a route. `administrator` reads the page of a form that is sent back. */
export async function sampleOf(
  route: Route,
  gateway: FakeGateway,
  administrator: TestBrowser,
): Promise<RouteSample> {
  const name = nameOf(route);
  const ids = await idsOf(gateway);
  const path = pathOf(route, ids);
  const edit = EDITS[name];
  const form = FORMS[name];
  const bulk = name === "POST /quarantine/bulk" ? { action: "release", id: ids.item } : undefined;
  if (route.access.kind !== "token" && route.method !== "GET" && !edit && !form && !bulk)
    throw new Error(`${name} has no sample form; add one to FORMS or EDITS that changes something`);
  if (route.access.kind === "token" && route.method !== "GET" && !(name in BODIES))
    throw new Error(`${name} has no sample body; add one to BODIES that changes something`);
  const shown = edit === undefined ? {} : formFields(await (await administrator.get(path)).text());
  return { path, form: { ...shown, ...edit, ...form, ...bulk }, json: BODIES[name] ?? null };
}
