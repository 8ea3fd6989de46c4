// One connection of a submission client, up to and including STARTTLS. Trusts any certificate and never resumes a TLS session.
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";

/** As long as Postfix's own client waits for the end of a message, about. */
const REPLY_MS = 60_000;

export interface SubmissionDialogue {
  /** Sends the octets and waits for a reply with this code; throws with the reply when it is another. */
  expect(code: string, octets: string): Promise<void>;
  close(): void;
}

function replyReader(socket: Socket): () => Promise<string> {
  let text = "";
  let waiting: { resolve(line: string): void; reject(error: Error): void } | null = null;
  let failure: Error | null = null;
  const look = () => {
    const reply = /(?:^|\r\n)(\d{3} [^\r]*)\r\n$/.exec(text)?.[1];
    if (waiting === null || (reply === undefined && failure === null)) return;
    if (reply !== undefined) waiting.resolve(reply);
    else waiting.reject(failure ?? new Error("no reply"));
    text = "";
    waiting = null;
  };
  const fail = (words: string) => {
    failure ??= new Error(words);
    look();
  };
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1");
    look();
  });
  socket.on("error", (error) => fail(error.message));
  socket.on("close", () => fail("the server closed the connection"));
  socket.setTimeout(REPLY_MS, () => socket.destroy(new Error(`no reply within ${REPLY_MS / 1000} s`)));
  return () =>
    new Promise((resolve, reject) => {
      waiting = { resolve, reject };
      look();
    });
}

function dialogueOn(socket: Socket) {
  const reply = replyReader(socket);
  const want = async (code: string): Promise<void> => {
    const line = await reply();
    if (!line.startsWith(code)) throw new Error(line);
  };
  return {
    want,
    expect(code: string, octets: string): Promise<void> {
      socket.write(octets, "latin1");
      return want(code);
    },
    close: () => socket.destroy(),
  };
}

/** Connects to a loopback port, waits for the greeting, switches to TLS and says EHLO on both sides of it. */
export async function openSubmission(port: number): Promise<SubmissionDialogue> {
  const plain = connect({ host: "127.0.0.1", port, noDelay: true });
  try {
    const before = dialogueOn(plain);
    await before.want("220");
    await before.expect("250", "EHLO client.example.test\r\n");
    await before.expect("220", "STARTTLS\r\n");
    plain.removeAllListeners();
    const secure = connectTls({ socket: plain, rejectUnauthorized: false });
    await once(secure, "secureConnect");
    const after = dialogueOn(secure);
    await after.expect("250", "EHLO client.example.test\r\n");
    return after;
  } catch (error) {
    plain.destroy();
    throw error;
  }
}
