// TLS by policy and AUTH, with smtp-server as the usual peer.
import { afterEach, beforeAll, describe, expect, test } from "bun:test";
import { once } from "node:events";
import { SMTPServer, type SMTPServerOptions } from "smtp-server";
import type { Destination, Route, TlsPolicy } from "../../src/delivery/route.ts";
import { makeCertificate, type TestCertificate } from "./certificate.ts";
import { attemptFor, makeDeliverer, routes, SHORT } from "./deliverer-fixture.ts";
import { startScriptedPeer, usualServer } from "./scripted-peer.ts";

let good: TestCertificate;
let otherName: TestCertificate;
const open: (() => Promise<void>)[] = [];

beforeAll(async () => {
  good = await makeCertificate(["localhost", "127.0.0.1"]);
  otherName = await makeCertificate(["other.example.test"]);
});
afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

interface TlsPeer {
  readonly port: number;
  readonly sessions: { readonly secure: boolean; readonly user: string | undefined; readonly body: string }[];
}

async function startServer(certificate: TestCertificate, options: SMTPServerOptions = {}): Promise<TlsPeer> {
  const sessions: TlsPeer["sessions"] = [];
  const server = new SMTPServer({
    key: certificate.key,
    cert: certificate.cert,
    authOptional: true,
    disableReverseLookup: true,
    logger: false,
    onAuth(auth, _session, done) {
      if (auth.username === "relay" && auth.password === "s3cret pass") done(null, { user: "relay" });
      else done(new Error("wrong password"));
    },
    onData(stream, session, done) {
      let body = "";
      stream.on("data", (chunk: Buffer) => {
        body += chunk.toString("latin1");
      });
      stream.on("end", () => {
        sessions.push({
          secure: session.secure,
          user: session.user ? String(session.user) : undefined,
          body,
        });
        done(null);
      });
    },
    ...options,
  });
  server.on("error", () => {});
  server.listen(0, "127.0.0.1");
  await once(server.server, "listening");
  const address = server.server.address();
  if (address === null || typeof address === "string") throw new Error("smtp-server has no port");
  open.push(() => new Promise((resolve) => server.close(() => resolve())));
  return { port: address.port, sessions };
}

async function deliver(
  destination: Destination,
  options: { readonly trusted?: readonly string[]; readonly requireTls?: boolean } = {},
) {
  const deliverer = makeDeliverer({
    timeouts: SHORT,
    ...(options.trusted === undefined ? {} : { trusted: options.trusted }),
  });
  open.unshift(() => deliverer.close(200));
  const [outcome] = await deliverer.attempt(
    attemptFor(destination, { requireTls: options.requireTls ?? false }),
  );
  if (outcome === undefined) throw new Error("no outcome");
  return outcome;
}

function route(port: number, tls: TlsPolicy, host = "127.0.0.1"): Destination {
  return routes({ port, tls, host });
}

function smarthost(port: number, tls: TlsPolicy, password = "s3cret pass"): Destination {
  const one: Route = { host: "127.0.0.1", port, priority: 0, tls };
  return { kind: "smarthost", key: "smarthost", route: one, login: { user: "relay", password } };
}

