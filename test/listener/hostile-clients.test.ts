// Clients that stall, flood, reset and talk nonsense against a real listener: nobody else notices.

import { describe, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { openTrialGateway, type TrialGateway, trialPolicy } from "./trial-gateway.ts";

function policy(more: object = {}) {
  return trialPolicy({
    listener: [{ name: "mx", listen: "127.0.0.1:0", greeting_delay: 0, auth: "optional", ...more }],
    domain: [
      { name: "example.test", recipients: { verify: "catch-all" }, rules: [] },
      { name: "asked.test", rules: [] },
    ],
  });
}

function client(gateway: TrialGateway): Socket {
  const socket = connect({ port: gateway.port(), host: "127.0.0.1" });
  socket.on("error", () => {});
  return socket;
}

/** Counts lines that come, and resolves at the wanted number. */
function lines(socket: Socket, wanted: number): Promise<number> {
  return new Promise((resolve, reject) => {
    let count = 0;
    socket.on("data", (chunk: Buffer) => {
      for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) count++;
      if (count >= wanted) resolve(count);
    });
    socket.once("close", () => reject(new Error(`closed after ${count} of ${wanted} lines`)));
  });
}

const BEGIN = "EHLO c\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.test>\r\n";
/** Greeting, eight EHLO lines, MAIL, RCPT. */
const BEGIN_LINES = 11;

/** A whole message by a client of its own; resolves to milliseconds. */
async function wellBehaved(gateway: TrialGateway): Promise<number> {
  const start = performance.now();
  const socket = client(gateway);
  socket.write(`${BEGIN}DATA\r\n`);
  const done = lines(socket, BEGIN_LINES + 2);
  socket.write("x\r\n.\r\n");
  await done;
  socket.destroy();
  return performance.now() - start;
}

describe("hostile clients", () => {
  test("one that never reads is not read from, stalls nobody, and gets all its replies when it does", async () => {
    await using gateway = await openTrialGateway({ policy: policy({ max_recipients: 1 }) });
    const socket = client(gateway);
    await new Promise((resolve) => socket.once("connect", resolve));
    socket.pause();
    const count = 150_000;
    socket.write(BEGIN);
    for (let i = 0; i < count / 1000; i++) socket.write("RCPT TO:<other@example.test>\r\n".repeat(1000));
    await new Promise((resolve) => setTimeout(resolve, 700));
    expect(await wellBehaved(gateway)).toBeLessThan(1000);
    const all = lines(socket, BEGIN_LINES + count);
    socket.resume();
    expect(await all).toBe(BEGIN_LINES + count);
    socket.destroy();
  });

  test("a recipient check that hangs holds its own connection only", async () => {
    const hang = new Promise<never>(() => {});
    await using gateway = await openTrialGateway({ policy: policy(), verifyRecipient: () => hang });
    const socket = client(gateway);
    socket.write(`${BEGIN}RCPT TO:<x@asked.test>\r\nNOOP\r\n`);
    await lines(socket, BEGIN_LINES);
    for (let i = 0; i < 5; i++) expect(await wellBehaved(gateway)).toBeLessThan(1000);
    socket.destroy();
  });

  test("resets at every point leave nothing behind", async () => {
    await using gateway = await openTrialGateway({ policy: policy() });
    const points = [
      "",
      "EHLO c\r\n",
      BEGIN,
      `${BEGIN}DATA\r\n`,
      `${BEGIN}DATA\r\nhalf`,
      `${BEGIN}DATA\r\nx\r\n.`,
      "STARTTLS\r\n",
      "STARTTLS\r\n\x16\x03\x01",
    ];
    await Promise.all(
      points.flatMap((text) =>
        Array.from({ length: 10 }, async (_, i) => {
          const socket = client(gateway);
          await new Promise((resolve) => socket.once("connect", resolve));
          socket.write(text, "latin1");
          await new Promise((resolve) => setTimeout(resolve, 5 * i));
          if (i % 2 === 0) socket.resetAndDestroy();
          else socket.destroy();
        }),
      ),
    );
    for (let i = 0; i < 100 && gateway.listeners.connections() > 0; i++)
      await new Promise((resolve) => setTimeout(resolve, 50));
    expect(gateway.listeners.connections()).toBe(0);
    expect(gateway.queue.accepted.length).toBe(0);
    expect(await wellBehaved(gateway)).toBeLessThan(1000);
  });

  test("octets at random never end in silence or a crash", async () => {
    await using gateway = await openTrialGateway({ policy: policy() });
    const pieces = [
      "EHLO c\r\n",
      "MAIL FROM:<a@example.org>\r\n",
      "RCPT TO:<b@example.test>\r\n",
      "DATA\r\n",
      ".\r\n",
      "\r\n",
      "\n",
      "\r",
      "\0",
      "AUTH PLAIN\r\n",
      "*\r\n",
      "XCLIENT A=B\r\n",
      "\xff\xfe",
      "PROXY TCP4 ",
      "<>",
      "RSET\r\n",
      "BDAT 5 LAST\r\n",
      "x".repeat(3000),
    ];
    let seed = 7;
    const random = (below: number) => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return seed % below;
    };
    await Promise.all(
      Array.from({ length: 60 }, async () => {
        const socket = client(gateway);
        socket.resume();
        const gone = new Promise((resolve) => socket.once("close", resolve));
        for (let i = 0; i < 60; i++) socket.write(pieces[random(pieces.length)] ?? "", "latin1");
        socket.end();
        await gone;
      }),
    );
    expect(await wellBehaved(gateway)).toBeLessThan(1000);
  });

  test("five hundred idle clients are all greeted, and soon", async () => {
    await using gateway = await openTrialGateway({
      policy: policy({ greeting_delay: 100, max_connections_per_client: 500 }),
    });
    const start = performance.now();
    const sockets = Array.from({ length: 500 }, () => client(gateway));
    await Promise.all(sockets.map((socket) => lines(socket, 1)));
    expect(performance.now() - start).toBeLessThan(3000);
    expect(gateway.listeners.connections()).toBe(500);
    for (const socket of sockets) socket.destroy();
  });
});
