// A process of its own that takes more than its share of a gateway: many large messages at once, bodies that are never ended, connections
// that say nothing, or receivers that take a message and never answer. Prints a line of JSON when it has begun, and one at its end.
import { connect, createServer, type Socket } from "node:net";

const [kind = "", port = "0", count = "1", bytes = "0", from = "127.0.1.1"] = process.argv.slice(2);
const LINE = Buffer.from(`${"QUJDREVG".repeat(9)}QUJD\r\n`);
const HEADER =
  "From: Alice <alice@example.org>\r\nTo: <bob@example.test>\r\nSubject: large\r\nMIME-Version: 1.0\r\n" +
  "Content-Type: application/pdf; name=report.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n";
const PIECE = Buffer.concat(Array.from({ length: 800 }, () => LINE));

function dial(to: number): Socket {
  return connect({ host: "127.0.0.1", port: to, localAddress: from });
}

/** The next reply of the server, its last line; rejects when the connection ends. */
function replies(socket: Socket): () => Promise<string> {
  let text = "";
  const waiting: PromiseWithResolvers<string>[] = [];
  const ready: string[] = [];
  let ended: Error | null = null;
  socket.on("data", (chunk) => {
    text += chunk.toString("latin1");
    const lines = text.split("\r\n");
    text = lines.pop() ?? "";
    for (const line of lines.filter((one) => /^\d{3} /.test(one))) {
      const next = waiting.shift();
      if (next === undefined) ready.push(line);
      else next.resolve(line);
    }
  });
  const gone = () => {
    ended = new Error("the connection has ended");
    for (const one of waiting.splice(0)) one.reject(ended);
  };
  socket.on("close", gone).on("error", gone);
  return () => {
    const line = ready.shift();
    if (line !== undefined) return Promise.resolve(line);
    if (ended !== null) return Promise.reject(ended);
    const next = Promise.withResolvers<string>();
    waiting.push(next);
    return next.promise;
  };
}

/** Sends a message of that size; without its end it is never answered. The reply, or what went wrong. */
async function sendBody(size: number, options: { readonly end: boolean }): Promise<string> {
  const socket = dial(Number(port));
  const reply = replies(socket);
  try {
    await reply();
    for (const line of [
      "EHLO client.example.org",
      "MAIL FROM:<alice@example.org>",
      "RCPT TO:<bob@example.test>",
      "DATA",
    ]) {
      socket.write(`${line}\r\n`);
      const answer = await reply();
      if (!/^[23]/.test(answer)) return answer;
    }
    socket.write(HEADER);
    for (let sent = 0; sent < size; sent += PIECE.length) {
      if (!socket.write(PIECE)) await new Promise<void>((resolve) => socket.once("drain", resolve));
    }
    if (!options.end) return "held";
    socket.write(".\r\n");
    return await reply();
  } catch (error) {
    return String(error);
  } finally {
    if (options.end) socket.destroy();
  }
}

/** A server that takes a message's start and reads no further. */
async function slowServer(): Promise<number> {
  const server = createServer((socket) => {
    let inData = false;
    socket.on("error", () => {});
    socket.write("220 slow.example.org\r\n");
    socket.on("data", (chunk) => {
      if (inData) return;
      for (const line of chunk.toString("latin1").split("\r\n").slice(0, -1)) {
        if (/^EHLO/i.test(line)) socket.write("250 slow.example.org\r\n");
        else if (/^DATA/i.test(line)) {
          inData = true;
          socket.write("354 Go ahead\r\n");
          socket.pause();
        } else socket.write("250 Ok\r\n");
      }
    });
  });
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      resolve(address !== null && typeof address === "object" ? address.port : 0);
    });
  });
}

const say = (what: object) => process.stdout.write(`${JSON.stringify(what)}\n`);
const times = Array.from({ length: Number(count) }, (_, n) => n);
switch (kind) {
  case "large":
    say({ begun: true });
    say({ replies: await Promise.all(times.map(() => sendBody(Number(bytes), { end: true }))) });
    process.exitCode = 0;
    break;
  case "half": {
    const held = times.map(() => sendBody(Number(bytes), { end: false }));
    await Promise.race([Promise.all(held), Bun.sleep(30_000)]);
    say({ begun: true });
    break;
  }
  case "idle":
    for (const n of times) {
      dial(Number(port)).on("error", () => {});
      if (n % 200 === 0) await Bun.sleep(5);
    }
    await Bun.sleep(1000);
    say({ begun: true });
    break;
  case "slow":
    say({ ports: await Promise.all(times.map(slowServer)) });
    break;
}
// What is held is held until this process is ended.
if (kind !== "large") setInterval(() => {}, 1000);
