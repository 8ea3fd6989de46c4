// A scripted mail server and the check of passwords that asks it, with a clock that can be turned. For tests of logins at mail servers.
import type { PasswordServerAddress } from "../../src/hooks/mail-server-dialogue.ts";
import { createMailServerLogin } from "../../src/hooks/mail-server-login.ts";
import type { Clock } from "../../src/observe/clock.ts";
import { silentLog } from "../../src/observe/log.ts";
import { makeCertificate } from "../delivery/certificate.ts";
import {
  type ScriptedMailServer,
  type ScriptOptions,
  startScriptedMailServer,
} from "./scripted-mail-server.ts";

const certificate = await makeCertificate(["127.0.0.1"]);
export const foreign = await makeCertificate(["mail.example.org"]);
export const PLAIN = Buffer.from("\0alice@example.test\0se cret ü").toString("base64");
export const ASKED = {
  login: "alice@example.test",
  password: "se cret ü",
  client: "192.0.2.7",
  cacheMs: 300_000,
};

const noDns = () =>
  Promise.resolve({ ok: false as const, failure: "nxdomain" as const, words: "no DNS here" });
const resolver = { a: noDns, aaaa: noDns, mx: noDns, txt: noDns, ptr: noDns, close: () => {} };

const servers: ScriptedMailServer[] = [];

/** Ends the servers of the trials before. */
export async function endTrials(): Promise<void> {
  for (const server of servers.splice(0)) await server.close();
}

/** A clock that runs, and can be turned forward: what waits then wakes. */
function turnedClock(): Clock & { turn(ms: number): void; isAwaited(): boolean } {
  let ahead = 0;
  const waiting = new Map<() => void, number>();
  const now = () => Date.now() + ahead;
  return {
    now,
    isAwaited: () => waiting.size > 0,
    after(ms, wake) {
      const entry = () => wake();
      waiting.set(entry, now() + ms);
      return () => waiting.delete(entry);
    },
    turn(ms) {
      ahead += ms;
      for (const [wake, at] of [...waiting]) if (at <= now() && waiting.delete(wake)) wake();
    },
  };
}

/** A server that follows a script, and a log-in check with nothing remembered that asks it. */
export async function trial(
  options: Pick<ScriptOptions, "script" | "greeting"> &
    Partial<ScriptOptions> & {
      readonly protocol: PasswordServerAddress["protocol"];
      readonly verify?: boolean;
      readonly isAsked?: () => boolean;
    },
) {
  const { protocol, verify = false, implicit = true } = options;
  const server = await startScriptedMailServer({ certificate, implicit, ...options });
  servers.push(server);
  const clock = turnedClock();
  const alarms: (string | null)[] = [];
  const login = createMailServerLogin({
    log: silentLog,
    resolver,
    clock,
    hostname: "gate.example.test",
    onAlarm: (_name, words) => alarms.push(words),
    trusted: [certificate.cert, foreign.cert],
    ...(options.isAsked === undefined ? {} : { isAsked: options.isAsked }),
  });
  const address: PasswordServerAddress = {
    protocol,
    host: "127.0.0.1",
    port: server.port,
    tls: implicit ? "implicit" : "starttls",
    verifyCertificate: verify,
  };
  const ask = (over: Partial<typeof ASKED> = {}) => login.check({ ...ASKED, ...over, server: address });
  /** Another one on its port, or the same that is back. */
  const restart = async (other: Partial<ScriptOptions> = {}): Promise<ScriptedMailServer> => {
    const started = await startScriptedMailServer({
      certificate,
      implicit,
      ...options,
      ...other,
      port: server.port,
    });
    servers.push(started);
    return started;
  };
  return { server, clock, alarms, login, address, ask, restart };
}

/** An IMAP server that answers the login with `answer`. */
export function imap(answer: string, capabilities = "IMAP4rev1 STARTTLS AUTH=PLAIN SASL-IR") {
  const script: ScriptOptions["script"] = (line) => {
    const [tag = "", verb = ""] = line.split(" ");
    if (verb === "CAPABILITY") return { say: `* CAPABILITY ${capabilities}\r\n${tag} OK\r\n` };
    if (verb === "STARTTLS") return { say: `${tag} OK go\r\n`, next: "tls" };
    if (verb === "AUTHENTICATE" && !line.endsWith("PLAIN")) return { say: `g4 ${answer}\r\n` };
    if (verb === "LOGOUT") return { say: "* BYE\r\n", next: "close" };
    if (verb === "AUTHENTICATE" || line.endsWith("}")) return { say: "+ go on\r\n" };
    return { say: `g4 ${answer}\r\n` };
  };
  return { protocol: "imap", greeting: "* OK [CAPABILITY IMAP4rev1] ready\r\n", script } as const;
}

export function pop3(answer: string, capabilities = "SASL PLAIN LOGIN\r\n") {
  const script: ScriptOptions["script"] = (line) => {
    if (line === "CAPA")
      return capabilities === "" ? { say: "-ERR\r\n" } : { say: `+OK\r\n${capabilities}.\r\n` };
    if (line === "STLS") return { say: "+OK\r\n", next: "tls" };
    if (line === "QUIT") return { say: "+OK\r\n", next: "close" };
    if (line === "AUTH PLAIN") return { say: "+ \r\n" };
    return line.startsWith("USER ") ? { say: "+OK\r\n" } : { say: `${answer}\r\n` };
  };
  return { protocol: "pop3", greeting: "+OK ready\r\n", script } as const;
}

export function smtp(answer: string, mechanisms = "PLAIN LOGIN") {
  const script: ScriptOptions["script"] = (line) => {
    if (line.startsWith("EHLO")) return { say: `250-mail\r\n250-STARTTLS\r\n250 AUTH ${mechanisms}\r\n` };
    if (line === "STARTTLS") return { say: "220 go\r\n", next: "tls" };
    if (line === "QUIT") return { say: "221 bye\r\n", next: "close" };
    if (line === "AUTH LOGIN") return { say: "334 VXNlcm5hbWU6\r\n" };
    if (line === Buffer.from(ASKED.login).toString("base64")) return { say: "334 UGFzc3dvcmQ6\r\n" };
    return { say: `${answer}\r\n` };
  };
  return { protocol: "smtp", greeting: "220-mail\r\n220 ready\r\n", script } as const;
}
