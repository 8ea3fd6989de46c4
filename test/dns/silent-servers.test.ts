// Servers that say nothing: the first question takes its whole time, those after it a tenth, until somebody answers again.
import { expect, test } from "bun:test";
import { createSocket } from "node:dgram";
import { decode, encode } from "dns-packet";
import { createServerList } from "../../src/dns/server-list.ts";
import { silentLog } from "../../src/observe/log.ts";

const TIMEOUT_MS = 2000;

test("a question to silent servers is not waited for again and again", async () => {
  const server = createSocket("udp4");
  let asked = 0;
  let silent = true;
  server.on("message", (packet, from) => {
    asked += 1;
    if (silent) return;
    const { id, questions } = decode(packet);
    server.send(
      encode({ type: "response", id: id ?? 0, questions: questions ?? [], answers: [] }),
      from.port,
      from.address,
    );
  });
  await new Promise<void>((resolve) => server.bind(0, "127.0.0.1", resolve));
  const list = createServerList({
    servers: [{ host: "127.0.0.1", port: server.address().port, trusted: true, family: 4 }],
    timeoutMs: TIMEOUT_MS,
    log: silentLog,
  });
  const ask = (name: string) => list.ask(name, "TXT", performance.now() + TIMEOUT_MS);
  try {
    expect(await ask("one.example.org")).toHaveProperty("failed");
    expect(asked).toBe(3);
    expect(await ask("two.example.org")).toHaveProperty("failed");
    expect(asked).toBe(4);
    silent = false;
    expect(await ask("three.example.org")).toHaveProperty("answer");
    silent = true;
    // One silence does not make a silent server.
    expect(await ask("four.example.org")).toHaveProperty("failed");
    expect(asked).toBe(8);
  } finally {
    list.close();
    server.close();
  }
}, 30_000);
