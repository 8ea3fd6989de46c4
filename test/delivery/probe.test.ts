// Does a server answer strangers? Asked in clear text and over TLS, of servers over real sockets.
import { afterEach, expect, test } from "bun:test";
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { probe } from "../../src/cli/probe.ts";
import type { Terminal } from "../../src/cli/terminal.ts";
import { makeCertificate } from "./certificate.ts";

const certificate = await makeCertificate(["localhost"]);
const open: Server[] = [];
afterEach(() => {
  for (const server of open.splice(0)) server.close();
});

const greet = (socket: Socket): void => {
  socket.on("error", () => {});
  socket.write("220 mx.example.test ESMTP\r\n");
};
const quiet = (socket: Socket): void => void socket.on("error", () => {});

async function listen(server: Server): Promise<number> {
  open.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

async function ask(host: string, ...ports: readonly number[]) {
  const lines: string[] = [];
  const terminal: Terminal = { out: (text) => void lines.push(text), data: () => {}, err: () => {} };
  const code = await probe({ host, ports, timeoutMs: 400 }, terminal);
  return { code, out: lines.join("\n") };
}

test.each([
  ["in clear text", () => createServer(greet), 1, "answers strangers on port"],
  ["behind TLS", () => createTlsServer(certificate, greet), 1, "answers strangers on port"],
  [
    "not at all, to a connection it takes",
    () => createServer(quiet),
    1,
    "takes connections of strangers on port",
  ],
  [
    "not at all, behind TLS",
    () => createTlsServer(certificate, quiet),
    1,
    "takes connections of strangers on port",
  ],
  [
    "by hanging up",
    () => createServer((socket) => socket.end()),
    1,
    "takes connections of strangers on port",
  ],
] as const)("a server that answers %s", async (_, make, code, words) => {
  const port = await listen(make());
  const found = await ask("127.0.0.1", port);
  expect([found.code, found.out]).toEqual([code, expect.stringContaining(`${words} ${port}`)]);
  expect((await ask("localhost", port)).code).toBe(code);
});

test("a closed port is the all-clear, and hides no open one", async () => {
  const gone = createServer();
  const closed = await listen(gone);
  gone.close();
  expect(await ask("127.0.0.1", closed)).toEqual({
    code: 0,
    out: expect.stringContaining("does not answer mail"),
  });
  const tls = await listen(createTlsServer(certificate, greet));
  expect((await ask("127.0.0.1", closed, tls)).out).toContain(`answers strangers on port ${tls}.`);
});

test("a name without an address is an error", async () => {
  await expect(ask("nosuch.invalid", 25)).rejects.toMatchObject({
    exitCode: 69,
    message: expect.stringContaining('"nosuch.invalid" has no address'),
  });
});