describe("TLS", () => {
  test("none: not even when it is offered", async () => {
    const peer = await startServer(good);
    expect(await deliver(route(peer.port, "none"))).toMatchObject({ result: "delivered", tls: null });
    expect(peer.sessions[0]?.secure).toBe(false);
  });

  test("opportunistic: with a certificate nobody trusts, and what was negotiated is told", async () => {
    const peer = await startServer(otherName);
    const outcome = await deliver(route(peer.port, "opportunistic"));
    expect(outcome).toMatchObject({ result: "delivered", tls: { protocol: "TLSv1.3" } });
    expect(outcome.tls?.cipher).toMatch(/^TLS_/);
    expect(peer.sessions[0]?.secure).toBe(true);
  });

  test("opportunistic: without TLS where none is offered", async () => {
    const peer = await startServer(good, { hideSTARTTLS: true, disabledCommands: ["STARTTLS"] });
    expect(await deliver(route(peer.port, "opportunistic"))).toMatchObject({
      result: "delivered",
      tls: null,
    });
  });

  test("opportunistic: a handshake that breaks is followed by one try without TLS", async () => {
    const peer = await startScriptedPeer(async (talk) => {
      if (talk.number > 0) return usualServer()(talk);
      talk.say("220 hi");
      await talk.line();
      talk.say("250-hi", "250 STARTTLS");
      await talk.line();
      talk.say("220 go ahead", "this is no TLS");
      await Bun.sleep(50);
    });
    open.push(() => peer.close());
    expect(await deliver(route(peer.port, "opportunistic"))).toMatchObject({
      result: "delivered",
      tls: null,
    });
    expect(peer.connections()).toBe(2);
  });

  test("opportunistic: a handshake that hangs is followed by one try without TLS", async () => {
    const peer = await startScriptedPeer(async (talk) => {
      if (talk.number > 0) return usualServer()(talk);
      talk.say("220 hi");
      await talk.line();
      talk.say("250-hi", "250 STARTTLS");
      await talk.line();
      talk.say("220 go ahead");
      await new Promise(() => {});
    });
    open.push(() => peer.close());
    expect(await deliver(route(peer.port, "opportunistic"))).toMatchObject({
      result: "delivered",
      tls: null,
    });
  });

  test("required: deferred where none is offered or the handshake breaks, nothing sent", async () => {
    const peer = await startScriptedPeer(usualServer());
    open.push(() => peer.close());
    const outcome = await deliver(route(peer.port, "required"));
    expect(outcome.result).toBe("deferred");
    expect(peer.commands.some((line) => line.startsWith("MAIL"))).toBe(false);
  });

  test("required: any certificate will do", async () => {
    const peer = await startServer(otherName);
    expect(await deliver(route(peer.port, "required"))).toMatchObject({ result: "delivered" });
  });

  test("verified: a trusted certificate with the right name", async () => {
    const peer = await startServer(good);
    const trusted = [good.cert];
    expect(await deliver(route(peer.port, "verified"), { trusted })).toMatchObject({ result: "delivered" });
  });

  test("verified: deferred for an untrusted certificate, and for a trusted one with another name", async () => {
    const untrusted = await startServer(good);
    const first = await deliver(route(untrusted.port, "verified"));
    expect(first).toMatchObject({ result: "deferred" });
    expect(first.text).toContain("not trusted");
    const wrongName = await startServer(otherName);
    const second = await deliver(route(wrongName.port, "verified"), { trusted: [otherName.cert] });
    expect(second.result).toBe("deferred");
    expect(untrusted.sessions.length + wrongName.sessions.length).toBe(0);
  });

  test("implicit", async () => {
    const peer = await startServer(good, { secure: true });
    expect(await deliver(route(peer.port, "implicit"))).toMatchObject({
      result: "delivered",
      tls: { protocol: "TLSv1.3" },
    });
  });

  test("implicit against a server that speaks plainly is deferred", async () => {
    const peer = await startScriptedPeer(usualServer());
    open.push(() => peer.close());
    expect(await deliver(route(peer.port, "implicit"))).toMatchObject({ result: "deferred", tls: null });
  });

  test("what a server says before the handshake is not believed after it", async () => {
    const peer = await startScriptedPeer(async (talk) => {
      talk.say("220 hi");
      await talk.line();
      talk.say("250-hi", "250 STARTTLS");
      await talk.line();
      // Injected behind the reply: a client that keeps it would take it for the reply to its encrypted EHLO.
      talk.say("220 go ahead", "250-evil", "250 AUTH PLAIN");
      await talk.line();
    });
    open.push(() => peer.close());
    expect(await deliver(route(peer.port, "required"))).toMatchObject({ result: "deferred" });
  });
});

describe("REQUIRETLS", () => {
  test("fails where it is not offered, and defers where the certificate proves nothing", async () => {
    const peer = await startServer(good);
    const offeredNot = await deliver(route(peer.port, "opportunistic"), {
      requireTls: true,
      trusted: [good.cert],
    });
    expect(offeredNot).toMatchObject({ result: "failed", enhanced: "5.7.30" });
    expect(await deliver(route(peer.port, "opportunistic"), { requireTls: true })).toMatchObject({
      result: "deferred",
    });
    expect(peer.sessions.length).toBe(0);
  });
});

describe("AUTH", () => {
  test("over TLS", async () => {
    const peer = await startServer(good);
    expect(await deliver(smarthost(peer.port, "opportunistic"))).toMatchObject({ result: "delivered" });
    expect(peer.sessions[0]).toMatchObject({ secure: true, user: "relay" });
  });

  test("with a wrong password is deferred with the server's words", async () => {
    const peer = await startServer(good);
    const outcome = await deliver(smarthost(peer.port, "required", "wrong"));
    expect(outcome).toMatchObject({ result: "deferred", code: 535 });
  });

  test("is not done without TLS, unless the policy is none", async () => {
    const commands: string[] = [];
    const plain = await startScriptedPeer(async (talk) => {
      talk.say("220 hi");
      for (let line = await talk.line(); line !== null; line = await talk.line()) {
        commands.push(line);
        if (line.startsWith("EHLO")) talk.say("250-hi", "250 AUTH PLAIN");
        else if (line.startsWith("AUTH")) talk.say("235 2.7.0 Welcome");
        else if (line === "DATA") {
          talk.say("354 go");
          await talk.message();
          talk.say("250 Ok");
        } else talk.say("250 Ok");
      }
    });
    open.push(() => plain.close());
    const refused = await deliver(smarthost(plain.port, "opportunistic"));
    expect(refused.result).toBe("deferred");
    expect(refused.text).toContain("password is not sent");
    expect(commands.some((line) => line.startsWith("AUTH"))).toBe(false);
    expect(await deliver(smarthost(plain.port, "none"))).toMatchObject({ result: "delivered" });
    expect(commands.some((line) => line.startsWith("AUTH PLAIN"))).toBe(true);
  });
});
