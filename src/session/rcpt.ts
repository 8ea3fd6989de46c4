// RCPT: may this client send to this address, and does the address exist? (RFC 5321 §4.1.1.3)
import { addressKey, domainOf, type MailAddress } from "../message/address.ts";
import type { EnvelopeRecipient, RecipientDsn } from "../message/envelope.ts";
import { formatReply, type Reply } from "../policy/reply.ts";
import { addressExists } from "./address-exists.ts";
import { type Answer, answer, closing } from "./answer.ts";
import { decodeXtext, isAscii, mailboxAddress, parseParameters, splitPath } from "./path.ts";
import { roleMailbox } from "./role-mailbox.ts";
import { refuseByRoute } from "./route-limits.ts";
import type { RecipientAnswer, SessionServices } from "./services.ts";
import { addRecipient, MAX_REFUSED_KEPT, type Session, type Transaction } from "./session.ts";
import { isLenient } from "./strictness.ts";

const RECIPIENT_OK = answer(250, "1.5", "Recipient ok");
/** What the log says of an accepted recipient. */
export const RECIPIENT_OK_TEXT = formatReply(RECIPIENT_OK.reply);
const SYNTAX = answer(501, "1.3", "Syntax: RCPT TO:<address> [parameters]");
const GUESSED_TOO_MUCH = closing(421, "7.0", "Too many unknown recipients, try again later");
const NOTIFY_WORDS = ["NEVER", "SUCCESS", "FAILURE", "DELAY"] as const;
const MAX_ORCPT_CHARACTERS = 500;
/** Why mail for a role of ours is taken from anybody. */
const FOR_A_ROLE = { direction: "inbound", grant: { by: "allow-list", entry: "postmaster" } } as const;

/** `argument` is what follows `RCPT TO:`. */
export function rcpt(
  session: Session,
  argument: string,
  services: SessionServices,
): Answer | Promise<Answer> {
  const { transaction, listener } = session;
  if (transaction === null) return answer(503, "5.1", "MAIL comes first");
  const path = splitPath(argument, { lenient: isLenient(session, services) });
  if (path === null || path.mailbox === "") return SYNTAX;
  const role = roleMailbox(path.mailbox, transaction.snapshot, services.hostname);
  const address = role.instead ?? mailboxAddress(path.mailbox);
  if (address === null) return answer(501, "1.3", "This is not a mail address");
  if (!transaction.smtpUtf8 && !isAscii(path.mailbox))
    return refuse(transaction, address, answer(553, "6.7", "This address needs SMTPUTF8").reply);
  const dsn = recipientDsn(path.rest);
  if (typeof dsn === "string") return answer(dsn.startsWith("The parameter") ? 555 : 501, "5.4", dsn);
  const key = addressKey(address);
  if (transaction.keys.has(key)) return RECIPIENT_OK;
  if (transaction.recipients.length >= listener.max_recipients)
    return answer(452, "5.3", "Too many recipients for one message, send the rest in another");
  const relay = transaction.snapshot.mayRelay(listener, session.client, address);
  if (!relay.granted && role.instead === null) return refuse(transaction, address, relay.reply);
  const recipient: EnvelopeRecipient = relay.granted
    ? { address, dsn, direction: relay.direction, grant: relay.grant }
    : { address, dsn, ...FOR_A_ROLE };
  const full = refuseMore(transaction, services) ?? refuseByRoute(recipient, transaction, services);
  if (full !== null) return refuse(transaction, address, full);
  const known =
    recipient.direction === "outbound" ? YES : addressExists(address, transaction.snapshot, services);
  const finish = (answered: RecipientAnswer): Answer | Promise<Answer> => {
    if (answered.known !== "no" || role.otherwise === null)
      return countGuess(session, settle(transaction, recipient, answered), services);
    // The mail server has no such mailbox; somebody reads it all the same.
    return settle(transaction, { address: role.otherwise, dsn, ...FOR_A_ROLE }, YES);
  };
  return known instanceof Promise ? known.then(finish) : finish(known);
}

