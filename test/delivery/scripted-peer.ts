// An SMTP server for tests that does exactly what its script says, over a real socket.
import { once } from "node:events";
import { createServer, type Socket } from "node:net";

/** One client's connection as the script sees it. */
export interface Talk {
  readonly socket: Socket;
  /** Which connection it is, from 0. */
  readonly number: number;
  /** The next line without CRLF; null when the client has gone. */
  line(): Promise<string | null>;
  /** The message up to its end mark, dots still doubled, without the mark; null when the client has gone. */
  message(): Promise<string | null>;
  /** Sends lines; CRLF is added to each. */
  say(...lines: string[]): void;
}

export interface ScriptedPeer {
  readonly port: number;
  /** Every command line received, over all connections. */
  readonly commands: string[];
  /** Every message received, dots still doubled. */
  readonly messages: string[];
  connections(): number;
  /** Connections the client has not closed yet. */
  openConnections(): number;
  close(): Promise<void>;
}

function makeTalk(socket: Socket, number: number, peer: { commands: string[]; messages: string[] }): Talk {
  let buffer = "";
  /** The end of what was searched already, and what came since: a large message is not searched anew with each piece. */
  let recent = "";
  let gone = false;
  let wake: () => void = () => {};
  socket.setEncoding("latin1");
  socket.on("data", (chunk: string) => {
    buffer += chunk;
    recent += chunk;
    wake();
  });
  const leave = (): void => {
    gone = true;
    wake();
  };
  socket.on("end", leave);
  socket.on("close", leave);
  socket.on("error", leave);
  const upTo = async (mark: string): Promise<string | null> => {
    recent = buffer;
    while (!recent.includes(mark)) {
      if (gone) return null;
      recent = recent.slice(1 - mark.length);
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    const end = buffer.indexOf(mark);
    const text = buffer.slice(0, end);
    buffer = buffer.slice(end + mark.length);
    return text;
  };
  return {
    socket,
    number,
    async line() {
      const line = await upTo("\r\n");
      if (line !== null) peer.commands.push(line);
      return line;
    },
    async message() {
      const text = await upTo("\r\n.\r\n");
      if (text !== null) peer.messages.push(`${text}\r\n`);
      return text === null ? null : `${text}\r\n`;
    },
    say(...lines) {
      if (!socket.destroyed) socket.write(lines.map((line) => `${line}\r\n`).join(""));
    },
  };
}

/** Starts a peer; the script runs once per connection, and the connection ends with it unless it never returns. */
export async function startScriptedPeer(
  script: (talk: Talk) => Promise<void>,
  port = 0,
): Promise<ScriptedPeer> {
  const sockets = new Set<Socket>();
  const seen = { commands: [] as string[], messages: [] as string[] };
  let count = 0;
  const server = createServer({ allowHalfOpen: false }, (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    void script(makeTalk(socket, count++, seen)).then(() => socket.end());
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the scripted peer has no port");
  return {
    port: address.port,
    ...seen,
    connections: () => count,
    openConnections: () => sockets.size,
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

/** Replies of a usual server; each may be replaced. A list is a reply of several lines; null closes the connection instead. */
export interface Replies {
  readonly greeting?: string;
  readonly ehlo?: readonly string[];
  readonly mail?: (line: string, talk: Talk) => string | null;
  readonly rcpt?: (line: string, talk: Talk) => string | null;
  readonly data?: (accepted: number, talk: Talk) => string | null;
  readonly final?: (message: string, talk: Talk) => string | null;
}

const EHLO = [
  "250-peer.example.test",
  "250-PIPELINING",
  "250-SIZE 50000000",
  "250-8BITMIME",
  "250-DSN",
  "250 SMTPUTF8",
];

/** A script that talks SMTP with these replies. */
export function usualServer(replies: Replies = {}): (talk: Talk) => Promise<void> {
  return async (talk) => {
    talk.say(replies.greeting ?? "220 peer.example.test ESMTP");
    let accepted = 0;
    let mailOk = false;
    for (let line = await talk.line(); line !== null; line = await talk.line()) {
      const verb = line.slice(0, 4).toUpperCase();
      let reply: string | null = "250 2.0.0 Ok";
      if (verb === "EHLO") {
        talk.say(...(replies.ehlo ?? EHLO));
        continue;
      }
      if (verb === "MAIL") reply = replies.mail?.(line, talk) ?? (replies.mail ? null : "250 2.1.0 Ok");
      if (verb === "MAIL") mailOk = reply?.startsWith("2") === true;
      if (verb === "RCPT") reply = replies.rcpt?.(line, talk) ?? (replies.rcpt ? null : "250 2.1.5 Ok");
      if (verb === "RCPT" && !mailOk) reply = "503 5.5.1 MAIL first";
      if (verb === "RCPT" && reply?.startsWith("2")) accepted++;
      if (verb === "RSET") accepted = 0;
      if (verb === "DATA") {
        const usual = accepted > 0 ? "354 Go ahead" : "503 5.5.1 No valid recipients";
        reply = replies.data === undefined ? usual : replies.data(accepted, talk);
        accepted = 0;
        if (reply?.startsWith("354")) {
          talk.say(reply);
          const message = await talk.message();
          if (message === null) return;
          reply = replies.final === undefined ? "250 2.0.0 Ok: queued" : replies.final(message, talk);
        }
      }
      if (verb === "QUIT") {
        talk.say("221 2.0.0 Bye");
        return;
      }
      if (reply === null) return;
      talk.say(reply);
    }
  };
}
