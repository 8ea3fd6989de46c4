// What a test message's refusal says of the gateway: only one for what is in it is what the test is for.
import { expect, test } from "bun:test";
import { createServer } from "node:net";
import { isWhatTestsAreFor } from "../../src/cli/send-test.ts";
import { sendMessage } from "../../src/delivery/send-message.ts";

/** What sending comes to at a server that answers so to one of the commands. */
async function refusedAt(command: string, answer: string): Promise<object> {
  const server = createServer((socket) => {
    let inData = false;
    socket.write("220 test\r\n");
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      for (const line of chunk
        .toString("latin1")
        .split("\r\n")
        .filter((one) => one !== "")) {
        if (inData && line !== ".") continue;
        const verb = inData ? "END" : line.slice(0, 4).toUpperCase();
        inData = false;
        if (verb === command) socket.write(`${answer}\r\n`);
        else if (verb === "DATA") {
          inData = true;
          socket.write("354 go on\r\n");
        } else socket.write("250 ok\r\n");
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  try {
    await sendMessage({
      host: "127.0.0.1",
      port: typeof address === "object" && address !== null ? address.port : 0,
      from: "a@example.org",
      to: "b@example.test",
      message: "Subject: x\r\n\r\nx\r\n",
    });
    throw new Error("it was taken");
  } catch (error) {
    if (error instanceof Error) return error;
    throw error;
  } finally {
    server.close();
  }
}

test("a refusal of sender or recipient, or a put-off, is no proof that a virus is found", async () => {
  for (const [command, answer, proof] of [
    ["END", "550 5.7.1 malware", true],
    ["END", "451 4.7.1 later", false],
    ["MAIL", "550 5.7.1 not you", false],
    ["RCPT", "550 5.7.1 Relaying denied", false],
    ["RCPT", "450 4.1.1 later", false],
  ] as const) {
    const refusal = await refusedAt(command, answer);
    expect([command, answer, isWhatTestsAreFor("virus", refusal)]).toEqual([command, answer, proof]);
    expect(isWhatTestsAreFor("spam", refusal)).toBe(proof);
    expect(isWhatTestsAreFor("clean", refusal)).toBe(false);
  }
});
