// Clients that send as fast as they are answered and remember what was answered 250: from then on it is the gateway's to keep.
import { openDialogue } from "./smtp-dialogue.ts";

export interface LoadMessage {
  readonly id: string;
  readonly sender: string;
  readonly recipients: readonly string[];
  /** With CRLF line ends and no line that starts with a dot. */
  readonly text: string;
}

export interface LoadClient {
  /** Id and recipients of each message answered 250. */
  readonly accepted: ReadonlyMap<string, readonly string[]>;
  /** Replies other than 250 to a message, with how often they came: none are expected. */
  readonly refused: ReadonlyMap<string, number>;
  /** Stops sending and waits for the dialogues under way. */
  stop(): Promise<void>;
}

export interface LoadOptions {
  readonly port: number;
  readonly connections: number;
  /** How long a connection rests after each message; 0 when left out. */
  readonly pauseMs?: number;
  next(): LoadMessage;
}

const RECONNECT_MS = 20;

/** Starts sending. A connection that breaks is opened again, for as long as it takes. */
export function startLoad({ port, connections, pauseMs = 0, next }: LoadOptions): LoadClient {
  const accepted = new Map<string, readonly string[]>();
  const refused = new Map<string, number>();
  let stopping = false;

  async function sendUntilBroken(): Promise<void> {
    const smtp = await openDialogue(port);
    try {
      await smtp.say("EHLO client.example.org\r\n");
      while (!stopping) {
        const message = next();
        let reply = await smtp.say(`MAIL FROM:<${message.sender}>\r\n`);
        for (const recipient of message.recipients) {
          if (reply.startsWith("250")) reply = await smtp.say(`RCPT TO:<${recipient}>\r\n`);
        }
        if (reply.startsWith("250")) reply = await smtp.say("DATA\r\n");
        if (reply.startsWith("354")) reply = await smtp.say(`${message.text}\r\n.\r\n`);
        if (reply.startsWith("250")) accepted.set(message.id, message.recipients);
        else {
          refused.set(reply, (refused.get(reply) ?? 0) + 1);
          await smtp.say("RSET\r\n");
        }
        if (pauseMs > 0) await Bun.sleep(pauseMs);
      }
    } finally {
      smtp.close();
    }
  }

  const workers = Array.from({ length: connections }, async () => {
    while (!stopping) {
      // The gateway was killed or is not up yet.
      await sendUntilBroken().catch(() => Bun.sleep(RECONNECT_MS));
    }
  });
  return {
    accepted,
    refused,
    async stop() {
      stopping = true;
      await Promise.all(workers);
    },
  };
}
