// Who did it: the actor of a change, and the audit entries of what is not a setting.
import type { Actor } from "../policy/settings.ts";
import { type ConsoleContext, clientIp } from "./console-env.ts";

/** The actor of this request: a person in the console, or an API token. */
export function actorOf(c: ConsoleContext): Actor {
  const ip = clientIp(c) === "" ? null : clientIp(c);
  const { accounts, clock } = c.get("services");
  const token = c.get("token");
  if (token !== null) {
    const mayStill = async (): Promise<boolean> => {
      const now = await accounts.token(token.hash);
      return now?.scope === "write" && (now.expiresAt === null || now.expiresAt > clock.now());
    };
    return { name: `api token ${token.name}`, via: "api", ip, mayStill };
  }
  const signedIn = c.get("signedIn");
  if (signedIn === null) return { name: "guest", via: "console", ip, domains: [] };
  const { account, tokenHash } = signedIn;
  // A session ends with its account, with the account's rights, and with its password.
  const mayStill = async (): Promise<boolean> => (await accounts.session(tokenHash, clock.now())) !== null;
  const actor: Actor = { name: account.login, via: "console", ip, mayStill };
  // Whoever is no administrator changes only what an operator left open.
  return account.role === "administrator" ? actor : { ...actor, domains: account.domains };
}

/** Writes down that somebody could not log in by that name. */
export async function auditFailedLogIn(
  c: ConsoleContext,
  login: string,
  options: { readonly isAccount: boolean },
): Promise<void> {
  const { via, ip } = actorOf(c);
  const { accounts, clock } = c.get("services");
  const entry = { at: clock.now(), actor: login === "" ? "guest" : login, via, ip, detail: "" };
  await accounts.auditFailedLogIn({ ...entry, action: "log-in failed", subject: login }, options);
}

/** Writes an audit entry for the request's actor. `actor` names somebody who is not logged in yet. */
export async function audit(
  c: ConsoleContext,
  entry: {
    readonly action: string;
    readonly subject: string;
    readonly detail?: string;
    readonly actor?: string;
  },
): Promise<void> {
  const actor = actorOf(c);
  const services = c.get("services");
  await services.accounts.audit({
    at: services.clock.now(),
    actor: entry.actor ?? actor.name,
    via: actor.via,
    ip: actor.ip,
    action: entry.action,
    subject: entry.subject,
    detail: entry.detail ?? "",
  });
}
