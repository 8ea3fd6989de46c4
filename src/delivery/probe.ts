// Asks a mail server what it would tell a stranger: is the hidden server (requirement I3) really hidden?
import { connect, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";

/** What one port of the server said. `closed` and `filtered` are what an administrator wants to see from outside. */
export interface ProbeResult {
  readonly port: number;
  readonly state: "open" | "closed" | "filtered" | "silent" | "not asked";
  /** Its greeting, or why there was none. */
  readonly words: string;
}

export interface ProbeOptions {
  readonly host: string;
  readonly port: number;
  readonly timeoutMs: number;
}

const MAX_GREETING_BYTES = 2048;

function readGreeting(socket: Socket, settle: (state: ProbeResult["state"], words: string) => void): void {
  let text = "";
  socket.setEncoding("latin1");
  socket.on("data", (chunk: string) => {
    text += chunk;
    if (!text.includes("\n") && text.length < MAX_GREETING_BYTES) return;
    const line = text.split(/\r?\n/, 1)[0] ?? "";
    socket.end("QUIT\r\n");
    settle("open", line.replace(/[^\x20-\x7e]/g, "?").slice(0, 200));
  });
  socket.on("end", () => settle("silent", "It took the connection and closed it without a greeting."));
}

/** No way out of this machine: nothing was asked. */
const OUR_OWN_TROUBLE = new Set([
  "ENETUNREACH",
  "ENETDOWN",
  "EADDRNOTAVAIL",
  "EPERM",
  "EMFILE",
  "ENOTFOUND",
  "EAI_AGAIN",
]);

function stateOf(code: string | undefined): ProbeResult["state"] {
  if (code === "ECONNREFUSED") return "closed";
  return code !== undefined && OUR_OWN_TROUBLE.has(code) ? "not asked" : "filtered";
}

/** One try, with or without TLS. */
function probeOnce(options: ProbeOptions & { readonly tls: boolean }): Promise<ProbeResult> {
  const { host, port, timeoutMs, tls } = options;
  return new Promise((resolve) => {
    let connected = false;
    // A firewall asks for no certificate: whose it is does not matter, only that somebody answers.
    const socket = tls
      ? connectTls({
          host,
          port,
          rejectUnauthorized: false,
          ...(isIP(host) === 0 ? { servername: host } : {}),
        })
      : connect({ host, port });
    const settle = (state: ProbeResult["state"], words: string): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ port, state, words });
    };
    const timer = setTimeout(() => {
      if (connected) settle("silent", `It took the connection and said nothing for ${timeoutMs} ms.`);
      else settle("filtered", `No answer within ${timeoutMs} ms: a firewall drops the packets.`);
    }, timeoutMs);
    socket.on(tls ? "secureConnect" : "connect", () => {
      connected = true;
      readGreeting(socket, settle);
    });
    socket.on("error", (error: NodeJS.ErrnoException) => {
      if (connected) settle("silent", `The connection broke: ${error.message}`);
      else settle(stateOf(error.code), `No connection: ${error.message}`);
    });
  });
}

/** The port where TLS comes first (RFC 8314 §3.3); any other is tried with TLS when it says nothing without. */
const IMPLICIT_TLS = 465;

/**
 * Connects to one port and waits for an SMTP greeting, at most `timeoutMs` without TLS and as long with it. Never rejects; nothing is
 * sent but QUIT and a TLS handshake.
 */
export async function probePort(options: ProbeOptions): Promise<ProbeResult> {
  const tlsFirst = options.port === IMPLICIT_TLS;
  const first = await probeOnce({ ...options, tls: tlsFirst });
  if (first.state === "open" || first.state === "closed") return first;
  if (!tlsFirst && first.state !== "silent") return first;
  const second = await probeOnce({ ...options, tls: !tlsFirst });
  // The try without TLS says whether the connection was taken.
  return second.state === "open" || tlsFirst ? second : first;
}
