// Opportunistic TLS towards servers whose TLS breaks, at every place where it can; and where clear text is never the answer.
import { afterEach, beforeAll, describe, expect, test } from "bun:test";
import { once } from "node:events";
import type { Socket } from "node:net";
import { SMTPServer, type SMTPServerOptions } from "smtp-server";
import type { Deliverer } from "../../src/delivery/attempt.ts";
import { createRecipientVerifier } from "../../src/delivery/recipient-verify.ts";
import type { Destination, Login, TlsPolicy } from "../../src/delivery/route.ts";
import { systemClock } from "../../src/observe/clock.ts";
import { silentLog } from "../../src/observe/log.ts";
import { makeCertificate, type TestCertificate } from "./certificate.ts";
import { attemptFor, makeDeliverer, noDns, routes, SHORT, withoutStore } from "./deliverer-fixture.ts";
import { startScriptedPeer, type Talk, usualServer } from "./scripted-peer.ts";

let certificate: TestCertificate;
const open: (() => Promise<void>)[] = [];
beforeAll(async () => {
  certificate = await makeCertificate(["localhost", "127.0.0.1", "0.0.0.0"]);
});
afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

interface Peer {
  readonly port: number;
  readonly taken: { readonly secure: boolean }[];
  connections(): number;
}

/** A real server whose TLS works, and which is hindered as `options` say. */
async function tlsServer(options: SMTPServerOptions = {}): Promise<Peer> {
  const taken: Peer["taken"] = [];
  let connections = 0;
  const server = new SMTPServer({
    key: certificate.key,
    cert: certificate.cert,
    authOptional: true,
    disableReverseLookup: true,
    logger: false,
    onConnect(_session, done) {
      connections++;
      done();
    },
    onAuth: (_auth, _session, done) => done(null, { user: "relay" }),
    onData(stream, session, done) {
      stream.on("data", () => {});
      stream.on("end", () => {
        taken.push({ secure: session.secure });
        done(null);
      });
    },
    ...options,
  });
  server.on("error", () => {});
  server.listen(0);
  await once(server.server, "listening");
  const address = server.server.address();
  if (address === null || typeof address === "string") throw new Error("smtp-server has no port");
  const sockets = new Set<Socket>();
  server.server.on("connection", (socket: Socket) => sockets.add(socket));
  open.push(async () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return { port: address.port, taken, connections: () => connections };
}

/** The first `broken` connections say this after `STARTTLS` and end; the others are a usual server's. */
async function breaksAtStartTls(reply: ((talk: Talk) => Promise<void> | void) | null): Promise<Peer> {
  const taken: Peer["taken"] = [];
  const peer = await startScriptedPeer(async (talk) => {
    const usual = usualServer({
      ehlo: ["250-peer", "250-PIPELINING", "250 STARTTLS"],
      final: () => {
        taken.push({ secure: false });
        return "250 Ok";
      },
    });
    const line = talk.line.bind(talk);
    let over = false;
    const watching: Talk = {
      ...talk,
      async line() {
        const said = over ? null : await line();
        if (said?.toUpperCase() !== "STARTTLS") return said;
        over = true;
        await reply?.(talk);
        return null;
      },
    };
    await usual(watching);
  });
  open.push(() => peer.close());
  return { port: peer.port, taken, connections: () => peer.connections() };
}

function deliverer(): Deliverer {
  const made = makeDeliverer({ timeouts: SHORT });
  open.unshift(() => made.close(200));
  return made;
}

const BROKEN: readonly (readonly [string, () => Promise<Peer>])[] = [
  ["closes instead of answering STARTTLS", () => breaksAtStartTls(null)],
  ["closes after its 220", () => breaksAtStartTls((talk) => talk.say("220 go"))],
  [
    "resets after its 220",
    () =>
      breaksAtStartTls((talk) => {
        talk.say("220 go");
        talk.socket.resetAndDestroy();
      }),
  ],
  ["talks nonsense after its 220", () => breaksAtStartTls((talk) => talk.say("220 go", "no TLS at all"))],
  ["says nothing after STARTTLS", () => breaksAtStartTls(() => new Promise<void>(() => {}))],
  ["closes right after the handshake", () => tlsServer({ onSecure: (socket: Socket) => socket.destroy() })],
  [
    "closes at EHLO after the handshake",
    () =>
      tlsServer({
        onSecure(socket: Socket, _session, done) {
          socket.once("data", () => socket.destroy());
          done();
        },
      }),
  ],
  [
    "answers EHLO after the handshake with 421",
    () =>
      tlsServer({
        onSecure(socket: Socket, _session, done) {
          socket.prependOnceListener("data", () => socket.end("421 4.7.0 no session cache\r\n"));
          done();
        },
      }),
  ],
  [
    "refuses EHLO and HELO after the handshake",
    () =>
      tlsServer({
        onSecure(socket: Socket) {
          socket.on("data", () => socket.write("550 5.5.1 not over TLS\r\n"));
        },
      }),
  ],
  ["falls silent after the handshake", () => tlsServer({ onSecure: () => {} })],
  [
    "closes at MAIL after the handshake",
    () =>
      tlsServer({
        onSecure(socket: Socket, _session, done) {
          socket.once("data", () => socket.once("data", () => socket.destroy()));
          done();
        },
      }),
  ],
];

describe("opportunistic TLS with a server that", () => {
  test.each([...BROKEN])("%s", async (_, start) => {
    const peer = await start();
    const destination = routes({ port: peer.port, tls: "opportunistic" });
    const sending = deliverer();
    const [outcome] = await sending.attempt(attemptFor(destination));
    expect(outcome).toMatchObject({ result: "delivered", tls: null });
    expect(peer.taken).toEqual([{ secure: false }]);
    expect(peer.connections()).toBe(2);
    // Remembered: over a new connection, the next message does not pay again.
    const elsewhere = { ...destination, key: "another.test" };
    const [second] = await sending.attempt(attemptFor(elsewhere));
    expect(second?.result).toBe("delivered");
    expect(peer.connections()).toBe(3);
  });

  test.each([...BROKEN])("%s: where TLS is required nothing is sent in clear text", async (_, start) => {
    for (const tls of ["required", "verified"] as const) {
      const peer = await start();
      const [outcome] = await deliverer().attempt(attemptFor(routes({ port: peer.port, tls })));
      expect(outcome?.result).toBe("deferred");
      expect(peer.taken).toEqual([]);
    }
  });

  test.each([...BROKEN])("%s: nor with REQUIRETLS or a log-in", async (_, start) => {
    const peer = await start();
    const sending = deliverer();
    const asked = attemptFor(routes({ port: peer.port, tls: "opportunistic" }), { requireTls: true });
    expect((await sending.attempt(asked))[0]?.result).toBe("deferred");
    const withLogin = attemptFor(smarthost(peer.port, { tls: "opportunistic" }));
    expect((await sending.attempt(withLogin))[0]?.result).toBe("deferred");
    expect(peer.taken).toEqual([]);
  });

  test.each([...BROKEN])("%s: a call-out falls back as well", async (_, start) => {
    const peer = await start();
    const verifier = createRecipientVerifier({
      ...(await withoutStore()),
      resolver: noDns,
      hostname: "gate.example.com",
      clock: systemClock,
      log: silentLog,
      timeouts: SHORT,
    });
    open.unshift(() => verifier.close());
    const found = await verifier.verify({
      address: "b@example.test",
      routes: [{ host: "127.0.0.1", port: peer.port, priority: 1, tls: "opportunistic" }],
      cacheMs: 1000,
    });
    expect(found.known).toBe("yes");
  });

  test("wants TLS although its TLS breaks: the message waits, it is not lost", async () => {
    const peer = await startScriptedPeer(async (talk) => {
      if (talk.number % 2 === 1)
        return usualServer({ mail: () => "530 5.7.0 Must issue a STARTTLS command first" })(talk);
      talk.say("220 hi");
      await talk.line();
      talk.say("250-hi", "250 STARTTLS");
      await talk.line();
      talk.say("220 go", "nonsense");
    });
    open.push(() => peer.close());
    const sending = deliverer();
    const destination = routes({ port: peer.port, tls: "opportunistic" });
    expect((await sending.attempt(attemptFor(destination)))[0]).toMatchObject({
      result: "deferred",
      code: 530,
    });
    expect((await sending.attempt(attemptFor(destination)))[0]).toMatchObject({ result: "deferred" });
    // TLS is tried again each time, for it may work by now.
    expect(peer.connections()).toBe(4);
  });
});

// An address of this machine that is not counted as loopback.
const NOT_LOOPBACK = "0.0.0.0";

function smarthost(
  port: number,
  change: { readonly tls: TlsPolicy; readonly host?: string; readonly login?: Partial<Login> },
): Destination {
  const route = { host: change.host ?? "127.0.0.1", port, priority: 0, tls: change.tls };
  const login = { user: "relay", password: "s3cret pass", ...change.login };
  return { kind: "smarthost", key: "smarthost", route, login };
}

describe("a password", () => {
  test.each(["opportunistic", "required", "verified", "implicit"] as const)(
    "%s: is not sent where the certificate proves nothing, and the words say what to do",
    async (tls) => {
      let asked = 0;
      const peer = await tlsServer({
        secure: tls === "implicit",
        onAuth(_auth, _session, done) {
          asked++;
          done(null, { user: "relay" });
        },
      });
      const destination = smarthost(peer.port, { tls, host: NOT_LOOPBACK });
      const [outcome] = await deliverer().attempt(attemptFor(destination));
      expect(outcome?.result).toBe("deferred");
      expect(outcome?.text).toContain("its certificate is not trusted");
      if (tls !== "verified") expect(outcome?.text).toContain("delivery.smarthost.allow_unverified_tls");
      expect(asked).toBe(0);
      expect(peer.taken).toEqual([]);
    },
  );

  test("is not sent in clear text either", async () => {
    const peer = await tlsServer({ hideSTARTTLS: true, allowInsecureAuth: true });
    for (const tls of ["none", "opportunistic"] as const) {
      const destination = smarthost(peer.port, { tls, host: NOT_LOOPBACK });
      expect((await deliverer().attempt(attemptFor(destination)))[0]?.result).toBe("deferred");
    }
    expect(peer.taken).toEqual([]);
  });

  test.each(["opportunistic", "required"] as const)("%s: is sent when a setting allows it", async (tls) => {
    const peer = await tlsServer();
    const login = { allowUnverifiedTls: true };
    const destination = smarthost(peer.port, { tls, host: NOT_LOOPBACK, login });
    expect((await deliverer().attempt(attemptFor(destination)))[0]?.result).toBe("delivered");
    expect(peer.taken).toEqual([{ secure: true }]);
  });

  test("is sent to a server whose certificate proves its address", async () => {
    const peer = await tlsServer();
    const made = makeDeliverer({ timeouts: SHORT, trusted: [certificate.cert] });
    open.unshift(() => made.close(200));
    const destination = smarthost(peer.port, { tls: "opportunistic", host: NOT_LOOPBACK });
    expect((await made.attempt(attemptFor(destination)))[0]?.result).toBe("delivered");
  });

  test("needs no certificate on this machine", async () => {
    const peer = await tlsServer();
    const destination = smarthost(peer.port, { tls: "opportunistic" });
    expect((await deliverer().attempt(attemptFor(destination)))[0]?.result).toBe("delivered");
  });
});
