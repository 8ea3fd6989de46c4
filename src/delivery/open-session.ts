// From an address to a session that may be used: connection, greeting, TLS by policy, AUTH. It tries once;
// only opportunistic TLS is tried again without TLS, over a new connection, when the handshake or the session behind it breaks.
import { connect, type Socket } from "node:net";
import ipaddr from "ipaddr.js";
import { noDescriptorLeft } from "../config/descriptors.ts";
import { connectTrouble } from "./connect-trouble.ts";
import type { DeadlineWatch } from "./deadline-watch.ts";
import type { RestingLinks } from "./resting-links.ts";
import type { Login, TlsPolicy } from "./route.ts";
import type { ServerMarks } from "./server-marks.ts";
import { type SessionFailure, type SessionOptions, SmtpSession } from "./smtp-session.ts";
import type { DeliveryTimeouts } from "./timeouts.ts";

export interface OpenOptions {
  /** An IP address. */
  readonly address: string;
  readonly port: number;
  readonly serverName: string;
  readonly hostname: string;
  readonly tls: TlsPolicy;
  /** The certificate must prove the name, whatever the policy says. */
  readonly mustVerify: boolean;
  readonly login: Login | null;
  /** Servers whose TLS breaks: by `serverMark`, spoken to without it at once where TLS is opportunistic. */
  readonly brokenTls: ServerMarks;
  readonly connectTimeoutMs: number;
  /** No step goes beyond this, by `performance.now()`. */
  readonly deadlineAt: number;
  readonly timeouts: DeliveryTimeouts;
  readonly trusted: readonly string[] | null;
  readonly deadlines: DeadlineWatch;
  /** They leave when there is no descriptor for this connection. */
  readonly resting: RestingLinks;
  /** Our mark: a server that has it is ourselves. Left out: not looked for. */
  readonly ownMark?: string | undefined;
}

/** `bare`: in clear text only because TLS broke. `may-be-bare`: it may be tried so, should the session break soon. */
export type Security = "as-set" | "bare" | "may-be-bare";

export type OpenResult =
  | { readonly ok: true; readonly session: SmtpSession; readonly security: Security }
  | { readonly ok: false; readonly failure: SessionFailure };

const SESSION_TLS: Readonly<Record<TlsPolicy, SessionOptions["tls"]>> = {
  none: "none",
  opportunistic: "starttls-if-offered",
  required: "starttls",
  verified: "starttls",
  implicit: "implicit",
};

const NO_DESCRIPTOR = Object.assign(new Error("too many open files"), { code: "EMFILE" });

function failed(words: string, connected: boolean): OpenResult {
  return { ok: false, failure: { words, reply: null, duringTls: false, connected } };
}

/** Once more when the descriptors were used up and resting connections made room. */
async function connectSocket(options: OpenOptions): Promise<Socket | string> {
  const first = await connectOnce(options);
  if (typeof first !== "string" || !noDescriptorLeft()) return first;
  return options.resting.cutAll() > 0 ? connectOnce(options) : connectTrouble(NO_DESCRIPTOR);
}

function connectOnce(options: OpenOptions): Promise<Socket | string> {
  return new Promise((resolve) => {
    const socket = connect({ host: options.address, port: options.port, noDelay: true });
    const giveUp = (words: string): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(words);
    };
    const onError = (error: Error): void => giveUp(connectTrouble(error));
    const waitMs = Math.floor(
      Math.max(1, Math.min(options.connectTimeoutMs, options.deadlineAt - performance.now())),
    );
    const timer = setTimeout(giveUp, waitMs, `no connection within ${waitMs} ms`);
    socket.once("error", onError);
    socket.once("connect", () => {
      clearTimeout(timer);
      socket.removeListener("error", onError);
      resolve(socket);
    });
  });
}

/** What speaks against a session that is open, by its TLS policy; null when nothing does. */
function policyProblem(session: SmtpSession, options: OpenOptions): string | null {
  if (options.tls === "verified" || options.mustVerify) {
    const problem = session.certificateProblem();
    if (problem !== null) return `TLS must be verified for this server, but ${problem}`;
  }
  return options.login === null ? null : loginProblem(session, options.login, options);
}

/** What forbids to send the password, or null. On this machine nobody stands in between (loopback). */
function loginProblem(session: SmtpSession, login: Login, { address, tls }: OpenOptions): string | null {
  if (session.tlsInfo === null && tls !== "none") {
    return "the server offers no TLS, and a password is not sent without it";
  }
  if (!session.allowsAuth) return "the server offers no AUTH, but a login is set for it";
  if (login.allowUnverifiedTls === true || isLoopback(address)) return null;
  const problem = session.certificateProblem();
  return problem === null
    ? null
    : `the password was not sent: ${problem}. Give the server a certificate that proves the name set for it, or allow it: "Send the password without a proven certificate" under Delivery (delivery.smarthost.allow_unverified_tls = true)`;
}

function isLoopback(address: string): boolean {
  return ipaddr.isValid(address) && ipaddr.process(address).range() === "loopback";
}

async function openOnce(options: OpenOptions): Promise<OpenResult> {
  const socket = await connectSocket(options);
  if (typeof socket === "string") return failed(socket, false);
  const { serverName, hostname, timeouts, trusted, deadlineAt } = options;
  const session = new SmtpSession({
    socket,
    serverName,
    hostname,
    timeouts,
    trusted,
    deadlineAt,
    tls: SESSION_TLS[options.tls],
  });
  options.deadlines.add(session);
  session.onOver = () => options.deadlines.remove(session);
  const failure = await session.open();
  if (failure !== null) return { ok: false, failure };
  if (options.ownMark !== undefined && session.isMarked(options.ownMark)) {
    session.leave();
    const words = "the server is this gateway itself: mail would loop";
    return { ok: false, failure: { words, reply: null, duringTls: false, connected: true, loops: true } };
  }
  const problem = policyProblem(session, options);
  if (problem !== null) {
    session.leave();
    return failed(problem, true);
  }
  const refused = options.login === null ? null : await session.authenticate(options.login);
  return refused === null ? { ok: true, session, security: "as-set" } : { ok: false, failure: refused };
}

/** The name of a server in `brokenTls`. */
export function serverMark(at: { readonly address: string; readonly port: number }): string {
  return `${at.address}|${at.port}`;
}

/** Opens a session. Never rejects for anything the network does; bounded by the connect and greeting time-outs. */
export async function openSession(options: OpenOptions): Promise<OpenResult> {
  // Never where TLS is asked for, nor where a password would be sent.
  const mayBeBare = options.tls === "opportunistic" && !options.mustVerify && options.login === null;
  if (!mayBeBare) return openOnce(options);
  const mark = serverMark(options);
  if (options.brokenTls.has(mark)) return openBare(options);
  const first = await openOnce(options);
  if (first.ok) return first.session.tlsInfo === null ? first : { ...first, security: "may-be-bare" };
  if (!first.failure.duringTls) return first;
  const second = await openBare(options);
  if (second.ok) options.brokenTls.mark(mark);
  return second;
}

async function openBare(options: OpenOptions): Promise<OpenResult> {
  const opened = await openOnce({ ...options, tls: "none" });
  return opened.ok ? { ...opened, security: "bare" } : opened;
}
