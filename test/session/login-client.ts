// A client that logs in, line by line, named to the gateway by a PROXY header as any address. For tests.
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";

export interface LoginClient {
  /** The greeting, or the refusal instead of it. */
  readonly greeting: string;
  /** Sends a line, or octets as they are; the last line of the reply. */
  say(line: string | Buffer): Promise<string>;
  /** All lines of the last reply. */
  readonly lines: readonly string[];
  startTls(): Promise<void>;
  close(): void;
}

export const plainOf = (login: string, password: string): string =>
  `AUTH PLAIN ${Buffer.from(`\0${login}\0${password}`).toString("base64")}`;

/** Connects to a loopback port, says who the client is, EHLO. */
export async function connectClient(port: number, ip: string): Promise<LoginClient> {
  let socket: Socket = connect({ port, host: "127.0.0.1" });
  let received = "";
  let closed = false;
  let wake = () => {};
  const listen = () => {
    socket.on("data", (bytes: Buffer) => {
      received += bytes.toString("latin1");
      wake();
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      closed = true;
      wake();
    });
  };
  listen();
  const client = { greeting: "", lines: [] as string[] };
  const reply = async (): Promise<string> => {
    for (;;) {
      const whole = /^(?:\d{3}-.*\r\n)*\d{3} .*\r\n/.exec(received);
      if (whole !== null) {
        received = received.slice(whole[0].length);
        client.lines = whole[0].trimEnd().split("\r\n");
        return client.lines.at(-1) ?? "";
      }
      if (closed) return `closed ${received}`;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  const say = (line: string | Buffer) => {
    socket.write(typeof line === "string" ? `${line}\r\n` : line);
    return reply();
  };
  client.greeting = await reply();
  socket.write(`PROXY TCP4 ${ip} 127.0.0.1 40000 25\r\n`);
  const introduced = await say("EHLO client.example.org");
  if (!introduced.startsWith("250")) client.greeting = introduced;
  return Object.assign(client, {
    say,
    async startTls() {
      await say("STARTTLS");
      socket.removeAllListeners();
      const secured = connectTls({ socket, rejectUnauthorized: false });
      await new Promise<void>((resolve) => secured.once("secureConnect", () => resolve()));
      socket = secured;
      listen();
      await say("EHLO client.example.org");
    },
    close: () => socket.destroy(),
  });
}
