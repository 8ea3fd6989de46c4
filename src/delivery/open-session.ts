// From an address to a session that may be used: connection, greeting, TLS by policy, AUTH. It tries once;
// only opportunistic TLS is tried again without TLS, over a new connection, when the handshake breaks.
import { connect, type Socket } from "node:net";
import { connectTrouble } from "./connect-trouble.ts";
import type { DeadlineWatch } from "./deadline-watch.ts";
import type { TlsPolicy } from "./route.ts";
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
  readonly login: { readonly user: string; readonly password: string } | null;
  readonly connectTimeoutMs: number;
  /** No step goes beyond this, by `performance.now()`. */
  readonly deadlineAt: number;
  readonly timeouts: DeliveryTimeouts;
  readonly trusted: readonly string[] | null;
  readonly deadlines: DeadlineWatch;
}

export type OpenResult =
  | { readonly ok: true; readonly session: SmtpSession }
  | { readonly ok: false; readonly failure: SessionFailure };

const SESSION_TLS: Readonly<Record<TlsPolicy, SessionOptions["tls"]>> = {
  none: "none",
  opportunistic: "starttls-if-offered",
  required: "starttls",
  verified: "starttls",
  implicit: "implicit",
};

function failed(words: string, connected: boolean): OpenResult {
  return { ok: false, failure: { words, reply: null, duringTls: false, connected } };
}

function connectSocket(options: OpenOptions): Promise<Socket | string> {
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
  if (options.login === null) return null;
  if (session.tlsInfo === null && options.tls !== "none") {
    return "the server offers no TLS, and a password is not sent without it";
  }
  return session.allowsAuth ? null : "the server offers no AUTH, but a login is set for it";
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
  const problem = policyProblem(session, options);
  if (problem !== null) {
    session.leave();
    return failed(problem, true);
  }
  const refused = options.login === null ? null : await session.authenticate(options.login);
  return refused === null ? { ok: true, session } : { ok: false, failure: refused };
}

/** Opens a session. Never rejects for anything the network does; bounded by the connect and greeting time-outs. */
export async function openSession(options: OpenOptions): Promise<OpenResult> {
  const first = await openOnce(options);
  if (first.ok || options.tls !== "opportunistic" || options.mustVerify) return first;
  if (!first.failure.duringTls) return first;
  // A password never goes over the second connection: policyProblem refuses a login without TLS.
  if (options.login !== null) return first;
  return openOnce({ ...options, tls: "none" });
}
