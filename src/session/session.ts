// The state of a connection's dialogue and of the transaction in it. Plain data; the verbs change it.
import type { MailAddress } from "../message/address.ts";
import type { Client, EnvelopeRecipient } from "../message/envelope.ts";
import { newMessageId } from "../message/message-id.ts";
import type { OutgoingConnection } from "../outgoing/outgoing.ts";
import type { Reply } from "../policy/reply.ts";
import type { ListenerSettings, SenderSettings } from "../policy/schema.ts";
import type { OutgoingParty, PolicySnapshot } from "../policy/snapshot.ts";
import type { Answer } from "./answer.ts";
import type { SessionServices } from "./services.ts";

/** The step an AUTH exchange waits for: takes the client's next line. */
export type ExchangeStep = (line: string) => Answer | Promise<Answer>;

export interface RefusedRecipient {
  readonly address: string;
  readonly reply: Reply;
}

/** A mail transaction, from an accepted MAIL to its end (RFC 5321 §3.3). */
export interface Transaction {
  readonly id: string;
  readonly startedAt: number;
  readonly snapshot: PolicySnapshot;
  readonly reversePath: MailAddress | null;
  readonly smtpUtf8: boolean;
  readonly body: "7bit" | "8bitmime";
  /** SIZE of MAIL (RFC 1870); 0: not declared. */
  readonly declaredBytes: number;
  readonly requireTls: boolean;
  readonly dsnRet: "FULL" | "HDRS" | null;
  readonly dsnEnvid: string | null;
  /** The outgoing sender it is counted for; null for mail from outside and of networks that are excepted. */
  readonly party: OutgoingParty | null;
  /** Who is behind it as far as the envelope tells: the reverse path where that counts. */
  readonly writer: string | null;
  readonly recipients: EnvelopeRecipient[];
  /** `addressKey` of each recipient: a repeated RCPT adds nothing. */
  readonly keys: Set<string>;
  /** At most `MAX_REFUSED_KEPT`; the others are only counted. */
  readonly refused: RefusedRecipient[];
}

/** Refused recipients kept for the log per transaction; a harvester must not fill the memory. */
export const MAX_REFUSED_KEPT = 100;

export interface Session {
  readonly listener: ListenerSettings;
  client: Client;
  /** The socket's own peer is in `proxy_from`, or named so by a PROXY header: XCLIENT is understood. */
  mayXclient: boolean;
  greeted: boolean;
  /** HELO or EHLO was accepted since the last reset of the dialogue. */
  introduced: boolean;
  esmtp: boolean;
  transaction: Transaction | null;
  exchange: ExchangeStep | null;
  /** Refused commands since the last accepted message. */
  errors: number;
  /** Commands since the last accepted message. */
  commands: number;
  transactions: number;
  failedLogins: number;
  /** What the login was proven with, as long as it lasts: for addresses that are linked by the same password (O10). Never logged. */
  password: string | null;
  /** The sender as it was when the login was proven; null for a login a proxy vouches for. */
  provenAs: SenderSettings | null;
  /** Addresses that were asked about under the settings of `version`, by `addressKey`: do they have the login's password? */
  linked: { readonly version: number; readonly answers: Map<string, boolean> } | null;
  /** Is `ip` trusted under the settings of `version`? Asked for every message of the connection. */
  trusted: { readonly version: number; readonly ip: string; readonly is: boolean } | null;
  /** The connection as outgoing control counts it; made with the first mail of a sender. */
  outgoing: OutgoingConnection | null;
}

/** A new dialogue with a client of which only address and TLS are known. */
export function newSession(listener: ListenerSettings, client: Client): Session {
  return {
    listener,
    client,
    mayXclient: false,
    greeted: false,
    introduced: false,
    esmtp: false,
    transaction: null,
    exchange: null,
    errors: 0,
    commands: 0,
    transactions: 0,
    failedLogins: 0,
    password: null,
    provenAs: null,
    linked: null,
    trusted: null,
    outgoing: null,
  };
}

/** What MAIL says of a transaction. */
export type TransactionStart = Pick<
  Transaction,
  | "reversePath"
  | "smtpUtf8"
  | "body"
  | "declaredBytes"
  | "requireTls"
  | "dsnRet"
  | "dsnEnvid"
  | "snapshot"
  | "party"
  | "writer"
>;

/** Begins a transaction under a new message id. */
export function newTransaction(start: TransactionStart, services: SessionServices): Transaction {
  const now = services.clock.now();
  return { ...start, id: newMessageId(now), startedAt: now, recipients: [], keys: new Set(), refused: [] };
}

/** Adds a recipient once; false when it was there already. */
export function addRecipient(transaction: Transaction, recipient: EnvelopeRecipient, key: string): boolean {
  if (transaction.keys.has(key)) return false;
  transaction.keys.add(key);
  transaction.recipients.push(recipient);
  return true;
}

/**
 * Forgets all that the client said of itself: after STARTTLS (RFC 3207 §4.2) and XCLIENT it introduces itself anew.
 * The error counts stay.
 */
export function forgetClient(session: Session, client: Client): void {
  session.client = { ...client, helo: "", login: null };
  session.introduced = false;
  session.esmtp = false;
  session.transaction = null;
  session.exchange = null;
  session.password = null;
  session.provenAs = null;
  session.linked = null;
}

/** The connection as outgoing control counts it: the same object as long as the client is the same. */
export function outgoingConnection(session: Session): OutgoingConnection {
  const { ip } = session.client;
  if (session.outgoing?.clientIp !== ip) session.outgoing = { clientIp: ip };
  return session.outgoing;
}
