// What every console request carries. The middleware in `create-console.ts` fills it in; pages and API only read it.
import type { Context } from "hono";
import type { Account } from "../store/accounts.ts";
import type { ConsoleAssets } from "./assets/embedded-assets.ts";
import type { Gatekeeper } from "./security/gatekeeper.ts";
import type { ConsoleServices } from "./services.ts";

export interface SignedIn {
  readonly account: Account;
  /** SHA-256 of the session token, the key under which the session is stored. */
  readonly tokenHash: string;
}

export interface ConsoleVariables {
  services: ConsoleServices;
  assets: ConsoleAssets;
  gatekeeper: Gatekeeper;
  /** The session of the browser, or null for a guest. Never set on API routes. */
  signedIn: SignedIn | null;
  /** The API token, or null. Never set on pages. */
  token: { readonly name: string; readonly hash: string } | null;
  /** The request's body, already bounded in size and time; empty on GET. */
  body: Uint8Array;
  /** The body of a form post; empty on anything else. */
  form: URLSearchParams;
}

export interface ConsoleEnv {
  Bindings: { readonly clientIp?: string };
  Variables: ConsoleVariables;
}

export type ConsoleContext = Context<ConsoleEnv>;

/** The address of the browser or API client; "" when there is no socket (tests). */
export function clientIp(c: ConsoleContext): string {
  return c.env?.clientIp ?? "";
}

/** The account of a route that needs one. Throws when the route was declared public: a bug of ours. */
export function accountOf(c: ConsoleContext): Account {
  const signedIn = c.get("signedIn");
  if (signedIn === null) throw new Error(`${c.req.path} asked for the account on a route open to guests`);
  return signedIn.account;
}
