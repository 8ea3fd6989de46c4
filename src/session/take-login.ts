// What comes of a login: bans and waits before it is judged, the session's state after it, one answer for every failure (L4).
import { addressKey } from "../message/address.ts";
import { loginOf } from "../policy/sender-index.ts";
import { type Answer, answer, closing } from "./answer.ts";
import { BAN_LIMITS, type LoginAttempt } from "./bans.ts";
import type { LoginProof } from "./prove-login.ts";
import type { SessionServices } from "./services.ts";
import type { Session } from "./session.ts";

/** Failures that end a connection. */
const MAX_FAILED_LOGINS = 5;
const MAX_LOGIN_CHARACTERS = 320;

/** What a client must not learn apart: no such login, wrong password, login switched off. */
const WRONG = "Login or password is wrong";

export interface TriedLogin {
  /** As the client wrote it. */
  readonly login: string;
  /** What it tried: told apart from its next guess, kept as a keyed digest only. */
  readonly guess: string;
  prove(): Promise<LoginProof>;
}

/** Judges a login: waits as long as the failures before it ask for, right or wrong alike, then proves it. */
export async function takeLogin(
  session: Session,
  tried: TriedLogin,
  services: SessionServices,
): Promise<Answer> {
  const attempt: LoginAttempt = { ip: session.client.ip, login: addressKey(tried.login) };
  const delayMs = services.bans.loginDelayMs(attempt);
  if (refuseWhenBanned(attempt, services) === null) await wait(delayMs, services);
  // Others may have brought the ban while this one waited.
  const banned = refuseWhenBanned(attempt, services);
  if (banned !== null) return banned;
  const guessed = services.bans.refuseGuess(attempt, tried.guess);
  if (guessed !== null) return putOff(session, { attempt, words: guessed }, services);
  const proof = await tried.prove();
  switch (proof.result) {
    case "right": {
      services.bans.noteLogin(attempt);
      session.client = { ...session.client, login: loginOf(proof.sender) ?? attempt.login };
      note(attempt, null, services);
      session.password = proof.password;
      session.provenAs = proof.sender;
      session.failedLogins = 0;
      services.metrics.login("ok");
      return answer(235, "7.0", "Logged in");
    }
    case "later":
      services.log.warn({ ...named(attempt), cause: proof.cause }, "login put off");
      note(attempt, `put off: ${proof.cause}`, services);
      return answer(454, "7.0", proof.text, proof.cause);
    case "wrong":
      return fail(session, { attempt, guess: tried.guess, cause: proof.cause, waitedMs: delayMs }, services);
  }
}

/** Not judged, right or wrong alike: nothing is learnt from it. Temporary, so that the owner's program asks for no new password. */
function putOff(
  session: Session,
  { attempt, words }: { readonly attempt: LoginAttempt; readonly words: string },
  services: SessionServices,
): Answer {
  session.failedLogins++;
  services.metrics.login("failed");
  const cause = `not judged: ${words}`;
  services.log.warn({ ...named(attempt), cause }, "login put off");
  note(attempt, cause, services);
  const text = "Too many failed attempts for this login, try again later";
  return session.failedLogins >= MAX_FAILED_LOGINS
    ? closing(421, "7.0", text, cause)
    : answer(454, "7.0", text, cause);
}

/** Refuses a login that need not be proven. */
export function refuseLogin(
  session: Session,
  what: { readonly login: string; readonly guess: string; readonly cause: string },
  services: SessionServices,
): Promise<Answer> {
  const { guess, cause } = what;
  const prove = () => Promise.resolve({ result: "wrong", cause } as const);
  return takeLogin(session, { login: what.login, guess, prove }, services);
}

function named({ ip, login }: LoginAttempt): { readonly client: string; readonly login: string } {
  return { client: ip, login: login.slice(0, MAX_LOGIN_CHARACTERS) };
}

/** Under the name the sender has in the policy, whatever spelling the client used. `cause` null: taken. */
function note(attempt: LoginAttempt, cause: string | null, services: SessionServices): void {
  const sender = services.snapshot().userSender(attempt.login);
  const login = (sender === null ? null : loginOf(sender)) ?? attempt.login;
  services.logins.note({ ip: attempt.ip, login: addressKey(login) }, { cause, exists: sender !== null });
}

async function wait(ms: number, services: SessionServices): Promise<void> {
  if (ms > 0) await new Promise<void>((resolve) => services.clock.after(ms, resolve));
}

function refuseWhenBanned(attempt: LoginAttempt, services: SessionServices): Answer | null {
  const ban = services.bans.refuseLogin(attempt);
  if (ban === null) return null;
  const cause = `${ban.network} is banned: ${ban.words}`;
  note(attempt, cause, services);
  return closing(421, "7.0", "Too many failed attempts from your network, try again later", cause);
}

interface FailedLogin {
  readonly attempt: LoginAttempt;
  readonly guess: string;
  readonly cause: string;
  readonly waitedMs: number;
}

/** Each failure on a connection takes longer than the one before; the fifth ends it, and so does a ban. */
async function fail(
  session: Session,
  { attempt, guess, cause, waitedMs }: FailedLogin,
  services: SessionServices,
): Promise<Answer> {
  session.failedLogins++;
  services.metrics.login("failed");
  services.log.info({ ...named(attempt), cause }, "login refused");
  note(attempt, cause, services);
  const banned = services.bans.noteFailedLogin(attempt, guess);
  const { firstDelayMs, maxDelayMs } = BAN_LIMITS;
  const dueMs = Math.min(firstDelayMs * 2 ** (session.failedLogins - 1), maxDelayMs);
  await wait(dueMs - waitedMs, services);
  return banned || session.failedLogins >= MAX_FAILED_LOGINS
    ? closing(421, "7.0", "Too many failed logins", cause)
    : answer(535, "7.8", WRONG, cause);
}
