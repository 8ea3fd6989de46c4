// The envelope of a message: who handed it in, for whom, under which conditions. Plain data, no I/O.
import type { MailAddress } from "./address.ts";

/** TLS as it was negotiated. */
export interface TlsInfo {
  readonly protocol: string;
  readonly cipher: string;
}

/** The client at the other end of a connection, after PROXY and XCLIENT. */
export interface Client {
  readonly ip: string;
  readonly port: number;
  /** The name given with HELO/EHLO. */
  readonly helo: string;
  /** The verified reverse name, or null. */
  readonly hostname: string | null;
  readonly tls: TlsInfo | null;
  /** The login that authenticated, or null. */
  readonly login: string | null;
}

/** Why relaying was granted (requirement L2); recorded with every message. */
export type Grant =
  | { readonly by: "relay-domain"; readonly domain: string }
  | { readonly by: "authenticated-sender"; readonly sender: string }
  | { readonly by: "trusted-network"; readonly network: string }
  /** `as`: the user it is re-authenticated as (requirement O9). */
  | { readonly by: "ip-sender"; readonly sender: string; readonly as?: string }
  | { readonly by: "pop-before-smtp"; readonly sender: string }
  | { readonly by: "allow-list"; readonly entry: string };

/**
 * `inbound`: from outside to one of our domains. `outbound`: from a trusted or authenticated client to the outside.
 * `internal`: from a trusted or authenticated client to one of our domains.
 */
export type Direction = "inbound" | "outbound" | "internal";

/** DSN parameters of a recipient (RFC 3461), carried on to the next hop. */
export interface RecipientDsn {
  readonly notify: readonly ("NEVER" | "SUCCESS" | "FAILURE" | "DELAY")[] | null;
  readonly orcpt: string | null;
}

export interface EnvelopeRecipient {
  readonly address: MailAddress;
  readonly dsn: RecipientDsn | null;
  readonly direction: Direction;
  readonly grant: Grant;
}

export interface Envelope {
  /** Sorts by time and does not collide across nodes; see `message-id.ts`. */
  readonly id: string;
  readonly listener: string;
  readonly client: Client;
  /** null is the null reverse-path `<>`. */
  readonly reversePath: MailAddress | null;
  readonly recipients: readonly EnvelopeRecipient[];
  readonly smtpUtf8: boolean;
  readonly body: "7bit" | "8bitmime";
  readonly requireTls: boolean;
  readonly dsnRet: "FULL" | "HDRS" | null;
  readonly dsnEnvid: string | null;
  /** Milliseconds UTC. */
  readonly receivedAt: number;
}
