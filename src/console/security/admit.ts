// The door of every route: who may pass, decided from the route's declared access before its handler or its body is looked at.
import type { MiddlewareHandler } from "hono";
import { problem } from "../api/problem.ts";
import type { ConsoleContext, ConsoleEnv } from "../console-env.ts";
import { errorPage } from "../pages/error-page.tsx";
import type { Access, TokenScope } from "../route.ts";
import { readBody } from "./read-body.ts";
import { hashToken } from "./sessions.ts";

/** Refuses whoever may not use the route, then reads the body, bounded. */
export function admit(access: Access): MiddlewareHandler<ConsoleEnv> {
  return async (c, next) => {
    const refusal = (await refuse(c, access)) ?? (await readBody(c));
    if (refusal === null) await next();
    return refusal ?? undefined;
  };
}

async function refuse(c: ConsoleContext, access: Access): Promise<Response | null> {
  switch (access.kind) {
    case "public":
      return null;
    case "roles": {
      const signedIn = c.get("signedIn");
      if (signedIn === null) return askToLogIn(c);
      if (access.roles.includes(signedIn.account.role)) return null;
      return errorPage(
        c,
        403,
        "Your account may not open this page",
        "Ask an administrator to do it for you.",
      );
    }
    case "token":
      return refuseToken(c, access.scope);
  }
}

function askToLogIn(c: ConsoleContext): Response | Promise<Response> {
  if (c.req.method !== "GET") {
    if (c.req.header("HX-Request") === "true") {
      c.header("HX-Redirect", "/login");
    }
    return errorPage(c, 401, "You are not logged in", "Your session has ended. Log in, then try again.");
  }
  const url = new URL(c.req.url);
  const back = `/login?next=${encodeURIComponent(url.pathname + url.search)}`;
  if (c.req.header("HX-Request") === "true") {
    c.header("HX-Redirect", "/login");
    return c.body(null, 401);
  }
  return c.redirect(url.pathname === "/" ? "/login" : back, 303);
}

async function refuseToken(c: ConsoleContext, scope: TokenScope): Promise<Response | null> {
  const header = c.req.header("Authorization") ?? "";
  const token = /^Bearer ([A-Za-z0-9_-]{20,100})$/i.exec(header)?.[1];
  if (token === undefined) {
    c.header("WWW-Authenticate", 'Bearer realm="gatepost"');
    const detail =
      "Send an API token in the header Authorization: Bearer TOKEN. Make one in the console under API tokens.";
    return problem(c, { status: 401, title: "No API token was sent", detail });
  }
  const hash = hashToken(token);
  const known = await c.get("services").accounts.token(hash);
  if (known === null) {
    c.header("WWW-Authenticate", 'Bearer realm="gatepost", error="invalid_token"');
    const detail =
      "It was removed, its account is no administrator any more, or it is mistyped. Make a new one in the console under API tokens.";
    return problem(c, { status: 401, title: "The API token is not known", detail });
  }
  if (known.expiresAt !== null && known.expiresAt <= c.get("services").clock.now()) {
    c.header("WWW-Authenticate", 'Bearer realm="gatepost", error="invalid_token"');
    const detail = `The time of the token "${known.name}" is over. Make a new one in the console under API tokens.`;
    return problem(c, { status: 401, title: "The API token has ended", detail });
  }
  if (scope === "write" && known.scope !== "write") {
    const detail = `The token "${known.name}" may only read. Use a token with the scope write.`;
    return problem(c, { status: 403, title: "The API token may not write", detail });
  }
  c.set("token", { name: known.name, hash });
  return null;
}
