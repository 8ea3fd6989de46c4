// Every route as guest, wrong role, right role, and as a domain administrator who asks for what belongs to others; a refused request
// changes nothing. Each request would change something if it passed: the last one, with the right role, must.
import { describe, expect, test } from "bun:test";
import { Hono } from "hono";
import type { ConsoleEnv } from "../../src/console/console-env.ts";
import { CONSOLE_ROUTES, createConsole } from "../../src/console/create-console.ts";
import { forRoles, mountRoutes, type Role, type Route } from "../../src/console/route.ts";
import { apiToken, browserOf, guestBrowser, ORIGIN, type TestBrowser } from "./console-browser.ts";
import { type FakeGateway, fakeGateway, stateOf } from "./fake-services.ts";
import { isUnsafe, nameOf, type RouteSample, sampleOf } from "./route-samples.ts";

const ROLES: readonly Role[] = ["administrator", "domain-administrator", "user"];
const pages = CONSOLE_ROUTES.filter((route) => route.access.kind === "roles");
const api = CONSOLE_ROUTES.filter((route) => route.access.kind === "token");
const open = CONSOLE_ROUTES.filter((route) => route.access.kind === "public");
const named = (routes: readonly Route[]) => routes.map((route) => [nameOf(route), route] as const);

/** A gateway with a template to change, which the product does not come with. */
async function sampleGateway(): Promise<FakeGateway> {
  const gateway = await fakeGateway();
  const template = { name: "hello", subject: "Hello", text: "Text" };
  await gateway.services.settings.put("template", template, { name: "test", via: "system", ip: null });
  await gateway.services.settings.put(
    "listener",
    { name: "mx", listen: "127.0.0.1:2525" },
    { name: "test", via: "system", ip: null },
  );
  return gateway;
}

/** All that is kept, but for the sessions, which the tests themselves begin. */
function keptOf(gateway: FakeGateway): string {
  return stateOf({ ...gateway, sessions: new Map() });
}

function request(route: Route, sample: RouteSample, browser: TestBrowser): Promise<Response> {
  return route.method === "GET" ? browser.get(sample.path) : browser.post(sample.path, sample.form);
}

describe("a route without a declared role", () => {
  test.each([
    ["no access at all", { method: "GET", path: "/x", handle: () => new Response() }],
    ["an empty list of roles", forRoles().get("/x", () => new Response())],
    [
      "public without a reason",
      { method: "GET", path: "/x", access: { kind: "public", why: "" }, handle: () => new Response() },
    ],
  ])("fails at start: %s", (_name, route) => {
    expect(() => mountRoutes(new Hono<ConsoleEnv>(), [route as Route])).toThrow("console route GET /x");
  });

  test("and a route declared twice fails too", () => {
    const route = forRoles("user").get("/x", () => new Response());
    expect(() => mountRoutes(new Hono<ConsoleEnv>(), [route, route])).toThrow("declared twice");
  });

  test("every route the app serves was mounted with a role", async () => {
    const app = createConsole((await fakeGateway()).services);
    const declared = new Set(CONSOLE_ROUTES.map(nameOf));
    const served = app.routes
      .filter((route) => route.method !== "ALL")
      .map((route) => `${route.method} ${route.path}`);
    expect(served.filter((name) => !declared.has(name))).toEqual([]);
    expect(served.length).toBeGreaterThan(150);
  });
});

describe("pages", () => {
  test.each(named(pages))("%s", async (_name, route) => {
    const gateway = await sampleGateway();
    apiToken(gateway, "read");
    const app = createConsole(gateway.services);
    const administrator = browserOf(app, gateway, "administrator");
    const sample = await sampleOf(route, gateway, administrator);
    const before = stateOf(gateway);

    const guest = await request(route, sample, guestBrowser(app));
    expect(guest.status).toBe(route.method === "GET" ? 303 : 401);
    if (route.method === "GET") expect(guest.headers.get("Location")).toStartWith("/login");
    expect(stateOf(gateway)).toBe(before);

    const allowed = route.access.kind === "roles" ? route.access.roles : [];
    for (const role of ROLES.filter((one) => !allowed.includes(one))) {
      const browser = browserOf(app, gateway, role);
      const withSession = stateOf(gateway);
      expect((await request(route, sample, browser)).status).toBe(403);
      expect(stateOf(gateway)).toBe(withSession);
    }

    // From another site, with the administrator's own session: the browser says so, and nothing happens.
    if (route.method !== "GET") {
      const present = stateOf(gateway);
      const headers = { Origin: "https://evil.example.org", "Sec-Fetch-Site": "cross-site" };
      expect((await administrator.post(sample.path, sample.form, headers)).status).toBe(403);
      expect(stateOf(gateway)).toBe(present);
    }

    const present = stateOf(gateway);
    const right = await request(route, sample, administrator);
    expect([200, 303]).toContain(right.status);
    expect(right.headers.get("Location") ?? "").not.toContain("/login?");
    if (isUnsafe(route)) expect(stateOf(gateway)).not.toBe(present);
    else expect(stateOf(gateway)).toBe(present);
  });
});

