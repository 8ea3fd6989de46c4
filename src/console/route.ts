// Routes as values: every route declares who may call it. Mounting refuses a route that does not.
import type { Hono } from "hono";
import type { Account } from "../store/accounts.ts";
import type { ConsoleContext, ConsoleEnv } from "./console-env.ts";
import { admit } from "./security/admit.ts";

export type Role = Account["role"];
export type TokenScope = "read" | "write";

/** Who may call a route. `public` says why it may be open. */
export type Access =
  | { readonly kind: "public"; readonly why: string }
  | { readonly kind: "roles"; readonly roles: readonly Role[] }
  | { readonly kind: "token"; readonly scope: TokenScope };

export type Method = "GET" | "POST" | "PUT" | "DELETE";
export type RouteAnswer = (c: ConsoleContext) => Response | Promise<Response>;

export interface Route {
  readonly method: Method;
  readonly path: string;
  readonly access: Access;
  readonly handle: RouteAnswer;
}

export interface RouteMaker {
  get(path: string, handle: RouteAnswer): Route;
  post(path: string, handle: RouteAnswer): Route;
  put(path: string, handle: RouteAnswer): Route;
  delete(path: string, handle: RouteAnswer): Route;
}

function routesWith(access: Access): RouteMaker {
  const make = (method: Method) => (path: string, handle: RouteAnswer) => ({ method, path, access, handle });
  return { get: make("GET"), post: make("POST"), put: make("PUT"), delete: make("DELETE") };
}

/** Routes for signed-in people of these roles. */
export function forRoles(...roles: readonly Role[]): RouteMaker {
  return routesWith({ kind: "roles", roles });
}

/** Routes for everybody, with the reason why. */
export function forEveryone(why: string): RouteMaker {
  return routesWith({ kind: "public", why });
}

/** JSON API routes for bearer tokens of this scope; `write` includes `read`. */
export function forToken(scope: TokenScope): RouteMaker {
  return routesWith({ kind: "token", scope });
}

/** Routes of the administrator. */
export const forAdministrator: RouteMaker = forRoles("administrator");
/** Routes of everybody who signed in. */
export const forAccounts: RouteMaker = forRoles("administrator", "domain-administrator", "user");

function accessProblem(route: { readonly access?: Access }): string | null {
  const access = route.access;
  if (access === undefined || access === null) return "declares no role";
  if (access.kind === "roles" && access.roles.length === 0) return "declares an empty list of roles";
  if (access.kind === "public" && access.why === "") return "is public without a reason";
  return null;
}

/** Mounts the routes behind their access check. Throws at start for a route without a declared role, or declared twice. */
export function mountRoutes(app: Hono<ConsoleEnv>, routes: readonly Route[]): void {
  const seen = new Set<string>();
  for (const route of routes) {
    const name = `${route.method} ${route.path}`;
    const problem = accessProblem(route);
    if (problem !== null) throw new Error(`console route ${name} ${problem}; declare who may call it`);
    if (seen.has(name)) throw new Error(`console route ${name} is declared twice`);
    seen.add(name);
    app.on(route.method, route.path, admit(route.access), (c) => route.handle(c));
  }
}
