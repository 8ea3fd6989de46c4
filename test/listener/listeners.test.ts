// Listeners that follow the policy: rebinding, ports in use, limits, certificates, draining. Real sockets.

import { describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { loadOrMakeCertificate } from "../../src/listener/certificate.ts";
import { openTrialGateway, type TrialGateway, trialPolicy } from "./trial-gateway.ts";

const DOMAIN = { name: "example.test", recipients: { verify: "catch-all" }, rules: [] };

/** Reads until the text has come. */
async function read(socket: Socket, text: string): Promise<string> {
  let got = "";
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`"${text}" did not come, but "${got}"`)), 5000);
    const take = (chunk: Buffer) => {
      got += chunk.toString("latin1");
      if (!got.includes(text)) return;
      clearTimeout(timer);
      socket.removeListener("data", take);
      resolve(got);
    };
    socket.on("data", take);
  });
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

/** Somebody else's program on a port. */
async function block(port: number, host = "127.0.0.1"): Promise<Server> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(port, host, resolve));
  return server;
}

async function refusedAt(port: number): Promise<void> {
  const refused = connect({ port, host: "127.0.0.1" });
  await new Promise<void>((resolve, reject) => {
    refused.once("error", () => resolve());
    refused.once("connect", () => reject(new Error(`port ${port} is still open`)));
  });
}

/** The system's clock; what waits for the next try is put into `wakes`. */
function wakingClock(wakes: (() => void)[]) {
  return {
    now: () => Date.now(),
    after(ms: number, wake: () => void) {
      if (ms === 10_000) wakes.push(wake);
      const timer = setTimeout(wake, ms);
      timer.unref();
      return () => clearTimeout(timer);
    },
  };
}

function policyOf(listener: readonly object[]) {
  return trialPolicy({ listener, domain: [DOMAIN] });
}

const MESSAGE = "EHLO c\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.test>\r\nDATA\r\n";

function client(gateway: TrialGateway, name = "mx"): Socket {
  return connect({ port: gateway.port(name), host: "127.0.0.1" });
}

