// One dialogue with a domain's mail server about one password: connection, TLS, the protocol, an answer. Bounded in time; always over
// TLS; the password is sent at most once. What is remembered between dialogues is in `mail-server-login.ts`.
import { connect, type Socket } from "node:net";
import { connectTrouble } from "../delivery/connect-trouble.ts";
import { hostAddresses } from "../delivery/resolve-hosts.ts";
import type { Resolver } from "../dns/resolver.ts";
import { ipLiteral } from "../message/client-network.ts";
import type { Clock } from "../observe/clock.ts";
import { imapLogin } from "./imap-login.ts";
import { DialogueError, LineDialogue } from "./line-dialogue.ts";
import type { Credentials, LoginAnswer, LoginProtocol, TryLogin } from "./login-dialogue.ts";
import { pop3Login } from "./pop3-login.ts";
import { smtpLogin } from "./smtp-login.ts";

/** Where passwords of a domain are checked. */
export interface PasswordServerAddress {
  readonly protocol: "imap" | "pop3" | "smtp";
  readonly host: string;
  /** null: the protocol's usual one for `tls`. */
  readonly port: number | null;
  readonly tls: "implicit" | "starttls";
  readonly verifyCertificate: boolean;
}

export interface DialogueParts {
  readonly resolver: Resolver;
  readonly clock: Clock;
  /** Our own name, for EHLO. */
  readonly hostname: string;
  /** Further trusted certificates (PEM), for servers with an authority of their own. */
  readonly trusted?: readonly string[];
}

/** From the look-up of the name to where a login can be tried: whoever takes longer is down. */
const READY = { ms: 10_000, what: "no answer" };
/** For the answer to a login. Dovecot says no after 17 s when an address has been wrong often (15 s for that, 2 s for each). */
const ANSWER = { ms: 25_000, what: "no answer to a login" };

const PORTS = {
  imap: { implicit: 993, starttls: 143 },
  pop3: { implicit: 995, starttls: 110 },
  smtp: { implicit: 465, starttls: 587 },
} as const;

/** `imap mail.example.test:993`. */
export function serverName({ protocol, host, port, tls }: PasswordServerAddress): string {
  const name = host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;
  return `${protocol} ${name}:${port ?? PORTS[protocol][tls]}`;
}

/** Tells servers, and how they are asked, apart. */
export function serverKey(server: PasswordServerAddress): string {
  return `${serverName(server)} ${server.tls}${server.verifyCertificate ? "" : ", any certificate"}`;
}

/** The answer of a server, and when the connection is gone: until then the server counts it. */
export interface AnsweredDialogue {
  readonly answer: LoginAnswer;
  /** The server was there, and then said nothing to this login: that tells nothing of the logins of others. */
  readonly unanswered: boolean;
  readonly closed: Promise<void>;
}

/** A login, its password, and the client's address. */
export interface AskedLogin extends Credentials {
  readonly client: string;
}

/** Looks whether logins can be tried there, without one. @throws DialogueError when they cannot. */
export async function lookAtMailServer(server: PasswordServerAddress, parts: DialogueParts): Promise<void> {
  const protocol = protocolOf(server, parts.hostname, null);
  const timer = new AbortController();
  const cancel = limit(timer, parts.clock, READY);
  try {
    const dialogue = new LineDialogue(await reach(server, parts, timer.signal), timer.signal);
    await prepare(dialogue, protocol, { server, parts });
    void dialogue.end(protocol.goodbye);
  } finally {
    cancel();
  }
}

/** Asks once. @throws DialogueError when the server cannot be reached, or does not get to where a login can be tried. */
export async function askMailServer(
  server: PasswordServerAddress,
  asked: AskedLogin,
  parts: DialogueParts,
): Promise<AnsweredDialogue> {
  const timer = new AbortController();
  const protocol = protocolOf(server, parts.hostname, ipLiteral(asked.client));
  let cancel = limit(timer, parts.clock, READY);
  try {
    const dialogue = new LineDialogue(await reach(server, parts, timer.signal), timer.signal);
    const tryLogin = await prepare(dialogue, protocol, { server, parts });
    cancel();
    cancel = limit(timer, parts.clock, ANSWER);
    const tried = await answerOf(() => tryLogin(asked));
    return { ...tried, closed: dialogue.end(protocol.goodbye) };
  } finally {
    cancel();
  }
}

/** Ends what takes longer; the returned function calls it off. */
function limit(
  timer: AbortController,
  clock: Clock,
  { ms, what }: { readonly ms: number; readonly what: string },
): () => void {
  return clock.after(ms, () => timer.abort(`the server took too long: ${what} within ${ms / 1000} seconds`));
}

/** From the greeting to where a login can be tried, over TLS. */
async function prepare(
  dialogue: LineDialogue,
  protocol: LoginProtocol,
  { server, parts }: { readonly server: PasswordServerAddress; readonly parts: DialogueParts },
): Promise<TryLogin> {
  const starttls = server.tls === "starttls";
  const secure = {
    serverName: bare(server.host),
    verify: server.verifyCertificate,
    trusted: parts.trusted ?? null,
  };
  try {
    if (starttls) await protocol.greet(dialogue, { starttls });
    await dialogue.secure(secure);
    if (!starttls) await protocol.greet(dialogue, { starttls });
    return await protocol.prepare(dialogue);
  } catch (error) {
    void dialogue.end(protocol.goodbye);
    throw error;
  }
}

async function answerOf(tryLogin: () => Promise<LoginAnswer>): Promise<Omit<AnsweredDialogue, "closed">> {
  try {
    return { answer: await tryLogin(), unanswered: false };
  } catch (error) {
    if (!(error instanceof DialogueError)) throw error;
    return { answer: { result: "unavailable", words: error.message }, unanswered: true };
  }
}

function protocolOf(
  { protocol }: PasswordServerAddress,
  hostname: string,
  client: string | null,
): LoginProtocol {
  switch (protocol) {
    case "imap":
      return imapLogin(client);
    case "pop3":
      return pop3Login(client);
    case "smtp":
      return smtpLogin(hostname, client);
  }
}

/** `[2001:db8::1]` without its brackets. */
function bare(host: string): string {
  return host.replace(/^\[(?:ipv6:)?|\]$/gi, "");
}

/** Connects to the first address of the server that answers. */
async function reach(
  server: PasswordServerAddress,
  { resolver }: DialogueParts,
  signal: AbortSignal,
): Promise<Socket> {
  const found = await hostAddresses(bare(server.host), resolver);
  if (!found.ok) throw new DialogueError(found.words);
  const port = server.port ?? PORTS[server.protocol][server.tls];
  let trouble = `"${server.host}" has no address`;
  for (const host of found.addresses) {
    const socket = await connectTo(host, port, signal);
    if (typeof socket !== "string") return socket;
    trouble = socket;
  }
  throw new DialogueError(trouble);
}

/** The connected socket, or why there is none. */
function connectTo(host: string, port: number, signal: AbortSignal): Promise<Socket | string> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve(String(signal.reason));
      return;
    }
    const socket = connect({ host, port, noDelay: true });
    const settle = (result: Socket | string) => {
      signal.removeEventListener("abort", giveUp);
      socket.removeAllListeners("error");
      socket.removeAllListeners("connect");
      if (typeof result === "string") {
        socket.on("error", () => {});
        socket.destroy();
      }
      resolve(result);
    };
    const giveUp = () => settle(String(signal.reason));
    signal.addEventListener("abort", giveUp, { once: true });
    socket.once("error", (error: Error) => settle(connectTrouble(error)));
    socket.once("connect", () => settle(socket));
  });
}
