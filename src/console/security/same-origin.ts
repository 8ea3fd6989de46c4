// Refuses requests that another web site makes this browser send (CSRF). Every unsafe method of a page passes here first.
import type { MiddlewareHandler } from "hono";
import type { ConsoleEnv } from "../console-env.ts";
import { errorPage } from "../pages/error-page.tsx";
import { loggedPath } from "./logged-path.ts";

/**
 * Why the request must be refused, or null. Browsers send Sec-Fetch-Site and Origin with every unsafe request and pages cannot
 * forge either; a request with neither does not come from a browser in use today and is refused too.
 */
export function crossOriginReason(request: {
  readonly method: string;
  readonly url: string;
  readonly headers: Headers;
}): string | null {
  if (["GET", "HEAD", "OPTIONS"].includes(request.method)) return null;
  const site = request.headers.get("Sec-Fetch-Site");
  if (site !== null && site !== "same-origin")
    return `it was sent by another site (Sec-Fetch-Site: ${site.slice(0, 40)})`;
  const origin = request.headers.get("Origin");
  if (origin !== null && origin !== new URL(request.url).origin)
    return `it was sent from ${origin.slice(0, 120)}`;
  if (site === null && origin === null) return "it carries neither Origin nor Sec-Fetch-Site";
  return null;
}

/** The check as middleware. API routes are exempt: they never look at cookies, only at bearer tokens (T12). */
export function refuseCrossOrigin(): MiddlewareHandler<ConsoleEnv> {
  return async (c, next) => {
    const reason = c.req.path.startsWith("/api/v1/") ? null : crossOriginReason(c.req.raw);
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
