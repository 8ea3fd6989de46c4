// MAIL: the reverse-path and its parameters begin a transaction (RFC 5321 §4.1.1.2).
import { type Reply, reply } from "../policy/reply.ts";
import { refuseStart } from "./admit-sender.ts";
import { type Answer, answer, closing } from "./answer.ts";
import { tlsMissing } from "./ehlo.ts";
import { refuseReversePath } from "./own-addresses.ts";
import { decodeXtext, isAscii, mailboxAddress, type Parameters, parseParameters, splitPath } from "./path.ts";
import { recordRefusedSender } from "./record-refusal.ts";
import { refuseStorage } from "./refuse-storage.ts";
import type { SessionServices } from "./services.ts";
import { newTransaction, type Session, type Transaction } from "./session.ts";
import { isLenient } from "./strictness.ts";

/** One connection may carry this many transactions; then the client connects again, perhaps to another gateway. */
const MAX_TRANSACTIONS = 100_000;
const MAX_ENVID_CHARACTERS = 100;

const SENDER_OK = answer(250, "1.0", "Sender ok");
const PASSWORD_CHANGED = closing(421, "7.0", "Your password was changed; connect and log in again");
const NOT_ASCII = reply(553, "6.7", "This address needs SMTPUTF8");

interface MailParameters {
  readonly smtpUtf8: boolean;
  readonly declaredBytes: number;
  readonly body: "7bit" | "8bitmime";
  readonly requireTls: boolean;
  readonly dsnRet: "FULL" | "HDRS" | null;
  readonly dsnEnvid: string | null;
}

const PLAIN_MAIL: MailParameters = {
  smtpUtf8: false,
  declaredBytes: 0,
  body: "7bit",
  requireTls: false,
  dsnRet: null,
  dsnEnvid: null,
};

/** `argument` is what follows `MAIL FROM:`. */
export function mail(
  session: Session,
  argument: string,
  services: SessionServices,
): Answer | Promise<Answer> {
  const refusal = refuseMail(session, services);
  if (refusal !== null) return refusal;
  const path = splitPath(argument, { lenient: isLenient(session, services) });
  if (path === null) return answer(501, "1.7", "Syntax: MAIL FROM:<address> [parameters]");
  const reversePath = path.mailbox === "" ? null : mailboxAddress(path.mailbox);
  if (reversePath === null && path.mailbox !== "") return answer(501, "1.7", "This is not a mail address");
  const parameters = mailParameters(session, path.rest);
  if ("reply" in parameters) return parameters;
  const snapshot = services.snapshot();
  const { listener, client } = session;
  const party = snapshot.outgoingParty(listener, client, { reversePath, from: [] });
  const writer = writerAtStart({ party, reversePath, snapshot }, client.ip);
  const transaction = newTransaction({ ...parameters, reversePath, snapshot, party, writer }, services);
  const full =
    refuseForm(path.mailbox, parameters, listener) ?? refuseStorage(parameters.declaredBytes, services);
  if (full !== null) return begin(session, { transaction, refused: full }, services);
  const refused =
    client.login === null && party === null
      ? snapshot.refuseSender(listener, client, reversePath)
      : refuseOutgoing(session, transaction, services);
  if (!(refused instanceof Promise)) return begin(session, { transaction, refused }, services);
  return refused.then((late) => begin(session, { transaction, refused: late }, services));
}

/** What no message of this client may be, whoever sends it: somebody misses it, so it is in the log. */
function refuseForm(
  mailbox: string,
  { smtpUtf8, declaredBytes }: MailParameters,
  { max_message_bytes }: Session["listener"],
): Reply | null {
  if (!smtpUtf8 && !isAscii(mailbox)) return NOT_ASCII;
  // RFC 1870 §4.
  return declaredBytes > max_message_bytes
    ? reply(552, "3.4", `At most ${max_message_bytes} octets are taken`)
    : null;
}

/** Who is behind it, where that is known before the header: a server's envelope sender that is none of its own says nothing yet. */
function writerAtStart(
  { party, reversePath, snapshot }: Pick<Transaction, "party" | "reversePath" | "snapshot">,
  ip: string,
): string | null {
  if (party?.server === undefined) return reversePath;
  const writer = snapshot.writerOf(party, { reversePath, from: [] }, ip);
  return writer === reversePath ? writer : null;
}

/** Mail of logins and other outgoing senders has more to ask. */
function refuseOutgoing(
  session: Session,
  transaction: Transaction,
  services: SessionServices,
): Reply | null | Promise<Reply | null> {
  const { snapshot, reversePath, party, writer } = transaction;
  const refusal = refuseReversePath(session, { snapshot, address: reversePath }, services);
  if (party === null) return refusal;
  const start = { party, snapshot, reversePath, writer };
  return refusal instanceof Promise
    ? refusal.then((late) => late ?? refuseStart(session, start, services))
    : (refusal ?? refuseStart(session, start, services));
}

