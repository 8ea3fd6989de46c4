// A browser for tests: keeps cookies, sends what browsers send, follows nothing by itself.
import { type ConsoleApp, createConsole } from "../../src/console/create-console.ts";
import type { Role } from "../../src/console/route.ts";
import { hashToken, newToken, SESSION_COOKIE } from "../../src/console/security/sessions.ts";
import type { FakeGateway } from "./fake-services.ts";

export const ORIGIN = "https://gate.example.test:8443";

export interface TestBrowser {
  readonly cookies: Map<string, string>;
  get(path: string, headers?: Record<string, string>): Promise<Response>;
  /** A form post as a page of the console sends it. */
  post(
    path: string,
    form?: Record<string, string | readonly string[]>,
    headers?: Record<string, string>,
  ): Promise<Response>;
  send(path: string, init: RequestInit): Promise<Response>;
}

/** A browser of a guest. `clientIp` tells clients apart. */
export function guestBrowser(app: ConsoleApp, clientIp = "192.0.2.10"): TestBrowser {
  const cookies = new Map<string, string>();
  const send = async (path: string, init: RequestInit): Promise<Response> => {
    const headers = new Headers(init.headers);
    if (cookies.size > 0)
      headers.set("Cookie", [...cookies].map(([name, value]) => `${name}=${value}`).join("; "));
    const response = await app.request(`${ORIGIN}${path}`, { ...init, headers }, { clientIp });
    for (const line of response.headers.getSetCookie()) {
      const [pair = "", ...attributes] = line.split("; ");
      const name = pair.slice(0, pair.indexOf("="));
      if (attributes.includes("Max-Age=0")) cookies.delete(name);
      else cookies.set(name, pair.slice(name.length + 1));
    }
    return response;
  };
  return {
    cookies,
    send,
    get: (path, headers = {}) => send(path, { headers }),
    post: (path, form = {}, headers = {}) => {
      const body = new URLSearchParams();
      for (const [name, value] of Object.entries(form))
        for (const one of [value].flat()) body.append(name, one);
      return send(path, {
        method: "POST",
        body,
        headers: { Origin: ORIGIN, "Sec-Fetch-Site": "same-origin", ...headers },
      });
    },
  };
}

const ACCOUNTS: Readonly<Record<Role, string>> = {
  administrator: "account-1",
  "domain-administrator": "account-2",
  user: "account-3",
};

/** A browser of somebody who is logged in. */
export function browserOf(app: ConsoleApp, gateway: FakeGateway, role: Role): TestBrowser {
  const browser = guestBrowser(app);
  const token = newToken();
  gateway.sessions.set(hashToken(token), {
    accountId: ACCOUNTS[role],
    expiresAt: gateway.clock.now() + 3_600_000,
  });
  browser.cookies.set(SESSION_COOKIE, token);
  return browser;
}

/** The console over a gateway, and an administrator at it. */
export function administratorAt(gateway: FakeGateway): {
  readonly app: ConsoleApp;
  readonly browser: TestBrowser;
} {
  const app = createConsole(gateway.services);
  return { app, browser: browserOf(app, gateway, "administrator") };
}

/** Makes an API token and returns it. */
export function apiToken(gateway: FakeGateway, scope: "read" | "write"): string {
  const token = newToken();
  gateway.tokens.set(hashToken(token), {
    name: `test-${scope}`,
    scope,
    createdBy: "admin@example.test",
    createdAt: 0,
    accountId: "account-1",
    expiresAt: null,
  });
  return token;
}
