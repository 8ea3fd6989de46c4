// A mail server that says what a test tells it to: each connection gets a script of what is expected and what is answered. It can
// begin in clear and turn to TLS. For tests of logins at mail servers.
import { createServer, type Server, type Socket } from "node:net";
import { createSecureContext, TLSSocket } from "node:tls";
import type { TestCertificate } from "../delivery/certificate.ts";

/** One turn: the answer to a line; `tls` starts the handshake after it, `close` ends the connection. */
export interface Turn {
  readonly say: string;
  readonly next?: "tls" | "close";
}

export type Script = (line: string, turn: number) => Turn | null;

export interface ScriptedMailServer {
  readonly port: number;
  /** Every line received, of all connections in order. */
  readonly lines: string[];
  connections: number;
  /** Connections open at the same time, at most. */
  most: number;
  close(): Promise<void>;
}

export interface ScriptOptions {
  readonly certificate: TestCertificate;
  readonly implicit: boolean;
  readonly greeting: string;
  /** The answer to a line; null says nothing. */
  readonly script: Script;
  /** Left out: one that is free. */
  readonly port?: number;
}

/** Starts it on a loopback port. */
export async function startScriptedMailServer(options: ScriptOptions): Promise<ScriptedMailServer> {
  const open = new Set<Socket>();
  const server: Server = createServer((socket) => {
    state.connections++;
    open.add(socket);
    state.most = Math.max(state.most, open.size);
    socket.on("close", () => open.delete(socket));
    socket.on("error", () => {});
    if (options.implicit) serve(secured(socket, options), options, state.lines, { greet: true });
    else serve(socket, options, state.lines, { greet: true });
  });
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const state = {
    port: address.port,
    lines: [] as string[],
    connections: 0,
    most: 0,
    close: () =>
      new Promise<void>((resolve) => {
        for (const socket of open) socket.destroy();
        server.close(() => resolve());
      }),
  };
  return state;
}

function secured(socket: Socket, { certificate }: ScriptOptions): TLSSocket {
  const secure = new TLSSocket(socket, { isServer: true, secureContext: createSecureContext(certificate) });
  secure.on("error", () => {});
  return secure;
}

function serve(
  socket: Socket,
  options: ScriptOptions,
  lines: string[],
  { greet }: { readonly greet: boolean },
): void {
  let received = "";
  let turn = 0;
  const onData = (bytes: Buffer) => {
    received += bytes.toString("utf8");
    for (;;) {
      const end = received.indexOf("\r\n");
      if (end < 0) return;
      const line = received.slice(0, end);
      received = received.slice(end + 2);
      lines.push(line);
      const answer = options.script(line, turn++);
      if (answer === null) continue;
      if (answer.next === "tls") socket.removeListener("data", onData);
      socket.write(answer.say);
      if (answer.next === "close") socket.end();
      if (answer.next === "tls") serve(secured(socket, options), options, lines, { greet: false });
    }
  };
  socket.on("data", onData);
  if (greet) socket.write(options.greeting);
}
