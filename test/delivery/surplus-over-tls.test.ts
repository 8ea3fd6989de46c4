// A reply too many behind the TLS handshake: a server that speaks has no broken TLS, and nothing goes in clear text for it.
import { afterEach, beforeAll, describe, expect, test } from "bun:test";
import { once } from "node:events";
import type { Socket } from "node:net";
import { SMTPServer } from "smtp-server";
import { createRecipientVerifier } from "../../src/delivery/recipient-verify.ts";
import { DEFAULT_TIMEOUTS } from "../../src/delivery/timeouts.ts";
import { systemClock } from "../../src/observe/clock.ts";
import { silentLog } from "../../src/observe/log.ts";
import { makeCertificate, type TestCertificate } from "./certificate.ts";
import { attemptFor, makeDeliverer, noDns, routes, withoutStore } from "./deliverer-fixture.ts";

let certificate: TestCertificate;
const open: (() => void)[] = [];
beforeAll(async () => {
  certificate = await makeCertificate(["localhost", "127.0.0.1"]);
});
afterEach(() => {
  for (const close of open.splice(0)) close();
});

interface Peer {
  readonly port: number;
  readonly taken: boolean[];
  /** Commands that came in clear text behind EHLO, other than STARTTLS. */
  readonly inClear: string[];
}

/** What is said too much, and where, on the first `times` connections. */
type Surplus = (socket: Socket) => void;

/** Puts something behind the first reply that matches. */
function behind(reply: RegExp, more: string): Surplus {
  return (socket) => {
    const write = socket.write.bind(socket);
    let isDone = false;
    Object.assign(socket, {
      write(chunk: string | Uint8Array, ...rest: []) {
        const text = chunk.toString();
        if (isDone || !reply.test(text)) return write(chunk, ...rest);
        isDone = true;
        return write(text + more, ...rest);
      },
    });
  };
}

async function server(
  surplus: Surplus,
  { times, secure }: { times: number; secure: boolean },
): Promise<Peer> {
  const taken: boolean[] = [];
  const inClear: string[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;
  const smtp = new SMTPServer({
    key: certificate.key,
    cert: certificate.cert,
    secure,
    authOptional: true,
    disableReverseLookup: true,
    logger: false,
    onSecure(socket: Socket, _session, done) {
      if (connections++ < times) surplus(socket);
      done();
    },
    onMailFrom(_address, session, done) {
      if (!session.secure) inClear.push("MAIL");
      done();
    },
    onData(stream, session, done) {
      stream.on("data", () => {});
      stream.on("end", () => {
        taken.push(session.secure);
        done(null);
      });
    },
  });
  smtp.on("error", () => {});
  smtp.listen(0, "127.0.0.1");
  await once(smtp.server, "listening");
  const address = smtp.server.address();
  if (address === null || typeof address === "string") throw new Error("smtp-server has no port");
  smtp.server.on("connection", (socket: Socket) => sockets.add(socket));
  open.push(() => {
    smtp.close();
    for (const socket of sockets) socket.destroy();
  });
  return { port: address.port, taken, inClear };
}

const EHLO = /^250[ -][^\r]*Nice|^250-/;
const SURPLUS: readonly (readonly [string, Surplus])[] = [
  ["EHLO answered twice", behind(EHLO, "250 once more\r\n")],
  ["a refusal behind EHLO", behind(EHLO, "550 5.7.1 No\r\n")],
  ["a 421 behind EHLO", behind(EHLO, "421 4.7.0 Later\r\n")],
  ["half a reply behind EHLO", behind(EHLO, "250 on")],
  ["a 354 behind EHLO", behind(EHLO, "354 go\r\n")],
];

for (const tls of ["opportunistic", "required", "verified", "implicit"] as const) {
  describe(tls, () => {
    test.each([...SURPLUS])(
      "%s: never in clear text, now or with the next message",
      async (_, surplus) => {
        const peer = await server(surplus, { times: 1, secure: tls === "implicit" });
        const sending = makeDeliverer({ trusted: [certificate.cert], connectTimeoutMs: 10_000 });
        open.push(() => void sending.close(100));
        const [first] = await sending.attempt(attemptFor(routes({ port: peer.port, tls })));
        expect(first?.result).toBe("deferred");
        const [second] = await sending.attempt(attemptFor(routes({ port: peer.port, tls })));
        expect(second).toMatchObject({ result: "delivered" });
        expect(second?.tls).not.toBeNull();
        expect(peer.taken).toEqual([true]);
        expect(peer.inClear).toEqual([]);
      },
      20_000,
    );
  });
}

test.each([...SURPLUS])(
  "a call-out, %s: not asked again in clear text",
  async (_, surplus) => {
    const peer = await server(surplus, { times: 1, secure: false });
    const verifier = createRecipientVerifier({
      ...(await withoutStore()),
      resolver: noDns,
      hostname: "gate.example.com",
      clock: systemClock,
      log: silentLog,
      timeouts: { ...DEFAULT_TIMEOUTS, attempt: 10_000 },
    });
    open.push(() => void verifier.close());
    const asked = [{ host: "127.0.0.1", port: peer.port, priority: 1, tls: "opportunistic" as const }];
    const found = await verifier.verify({ address: "b@example.test", routes: asked, cacheMs: 1000 });
    expect(found.known).toBe("unsure");
    expect(peer.inClear).toEqual([]);
  },
  20_000,
);
