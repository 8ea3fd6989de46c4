// Every route as guest, wrong role, right role; and that a refused request changed nothing.
import { describe, expect, test } from "bun:test";
import { Hono } from "hono";
import type { ConsoleEnv } from "../../src/console/console-env.ts";
import { CONSOLE_ROUTES, createConsole } from "../../src/console/create-console.ts";
import { forRoles, mountRoutes, type Role, type Route } from "../../src/console/route.ts";
import { apiToken, browserOf, guestBrowser, ORIGIN } from "./console-browser.ts";
import { type FakeGateway, fakeGateway, stateOf } from "./fake-services.ts";

const ROLES: readonly Role[] = ["administrator", "domain-administrator", "user"];
const pages = CONSOLE_ROUTES.filter((route) => route.access.kind === "roles");
const api = CONSOLE_ROUTES.filter((route) => route.access.kind === "token");

/** The path with real ids of the sample data, so that a passed door would really change something. */
async function pathOf(route: Route, gateway: FakeGateway): Promise<string> {
  const { quarantine, queue } = gateway.services;
  const [item] = await quarantine.list({ limit: 1, state: "kept" });
  const [entry] = await queue.list({ limit: 1, offset: 0 });
  const id = route.path.includes("/queue/") ? (entry?.messageId ?? "") : (item?.id ?? "");
  const messageId = item?.messageId ?? "";
  const keys = {
    domains: "example.test",
    senders: "carol%40example.test",
    rules: "no-ads",
    listeners: "mx",
    hooks: "clamd",
  };
  const key = route.path.endsWith("/reset")
    ? "subject-marks"
    : (Object.entries(keys).find(([noun]) => route.path.includes(`/${noun}`))?.[1] ?? "x");
  return route.path
    .replace("/messages/:id", `/messages/${messageId}`)
    .replace(":id", id)
    .replace(":key", key)
    .replace(":name", "test-read");
}

const FORM = { confirmed: "yes", mode: "off", name: "x", action: "release", theme: "dark" };

function request(route: Route, path: string, browser: ReturnType<typeof guestBrowser>): Promise<Response> {
  return route.method === "GET" ? browser.get(path) : browser.post(path, FORM);
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
    const declared = new Set(CONSOLE_ROUTES.map((route) => `${route.method} ${route.path}`));
    const served = app.routes
      .filter((route) => route.method !== "ALL")
      .map((route) => `${route.method} ${route.path}`);
    expect(served.filter((name) => !declared.has(name))).toEqual([]);
    expect(served.length).toBeGreaterThan(90);
  });
});

describe("pages", () => {
  test.each(pages.map((route) => [`${route.method} ${route.path}`, route] as const))(
    "%s",
    async (_name, route) => {
      const gateway = await fakeGateway();
      apiToken(gateway, "read");
      const app = createConsole(gateway.services);
      const path = await pathOf(route, gateway);
      const before = stateOf(gateway);
      const guest = await request(route, path, guestBrowser(app));
      expect(guest.status).toBe(route.method === "GET" ? 303 : 401);
      if (route.method === "GET") expect(guest.headers.get("Location")).toStartWith("/login");
      expect(stateOf(gateway)).toBe(before);

      const allowed = route.access.kind === "roles" ? route.access.roles : [];
      for (const role of ROLES.filter((one) => !allowed.includes(one))) {
        const browser = browserOf(app, gateway, role);
        const withSession = stateOf(gateway);
        const response = await request(route, path, browser);
        expect(response.status).toBe(403);
        expect(stateOf(gateway)).toBe(withSession);
      }
      const right = await request(route, path, browserOf(app, gateway, "administrator"));
      expect([200, 303, 422]).toContain(right.status);
      expect(right.headers.get("Location") ?? "").not.toContain("/login?");
    },
  );
});

describe("API", () => {
  test.each(api.map((route) => [`${route.method} ${route.path}`, route] as const))(
    "%s",
    async (_name, route) => {
      const gateway = await fakeGateway();
      const app = createConsole(gateway.services);
      const path = await pathOf(route, gateway);
      const read = apiToken(gateway, "read");
      const write = apiToken(gateway, "write");
      const before = stateOf(gateway);
      const call = (headers: Record<string, string>) =>
        app.request(`${ORIGIN}${path}`, {
          method: route.method,
          headers: { "Content-Type": "application/json", ...headers },
          ...(route.method === "GET" || route.method === "DELETE" ? {} : { body: "{}" }),
        });

      expect((await call({})).status).toBe(401);
      expect(
        (await call({ Authorization: "Bearer aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" })).status,
      ).toBe(401);
      // A browser's session is worth nothing here, so no other site can make a browser use it.
      const browser = browserOf(app, gateway, "administrator");
      const withSession = stateOf(gateway);
      expect((await browser.send(path, { method: route.method, headers: { Origin: ORIGIN } })).status).toBe(
        401,
      );
      const needsWrite = route.access.kind === "token" && route.access.scope === "write";
      if (needsWrite) expect((await call({ Authorization: `Bearer ${read}` })).status).toBe(403);
      expect(stateOf(gateway)).toBe(withSession);
      expect(before.length).toBeGreaterThan(0);

      const right = await call({ Authorization: `Bearer ${needsWrite ? write : read}` });
      expect([200, 204, 404, 422]).toContain(right.status);
    },
  );
});

describe("a domain administrator", () => {
  test("neither sees nor touches mail of other domains", async () => {
    const gateway = await fakeGateway();
    const app = createConsole(gateway.services);
    const keeper = browserOf(app, gateway, "domain-administrator");
    const before = stateOf(gateway);
    const [item] = await gateway.services.quarantine.list({ limit: 1, state: "kept" });
    const id = item?.id ?? "";
    expect((await keeper.get(`/quarantine/${id}`)).status).toBe(404);
    expect((await keeper.get(`/quarantine/${id}/html`)).status).toBe(404);
    expect((await keeper.post(`/quarantine/${id}/release`)).status).toBe(404);
    expect((await keeper.post(`/quarantine/${id}/delete`)).status).toBe(404);
    await keeper.post("/quarantine/bulk", { action: "release", id });
    await keeper.post("/quarantine/bulk", { action: "delete", confirmed: "yes", id });
    expect(await (await keeper.get("/quarantine?domain=example.test")).text()).not.toContain(id);
    expect(stateOf(gateway)).toBe(before);
  });
});
