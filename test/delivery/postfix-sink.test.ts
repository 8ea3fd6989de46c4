// Against Postfix's own test sink, which reads SMTP as Postfix does. Skipped loudly where it is not installed.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { connect } from "node:net";
import { attemptFor, makeDeliverer, routes } from "./deliverer-fixture.ts";

const SINK = "/usr/sbin/smtp-sink";
const installed = existsSync(SINK);
if (!installed)
  console.warn(`SKIPPED: ${SINK} is not installed; install postfix to run the tests against it`);

function freePort(): number {
  const server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = server;
  server.stop(true);
  return port;
}

describe.skipIf(!installed)("smtp-sink", () => {
  const plainPort = freePort();
  const strictPort = freePort();
  const running: Bun.Subprocess[] = [];

  const start = async (port: number, ...options: string[]): Promise<void> => {
    const asRoot = process.getuid?.() === 0 ? ["-u", "nobody"] : [];
    running.push(Bun.spawn([SINK, ...asRoot, ...options, `127.0.0.1:${port}`, "100"], { stderr: "inherit" }));
    for (let tries = 0; tries < 100; tries++) {
      const up = await new Promise<boolean>((resolve) => {
        const socket = connect(port, "127.0.0.1", () => {
          socket.destroy();
          resolve(true);
        });
        socket.on("error", () => resolve(false));
      });
      if (up) return;
      await Bun.sleep(20);
    }
    throw new Error(`${SINK} did not start on port ${port}`);
  };

  beforeAll(async () => {
    await start(plainPort);
    await start(strictPort, "-p", "-f", "RCPT");
  });
  afterAll(() => {
    for (const sink of running) sink.kill();
  });

  test("takes 500 messages over twenty connections", async () => {
    const deliverer = makeDeliverer();
    let next = 0;
    const worker = async (): Promise<string[]> => {
      const results: string[] = [];
      while (next < 500) {
        const body = `Subject: ${next++}\r\n\r\n${".dots\r\n".repeat(500)}`;
        const [outcome] = await deliverer.attempt(attemptFor(routes({ port: plainPort }), { message: body }));
        results.push(outcome?.result ?? "none");
      }
      return results;
    };
    const all = (await Promise.all(Array.from({ length: 20 }, worker))).flat();
    expect(all.length).toBe(500);
    expect(new Set(all)).toEqual(new Set(["delivered"]));
    await deliverer.close(500);
  });

  test("without PIPELINING and with refused recipients gives an outcome for each message", async () => {
    const deliverer = makeDeliverer();
    for (let n = 0; n < 5; n++) {
      const [outcome] = await deliverer.attempt(attemptFor(routes({ port: strictPort })));
      expect(outcome).toMatchObject({ result: "failed" });
      expect(outcome?.code).toBeGreaterThanOrEqual(500);
    }
    await deliverer.close(500);
  });
});
