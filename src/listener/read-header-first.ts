// Reads the PROXY header that a named proxy sends before an implicit TLS handshake, and leaves the handshake on the socket.
import type net from "node:net";
import { type ProxiedClient, readProxyHeader } from "./proxy-header.ts";

const HEADER_MS = 10_000;

/** Calls back once: with an error (the socket is destroyed), or with the client the header named; null: no header, or LOCAL. */
export function readHeaderFirst(
  socket: net.Socket,
  callback: (err: Error | null, client: ProxiedClient | null) => void,
): void {
  let held = Buffer.alloc(0);
  const timer = setTimeout(() => fail("no octets in time"), HEADER_MS);
  const settle = () => {
    clearTimeout(timer);
    socket.removeListener("readable", read);
    socket.removeListener("close", gone);
    socket.removeListener("end", gone);
  };
  const fail = (reason: string) => {
    settle();
    socket.destroy();
    callback(new Error(`PROXY header refused: ${reason}`), null);
  };
  const gone = () => fail("the connection ended");
  const read = () => {
    for (let chunk: Buffer | null = socket.read(); chunk !== null; chunk = socket.read())
      held = Buffer.concat([held, chunk]);
    if (held.length === 0) return;
    const header = readProxyHeader(held);
    if (header.kind === "partial") return;
    if (header.kind === "invalid") return fail(header.reason);
    settle();
    const rest = header.kind === "header" ? held.subarray(header.length) : held;
    if (rest.length > 0) socket.unshift(rest);
    callback(null, header.kind === "header" ? header.client : null);
  };
  // Stays after settling: a reset before the handshake begins must not be an uncaught error.
  socket.on("error", () => {});
  socket.on("close", gone);
  socket.on("end", gone);
  socket.on("readable", read);
}
