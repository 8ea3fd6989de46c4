// One command line in, one answer out: finds the verb, keeps the order of RFC 5321 §4.1.4, counts errors.

import { type Answer, answer, closing } from "./answer.ts";
import { auth } from "./auth.ts";
import { data } from "./data.ts";
import { introduce, tlsMissing, tlsOffered } from "./ehlo.ts";
import { mail } from "./mail.ts";
import { rcpt } from "./rcpt.ts";
import { endTransaction } from "./record-refusal.ts";
import type { SessionServices } from "./services.ts";
import type { Session } from "./session.ts";
import { isLenient } from "./strictness.ts";
import { xclient } from "./xclient.ts";

/** RFC 5321 §4.5.3.1.4: 512 octets, more for what ESMTP parameters add. */
const MAX_LINE_BYTES = 2048;
/** RFC 4954 §4. */
export const MAX_AUTH_LINE_BYTES = 12_288;
const MAX_ERRORS = 20;
/** Commands without a message: a session that does nothing useful ends. RCPT does not count. */
const MAX_IDLE_COMMANDS = 1000;
/** Where a login is required, it must come within this many commands. */
const MAX_UNAUTHENTICATED_COMMANDS = 20;

const DONE = answer(250, "0.0", "Ok");
const UNKNOWN = answer(500, "5.1", "Unknown command");
const NOT_HERE = answer(502, "5.1", "Not implemented here");
const BYE = closing(221, "0.0", "Bye");
const HTTP_VERBS = /^(?:GET|POST|HEAD|PUT|DELETE|OPTIONS|TRACE|CONNECT|PATCH) \S+ HTTP\/\d/i;

/** Takes a line without its CRLF. A promise only when the answer needs time. */
export function takeLine(
  session: Session,
  line: Buffer,
  services: SessionServices,
): Answer | Promise<Answer> {
  const given = respond(session, line, services);
  return given instanceof Promise ? given.then((late) => count(session, late)) : count(session, given);
}

function count(session: Session, given: Answer): Answer {
  if (given.reply.code >= 500) session.errors++;
  return given;
}

function respond(session: Session, line: Buffer, services: SessionServices): Answer | Promise<Answer> {
  const worn = tooMuch(session);
  if (worn !== null) return worn;
  const { exchange } = session;
  if (exchange !== null) {
    if (line.length > MAX_AUTH_LINE_BYTES) return overlongExchange(session);
    return exchange(line.toString("latin1"));
  }
  const text = decodeLine(line, () => isLenient(session, services));
  if (typeof text !== "string") return text;
  const space = text.indexOf(" ");
  const verb = (space < 0 ? text : text.slice(0, space)).toUpperCase();
  const argument = space < 0 ? "" : text.slice(space + 1).trim();
  if (line.length > (verb === "AUTH" ? MAX_AUTH_LINE_BYTES : MAX_LINE_BYTES))
    return answer(500, "5.2", "The line is too long");
  if (verb !== "RCPT") session.commands++;
  return perform(session, { verb, argument, text }, services);
}

function tooMuch(session: Session): Answer | null {
  if (session.errors >= MAX_ERRORS) return closing(421, "7.0", "Too many errors");
  if (session.commands >= MAX_IDLE_COMMANDS)
    return closing(421, "7.0", "Too many commands without a message");
  const { listener, client } = session;
  if (
    listener.auth === "required" &&
    client.login === null &&
    session.commands >= MAX_UNAUTHENTICATED_COMMANDS
  )
    return closing(421, "7.0", "Too many commands without a login");
  return null;
}

/** RFC 4954 §4: a line too long ends the exchange. */
function overlongExchange(session: Session): Answer {
  session.exchange = null;
  return answer(500, "5.6", "The line is too long");
}

/**
 * The line as text. Controls are in no command; octets over 127 only in addresses, as UTF-8 (RFC 6531 §3.4), and in the names that
 * machines of ours have been given in whatever code page.
 */
