// The HTML document around every page: head, navigation, notices, footer. Two frames: the console, and the plain one before log-in.
import { getCookie } from "hono/cookie";
import type { Child } from "hono/jsx";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import type { ConsoleContext } from "../console-env.ts";
import { alarmsBesideListeners } from "../services.ts";
import { isZone } from "../words/time.ts";
import { Navigation, type PageName } from "./navigation.tsx";
import { type Flash, Notice, takeNotice } from "./notice.tsx";
import { THEME_COOKIE, type Theme, ThemeSwitch, themeOf } from "./theme-switch.tsx";
import { ViewContext } from "./view-context.tsx";

/** Set by the browser's script; the server then writes every time in this zone. */
const ZONE_COOKIE = "gatepost-zone";

/** The reader's time zone. */
export function zoneOf(c: ConsoleContext): string {
  const zone = getCookie(c, ZONE_COOKIE) ?? "UTC";
  return isZone(zone) ? zone : "UTC";
}

function Head({ c, title }: { readonly c: ConsoleContext; readonly title: string }) {
  const assets = c.get("assets");
  return (
    <head>
      <meta charset="utf-8" />
      <meta name="viewport" content="width=device-width, initial-scale=1" />
      <meta name="color-scheme" content="light dark" />
      <meta name="robots" content="noindex" />
      <meta
        name="htmx-config"
        content='{"includeIndicatorCSS":false,"defaultTimeout":20000,"morphIgnore":["data-htmx-powered","open"]}'
      />
      <title>{`${title} · Gatepost`}</title>
      <link rel="icon" type="image/svg+xml" href={assets.mark.path} />
      <link rel="stylesheet" href={assets.stylesheet.path} />
      <script src={assets.htmx.path} defer />
      <script src={assets.client.path} defer />
    </head>
  );
}

interface Page {
  readonly title: string;
  readonly status?: ContentfulStatusCode;
}

async function send(c: ConsoleContext, page: Page, body: Child): Promise<Response> {
  const theme: Theme = themeOf(getCookie(c, THEME_COOKIE));
  const view = {
    zone: zoneOf(c),
    nowMs: c.get("services").clock.now(),
    administrator: c.get("signedIn")?.account.role === "administrator",
  };
  const document = (
    <html lang="en" data-theme={theme === "auto" ? undefined : theme}>
      <Head c={c} title={page.title} />
      <body>
        <div class="progress" id="progress" aria-hidden="true" />
        <ViewContext.Provider value={view}>{body}</ViewContext.Provider>
      </body>
    </html>
  );
  const markup = await document.toString();
  return c.html(`<!DOCTYPE html>${markup}`, page.status ?? 200);
}

function Notices({ flash }: { readonly flash: Flash | null }) {
  return <div id="notices">{flash !== null && <Notice tone={flash.tone}>{flash.text}</Notice>}</div>;
}

/** A page of the console for somebody who is logged in. */
export function consolePage(
  c: ConsoleContext,
  page: Page & { readonly nav: PageName },
  content: Child,
): Promise<Response> {
  const services = c.get("services");
  const signedIn = c.get("signedIn");
  if (signedIn === null) throw new Error(`page "${page.title}" needs an account`);
  const theme = themeOf(getCookie(c, THEME_COOKIE));
  const here = new URL(c.req.url);
  return send(
    c,
    page,
    <div class="shell">
      <a class="skip-link" href="#content">
        Skip to content
      </a>
      <Navigation
        current={page.nav}
        account={signedIn.account}
        mark={c.get("assets").mark.path}
        alarms={
          alarmsBesideListeners(services).length +
          services.listeners().filter((one) => one.state === "failed").length
        }
      >
        <ThemeSwitch theme={theme} here={c.req.method === "GET" ? here.pathname + here.search : "/"} />
      </Navigation>
      <main id="content" tabindex={-1}>
        <Notices flash={takeNotice(c)} />
        {content}
        <footer class="page-footer">
          <span>
            Gatepost {services.version} on {services.hostname}
          </span>
          <span>Times in {zoneOf(c)}</span>
        </footer>
      </main>
    </div>,
  );
}

/** A page before log-in: a single card in the middle. */
export function plainPage(c: ConsoleContext, page: Page, content: Child): Promise<Response> {
  return send(
    c,
    page,
    <main class="plain" id="content">
      <div class="plain-card">
        <div class="brand">
          <img src={c.get("assets").mark.path} width={36} height={36} alt="" />
          <div>
            <span class="brand-name">Gatepost</span>
            <span class="brand-host">{c.get("services").hostname}</span>
          </div>
        </div>
        <Notices flash={takeNotice(c)} />
        {content}
      </div>
    </main>,
  );
}
