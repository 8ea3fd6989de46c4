// What a session asks of the rest of the gateway. The composition root fills in `GatewayServices`; listeners add what they share.
import type { Checker } from "../checks/check.ts";
import type { ServerLimits } from "../delivery/server-limits.ts";
import type { MailServerLogin } from "../hooks/mail-server-login.ts";
import type { MailAddress } from "../message/address.ts";
import type { StoppedMessage } from "../notify/outgoing-notices.ts";
import type { Clock } from "../observe/clock.ts";
import type { Log } from "../observe/log.ts";
import type { Metrics } from "../observe/metrics.ts";
import type { ShareUser } from "../observe/shares.ts";
import type { Outgoing } from "../outgoing/outgoing.ts";
import type { DomainSettings } from "../policy/schema.ts";
import type { PolicySnapshot } from "../policy/snapshot.ts";
import type { Queue } from "../queue/queue.ts";
import type { StorageWatch } from "../queue/watch-storage.ts";
import type { BodyFileWriter } from "../store/body-file.ts";
import type { Bans } from "./bans.ts";
import type { BodyRoom } from "./body-room.ts";
import type { CramPasswords } from "./cram-md5.ts";
import type { LoginBook } from "./login-book.ts";
import type { PasswordCheck } from "./password-check.ts";

/** Does the address exist? `text` says how it was found out, for the log. */
export interface RecipientAnswer {
  readonly known: "yes" | "no" | "unsure";
  readonly text: string;
}

/** What the composition root provides. */
export interface GatewayServices {
  readonly hostname: string;
  /** Said to a client with our own name, so that we know ourselves behind a route. Left out: never. */
  readonly ownMark?: string;
  /** The present policy; a transaction keeps the one it began with. */
  readonly snapshot: () => PolicySnapshot;
  readonly checker: Pick<Checker, "run">;
  readonly queue: Pick<Queue, "accept" | "handOver" | "record">;
  /** Says whether a message of so many octets could be kept now. */
  readonly storage: Pick<StorageWatch, "refusal">;
  /** Asked for domains with `verify = "callout"` or `"ldap"`; never rejects. */
  readonly verifyRecipient: (address: MailAddress, domain: DomainSettings) => Promise<RecipientAnswer>;
  /** What the mail servers of these routes take, as far as it was learnt. */
  readonly takenBy: ServerLimits["of"];
  readonly outgoing: Pick<
    Outgoing,
    | "admitTransaction"
    | "admitRecipient"
    | "identify"
    | "admitMessage"
    | "noteRefused"
    | "findings"
    | "settle"
    | "takeBack"
    | "locksKept"
    | "noteCorrespondent"
  >;
  /** A message of an outgoing sender was stopped by a rule; returns at once. */
  readonly onStopped: (message: StoppedMessage) => void;
  /** Failed logins and guessed recipients, counted; networks that guess are shut out (L4). */
  readonly bans: Bans;
  /** When each login was taken or refused, and from where: for the console. */
  readonly logins: Pick<LoginBook, "note">;
  /** Passwords checked at a domain's own mail server (O13). */
  readonly mailServerLogin: Pick<MailServerLogin, "check" | "usualRefusalMs">;
  /** The recoverable passwords of CRAM-MD5 (L6). */
  readonly cramPasswords: CramPasswords;
  /** The verified reverse name of a stranger, or null; never rejects. Null: names are not looked up. */
  readonly reverseName: ((ip: string) => Promise<string | null>) | null;
  /** A client has connected and is not refused; returns at once. Left out: nobody wants to know. */
  readonly onClient?: (ip: string) => void;
  /** The folder of bodies that are too large for memory, and a new file in it. */
  readonly bodyFolder: string;
  readonly newBodyFile: () => BodyFileWriter;
  readonly clock: Clock;
  readonly log: Log;
  /** True from the moment the gateway begins to stop: no new transactions. */
  readonly draining: () => boolean;
  readonly metrics: Pick<Metrics, "message" | "connection" | "login">;
}

/** Places among the connections of the process. */
export interface ConnectionRoom {
  /** False: there is no room for one more of this user. */
  enter(user: ShareUser): boolean;
  leave(user: ShareUser): void;
}

/** The same with what all listeners of the process share. */
export interface SessionServices extends GatewayServices {
  readonly passwords: PasswordCheck;
  /** The connections of all listeners, in shares. */
  readonly connections: ConnectionRoom;
  /** Memory and disk for bodies that come in, of all sessions together. */
  readonly bodies: BodyRoom;
}
