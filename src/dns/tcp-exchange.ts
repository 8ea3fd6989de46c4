// One question over one TCP connection, for answers that do not fit a datagram (RFC 7766).
import { randomInt } from "node:crypto";
import { connect } from "node:net";
import { encodeQuery, type QueryAnswer, readAnswer } from "./query-message.ts";
import type { DnsServerAddress } from "./server-address.ts";
import type { NoAnswer, Question } from "./udp-exchange.ts";

const MAX_BYTES = 2 + 65_535;

/** Asks and closes. Bounded by `timeoutMs` in all; at most 64 KB are kept. */
export function askOverTcp(
  server: DnsServerAddress,
  question: Question,
  timeoutMs: number,
): Promise<QueryAnswer | NoAnswer> {
  const query = encodeQuery({ id: randomInt(65_536), ...question });
  return new Promise((resolve) => {
    const socket = connect({ host: server.host, port: server.port });
    const whole = Buffer.allocUnsafe(MAX_BYTES);
    let received = 0;
    const settle = (result: QueryAnswer | NoAnswer): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(result);
    };
    const timer = setTimeout(
      () => settle({ failed: `no whole answer over TCP within ${timeoutMs} ms` }),
      timeoutMs,
    );
    socket.on("connect", () => {
      const length = Buffer.alloc(2);
      length.writeUInt16BE(query.bytes.length);
      socket.write(Buffer.concat([length, query.bytes]));
    });
    socket.on("data", (chunk: Buffer) => {
      // copy() takes what fits; more than one whole message was never asked for.
      received += chunk.copy(whole, received);
      const end = received < 2 ? MAX_BYTES : 2 + whole.readUInt16BE(0);
      if (received < end) return;
      settle(
        readAnswer(whole.subarray(2, end), query, "tcp") ?? { failed: "the answer over TCP is not usable" },
      );
    });
    socket.on("error", (error) => settle({ failed: `TCP failed: ${error.message}` }));
    socket.on("close", () => settle({ failed: "the connection was closed before the whole answer" }));
  });
}
