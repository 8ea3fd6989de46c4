// The security headers of every console answer. The message viewer's frame brings its own Content-Security-Policy (T13).
import type { MiddlewareHandler } from "hono";
import type { ConsoleEnv } from "../console-env.ts";

/** No inline script or style anywhere: a subject or a name that got through as markup could still do nothing. */
const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "frame-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** For HTML out of a message: no script, no network, no form, no navigation of the console, an origin of its own. */
export const MESSAGE_POLICY = [
  "default-src 'none'",
  "style-src 'unsafe-inline'",
  "img-src data:",
  "form-action 'none'",
  "base-uri 'none'",
  "frame-ancestors 'self'",
  "sandbox",
].join("; ");

/**
 * Sets the headers a handler did not set itself. No Strict-Transport-Security: the first certificate is self-signed, and a
 * browser that had seen HSTS could then not be let in to the very page on which the certificate is replaced.
 */
export function responseHeaders(): MiddlewareHandler<ConsoleEnv> {
  return async (c, next) => {
    await next();
    const headers = c.res.headers;
    if (!headers.has("Content-Security-Policy")) headers.set("Content-Security-Policy", PAGE_POLICY);
    if (!headers.has("Cache-Control")) headers.set("Cache-Control", "no-store");
    headers.set("X-Content-Type-Options", "nosniff");
    headers.set(
      "X-Frame-Options",
      headers.get("Content-Security-Policy") === MESSAGE_POLICY ? "SAMEORIGIN" : "DENY",
    );
    headers.set("Referrer-Policy", "same-origin");
    headers.set("Cross-Origin-Opener-Policy", "same-origin");
    headers.set("Cross-Origin-Resource-Policy", "same-origin");
    headers.set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()");
  };
}