describe("listeners", () => {
  test("a port in use is reported with what to do, the others stay up, and it is retried", async () => {
    const [taken, free] = [await freePort(), await freePort()];
    const blocker = await block(taken);
    const wakes: (() => void)[] = [];
    const clock = wakingClock(wakes);
    const policy = policyOf([
      { name: "first", listen: `127.0.0.1:${taken}` },
      { name: "second", listen: `127.0.0.1:${free}`, greeting_delay: 0 },
    ]);
    await using gateway = await openTrialGateway({ policy, clock });
    const [first, second] = gateway.listeners.status();
    expect(first?.state).toBe("failed");
    expect(first?.words).toContain(`another program uses port ${taken}`);
    expect(first?.words).toContain("choose another port");
    expect(second?.state).toBe("listening");
    expect([...gateway.alarms.keys()]).toEqual(["listener first"]);
    const socket = client(gateway, "second");
    await read(socket, "220 ");
    socket.destroy();
    await new Promise((resolve) => blocker.close(resolve));
    wakes.at(-1)?.();
    await gateway.listeners.settled();
    expect(gateway.listeners.status()[0]?.state).toBe("listening");
    expect([...gateway.alarms]).toEqual([]);
  });

  test("only what changed is reopened: a connection of the unchanged one lives on, in its transaction", async () => {
    const [a, b, c] = [await freePort(), await freePort(), await freePort()];
    const kept = { name: "kept", listen: `127.0.0.1:${a}`, greeting_delay: 0 };
    const before = policyOf([kept, { name: "moved", listen: `127.0.0.1:${b}`, greeting_delay: 0 }]);
    await using gateway = await openTrialGateway({ policy: before });
    const socket = client(gateway, "kept");
    await read(socket, "220 ");
    socket.write(MESSAGE);
    await read(socket, "354 ");
    const idle = client(gateway, "moved");
    await read(idle, "220 ");
    const goodbye = read(idle, "421 4.3.2");
    await gateway.change(policyOf([kept, { name: "moved", listen: `127.0.0.1:${c}`, greeting_delay: 0 }]));
    await goodbye;
    expect(gateway.port("moved")).toBe(c);
    const refused = connect({ port: b, host: "127.0.0.1" });
    await new Promise<void>((resolve) => refused.once("error", () => resolve()));
    const fresh = client(gateway, "moved");
    await read(fresh, "220 ");
    socket.write("still here\r\n.\r\n");
    await read(socket, "250 2.0.0");
    expect(gateway.queue.accepted.length).toBe(1);
    for (const one of [socket, idle, fresh]) one.destroy();
  });

  test("a listener changed on its own port is rebound while an old transaction ends in peace", async () => {
    const port = await freePort();
    const plain = { name: "mx", listen: `127.0.0.1:${port}`, greeting_delay: 0 };
    await using gateway = await openTrialGateway({ policy: policyOf([plain]) });
    const socket = client(gateway);
    await read(socket, "220 ");
    socket.write(MESSAGE);
    await read(socket, "354 ");
    await gateway.change(policyOf([{ ...plain, tls: "implicit" }]));
    expect(gateway.listeners.status()).toMatchObject([{ name: "mx", state: "listening" }]);
    socket.write("late\r\n.\r\n");
    await read(socket, "250 2.0.0");
    expect(gateway.queue.accepted.length).toBe(1);
    socket.destroy();
  });

  test("other settings reach new connections without a new socket", async () => {
    const plain = { name: "mx", listen: "127.0.0.1:0", greeting_delay: 0 };
    await using gateway = await openTrialGateway({ policy: policyOf([plain]) });
    const port = gateway.port();
    await gateway.change(policyOf([{ ...plain, max_message_bytes: 4321 }]));
    expect(gateway.port()).toBe(port);
    const socket = client(gateway);
    await read(socket, "220 ");
    socket.write("EHLO c\r\n");
    expect(await read(socket, "DSN")).toContain("SIZE 4321");
    socket.destroy();
  });

  test("a listener that moves to a taken port stays where it was, says so, and moves when the port is free", async () => {
    const [old, taken, third] = [await freePort(), await freePort(), await freePort()];
    const blocker = await block(taken);
    const wakes: (() => void)[] = [];
    const other = { name: "other", listen: `127.0.0.1:${third}`, greeting_delay: 0 };
    const mx = { name: "mx", listen: `127.0.0.1:${old}`, greeting_delay: 0 };
    await using gateway = await openTrialGateway({
      policy: policyOf([mx, other]),
      clock: wakingClock(wakes),
    });
    const under = client(gateway, "other");
    await read(under, "220 ");
    await gateway.change(policyOf([{ ...mx, listen: `127.0.0.1:${taken}`, max_message_bytes: 4321 }, other]));
    const [status, untouched] = gateway.listeners.status();
    expect(status).toMatchObject({ state: "failed", listen: `127.0.0.1:${taken}` });
    expect(status?.words).toContain(
      `"127.0.0.1:${taken}" could not be bound: another program uses port ${taken}`,
    );
    expect(status?.words).toContain(`Until then it still listens on "127.0.0.1:${old}"`);
    expect(untouched?.state).toBe("listening");
    expect([...gateway.alarms]).toEqual([["listener mx", status?.words ?? ""]]);
    // What else was changed holds at once.
    expect(gateway.port()).toBe(old);
    const socket = client(gateway);
    await read(socket, "220 ");
    socket.write("EHLO c\r\n");
    expect(await read(socket, "DSN")).toContain("SIZE 4321");

    await new Promise((resolve) => blocker.close(resolve));
    wakes.at(-1)?.();
    await gateway.listeners.settled();
    expect(gateway.listeners.status().map(({ state }) => state)).toEqual(["listening", "listening"]);
    expect(gateway.port()).toBe(taken);
    expect([...gateway.alarms]).toEqual([]);
    await refusedAt(old);
    under.write("NOOP\r\n");
    await read(under, "250 ");
    for (const one of [socket, under]) one.destroy();
  });

  test("two listeners that change places do", async () => {
    const [a, b] = [await freePort(), await freePort()];
    const at = (name: string, port: number) => ({ name, listen: `127.0.0.1:${port}`, greeting_delay: 0 });
    await using gateway = await openTrialGateway({ policy: policyOf([at("one", a), at("two", b)]) });
    await gateway.change(policyOf([at("one", b), at("two", a)]));
    expect([gateway.port("one"), gateway.port("two")]).toEqual([b, a]);
    expect(gateway.listeners.status().map(({ state }) => state)).toEqual(["listening", "listening"]);
    expect([...gateway.alarms]).toEqual([]);
  });

  test("from one address to all and back, on its own port", async () => {
    const port = await freePort();
    const mx = { name: "mx", listen: `127.0.0.1:${port}`, greeting_delay: 0 };
    await using gateway = await openTrialGateway({ policy: policyOf([mx]) });
    for (const listen of [`0.0.0.0:${port}`, `127.0.0.1:${port}`]) {
      await gateway.change(policyOf([{ ...mx, listen }]));
      expect(gateway.listeners.status()).toMatchObject([{ listen, state: "listening" }]);
      const socket = client(gateway);
      await read(socket, "220 ");
      socket.destroy();
    }
  });

  test("one that cannot have its own port on all addresses goes back to where it was", async () => {
    const port = await freePort();
    const blocker = await block(port, "127.0.0.2");
    const mx = { name: "mx", listen: `127.0.0.1:${port}`, greeting_delay: 0 };
    await using gateway = await openTrialGateway({ policy: policyOf([mx]) });
    await gateway.change(policyOf([{ ...mx, listen: `0.0.0.0:${port}` }]));
    expect(gateway.listeners.status()[0]).toMatchObject({ state: "failed" });
    expect(gateway.listeners.status()[0]?.words).toContain(`still listens on "127.0.0.1:${port}"`);
    const socket = client(gateway);
    await read(socket, "220 ");
    socket.destroy();
    // Taken back, all is well.
    await gateway.change(policyOf([mx]));
    expect(gateway.listeners.status()[0]?.state).toBe("listening");
    expect([...gateway.alarms]).toEqual([]);
    // Switched off or removed, nothing is wrong with it either.
    await gateway.change(policyOf([{ ...mx, listen: `0.0.0.0:${port}` }]));
    expect(gateway.alarms.size).toBe(1);
    await gateway.change(policyOf([{ ...mx, listen: `0.0.0.0:${port}`, enabled: false }]));
    expect(gateway.alarms.size).toBe(0);
    await new Promise((resolve) => blocker.close(resolve));
  });

  test("removed and switched off listeners are gone", async () => {
    const [a, b] = [await freePort(), await freePort()];
    const one = { name: "one", listen: `127.0.0.1:${a}` };
    const two = { name: "two", listen: `127.0.0.1:${b}` };
    await using gateway = await openTrialGateway({ policy: policyOf([one, two]) });
    await gateway.change(policyOf([{ ...one, enabled: false }]));
    expect(gateway.listeners.status()).toEqual([
      { name: "one", listen: one.listen, state: "off", words: "", connections: 0 },
    ]);
    await gateway.change(policyOf([one]));
    expect(gateway.listeners.status()[0]?.state).toBe("listening");
  });

  test("a renewed certificate is shown to the next handshake", async () => {
    const listen = "127.0.0.1:0";
    const policy = policyOf([{ name: "mx", listen, tls: "implicit", greeting_delay: 0 }]);
    await using gateway = await openTrialGateway({ policy });
    const subject = () =>
      new Promise<string>((resolve, reject) => {
        const socket = connectTls(
          { port: gateway.port(), host: "127.0.0.1", rejectUnauthorized: false },
          () => {
            resolve(String(socket.getPeerCertificate().subject.CN));
            socket.destroy();
          },
        );
        socket.on("error", reject);
      });
    expect(await subject()).toBe("gate.example.test");
    const dir = await mkdtemp(join(tmpdir(), "gatepost-certificate-"));
    gateway.listeners.updateCertificate(await loadOrMakeCertificate(dir, "renewed.example.test"));
    await rm(dir, { recursive: true });
    expect(await subject()).toBe("renewed.example.test");
  });

  test("limits per client and in all, then draining", async () => {
    const limits = { max_connections: 3, max_connections_per_client: 2 };
    const policy = policyOf([{ name: "mx", listen: "127.0.0.1:0", greeting_delay: 0, ...limits }]);
    await using gateway = await openTrialGateway({ policy });
    const from = (localAddress: string) => connect({ port: gateway.port(), host: "127.0.0.1", localAddress });
    const sockets = [from("127.0.0.2"), from("127.0.0.2")];
    for (const socket of sockets) await read(socket, "220 ");
    const third = from("127.0.0.2");
    await read(third, "421 4.7.0 ");
    await new Promise((resolve) => setTimeout(resolve, 50));
    const other = from("127.0.0.3");
    await read(other, "220 ");
    const fifth = from("127.0.0.4");
    await read(fifth, "421 4.3.2 ");
    gateway.draining = true;
    other.write("EHLO c\r\nMAIL FROM:<a@example.org>\r\n");
    await read(other, "421 4.3.2 ");
    for (const socket of [...sockets, third, other, fifth]) socket.destroy();
  });

  test("a trusted client may have as many connections as all may", async () => {
    const listener = [{ name: "mx", listen: "127.0.0.1:0", max_connections_per_client: 1 }];
    const policy = trialPolicy({ listener, domain: [DOMAIN], networks: { trusted: ["127.0.0.5/32"] } });
    await using gateway = await openTrialGateway({ policy });
    const trusted = () => connect({ port: gateway.port(), host: "127.0.0.1", localAddress: "127.0.0.5" });
    const sockets = [trusted(), trusted(), trusted()];
    for (const socket of sockets) await read(socket, "220 ");
    for (const socket of sockets) socket.destroy();
  });

  test("closing lets a transaction end and cuts off who dawdles", async () => {
    const policy = policyOf([{ name: "mx", listen: "127.0.0.1:0", greeting_delay: 0 }]);
    const gateway = await openTrialGateway({ policy });
    const [busy, dawdler] = [client(gateway), client(gateway)];
    for (const socket of [busy, dawdler]) {
      await read(socket, "220 ");
      socket.write(MESSAGE);
      await read(socket, "354 ");
    }
    const closed = gateway.listeners.close(600);
    busy.write("x\r\n.\r\n");
    await read(busy, "250 2.0.0");
    const start = Date.now();
    await closed;
    expect(Date.now() - start).toBeLessThan(3000);
    expect(gateway.queue.accepted.length).toBe(1);
    expect(gateway.listeners.connections()).toBe(0);
    for (const socket of [busy, dawdler]) socket.destroy();
  });
});
