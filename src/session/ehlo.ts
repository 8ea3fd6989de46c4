// HELO and EHLO: the client introduces itself, EHLO is told what this listener understands (RFC 5321 §4.1.1.1).
import { MARK_KEYWORD } from "../delivery/own-mark.ts";
import { type Answer, answer } from "./answer.ts";
import type { SessionServices } from "./services.ts";
import type { Session } from "./session.ts";
import { isLenient } from "./strictness.ts";

const MAX_HELO_CHARACTERS = 255;

/** May AUTH be offered and used on this connection now? */
export function authOffered(session: Session): boolean {
  const { listener, client } = session;
  if (listener.auth === "off" || client.login !== null) return false;
  return client.tls !== null || listener.auth_without_tls;
}

/** May STARTTLS be offered and used? */
export function tlsOffered(session: Session): boolean {
  const { tls } = session.listener;
  return session.client.tls === null && (tls === "starttls" || tls === "starttls-required");
}

/** Must the client start TLS before anything else? */
export function tlsMissing(session: Session): boolean {
  return session.listener.tls === "starttls-required" && session.client.tls === null;
}

function keywords(session: Session): string[] {
  const { listener } = session;
  const lines = [
    "PIPELINING",
    `SIZE ${listener.max_message_bytes}`,
    "8BITMIME",
    "SMTPUTF8",
    "ENHANCEDSTATUSCODES",
    "DSN",
  ];
  if (tlsOffered(session)) lines.push("STARTTLS");
  if (session.client.tls !== null) lines.push("REQUIRETLS");
  if (authOffered(session)) lines.push(listener.cram_md5 ? "AUTH PLAIN LOGIN CRAM-MD5" : "AUTH PLAIN LOGIN");
  if (session.mayXclient) lines.push("XCLIENT NAME ADDR PORT PROTO HELO LOGIN");
  return lines;
}

/** For ourselves at the other end, and nobody else: whoever has our name may be us. */
function markFor(name: string, { hostname, ownMark }: SessionServices): readonly string[] {
  return ownMark !== undefined && name.toLowerCase() === hostname.toLowerCase()
    ? [`${MARK_KEYWORD} ${ownMark}`]
    : [];
}

/** Answers HELO (`esmtp` false) or EHLO. The caller has ended the transaction, as RSET would. */
export function introduce(
  session: Session,
  name: string,
  options: { readonly esmtp: boolean; readonly services: SessionServices },
): Answer {
  const { esmtp, services } = options;
  const verb = esmtp ? "EHLO" : "HELO";
  if ((name === "" || name.includes(" ")) && !isLenient(session, services))
    return answer(501, "5.4", `Syntax: ${verb} hostname`);
  if (name.length > MAX_HELO_CHARACTERS) return answer(501, "5.4", "The host name is too long");
  session.client = { ...session.client, helo: name };
  session.introduced = true;
  session.esmtp = esmtp;
  const first = answer(250, null, services.hostname);
  return esmtp ? { ...first, lines: [...keywords(session), ...markFor(name, services)] } : first;
}
