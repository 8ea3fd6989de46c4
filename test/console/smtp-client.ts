// A client of a loopback address that sends one message and says what it was answered, for tests that compare the door with a page.
import { createConnection } from "node:net";

/** Resolves to the first reply that is a refusal, else the last: `550 5.7.1 …`. */
export function sendFrom(
  where: { readonly port: number; readonly ip: string },
  lines: readonly string[],
): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ host: "127.0.0.1", port: where.port, localAddress: where.ip });
    const rest = [...lines];
    let text = "";
    socket.setEncoding("latin1");
    socket.on("error", reject);
    socket.on("data", (chunk) => {
      text += String(chunk);
      const replies = text.split("\r\n");
      text = replies.pop() ?? "";
      for (const reply of replies) {
        if (!/^\d{3} /.test(reply)) continue;
        const next = rest.shift();
        if (next !== undefined && /^[23]/.test(reply)) socket.write(`${next}\r\n`);
        else {
          socket.end("QUIT\r\n");
          resolve(reply);
        }
      }
    });
  });
}
