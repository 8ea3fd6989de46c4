// Asks a mail server what it would tell a stranger: is the hidden server (requirement I3) really hidden?
import { connect, type Socket } from "node:net";

/** What one port of the server said. `closed` and `filtered` are what an administrator wants to see from outside. */
export interface ProbeResult {
  readonly port: number;
  readonly state: "open" | "closed" | "filtered" | "silent";
  /** Its greeting, or why there was none. */
  readonly words: string;
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

/** Connects to one port and waits for an SMTP greeting, at most `timeoutMs`. Never rejects; nothing is sent but QUIT. */
export function probePort(options: {
  readonly host: string;
  readonly port: number;
  readonly timeoutMs: number;
}): Promise<ProbeResult> {
  const { host, port, timeoutMs } = options;
  return new Promise((resolve) => {
    let connected = false;
    const socket = connect({ host, port });
    const settle = (state: ProbeResult["state"], words: string): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ port, state, words });
    };
    const timer = setTimeout(() => {
      if (connected) settle("silent", `It took the connection and said nothing for ${timeoutMs} ms.`);
      else settle("filtered", `No answer within ${timeoutMs} ms: a firewall drops the packets.`);
    }, timeoutMs);
    socket.on("connect", () => {
      connected = true;
      readGreeting(socket, settle);
    });
    socket.on("error", (error: NodeJS.ErrnoException) => {
      if (connected) settle("silent", `The connection broke: ${error.message}`);
      else settle(error.code === "ECONNREFUSED" ? "closed" : "filtered", `No connection: ${error.message}`);
    });
  });
}
