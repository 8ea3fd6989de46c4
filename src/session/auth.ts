// AUTH PLAIN, LOGIN and CRAM-MD5 (RFC 4954, RFC 4616, RFC 2195). Knows the exchange; what comes of a login is in `take-login.ts`.
import { addressKey } from "../message/address.ts";
import { enterpriseParts } from "../policy/enterprise-mode.ts";
import { type Answer, answer } from "./answer.ts";
import { cramChallenge, cramMatches, readCramResponse } from "./cram-md5.ts";
import { authOffered, tlsOffered } from "./ehlo.ts";
import { domainOfLogin, loginSender, proveLogin, UNREAD } from "./prove-login.ts";
import type { SessionServices } from "./services.ts";
import type { Session } from "./session.ts";
import { refuseLogin, takeLogin } from "./take-login.ts";

const MAX_LOGIN_BYTES = 320;
const MAX_PASSWORD_BYTES = 1024;

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
    case "CRAM-MD5":
      if (!session.listener.cram_md5) break;
      // RFC 2195 §2: the server speaks first.
      if (initial !== undefined) return answer(501, "5.4", "CRAM-MD5 has no initial response");
      return cramMd5(session, services);
  }
  return answer(504, "5.4", "This mechanism is not offered");
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

/**
 * Decodes base64; `=` alone is the empty response of RFC 4954 §4. null: not base64, or not text.
 * Deviation: padding may be missing or wrong, as mail programs and devices write it; Postfix with Cyrus SASL and Dovecot take it too.
 */
function decode(given: string): string | null {
  const text = given.trim().replace(/={0,3}$/, "");
  if (text.length % 4 === 1 || !/^[A-Za-z0-9+/]*$/.test(text)) return null;
  const bytes = Buffer.from(text, "base64");
  const decoded = bytes.toString("utf8");
  return Buffer.from(decoded, "utf8").equals(bytes) ? decoded : null;
}

function garbled(session: Session): Answer {
  session.failedLogins++;
  return answer(501, "5.2", "This is not what the mechanism wants, in base64");
}

/**
 * A domain of which nobody may log in without TLS (O14), by the name of the login alone: whether it exists is not told. Asked as soon
 * as the name is known, so that AUTH LOGIN does not bring the password across.
 */
function refuseWithoutTls(session: Session, login: string, services: SessionServices): Answer | null {
  if (session.client.tls !== null) return null;
  const snapshot = services.snapshot();
  const sender = loginSender(snapshot, login);
  const domains = [domainOfLogin(snapshot, login), sender === null ? null : snapshot.domain(sender.domain)];
  return domains.some((domain) => domain !== null && enterpriseParts(domain.outgoing).requireTls)
    ? answer(538, "7.11", "Logins of this domain need TLS")
    : null;
}

function plain(session: Session, response: string, services: SessionServices): Answer | Promise<Answer> {
  const parts = decode(response)?.split("\0");
  const [authorize, login, password] = parts ?? [];
  if (parts?.length !== 3 || authorize === undefined || !login || password === undefined)
    return garbled(session);
  // RFC 4616 §2: to act for another identity is not offered.
  if (authorize !== "" && addressKey(authorize) !== addressKey(login)) {
    const cause = `asked to act for "${authorize.slice(0, 80)}"`;
    return refuseLogin(session, { login, guess: password, cause }, services);
  }
  return prove(session, { login, password }, services);
}

function loginName(session: Session, response: string, services: SessionServices): Answer {
  const login = decode(response);
  if (login === null || login === "" || login.includes("\0")) return garbled(session);
  const refusal = refuseWithoutTls(session, login, services);
  if (refusal !== null) return refusal;
  return ask(session, "UGFzc3dvcmQ6", (line) => {
    const password = decode(line);
    return password === null ? garbled(session) : prove(session, { login, password }, services);
  });
}

function prove(
  session: Session,
  { login, password }: { readonly login: string; readonly password: string },
  services: SessionServices,
): Answer | Promise<Answer> {
  if (Buffer.byteLength(login) > MAX_LOGIN_BYTES || Buffer.byteLength(password) > MAX_PASSWORD_BYTES)
    return garbled(session);
  const refusal = refuseWithoutTls(session, login, services);
  if (refusal !== null) return refusal;
  const client = session.client.ip;
  const attempt = { login, guess: password, prove: () => proveLogin({ login, password, client }, services) };
  return takeLogin(session, attempt, services);
}

function cramMd5(session: Session, services: SessionServices): Answer {
  const challenge = cramChallenge(services.hostname, services.clock.now());
  return ask(session, Buffer.from(challenge).toString("base64"), (line) => {
    const response = readCramResponse(decode(line) ?? "");
    if (response === null || Buffer.byteLength(response.login) > MAX_LOGIN_BYTES) return garbled(session);
    const { login, digest } = response;
    const refusal = refuseWithoutTls(session, login, services);
    if (refusal !== null) return refusal;
    const prove = async () => {
      const snapshot = services.snapshot();
      const sender = loginSender(snapshot, login);
      if (sender === null && snapshot.isUnreadLogin(login)) return UNREAD;
      const password = services.cramPasswords.of(sender);
      return cramMatches(challenge, digest, password) && sender !== null && password !== null
        ? ({ result: "right", sender, password } as const)
        : ({ result: "wrong", cause: sender === null ? "no such login" : "wrong CRAM-MD5 digest" } as const);
    };
    return takeLogin(session, { login, guess: digest, prove }, services);
  });
}
