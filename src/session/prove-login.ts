// Is this the password of this login? Asks where the sender's password is kept: our hash, or the domain's own mail server. An unknown
// login takes the same way and time as a known one.
import type { MailServerAnswer } from "../hooks/mail-server-login.ts";
import { addressKey, type Domain, domainKey } from "../message/address.ts";
import { durationMs } from "../policy/duration.ts";
import type { DomainSettings, SenderSettings } from "../policy/schema.ts";
import type { PolicySnapshot } from "../policy/snapshot.ts";
import { passwordServerAddress } from "../policy/still-asked.ts";
import type { SessionServices } from "./services.ts";

/** `later`: nothing can be said now, which is nobody's failure; the cause is for the log. */
export type LoginProof =
  | { readonly result: "right"; readonly sender: SenderSettings; readonly password: string }
  | { readonly result: "wrong"; readonly cause: string }
  | { readonly result: "later"; readonly text: string; readonly cause: string };

export interface GivenPassword {
  readonly login: string;
  readonly password: string;
  /** The client's address. */
  readonly client: string;
}

const TOO_MANY = {
  result: "later",
  text: "Too many logins at the moment, try again later",
  cause: "too many passwords wait to be checked",
} as const;

/** Whether there is such a login, and which password is its own, is not known. */
export const UNREAD = {
  result: "later",
  text: "This gateway's settings are being mended, please try again later",
  cause: "the stored setting of the login, or of its domain, cannot be read by this version",
} as const;

/** The domain a login belongs to by its name: `alice@example.test` and `example.test` → `example.test`. */
export function domainOfLogin(snapshot: PolicySnapshot, login: string): DomainSettings | null {
  // A name that is no domain is in no policy either.
  return snapshot.domain(domainKey(login.slice(login.lastIndexOf("@") + 1)) as Domain);
}

/** Who may log in under this name: a user or domain sender that is switched on. */
export function loginSender(snapshot: PolicySnapshot, login: string): SenderSettings | null {
  const sender = snapshot.userSender(login);
  return sender !== null && sender.kind !== "ip" && sender.enabled ? sender : null;
}

/** Proves a password. */
export async function proveLogin(given: GivenPassword, services: SessionServices): Promise<LoginProof> {
  const snapshot = services.snapshot();
  const sender = loginSender(snapshot, given.login);
  if (sender?.verify === "mail-server") return askMailServer(sender, given, services);
  if (sender === null && snapshot.isUnreadLogin(given.login)) return UNREAD;
  if (sender === null) return refuseUnknown(given, services);
  return checkHash(sender, given, services);
}

async function checkHash(
  sender: SenderSettings | null,
  { login, password, client }: GivenPassword,
  services: SessionServices,
): Promise<LoginProof> {
  const hash = sender?.password_hash ?? null;
  const result = await services.passwords.check({ login: addressKey(login), password, hash, client });
  if (result === "busy") return TOO_MANY;
  if (result === "ok" && sender !== null) return { result: "right", sender, password };
  return { result: "wrong", cause: sender === null ? "no such login" : "wrong password" };
}

/** As long as the domain's mail server takes to refuse, where that server is asked for the logins there are. */
async function refuseUnknown(given: GivenPassword, services: SessionServices): Promise<LoginProof> {
  const server = domainOfLogin(services.snapshot(), given.login)?.outgoing.password_server ?? null;
  if (server === null) return checkHash(null, given, services);
  const delayMs = services.mailServerLogin.usualRefusalMs(passwordServerAddress(server), given.password);
  await new Promise<void>((resolve) => services.clock.after(delayMs, resolve));
  return { result: "wrong", cause: "no such login" };
}

async function askMailServer(
  sender: SenderSettings,
  { login, password, client }: GivenPassword,
  services: SessionServices,
): Promise<LoginProof> {
  const server = services.snapshot().domain(sender.domain)?.outgoing.password_server ?? null;
  if (server === null) {
    const cause = `domain ${sender.domain} has no outgoing.password_server, which verify = "mail-server" needs`;
    return { result: "later", text: "Logins cannot be checked now, try again later", cause };
  }
  const answer: MailServerAnswer = await services.mailServerLogin.check({
    server: passwordServerAddress(server),
    cacheMs: durationMs(server.cache),
    login: sender.login ?? login,
    password,
    client,
  });
  switch (answer.result) {
    case "right":
      return { result: "right", sender, password };
    case "wrong":
      return { result: "wrong", cause: `wrong password, says ${server.protocol} server ${server.host}` };
    case "busy":
      return TOO_MANY;
    case "unavailable": {
      const cause = `${server.protocol} server ${server.host}: ${answer.words}`;
      return { result: "later", text: "Your login cannot be checked now, try again later", cause };
    }
  }
}