/** An unknown recipient may be a guess of an outsider: so many shut its network out (requirement L4). */
function countGuess(
  session: Session,
  given: Answer,
  { bans, clock }: SessionServices,
): Answer | Promise<Answer> {
  if (given.reply.code !== 550 || session.client.login !== null) return given;
  const { ip } = session.client;
  if (bans.noteUnknownRecipient(ip)) return GUESSED_TOO_MUCH;
  const delayMs = bans.unknownRecipientDelayMs(ip);
  return delayMs === 0
    ? given
    : new Promise((resolve) => {
        clock.after(delayMs, () => resolve(given));
      });
}

const YES: RecipientAnswer = { known: "yes", text: "" };

/** For mail of an outgoing sender: a lock or the day's recipients. Asked each time, so that a lock holds on open connections. */
function refuseMore({ party, writer, recipients }: Transaction, services: SessionServices): Reply | null {
  return party === null ? null : services.outgoing.admitRecipient(party, writer, recipients.length);
}

function settle(transaction: Transaction, recipient: EnvelopeRecipient, found: RecipientAnswer): Answer {
  // Our own users cannot try again as a mail server does, and a bounce can reach them: the queue waits for them.
  const wait =
    found.known === "unsure" &&
    (recipient.direction === "internal" || isTakenWhenDown(transaction, recipient));
  if (found.known === "yes" || wait) {
    addRecipient(transaction, recipient, addressKey(recipient.address));
    return RECIPIENT_OK;
  }
  return found.known === "no"
    ? refuse(transaction, recipient.address, answer(550, "1.1", "No such address here", found.text).reply)
    : refuse(
        transaction,
        recipient.address,
        answer(450, "1.1", "This address cannot be verified now, try again later", found.text).reply,
      );
}

function isTakenWhenDown({ snapshot }: Transaction, { address }: EnvelopeRecipient): boolean {
  return snapshot.domain(domainOf(address))?.recipients.when_down === "accept";
}

function refuse(transaction: Transaction, address: MailAddress, reply: Reply): Answer {
  if (transaction.refused.length < MAX_REFUSED_KEPT) transaction.refused.push({ address, reply });
  return { reply };
}

/** RFC 3461 §4.1 and §4.2. A string is the reason why the parameters are wrong. */
function recipientDsn(text: string): RecipientDsn | null | string {
  if (text === "") return null;
  const given = parseParameters(text);
  if (typeof given === "string") return given;
  for (const keyword of given.keys())
    if (keyword !== "NOTIFY" && keyword !== "ORCPT")
      return `The parameter ${keyword.slice(0, 40)} is not known here`;
  const notify = given.has("NOTIFY") ? notifyWords(given.get("NOTIFY") ?? true) : null;
  if (given.has("NOTIFY") && notify === null) return "NOTIFY is NEVER or some of SUCCESS,FAILURE,DELAY";
  const orcpt = given.has("ORCPT") ? originalRecipient(given.get("ORCPT") ?? true) : null;
  if (given.has("ORCPT") && orcpt === null) return "ORCPT is type;xtext of at most 500 characters";
  return { notify, orcpt };
}

function notifyWords(value: string | true): RecipientDsn["notify"] {
  const words = value === true ? [] : value.toUpperCase().split(",");
  const known = NOTIFY_WORDS.filter((word) => words.includes(word));
  if (known.length !== words.length || words.length === 0) return null;
  return known.includes("NEVER") && known.length > 1 ? null : known;
}

function originalRecipient(value: string | true): string | null {
  if (value === true || value.length > MAX_ORCPT_CHARACTERS) return null;
  const semicolon = value.indexOf(";");
  const type = value.slice(0, Math.max(0, semicolon));
  // RFC 6533 §3: utf-8-addr-xtext also holds \x{…}, which is plain xtext text here.
  const address = decodeXtext(value.slice(semicolon + 1));
  return /^[A-Za-z0-9-]{1,40}$/.test(type) && address !== null && address !== ""
    ? `${type};${address}`
    : null;
}
