// Requests that other sites make a browser send (CSRF), and the headers that guard every page.
import { describe, expect, test } from "bun:test";
import { CONSOLE_ROUTES, createConsole } from "../../src/console/create-console.ts";
import { realClient } from "../../src/console/security/real-client.ts";
import { crossOriginReason } from "../../src/console/security/same-origin.ts";
import { parseNetwork } from "../../src/message/address.ts";
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
    [
      "our page behind a proxy",
      { Origin: "https://mail.example.test", "Sec-Fetch-Site": "same-origin" },
      true,
    ],
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

describe("what is no form of a page", () => {
  const POST = { method: "POST", headers: { Origin: ORIGIN, "Sec-Fetch-Site": "same-origin" } };
  test.each([
    "application/json",
    "text/plain",
    "text/plain;charset=UTF-8",
    "multipart/form-data; boundary=x",
    "application/x-www-form-urlencoded-not",
    "application/xml",
    "",
  ])("of type %j is 415 on every route and changes nothing", async (type) => {
    const gateway = await fakeGateway();
    const { browser } = administratorAt(gateway);
    const before = stateOf(gateway);
    for (const path of [
      "/queue/retry",
      "/senders/carol%40example.test/remove",
      "/settings/general",
      "/login",
      "/setup",
      "/theme",
    ]) {
      const init = {
        ...POST,
        headers: { ...POST.headers, "Content-Type": type },
        body: "confirmed=yes&scope=write",
      };
      expect([path, (await browser.send(path, init)).status]).toEqual([path, 415]);
    }
    expect(stateOf(gateway)).toBe(before);
  });

  test("a form in any spelling of its type is one, and so is a post without anything", async () => {
    const gateway = await fakeGateway();
    const { browser } = administratorAt(gateway);
    for (const type of [
      "application/x-www-form-urlencoded",
      "Application/X-WWW-Form-Urlencoded; charset=utf-8",
    ]) {
      const headers = { ...POST.headers, "Content-Type": type };
      expect((await browser.send("/theme", { ...POST, headers, body: "theme=dark&back=%2F" })).status).toBe(
        303,
      );
    }
    expect((await browser.send("/queue/retry", POST)).status).toBe(303);
  });
});

describe("a Host that is no host", () => {
  test.each(["[", ":::", "a.test:99999", "%00", "a b", "1.2.3.4.5", "x:y"])(
    "%j is answered with 400",
    async (host) => {
      const gateway = await fakeGateway();
      const app = createConsole(gateway.services);
      for (const path of ["/", "/login", "/api/v1/status", "/assets/x.css", "/unlock/x", "/smtp-password"]) {
        // What the server makes of such a field.
        const request = Object.assign(new Request(`https://x.test${path}`), {});
        Object.defineProperty(request, "url", { value: `https://${host}${path}` });
        expect([path, (await app.fetch(request, { clientIp: "192.0.2.1" })).status]).toEqual([path, 400]);
      }
    },
  );
});

describe("behind a reverse proxy", () => {
  const proxies = ["10.0.0.0/24", "192.0.2.25/32", "2001:db8:9::/64"].map((text) => {
    const parsed = parseNetwork(text);
    if (!parsed.ok) throw new Error(parsed.reason);
    return parsed.value;
  });
  const of = (peer: string, fields: Record<string, string>, known = proxies) =>
    realClient(peer, new Headers(fields), known);

  test.each([
    ["10.0.0.1", { "X-Forwarded-For": "203.0.113.5" }, "203.0.113.5"],
    ["::ffff:10.0.0.1", { "X-Forwarded-For": "203.0.113.5" }, "203.0.113.5"],
    // What the client claimed stands before what the proxy saw.
    ["10.0.0.1", { "X-Forwarded-For": "198.51.100.1, 203.0.113.5" }, "203.0.113.5"],
    ["10.0.0.1", { "X-Forwarded-For": "198.51.100.1, 203.0.113.5, 192.0.2.25" }, "203.0.113.5"],
    ["10.0.0.1", { "X-Forwarded-For": "203.0.113.5:4711" }, "203.0.113.5"],
    ["10.0.0.1", { "X-Forwarded-For": "2001:db8::5" }, "2001:db8::5"],
    ["10.0.0.1", { "X-Forwarded-For": "[2001:db8::5]:4711" }, "2001:db8::5"],
    ["2001:db8:9::1", { "X-Forwarded-For": "::ffff:203.0.113.5" }, "203.0.113.5"],
    ["10.0.0.1", { Forwarded: 'for="[2001:db8::5]:4711";proto=https;by=10.0.0.1' }, "2001:db8::5"],
    ["10.0.0.1", { Forwarded: "for=198.51.100.1, For=203.0.113.5;host=x" }, "203.0.113.5"],
    // One says this and the other that: the client wrote one of them.
    ["10.0.0.1", { "X-Forwarded-For": "203.0.113.5", Forwarded: "for=198.51.100.1" }, "10.0.0.1"],
    ["10.0.0.1", { "X-Forwarded-For": "203.0.113.5", Forwarded: "for=203.0.113.5" }, "203.0.113.5"],
    ["10.0.0.1", { "X-Forwarded-For": "unknown" }, "10.0.0.1"],
    ["10.0.0.1", { "X-Forwarded-For": "203.0.113.5, nonsense" }, "10.0.0.1"],
    ["10.0.0.1", { "X-Forwarded-For": "203.0.113.5, nonsense, 192.0.2.25" }, "192.0.2.25"],
    ["10.0.0.1", { "X-Forwarded-For": "" }, "10.0.0.1"],
    ["10.0.0.1", {}, "10.0.0.1"],
    // Whoever is no proxy of ours says what it likes.
    ["203.0.113.9", { "X-Forwarded-For": "127.0.0.1", Forwarded: "for=127.0.0.1" }, "203.0.113.9"],
  ] as const)("%s with %j is %s", (peer, fields, client) => {
    expect(of(peer, fields)).toBe(client);
    expect(of(peer, fields, [])).toBe(peer.replace("::ffff:", ""));
  });

  test("a form sent from the address people use is taken whatever Host the proxy sends; of others it is not", async () => {
    const gateway = await fakeGateway();
    const services = { ...gateway.services, consoleUrl: () => "https://mail.example.test/gate" };
    const app = createConsole(services);
    const post = async (headers: Record<string, string>) =>
      (
        await app.request("https://127.0.0.1:8443/login", {
          method: "POST",
          headers: { "Content-Type": "application/x-www-form-urlencoded", ...headers },
          body: "login=a%40example.test&password=b",
        })
      ).status;
    expect(await post({ Origin: "https://mail.example.test" })).toBe(401);
    expect(await post({ Origin: "https://mail.example.test:9443", "Sec-Fetch-Site": "same-origin" })).toBe(
      401,
    );
    expect(await post({ Origin: "https://mail.example.test", "Sec-Fetch-Site": "cross-site" })).toBe(403);
    expect(await post({ Origin: "https://mail.example.test.evil.example.org" })).toBe(403);
    expect(await post({ Origin: "http://mail.example.test" })).toBe(403);
    expect(await post({ Origin: EVIL, "X-Forwarded-Host": "evil.example.org" })).toBe(403);
    expect(await post({ Origin: "null" })).toBe(403);
  });
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
