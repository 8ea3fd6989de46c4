// A process of its own, so that the work of the clients is not counted as the server's: each message on a new connection with
// STARTTLS (a full handshake) and AUTH PLAIN. Prints one JSON line, a SubmitReport.
import { parseArgs } from "node:util";
import { LOGIN } from "../../peers/peer-policy.ts";
import { openSubmission } from "../submission-dialogue.ts";

/** What the process prints. */
export interface SubmitReport {
  /** Milliseconds UTC, with fractions: when the first connection was opened. */
  readonly startedAt: number;
  readonly accepted: number;
  /** What went wrong, with how often it did. */
  readonly refused: Readonly<Record<string, number>>;
}

const { values: options } = parseArgs({
  options: {
    port: { type: "string", default: "587" },
    messages: { type: "string", default: "1" },
    sessions: { type: "string", default: "1" },
    bytes: { type: "string", default: "4096" },
  },
});
const messages = Number(options.messages);
const bytes = Number(options.bytes);
const LINE = `${"x".repeat(76)}\r\n`;

function messageText(number: number): string {
  const head = [
    `From: <${LOGIN.user}>`,
    "To: <user@example.test>",
    "Subject: a submission",
    "Date: Sat, 21 Nov 2026 12:00:00 +0000",
    `Message-ID: <${process.pid}.${number}@example.test>`,
    "",
    "",
  ].join("\r\n");
  return head + LINE.repeat(Math.max(1, Math.round((bytes - head.length) / LINE.length)));
}

async function submit(text: string): Promise<void> {
  const dialogue = await openSubmission(Number(options.port));
  try {
    const credentials = Buffer.from(`\0${LOGIN.user}\0${LOGIN.password}`).toString("base64");
    await dialogue.expect("235", `AUTH PLAIN ${credentials}\r\n`);
    await dialogue.expect("250", `MAIL FROM:<${LOGIN.user}>\r\n`);
    await dialogue.expect("250", "RCPT TO:<user@example.test>\r\n");
    await dialogue.expect("354", "DATA\r\n");
    await dialogue.expect("250", `${text}.\r\n`);
    await dialogue.expect("221", "QUIT\r\n");
  } finally {
    dialogue.close();
  }
}

const refused: Record<string, number> = {};
let accepted = 0;
let next = 0;

async function session(): Promise<void> {
  while (next < messages) {
    const number = next++;
    try {
      await submit(messageText(number));
      accepted += 1;
    } catch (error) {
      const words = error instanceof Error ? error.message : String(error);
      refused[words] = (refused[words] ?? 0) + 1;
    }
  }
}

const startedAt = performance.timeOrigin + performance.now();
await Promise.all(Array.from({ length: Number(options.sessions) }, session));
console.log(JSON.stringify({ startedAt, accepted, refused } satisfies SubmitReport));
