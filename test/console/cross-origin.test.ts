// Requests that other sites make a browser send (CSRF), and the headers that guard every page.
import { describe, expect, test } from "bun:test";
import { CONSOLE_ROUTES, createConsole } from "../../src/console/create-console.ts";
import { crossOriginReason } from "../../src/console/security/same-origin.ts";
import { administratorAt, browserOf, ORIGIN } from "./console-browser.ts";
import { fakeGateway, stateOf } from "./fake-services.ts";

const EVIL = "https://evil.example.org";

describe("crossOriginReason", () => {
  test.each([
    ["our page", { Origin: ORIGIN, "Sec-Fetch-Site": "same-origin" }, true],
    ["an older browser's page", { Origin: ORIGIN }, true],
    ["our page without Origin", { "Sec-Fetch-Site": "same-origin" }, true],
    ["another site", { Origin: EVIL, "Sec-Fetch-Site": "cross-site" }, false],
    ["another site, Origin alone", { Origin: EVIL }, false],
    ["a sister site", { Origin: "https://www.example.test", "Sec-Fetch-Site": "same-site" }, false],
    [
      "another port of this host",
      { Origin: "https://gate.example.test", "Sec-Fetch-Site": "same-site" },
      false,
    ],
    ["plain HTTP of this host", { Origin: "http://gate.example.test:8443" }, false],
    ["a sandboxed frame", { Origin: "null", "Sec-Fetch-Site": "cross-site" }, false],
    ["a forged Fetch header with a foreign Origin", { Origin: EVIL, "Sec-Fetch-Site": "same-origin" }, false],
    ["the address bar", { "Sec-Fetch-Site": "none" }, false],
    ["neither header", {}, false],
  ] as const)("%s", (_name, headers, good) => {
    for (const method of ["POST", "PUT", "PATCH", "DELETE"]) {
      const reason = crossOriginReason({
        method,
        url: `${ORIGIN}/queue/retry`,
        headers: new Headers(headers),
      });
      expect(reason === null).toBe(good);
    }
    expect(crossOriginReason({ method: "GET", url: `${ORIGIN}/`, headers: new Headers(headers) })).toBeNull();
  });
});

describe("every unsafe page route refuses other origins", () => {
  const unsafe = CONSOLE_ROUTES.filter((route) => route.method !== "GET" && route.access.kind !== "token");
  test.each(unsafe.map((route) => [`${route.method} ${route.path}`, route] as const))(
    "%s",
    async (_name, route) => {
      const gateway = await fakeGateway();
      const { browser } = administratorAt(gateway);
      const path = route.path.replace(/:\w+/g, "x");
      const before = stateOf(gateway);
      for (const type of ["application/x-www-form-urlencoded", "application/json", "text/plain"]) {
        const headers = { Origin: EVIL, "Sec-Fetch-Site": "cross-site", "Content-Type": type };
        const response = await browser.send(path, { method: route.method, headers, body: "confirmed=yes" });
        expect(response.status).toBe(403);
      }
      expect(stateOf(gateway)).toBe(before);
    },
  );
});

describe("headers", () => {
  test("of a page: a strict policy without exceptions, and no caching", async () => {
    const { browser } = administratorAt(await fakeGateway());
    for (const path of ["/", "/messages", "/rules", "/login", "/no-such-page"]) {
      const { headers } = await browser.get(path);
      const policy = headers.get("Content-Security-Policy") ?? "";
      expect(policy).toContain("default-src 'none'");
      expect(policy).toContain("frame-ancestors 'none'");
      expect(policy).not.toContain("unsafe");
      expect(headers.get("X-Content-Type-Options")).toBe("nosniff");
      expect(headers.get("X-Frame-Options")).toBe("DENY");
      expect(headers.get("Referrer-Policy")).toBe("same-origin");
      expect(headers.get("Cache-Control")).toBe("no-store");
    }
  });

  test("no page has inline script, inline style or an event attribute", async () => {
    const gateway = await fakeGateway();
    const { browser } = administratorAt(gateway);
    const paths = [
      "/",
      "/messages",
      "/quarantine",
      "/queue",
      "/rules/new",
      "/domains/example.test/edit",
      "/account",
    ];
    for (const path of paths) {
      const markup = await (await browser.get(path)).text();
      expect(markup).not.toMatch(/<script(?![^>]*\bsrc=)/);
      expect(markup).not.toMatch(/<style/);
      expect(markup).not.toMatch(/<[^>]+\s(?:style|on[a-z]+)=/);
    }
  });

  test("of HTML out of a message: locked in a sandbox, framed by the console alone", async () => {
    const gateway = await fakeGateway();
    const { browser } = administratorAt(gateway);
    const [item] = await gateway.services.quarantine.list({ limit: 1, state: "kept" });
    const { headers } = await browser.get(`/quarantine/${item?.id}/html`);
    expect(headers.get("Content-Security-Policy")).toBe(
      "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'self'; sandbox",
    );
    expect(headers.get("X-Frame-Options")).toBe("SAMEORIGIN");
    const page = await (await browser.get(`/quarantine/${item?.id}`)).text();
    expect(page).toMatch(/<iframe[^>]* sandbox=""/);
  });

  test("of an asset: kept for good under an address that carries its hash", async () => {
    const gateway = await fakeGateway();
    const { browser } = administratorAt(gateway);
    const markup = await (await browser.get("/")).text();
    const paths = [...markup.matchAll(/\/assets\/[a-z]+-[0-9a-f]{12}\.(?:css|js|svg)/g)].map(
      ([path]) => path,
    );
    expect(new Set(paths).size).toBe(4);
    for (const path of paths) {
      const response = await browser.get(path);
      expect(response.status).toBe(200);
      expect(response.headers.get("Cache-Control")).toBe("public, max-age=31536000, immutable");
    }
    const sheet = await (await browser.get(paths.find((path) => path.endsWith(".css")) ?? "")).text();
    const font = /\/assets\/inter-[0-9a-f]{12}\.woff2/.exec(sheet)?.[0] ?? "";
    expect((await browser.get(font)).headers.get("Content-Type")).toBe("font/woff2");
    expect((await browser.get("/assets/console-000000000000.css")).status).toBe(404);
  });
});

test("the session cookie is bound to the host, unreadable for scripts and not sent along by other sites", async () => {
  const gateway = await fakeGateway();
  const app = createConsole(gateway.services);
  const browser = browserOf(app, gateway, "user");
  const response = await browser.post("/logout");
  expect(response.headers.get("Set-Cookie")).toContain("__Host-gatepost-session=; Max-Age=0; Path=/; Secure");
  expect(gateway.sessions.size).toBe(0);
});
