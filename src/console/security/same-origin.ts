// Refuses requests that another web site makes this browser send (CSRF). Every unsafe method of a page passes here first.
import type { MiddlewareHandler } from "hono";
import type { ConsoleContext, ConsoleEnv } from "../console-env.ts";
import { errorPage } from "../pages/error-page.tsx";
import { loggedPath } from "./logged-path.ts";

/**
 * Why the request must be refused, or null. Browsers send Sec-Fetch-Site and Origin with every unsafe request and pages cannot
 * forge either; a request with neither does not come from a browser in use today and is refused too. What Sec-Fetch-Site says is the
 * browser's own comparison and holds whatever a reverse proxy made of the host; Origin alone must be the address of this request, or
 * one of `origins`.
 */
export function crossOriginReason(request: {
  readonly method: string;
  readonly url: string;
  readonly headers: Headers;
  /** Further addresses the console is reached at. */
  readonly origins?: readonly string[];
}): string | null {
  if (["GET", "HEAD", "OPTIONS"].includes(request.method)) return null;
  const site = request.headers.get("Sec-Fetch-Site");
  if (site === "same-origin") return null;
  if (site !== null) return `it was sent by another site (Sec-Fetch-Site: ${site.slice(0, 40)})`;
  const origin = request.headers.get("Origin");
  if (origin === null) return "it carries neither Origin nor Sec-Fetch-Site";
  const own = [new URL(request.url).origin, ...(request.origins ?? [])];
  return own.includes(origin) ? null : `it was sent from ${origin.slice(0, 120)}`;
}

/** The request with the addresses it may have been sent from: as people reach the console. */
function requestOf(c: ConsoleContext): Parameters<typeof crossOriginReason>[0] {
  const { method, url, headers } = c.req.raw;
  const address = c.get("services").consoleUrl();
  return { method, url, headers, origins: URL.canParse(address) ? [new URL(address).origin] : [] };
}

/** The check as middleware. API routes are exempt: they never look at cookies, only at bearer tokens (T12). */
export function refuseCrossOrigin(): MiddlewareHandler<ConsoleEnv> {
  return async (c, next) => {
    const reason = c.req.path.startsWith("/api/v1/") ? null : crossOriginReason(requestOf(c));
    if (reason !== null) {
      c.get("services").log.warn(
        { path: loggedPath(c.req.path), reason },
        "console request from another origin refused",
      );
      return errorPage(
        c,
        403,
        "This request was refused",
        `It did not come from this console: ${reason}. Nothing was changed.`,
      );
    }
    await next();
    return undefined;
  };
}