function decodeLine(line: Buffer, isLenient: () => boolean): string | Answer {
  const text = line.toString("latin1");
  if (/^[\x20-\x7e]*$/.test(text)) return text;
  if (/[\x00-\x1f\x7f]/.test(text)) return answer(500, "5.2", "A command has no control characters");
  const utf8 = line.toString("utf8");
  const isUtf8 = !utf8.includes("\ufffd");
  if (/^(?:MAIL|RCPT|VRFY) /i.test(text) && isUtf8) return utf8;
  if (/^(?:EHLO|HELO) /i.test(text) && isLenient()) return isUtf8 ? utf8 : text;
  return answer(500, "5.2", "A command has ASCII characters only");
}

interface Command {
  readonly verb: string;
  readonly argument: string;
  readonly text: string;
}

function perform(session: Session, command: Command, services: SessionServices): Answer | Promise<Answer> {
  const { verb, argument } = command;
  switch (verb) {
    case "MAIL": {
      const from = behindPrefix(argument, "FROM");
      return from === null
        ? answer(501, "5.4", "Syntax: MAIL FROM:<address> [parameters]")
        : mail(session, from, services);
    }
    case "RCPT": {
      const to = behindPrefix(argument, "TO");
      return to === null
        ? answer(501, "5.4", "Syntax: RCPT TO:<address> [parameters]")
        : rcpt(session, to, services);
    }
    case "DATA":
      return data(session, argument, services);
    case "EHLO":
    case "HELO":
      endTransaction(session, services);
      return introduce(session, argument, { esmtp: verb === "EHLO", services });
    case "RSET":
      endTransaction(session, services);
      return DONE;
    case "QUIT":
      endTransaction(session, services);
      return BYE;
    case "NOOP":
      return DONE;
    default:
      return performRare(session, command, services);
  }
}

function performRare(
  session: Session,
  { verb, argument, text }: Command,
  services: SessionServices,
): Answer | Promise<Answer> {
  switch (verb) {
    case "STARTTLS":
      return startTls(session, argument);
    case "AUTH":
      if (!session.introduced) return answer(503, "5.1", "Say EHLO first");
      if (tlsMissing(session)) return answer(530, "7.0", "Start TLS first");
      return auth(session, argument, services);
    case "XCLIENT":
      return xclient(session, argument, services);
    case "VRFY":
      // RFC 5321 §7.3: 252 tells nobody which addresses exist.
      return argument === ""
        ? answer(501, "5.4", "Syntax: VRFY address")
        : answer(252, "5.2", "Send a message to it and see");
    case "HELP":
      return answer(214, "0.0", "Commands: EHLO HELO MAIL RCPT DATA RSET NOOP QUIT VRFY HELP STARTTLS AUTH");
    case "EXPN":
    case "TURN":
    case "ETRN":
    case "ATRN":
    case "SEND":
    case "SOML":
    case "SAML":
    case "BDAT":
      return NOT_HERE;
    default:
      // A browser talked into sending mail: its headers and body must not be read as commands.
      return HTTP_VERBS.test(text) ? closing(421, "7.0", "This is a mail server") : UNKNOWN;
  }
}

function startTls(session: Session, argument: string): Answer {
  if (argument !== "") return answer(501, "5.4", "STARTTLS has no parameters");
  if (session.client.tls !== null) return answer(503, "5.1", "TLS is active already");
  if (!tlsOffered(session)) return NOT_HERE;
  return { ...answer(220, "0.0", "Ready to start TLS"), next: "tls" };
}

/** What follows `FROM:` or `TO:`, in any case; a blank may stand before the colon. null: something else stands there. */
function behindPrefix(argument: string, word: string): string | null {
  if (argument.slice(0, word.length).toUpperCase() !== word) return null;
  if (argument.charAt(word.length) === ":") return argument.slice(word.length + 1);
  const rest = argument.slice(word.length).trimStart();
  return rest.startsWith(":") ? rest.slice(1) : null;
}
