// The console's socket: TLS, a new certificate without a gap, a taken port, clients that send too much or too slowly.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connect } from "node:tls";
import { createConsole } from "../../src/console/create-console.ts";
import { readBounded } from "../../src/console/security/read-body.ts";
import { type ConsoleServer, type ConsoleTls, serveConsole } from "../../src/console/serve-console.ts";
import { openFrontDoor } from "../../src/listener/front-door.ts";
import { fakeGateway } from "./fake-services.ts";
import { selfSigned } from "./self-signed.ts";

let first: ConsoleTls;
let second: ConsoleTls;
const open: ConsoleServer[] = [];

beforeAll(async () => {
  first = await selfSigned("first");
  second = await selfSigned("second");
});
afterAll(async () => {
  for (const server of open) await server.close(100);
});

async function serve(listen = "127.0.0.1:0"): Promise<ConsoleServer> {
  const app = createConsole((await fakeGateway()).services);
  const server = serveConsole({ app, listen, tls: first });
  open.push(server);
  return server;
}

function certificateName(port: number): Promise<string> {
  return new Promise((done, failed) => {
    const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false }, () => {
      const name = socket.getPeerCertificate().subject.CN;
      socket.destroy();
      done(String(name));
    });
    socket.on("error", failed);
  });
}

describe("serveConsole", () => {
  test("answers over TLS with the client's address in the app's hands", async () => {
    const { port } = await serve();
    const response = await fetch(`https://127.0.0.1:${port}/login`, { tls: { rejectUnauthorized: false } });
    expect(response.status).toBe(200);
    expect(await response.text()).toContain("Log in");
  });

  test("takes a new certificate while requests go on, and none of them fails", async () => {
    const server = await serve();
    expect(await certificateName(server.port)).toBe("first");
    let failed = 0;
    let answered = 0;
    let running = true;
    const stream = (async () => {
      while (running) {
        const response = await fetch(`https://127.0.0.1:${server.port}/login`, {
          tls: { rejectUnauthorized: false },
          keepalive: false,
        }).catch(() => null);
        if (response?.status === 200) answered++;
        else failed++;
      }
    })();
    await Bun.sleep(100);
    await server.reload(second);
    await Bun.sleep(100);
    running = false;
    await stream;
    expect(await certificateName(server.port)).toBe("second");
    expect(answered).toBeGreaterThan(3);
    expect(failed).toBe(0);
  });

  test("takes a new certificate every moment under eight clients, and nobody is cut off on the way", async () => {
    const server = await serve();
    let failed = 0;
    let answered = 0;
    let running = true;
    const client = async (): Promise<void> => {
      while (running) {
        const response = await fetch(`https://127.0.0.1:${server.port}/login`, {
          tls: { rejectUnauthorized: false },
          keepalive: false,
        }).catch(() => null);
        if (response?.status === 200) answered++;
        else failed++;
      }
    };
    const clients = Array.from({ length: 8 }, client);
    for (let round = 0; round < 40; round++) {
      await server.reload(round % 2 === 0 ? second : first);
      const before = answered;
      while (answered + failed < before + 5) await Bun.sleep(1);
    }
    running = false;
    await Promise.all(clients);
    expect(failed).toBe(0);
    expect(answered).toBeGreaterThan(200);
  });

  test("says what is wrong when the port is taken, also by another console", async () => {
    const { port } = await serve();
    await expect(serve(`127.0.0.1:${port}`)).rejects.toThrow(
      `console: cannot listen on 127.0.0.1:${port}: another program has the port; stop it, or set another one under [console] listen`,
    );
  });

  test.each(["8443", "localhost", "0.0.0.0:99999", ""])("refuses %j as an address", async (listen) => {
    await expect(serve(listen)).rejects.toThrow("is not an address with a port");
  });

  test("closes: the port is free again", async () => {
    const server = await serve();
    await server.close(1000);
    const again = await serve(`127.0.0.1:${server.port}`);
    expect(again.port).toBe(server.port);
  });
});

