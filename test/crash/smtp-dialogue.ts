// One SMTP connection of a load client: says a line, gives back the reply, and fails when the other side dies.
import type { Socket } from "bun";

export interface SmtpDialogue {
  /** Sends these octets and resolves to the next whole reply: `250 2.0.0 …` (its last line). */
  say(octets: string): Promise<string>;
  close(): void;
}

interface Waiting {
  resolve(reply: string): void;
  reject(error: Error): void;
}

/** Connects to a loopback port and waits for the greeting. Rejects when there is none. */
export async function openDialogue(port: number): Promise<SmtpDialogue> {
  let text = "";
  let ended = false;
  const replies: string[] = [];
  let waiting: Waiting | null = null;
  const gone = () => {
    ended = true;
    waiting?.reject(new Error("the connection has ended"));
    waiting = null;
  };
  const socket: Socket<undefined> = await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      data(_socket, chunk) {
        text += chunk.toString("latin1");
        const lines = text.split("\r\n");
        text = lines.pop() ?? "";
        replies.push(...lines.filter((line) => /^\d{3} /.test(line)));
        const reply = waiting === null ? undefined : replies.shift();
        if (reply === undefined) return;
        waiting?.resolve(reply);
        waiting = null;
      },
      close: gone,
      error: gone,
      connectError: gone,
    },
  });
  // What a full socket buffer does not take at once must be kept for `drain`; here a write waits its turn instead.
  const writeAll = async (octets: Buffer): Promise<void> => {
    let rest = octets;
    while (rest.length > 0 && !ended) {
      rest = rest.subarray(Math.max(0, socket.write(rest)));
      if (rest.length > 0) await Bun.sleep(1);
    }
  };
  const nextReply = () =>
    new Promise<string>((resolve, reject) => {
      const reply = replies.shift();
      if (reply !== undefined) resolve(reply);
      else if (ended) reject(new Error("the connection has ended"));
      else waiting = { resolve, reject };
    });
  await nextReply();
  return {
    async say(octets) {
      await writeAll(Buffer.from(octets, "latin1"));
      return nextReply();
    },
    close() {
      ended = true;
      socket.end();
    },
  };
}
