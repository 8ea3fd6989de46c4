// AUTH PLAIN and LOGIN (RFC 4954, RFC 4616). Knows the exchange; passwords are proven by `password-check.ts`.
import { type Answer, answer, closing } from "./answer.ts";
import { authOffered, tlsOffered } from "./ehlo.ts";
import type { SessionServices } from "./services.ts";
import type { Session } from "./session.ts";

const MAX_FAILED_LOGINS = 5;
const FIRST_DELAY_MS = 100;
const MAX_DELAY_MS = 8000;
const MAX_LOGIN_BYTES = 320;
const MAX_PASSWORD_BYTES = 1024;

/** What a client must not learn apart: no such login, wrong password, login switched off. */
const WRONG = "Login or password is wrong";

/** Begins an exchange: `argument` is the mechanism and, perhaps, an initial response. */
export function auth(
  session: Session,
  argument: string,
  services: SessionServices,
): Answer | Promise<Answer> {
  const refusal = refuseAuth(session);
  if (refusal !== null) return refusal;
  const [mechanism = "", initial, ...more] = argument.split(/ +/);
  if (mechanism === "" || more.length > 0)
    return answer(501, "5.4", "Syntax: AUTH mechanism [initial-response]");
  switch (mechanism.toUpperCase()) {
    case "PLAIN":
      if (initial !== undefined) return plain(session, initial, services);
      return ask(session, "", (line) => plain(session, line, services));
    case "LOGIN":
      if (initial !== undefined) return loginName(session, initial, services);
      return ask(session, "VXNlcm5hbWU6", (line) => loginName(session, line, services));
    default:
      return answer(504, "5.4", "This mechanism is not offered");
  }
}

function refuseAuth(session: Session): Answer | null {
  if (session.listener.auth === "off") return answer(502, "5.1", "AUTH is not offered here");
  if (session.client.login !== null) return answer(503, "5.1", "You have logged in already");
  if (session.transaction !== null) return answer(503, "5.1", "Not during a mail transaction");
  if (authOffered(session)) return null;
  return tlsOffered(session)
    ? answer(538, "7.11", "Start TLS before you log in")
    : answer(502, "5.1", "AUTH is not offered here");
}

/** Sends a challenge; `*` in return cancels the exchange (RFC 4954 §4). */
function ask(session: Session, challenge: string, step: (line: string) => Answer | Promise<Answer>): Answer {
  session.exchange = (line) => {
    session.exchange = null;
    return line === "*" ? answer(501, "7.0", "Login cancelled") : step(line);
  };
  return answer(334, null, challenge);
}

/** Decodes base64; `=` alone is the empty response of RFC 4954 §4. null: not base64, or not text. */
function decode(text: string): string | null {
  if (text === "=") return "";
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return null;
  const bytes = Buffer.from(text, "base64");
  const decoded = bytes.toString("utf8");
  return Buffer.from(decoded, "utf8").equals(bytes) ? decoded : null;
}

function garbled(session: Session): Answer {
  session.failedLogins++;
  return answer(501, "5.2", "This is not what the mechanism wants, in base64");
}

function plain(session: Session, response: string, services: SessionServices): Answer | Promise<Answer> {
  const parts = decode(response)?.split("\0");
  const [authorize, login, password] = parts ?? [];
  if (parts?.length !== 3 || authorize === undefined || !login || password === undefined)
    return garbled(session);
  // RFC 4616 §2: to act for another identity is not offered.
  if (authorize !== "" && authorize.toLowerCase() !== login.toLowerCase())
    return fail(session, services, { login, cause: `asked to act for "${authorize.slice(0, 80)}"` });
  return prove(session, { login, password }, services);
}

function loginName(session: Session, response: string, services: SessionServices): Answer {
  const login = decode(response);
  if (login === null || login === "" || login.includes("\0")) return garbled(session);
  return ask(session, "UGFzc3dvcmQ6", (line) => {
    const password = decode(line);
    return password === null ? garbled(session) : prove(session, { login, password }, services);
  });
}

async function prove(
  session: Session,
  given: { readonly login: string; readonly password: string },
  services: SessionServices,
): Promise<Answer> {
  const { login, password } = given;
  if (Buffer.byteLength(login) > MAX_LOGIN_BYTES || Buffer.byteLength(password) > MAX_PASSWORD_BYTES)
    return garbled(session);
  const sender = services.snapshot().userSender(login);
  const usable = sender?.kind === "user" && sender.enabled ? sender : null;
  const key = login.toLowerCase();
  const result = await services.passwords.check({
    login: key,
    password,
    hash: usable?.password_hash ?? null,
    client: session.client.ip,
  });
  if (result === "busy") return answer(454, "7.0", "Too many logins at the moment, try again later");
  if (result === "wrong" || usable === null)
    return fail(session, services, { login, cause: usable === null ? "no such login" : "wrong password" });
  session.client = { ...session.client, login: usable.login ?? key };
  session.failedLogins = 0;
  services.metrics.login("ok");
  return answer(235, "7.0", "Logged in");
}

/** Each failure on a connection takes longer than the one before; the fifth ends it (requirement L4). */
async function fail(
  session: Session,
  services: SessionServices,
  what: { readonly login: string; readonly cause: string },
): Promise<Answer> {
  session.failedLogins++;
  services.metrics.login("failed");
  services.log.info(
    { client: session.client.ip, login: what.login.slice(0, MAX_LOGIN_BYTES), cause: what.cause },
    "login refused",
  );
  const delayMs = Math.min(FIRST_DELAY_MS * 2 ** (session.failedLogins - 1), MAX_DELAY_MS);
  await new Promise<void>((resolve) => services.clock.after(delayMs, resolve));
  return session.failedLogins >= MAX_FAILED_LOGINS
    ? closing(421, "7.0", "Too many failed logins", what.cause)
    : answer(535, "7.8", WRONG, what.cause);
}