describe("a crowd", () => {
  const get = (port: number) =>
    fetch(`https://127.0.0.1:${port}/login`, { tls: { rejectUnauthorized: false }, keepalive: false });

  test("of silent connections from one address costs a few places, and everybody is still answered", async () => {
    const { port } = await serve();
    const silent: Awaited<ReturnType<typeof Bun.connect>>[] = [];
    let closed = 0;
    for (let i = 0; i < 600; i++) {
      const one = await Bun.connect({
        hostname: "127.0.0.1",
        port,
        // Half of them begin a handshake and never go on.
        socket: {
          data: () => undefined,
          open: (socket) => {
            if (i % 4 !== 0) socket.write("\x16\x03\x01");
          },
          close: () => {
            closed++;
          },
          error: () => undefined,
        },
      });
      silent.push(one);
      if (i % 100 !== 99) continue;
      const started = performance.now();
      expect((await get(port)).status).toBe(200);
      expect(performance.now() - started).toBeLessThan(3000);
    }
    expect(closed).toBeGreaterThan(500);
    for (const one of silent) one.terminate();
  }, 60_000);

  test("that says nothing is cut off by itself", async () => {
    const door = openFrontDoor({
      hostname: "127.0.0.1",
      port: 0,
      target: () => 1,
      isProxy: () => false,
      limits: { all: 10, perClient: 10, silentSeconds: 1, restingMs: 100 },
    });
    const gone = Promise.withResolvers<void>();
    await Bun.connect({
      hostname: "127.0.0.1",
      port: door.port,
      socket: { data: () => undefined, close: () => gone.resolve() },
    });
    await gone.promise;
    expect(door.connections()).toBe(0);
    door.cut();
  });

  test("leaves a large answer to a slow reader whole, and tells whose connection it is", async () => {
    const large = Buffer.alloc(8_000_000, "x");
    const behind = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: (request, server) => {
        const peer = door.peerOf(server.requestIP(request)?.port ?? 0);
        return new Response(large, { headers: { "X-Peer": peer ?? "nobody" } });
      },
    });
    const door = openFrontDoor({
      hostname: "127.0.0.1",
      port: 0,
      target: () => behind.port ?? 0,
      isProxy: () => false,
    });
    const answer = await fetch(`http://127.0.0.1:${door.port}/`, {
      method: "POST",
      body: Buffer.alloc(3_000_000, "y"),
    });
    expect(answer.headers.get("X-Peer")).toBe("127.0.0.1");
    await Bun.sleep(200);
    expect(Buffer.from(await answer.arrayBuffer()).equals(large)).toBe(true);
    door.cut();
    await behind.stop(true);
  });
});

describe("TLS", () => {
  const suites = (port: number, options: object) =>
    new Promise<string>((done) => {
      const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false, ...options }, () => {
        done(`${socket.getProtocol()} ${socket.getCipher().name}`);
        socket.destroy();
      });
      socket.on("error", () => done("refused"));
    });

  test("is 1.2 or 1.3 with authenticated encryption, nothing older", async () => {
    const { port } = await serve();
    const old = { maxVersion: "TLSv1.2" };
    expect(await suites(port, {})).toStartWith("TLSv1.3 ");
    expect(await suites(port, old)).toMatch(/^TLSv1.2 ECDHE-.*(GCM|CHACHA20)/);
    for (const ciphers of [
      "ECDHE-RSA-AES128-SHA",
      "ECDHE-ECDSA-AES128-SHA",
      "ECDHE-ECDSA-AES256-SHA",
      "AES128-SHA",
      "AES256-SHA",
    ])
      expect(await suites(port, { ...old, ciphers })).toBe("refused");
    expect(await suites(port, { minVersion: "TLSv1", maxVersion: "TLSv1.1" })).toBe("refused");
  });
});

describe("bodies", () => {
  const limits = { maxBytes: 1000, timeoutMs: 100 };
  const post = (body: string | ReadableStream) => new Request("https://x/", { method: "POST", body });

  test("are read whole up to the limit", async () => {
    const result = await readBounded(post("x".repeat(1000)), limits);
    expect(result).toMatchObject({ ok: true });
    expect(await readBounded(post("x".repeat(1001)), limits)).toEqual({ ok: false, status: 413 });
  });

  test("without a declared length are cut off at the limit", async () => {
    let sent = 0;
    const endless = new ReadableStream({
      pull(controller) {
        sent += 400;
        controller.enqueue(new Uint8Array(400));
      },
    });
    expect(await readBounded(post(endless), limits)).toEqual({ ok: false, status: 413 });
    expect(sent).toBeLessThan(4000);
  });

  test("that trickle in are cut off in time", async () => {
    let timer: ReturnType<typeof setInterval> | undefined;
    const slow = new ReadableStream({
      start(controller) {
        timer = setInterval(() => controller.enqueue(new Uint8Array(1)), 20);
      },
    });
    const started = performance.now();
    expect(await readBounded(post(slow), limits)).toEqual({ ok: false, status: 408 });
    expect(performance.now() - started).toBeLessThan(1000);
    clearInterval(timer);
  });

  test("over the wire: a form that is too large gets 413, and the console lives on", async () => {
    const { port } = await serve();
    const headers = {
      Origin: `https://127.0.0.1:${port}`,
      "Content-Type": "application/x-www-form-urlencoded",
    };
    const request = { method: "POST", headers, tls: { rejectUnauthorized: false } };
    const large = await fetch(`https://127.0.0.1:${port}/login`, {
      ...request,
      body: `login=${"x".repeat(300_000)}`,
    });
    expect(large.status).toBe(413);
    const fields = Array.from({ length: 25_000 }, () => "a=").join("&");
    const many = await fetch(`https://127.0.0.1:${port}/login`, { ...request, body: fields });
    expect(many.status).toBe(413);
    expect(
      (await fetch(`https://127.0.0.1:${port}/login`, { tls: { rejectUnauthorized: false } })).status,
    ).toBe(200);
  });
});