function begin(
  session: Session,
  { transaction, refused }: { readonly transaction: Transaction; readonly refused: Reply | null },
  services: SessionServices,
): Answer {
  if (refused !== null) {
    recordRefusedSender(session, { transaction, reply: refused }, services);
    return { reply: refused };
  }
  session.transactions++;
  session.transaction = transaction;
  return SENDER_OK;
}

function refuseMail(session: Session, services: SessionServices): Answer | null {
  if (!session.introduced) return answer(503, "5.1", "Say EHLO first");
  if (tlsMissing(session)) return answer(530, "7.0", "Start TLS first");
  if (session.listener.auth === "required" && session.client.login === null)
    return answer(530, "7.0", "Log in first");
  if (session.transaction !== null) return answer(503, "5.1", "A transaction is under way; RSET ends it");
  if (services.draining())
    return { ...answer(421, "3.2", `${services.hostname} is shutting down, try again later`), next: "close" };
  if (isOutdated(session, services)) return PASSWORD_CHANGED;
  if (session.transactions >= MAX_TRANSACTIONS)
    return { ...answer(421, "7.0", "Enough for one connection, connect again"), next: "close" };
  return null;
}

/**
 * Was the login's password changed since it logged in? Somebody who has stolen it must not go on sending on the connections that are
 * open. A sender that is gone or switched off is refused by the policy.
 */
function isOutdated({ client, provenAs }: Session, services: SessionServices): boolean {
  if (client.login === null || provenAs === null) return false;
  const now = services.snapshot().userSender(client.login);
  return (
    now !== null &&
    now !== provenAs &&
    (now.password_hash !== provenAs.password_hash ||
      now.cram_password !== provenAs.cram_password ||
      now.verify !== provenAs.verify)
  );
}

function mailParameters(session: Session, text: string): MailParameters | Answer {
  if (text === "") return PLAIN_MAIL;
  const given = parseParameters(text);
  if (typeof given === "string") return answer(501, "5.4", given);
  const result: { -readonly [K in keyof MailParameters]: MailParameters[K] } = { ...PLAIN_MAIL };
  for (const keyword of given.keys()) {
    const wrong = takeParameter(keyword, given, result, session);
    if (wrong !== null) return wrong;
  }
  return result;
}

function takeParameter(
  keyword: string,
  given: Parameters,
  result: { -readonly [K in keyof MailParameters]: MailParameters[K] },
  session: Session,
): Answer | null {
  const value = given.get(keyword) ?? true;
  switch (keyword) {
    case "SIZE":
      result.declaredBytes = value === true ? 0 : Number(value);
      // RFC 1870 §4.
      return value === true || !/^\d{1,20}$/.test(value)
        ? answer(501, "5.4", "SIZE is a number of octets")
        : null;
    case "BODY": {
      const body = value === true ? "" : value.toLowerCase();
      if (body !== "7bit" && body !== "8bitmime") return answer(501, "5.4", "BODY is 7BIT or 8BITMIME");
      result.body = body;
      return null;
    }
    case "SMTPUTF8":
      if (value !== true) return answer(501, "5.4", "SMTPUTF8 has no value");
      result.smtpUtf8 = true;
      return null;
    case "REQUIRETLS":
      // RFC 8689 §4.1
      if (value !== true) return answer(501, "5.4", "REQUIRETLS has no value");
      if (session.client.tls === null) return answer(530, "7.0", "REQUIRETLS needs TLS");
      result.requireTls = true;
      return null;
    case "RET": {
      const ret = value === true ? "" : value.toUpperCase();
      if (ret !== "FULL" && ret !== "HDRS") return answer(501, "5.4", "RET is FULL or HDRS");
      result.dsnRet = ret;
      return null;
    }
    case "ENVID": {
      const envid = value === true || value.length > MAX_ENVID_CHARACTERS ? null : decodeXtext(value);
      if (envid === null) return answer(501, "5.4", "ENVID is xtext of at most 100 characters");
      result.dsnEnvid = envid;
      return null;
    }
    case "AUTH":
      // RFC 4954 §5: whom the client vouches for. We take nobody's word for it and do not pass it on.
      return value === true || decodeXtext(value) === null ? answer(501, "5.4", "AUTH is xtext") : null;
    default:
      return answer(555, "5.4", `The parameter ${keyword.slice(0, 40)} is not known here`);
  }
}
