// A stranger holds bodies half sent: another stranger and a trusted host go on as if nothing was, and what was held leaves no file.
import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { openDialogue } from "../crash/smtp-dialogue.ts";
import { freePorts, waitUntil } from "../peers/run-command.ts";
import { runGateway } from "../peers/run-gateway.ts";
import { sendOne, smallPolicy } from "./gateway-kit.ts";

const PIECE = Buffer.from(`${"x".repeat(1022)}\r\n`.repeat(64));

/** Sends so many octets of a body and no end. */
async function holdBody(port: number, from: string, bytes: number): Promise<Socket> {
  const socket = connect({ host: "127.0.0.1", port, localAddress: from });
  socket.on("error", () => {});
  const heard = () => new Promise<void>((resolve) => socket.once("data", () => resolve()));
  await heard();
  for (const line of ["EHLO x.example", "MAIL FROM:<a@example.org>", "RCPT TO:<bob@example.test>", "DATA"]) {
    socket.write(`${line}\r\n`);
    await heard();
  }
  socket.write("Subject: half\r\n\r\n");
  for (let sent = 0; sent < bytes; sent += PIECE.length)
    if (!socket.write(PIECE)) await new Promise<void>((resolve) => socket.once("drain", resolve));
  return socket;
}

test("thirteen half bodies of 8 MB and eighty of 300 KB", async () => {
  const { mx, nobody } = await freePorts("mx", "nobody");
  const gateway = await runGateway({
    policy: smallPolicy(mx, nobody).replace(/^rules = .*$/m, "rules = []"),
  });
  const sockets: Socket[] = [];
  try {
    sockets.push(
      ...(await Promise.all(Array.from({ length: 13 }, () => holdBody(mx, "127.0.1.1", 8_000_000)))),
    );
    sockets.push(
      ...(await Promise.all(Array.from({ length: 80 }, () => holdBody(mx, "127.0.1.2", 300_000)))),
    );
    const incoming = () =>
      readdirSync(join(gateway.data, "spool")).filter((name) => name.startsWith("incoming"));
    expect(incoming().length).toBeGreaterThan(0);
    for (let n = 0; n < 10; n++) expect(await sendOne(mx, { subject: `${n}` })).toStartWith("250");
    const large = await openDialogue(mx);
    for (const line of ["EHLO y.example", "MAIL FROM:<c@example.org>", "RCPT TO:<bob@example.test>", "DATA"])
      await large.say(`${line}\r\n`);
    const body = PIECE.toString("latin1").repeat(40);
    expect(await large.say(`Subject: whole\r\n\r\n${body}.\r\n`)).toStartWith("250");
    large.close();
    for (const socket of sockets.splice(0)) socket.destroy();
    await waitUntil("the half bodies are gone", async () => incoming().length === 0);
    const bodies = readdirSync(join(gateway.data, "spool")).filter((name) => name.endsWith(".eml"));
    expect(bodies).toHaveLength(1);
  } finally {
    for (const socket of sockets) socket.destroy();
    await gateway.dispose();
  }
}, 120_000);
