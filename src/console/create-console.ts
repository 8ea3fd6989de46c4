// The console as one Hono app: pages and JSON API behind the same doors. Makes no socket; `serve-console.ts` does.
import { Hono } from "hono";
import { getCookie } from "hono/cookie";
import { apiRoutes } from "./api/api-routes.ts";
import { problem } from "./api/problem.ts";
import { loadAssets } from "./assets/embedded-assets.ts";
import type { ConsoleContext, ConsoleEnv } from "./console-env.ts";
import { accountRoutes } from "./pages/account-page.tsx";
import { accountsRoutes } from "./pages/accounts-page.tsx";
import { apiPageRoutes } from "./pages/api-page.tsx";
import { assetRoutes } from "./pages/asset-page.ts";
import { auditRoutes } from "./pages/audit-page.tsx";
import { bansRoutes } from "./pages/bans-page.tsx";
import { dkimRoutes } from "./pages/dkim-page.tsx";
import { domainOutgoingRoutes } from "./pages/domain-outgoing-page.tsx";
import { domainRoutes } from "./pages/domains-page.tsx";
import { errorPage } from "./pages/error-page.tsx";
import { hookRoutes } from "./pages/hooks-page.tsx";
import { identitiesRoutes } from "./pages/identities-page.tsx";
import { identityRoutes } from "./pages/identity-page.tsx";
import { listenerRoutes } from "./pages/listeners-page.tsx";
import { loginRoutes } from "./pages/login-page.tsx";
import { messageLogRoutes } from "./pages/message-log-page.tsx";
import { messageRoutes } from "./pages/message-page.tsx";
import { overviewRoutes } from "./pages/overview-page.tsx";
import { quarantineItemRoutes } from "./pages/quarantine-item-page.tsx";
import { quarantineRoutes } from "./pages/quarantine-page.tsx";
import { queueRoutes } from "./pages/queue-page.tsx";
import { relayPasswordRoutes } from "./pages/relay-password-page.tsx";
import { ruleRoutes } from "./pages/rules-page.tsx";
import { senderRoutes } from "./pages/senders-page.tsx";
import { settingsRoutes } from "./pages/settings-page.tsx";
import { setupRoutes } from "./pages/setup-page.tsx";
import { templateRoutes } from "./pages/templates-page.tsx";
import { themeRoutes } from "./pages/theme-page.tsx";
import { tokenRoutes } from "./pages/tokens-page.tsx";
import { unlockRoutes } from "./pages/unlock-page.tsx";
import { LIVE_HEADER } from "./parts/live.ts";
import { mountRoutes, type Route } from "./route.ts";
import { createGatekeeper } from "./security/gatekeeper.ts";
import { loggedPath } from "./security/logged-path.ts";
import { responseHeaders } from "./security/response-headers.ts";
import { refuseCrossOrigin } from "./security/same-origin.ts";
import { SESSION_COOKIE } from "./security/sessions.ts";
import type { ConsoleServices } from "./services.ts";

/** The console's app. `fetch(request, { clientIp })` answers one request. */
export type ConsoleApp = Hono<ConsoleEnv>;

/** Every route of the console with who may call it. */
export const CONSOLE_ROUTES: readonly Route[] = [
  ...assetRoutes,
  ...setupRoutes,
  ...loginRoutes,
  ...relayPasswordRoutes,
  ...themeRoutes,
  ...overviewRoutes,
  ...messageLogRoutes,
  ...messageRoutes,
  ...quarantineRoutes,
  ...quarantineItemRoutes,
  ...queueRoutes,
  ...domainRoutes,
  ...domainOutgoingRoutes,
  ...dkimRoutes,
  ...senderRoutes,
  ...identitiesRoutes,
  ...identityRoutes,
  ...unlockRoutes,
  ...ruleRoutes,
  ...listenerRoutes,
  ...settingsRoutes,
  ...templateRoutes,
  ...hookRoutes,
  ...auditRoutes,
  ...accountsRoutes,
  ...bansRoutes,
  ...tokenRoutes,
  ...accountRoutes,
  ...apiPageRoutes,
  ...apiRoutes,
];

function isApi(c: ConsoleContext): boolean {
  return c.req.path.startsWith("/api/v1/");
}

/** Makes the app. Throws when a route declares no role or an asset is missing. */
export function createConsole(services: ConsoleServices): ConsoleApp {
  const app: ConsoleApp = new Hono<ConsoleEnv>();
  const assets = loadAssets();
  const gatekeeper = createGatekeeper(services);

  app.use(responseHeaders());
  app.use(async (c, next) => {
    // The Host field is part of it: what makes no address cannot be answered with links to it.
    if (!URL.canParse(c.req.url))
      return c.text("The Host of this request is not a host name. Nothing was done.", 400);
    await next();
    return undefined;
  });
  app.use(async (c, next) => {
    c.set("services", services);
    c.set("assets", assets);
    c.set("gatekeeper", gatekeeper);
    c.set("signedIn", null);
    c.set("token", null);
    c.set("body", new Uint8Array());
    c.set("form", new URLSearchParams());
    // The API never looks at cookies: a browser cannot be made to call it in somebody's name.
    const token = isApi(c) || c.req.path.startsWith("/assets/") ? undefined : getCookie(c, SESSION_COOKIE);
    if (token !== undefined) {
      const active = c.req.header(LIVE_HEADER) !== "1";
      c.set("signedIn", await gatekeeper.sessions.find(token, { active }));
    }
    await next();
  });
  app.use(refuseCrossOrigin());
  mountRoutes(app, CONSOLE_ROUTES);

  app.notFound((c) =>
    isApi(c)
      ? problem(c, {
          status: 404,
          title: "No such address",
          detail: "The API is described at /api/v1/openapi.json.",
        })
      : errorPage(c, 404, "There is no such page", "The address is mistyped, or what it showed is gone."),
  );
  app.onError((error, c) => {
    const incident = crypto.randomUUID().slice(0, 8);
    services.log.error({ err: error, path: loggedPath(c.req.path), incident }, "console request failed");
    const words = `Gatepost’s log says what happened, under incident ${incident}. Nothing else is affected; try again.`;
    return isApi(c)
      ? problem(c, { status: 500, title: "Something broke here", detail: words })
      : errorPage(c, 500, "Something broke here", words);
  });
  return app;
}
