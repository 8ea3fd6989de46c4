// A process that may open few files: more connections than it can have are answered 421, trusted clients get in, delivery and commands
// go on, an alarm stands as long as it is crowded, and nothing ends the process.
import { expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { freePorts, waitUntil } from "../peers/run-command.ts";
import { runGateway } from "../peers/run-gateway.ts";
import { alarmNames, isRunning, sendOne, smallPolicy } from "./gateway-kit.ts";

/** The first line the server says, or "" when it closes without one. */
function dial(port: number, from: string): Promise<{ readonly said: string; readonly socket: Socket }> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port, localAddress: from });
    socket.once("data", (chunk) => resolve({ said: chunk.toString("latin1"), socket }));
    socket.once("error", () => resolve({ said: "", socket }));
    socket.once("close", () => resolve({ said: "", socket }));
  });
}

/** That one client has its share, or that there is no place for anybody. */
const aboutConnections = (name: string) => name.startsWith("connections");

test("1,100 idle connections at a limit of 1,024 descriptors", async () => {
  const { mx, nobody } = await freePorts("mx", "nobody");
  const gateway = await runGateway({
    policy: `${smallPolicy(mx, nobody).replace("greeting_delay = 0", "greeting_delay = 0\nmax_connections_per_client = 1000")}
[networks]
trusted = ["127.0.0.1/32"]
`,
    launcher: ["sh", "-c", 'ulimit -n 1024 && exec "$@"', "sh"],
  });
  const sockets: Socket[] = [];
  try {
    let greeted = 0;
    let refused = 0;
    // Strangers of several networks.
    for (let n = 0; n < 1100; n += 50) {
      const batch = Array.from({ length: 50 }, (_, i) => dial(mx, `127.0.${1 + ((n + i) % 11)}.1`));
      for (const { said, socket } of await Promise.all(batch)) {
        sockets.push(socket);
        if (said.startsWith("220")) greeted++;
        else if (said.startsWith("421")) refused++;
      }
    }
    expect(greeted + refused).toBe(1100);
    expect(greeted).toBeGreaterThan(200);
    expect(greeted).toBeLessThan(410);
    expect(await sendOne(mx, { subject: "from our own mail server" })).toStartWith("250");
    expect((await alarmNames(gateway)).some(aboutConnections)).toBe(true);
    expect((await gateway.command("queue", "list", "--json")).code).toBe(0);
    for (const socket of sockets.splice(0)) socket.destroy();
    await waitUntil("the alarm ends", async () => !(await alarmNames(gateway)).some(aboutConnections));
    expect((await dial(mx, "127.0.1.1")).said).toStartWith("220");
    expect(isRunning(gateway.pid())).toBe(true);
  } finally {
    for (const socket of sockets) socket.destroy();
    await gateway.dispose();
  }
}, 120_000);