/** Of other domains than shop.example.test: none of this may reach its administrator. */
const OF_OTHERS =
  /carol@example|heidi@|client-a|client-b|192\.0\.2\.64|Invoice 48812|dave@example|gate1|gate2/g;

/** What a page shows of others that whoever asked did not say in the address. */
async function leaks(response: Response, path: string): Promise<readonly string[]> {
  const found = new Set((await response.text()).match(OF_OTHERS) ?? []);
  return [...found].filter((words) => !decodeURIComponent(path).includes(words));
}

describe("a domain administrator, on what belongs to others", () => {
  const keepers = pages.filter(
    (route) => route.access.kind === "roles" && route.access.roles.includes("domain-administrator"),
  );
  // What is one's own whatever the path says.
  const own = new Set(["POST /logout", "POST /account/password"]);
  test.each(named(keepers.filter((route) => !own.has(nameOf(route)))))("%s", async (_name, route) => {
    const gateway = await sampleGateway();
    const app = createConsole(gateway.services);
    const sample = await sampleOf(route, gateway, browserOf(app, gateway, "administrator"));
    const keeper = browserOf(app, gateway, "domain-administrator");
    const before = keptOf(gateway);
    const response = await request(route, sample, keeper);
    expect(keptOf(gateway)).toBe(before);
    const concrete = sample.path !== route.path && route.path.includes(":");
    if (concrete) expect([403, 404]).toContain(response.status);
    expect(await leaks(response, sample.path)).toEqual([]);
    // The address bar asks for another domain.
    if (route.method === "GET" && !concrete) {
      const path = `${route.path}?domain=example.test&sender=carol%40example.test&direction=outgoing`;
      const asked = await keeper.get(path);
      expect(asked.status).not.toBe(500);
      expect(await leaks(asked, path)).toEqual([]);
    }
    expect(keptOf(gateway)).toBe(before);
  });
});

describe("API", () => {
  test.each(named(api))("%s", async (_name, route) => {
    const gateway = await sampleGateway();
    const app = createConsole(gateway.services);
    const administrator = browserOf(app, gateway, "administrator");
    const { path, json } = await sampleOf(route, gateway, administrator);
    const read = apiToken(gateway, "read");
    const write = apiToken(gateway, "write");
    const before = stateOf(gateway);
    const call = (headers: Record<string, string>) =>
      app.request(`${ORIGIN}${path}`, {
        method: route.method,
        headers: { "Content-Type": "application/json", ...headers },
        ...(route.method === "GET" || route.method === "DELETE" ? {} : { body: JSON.stringify(json) }),
      });

    expect((await call({})).status).toBe(401);
    const unknown = { Authorization: "Bearer aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" };
    expect((await call(unknown)).status).toBe(401);
    // A browser's session is worth nothing here, so no other site can make a browser use it.
    const init = { method: route.method, headers: { Origin: ORIGIN } };
    expect((await administrator.send(path, init)).status).toBe(401);
    const needsWrite = route.access.kind === "token" && route.access.scope === "write";
    if (needsWrite) expect((await call({ Authorization: `Bearer ${read}` })).status).toBe(403);
    expect(stateOf(gateway)).toBe(before);

    const right = await call({ Authorization: `Bearer ${needsWrite ? write : read}` });
    expect([200, 201, 204]).toContain(right.status);
    if (isUnsafe(route)) expect(stateOf(gateway)).not.toBe(before);
    else expect(stateOf(gateway)).toBe(before);
  });
});

describe("routes that are open to guests", () => {
  test("are these and no others", () => {
    expect(open.map(nameOf).toSorted()).toEqual(
      [
        "GET /api/v1/openapi.json",
        "GET /assets/:name",
        "GET /login",
        "GET /setup",
        "GET /smtp-password",
        "GET /smtp-password/:token",
        "GET /smtp-password/challenge",
        "GET /smtp-password/done",
        "GET /smtp-password/sent",
        "GET /unlock/:token",
        "POST /login",
        "POST /password-strength",
        "POST /setup",
        "POST /smtp-password",
        "POST /smtp-password/:token",
        "POST /smtp-password/:token/strength",
        "POST /theme",
        "POST /unlock/:token",
      ].toSorted(),
    );
  });

  test.each(named(open))("%s changes nothing for somebody who knows no secret", async (_name, route) => {
    const gateway = await sampleGateway();
    const app = createConsole(gateway.services);
    const guest = guestBrowser(app);
    const before = stateOf(gateway);
    const path = route.path.replace(":token", "A".repeat(43)).replace(":name", "nothing.css");
    const form = {
      login: "admin@example.test",
      password: "a wrong guess",
      code: "AAAA-BBBB-CCCC",
      again: "a wrong guess",
      new: "a wrong guess",
      address: "carol@example.test",
    };
    const response = await (route.method === "GET" ? guest.get(path) : guest.post(path, form));
    expect(response.status).toBeLessThan(500);
    expect(stateOf(gateway)).toBe(before);
  });
});
