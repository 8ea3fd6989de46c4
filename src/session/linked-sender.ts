// Addresses under one login because their users have the same password (requirement O10): proven on demand, where both domains allow it.
// Asking is a guess at somebody else's password, so it waits and counts as a login of that address does (L4).
import { addressKey, type MailAddress } from "../message/address.ts";
import type { DomainSettings, SenderSettings } from "../policy/schema.ts";
import type { PolicySnapshot } from "../policy/snapshot.ts";
import { domainOfLogin, proveLogin } from "./prove-login.ts";
import type { SessionServices } from "./services.ts";
import type { Session } from "./session.ts";

/** `busy`: it cannot be found out now. */
export type Linked = "yes" | "no" | "busy";

/** Each question costs an argon2 hash or a dialogue with a mail server: more addresses than this on one connection are not linked. */
const MAX_ASKED = 20;

/** Whom an address or login belongs to, where its domain allows linking. An address nobody has is not told apart from one in use. */
interface Owner {
  readonly sender: SenderSettings | null;
  readonly domain: DomainSettings;
}

function linking(snapshot: PolicySnapshot, login: string): Owner | null {
  const sender = snapshot.userSender(login);
  if (sender !== null && sender.kind !== "user") return null;
  const domain = sender === null ? domainOfLogin(snapshot, login) : snapshot.domain(sender.domain);
  return domain?.outgoing.link_same_password === true ? { sender, domain } : null;
}

/** Would the question hand the password to a mail server that has not judged it already? Another domain's must not see it. */
function goesAstray(own: Owner, other: Owner): boolean {
  if (other.sender !== null && other.sender.verify !== "mail-server") return false;
  const theirs = other.domain.outgoing.password_server;
  const ours = own.sender?.verify === "mail-server" ? own.domain.outgoing.password_server : null;
  if (theirs === null || own.domain.name === other.domain.name) return false;
  return (
    ours?.host !== theirs.host ||
    ours.port !== theirs.port ||
    ours.protocol !== theirs.protocol ||
    ours.tls !== theirs.tls
  );
}

/**
 * May the login use the address because that is a user sender with the same password? "no" at once, without a promise, wherever
 * linking is off, so that nothing is slower there.
 */
export function linkedByPassword(
  session: Session,
  question: { readonly snapshot: PolicySnapshot; readonly address: MailAddress },
  services: SessionServices,
): Linked | Promise<Linked> {
  const { client, password } = session;
  const { snapshot, address } = question;
  if (password === null || client.login === null) return "no";
  const own = linking(snapshot, client.login);
  const other = own === null ? null : linking(snapshot, address);
  if (own === null || other === null || goesAstray(own, other)) return "no";
  const key = addressKey(address);
  // Other settings may mean another password of theirs.
  if (session.linked?.version !== snapshot.version)
    session.linked = { version: snapshot.version, answers: new Map() };
  const { answers } = session.linked;
  const known = answers.get(key);
  if (known !== undefined) return known ? "yes" : "no";
  if (answers.size >= MAX_ASKED) return "no";
  return ask(session, { key, password, answers }, services);
}

async function ask(
  session: Session,
  {
    key,
    password,
    answers,
  }: { readonly key: string; readonly password: string; readonly answers: Map<string, boolean> },
  services: SessionServices,
): Promise<Linked> {
  const { bans, clock } = services;
  const attempt = { ip: session.client.ip, login: key };
  const delayMs = bans.loginDelayMs(attempt);
  if (delayMs > 0) await new Promise<void>((resolve) => clock.after(delayMs, resolve));
  // Whoever has guessed too much gets no answer out of this either.
  if (bans.refuseLogin(attempt) !== null || bans.refuseGuess(attempt, password) !== null) return "no";
  const proof = await proveLogin({ login: key, password, client: session.client.ip }, services);
  if (proof.result === "later") return "busy";
  if (proof.result === "wrong") bans.noteFailedLogin(attempt, password);
  answers.set(key, proof.result === "right");
  return proof.result === "right" ? "yes" : "no";
}
