// Sends a workload's messages with clients in processes of their own and tells when they began and what they cost.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { SubmitReport } from "./child/submit.ts";
import type { MailWorkload } from "./workload.ts";

const root = join(import.meta.dirname, "../..");

export interface MailLoad {
  /** performance.now() at the first connection. */
  readonly startedAt: number;
  readonly cpuSeconds: number;
  /** Why not every message was taken; null when all were. */
  readonly failure: string | null;
}

export interface MailLoadOptions {
  readonly port: number;
  readonly messages: number;
  readonly sessions: number;
  /** Octets of a made-up text, or the text itself. */
  readonly message: number | string;
  /** A scratch folder. */
  readonly folder: string;
  /** True: a connection takes one message after the other. */
  readonly keep: boolean;
  /** The client is given up after so long. */
  readonly patienceMs?: number;
}

/** Sends with Postfix's smtp-source. */
export async function sendPlain(options: MailLoadOptions): Promise<MailLoad> {
  const { port, messages, sessions, message, folder, keep, patienceMs } = options;
  const file = join(folder, "message.eml");
  if (typeof message === "string") writeFileSync(file, message.replaceAll("\r\n", "\n"));
  const startedAt = performance.now();
  const source = Bun.spawn(
    [
      ...[
        "smtp-source",
        ...(keep ? ["-d"] : []),
        "-s",
        String(Math.min(sessions, messages)),
        "-m",
        String(messages),
      ],
      ...(typeof message === "number" ? ["-l", String(message)] : ["-F", file]),
      ...["-f", "bench@example.org", "-t", "user@example.test", `127.0.0.1:${port}`],
    ],
    {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
      ...(patienceMs === undefined ? {} : { timeout: patienceMs }),
    },
  );
  const words = await new Response(source.stderr).text();
  const code = await source.exited;
  const late = source.signalCode === null ? "" : `not answered within ${(patienceMs ?? 0) / 1000} s`;
  return {
    startedAt,
    cpuSeconds: Number(source.resourceUsage()?.cpuTime.total ?? 0) / 1e6,
    failure: code === 0 ? null : `smtp-source: ${late || words.trim()}`,
  };
}

async function sendSubmissions(
  options: Pick<MailLoadOptions, "port" | "messages" | "sessions">,
  bytes: number,
): Promise<MailLoad> {
  const { port, messages, sessions } = options;
  const client = Bun.spawn(
    [
      ...[
        process.execPath,
        "test/bench/child/submit.ts",
        "--port",
        String(port),
        "--messages",
        String(messages),
      ],
      ...["--sessions", String(sessions), "--bytes", String(bytes)],
    ],
    { cwd: root, stdin: "ignore", stdout: "pipe", stderr: "inherit" },
  );
  const text = await new Response(client.stdout).text();
  const code = await client.exited;
  if (code !== 0) throw new Error(`The submission client ended with ${code}`);
  const { startedAt, accepted, refused } = JSON.parse(text) as SubmitReport;
  const words = Object.entries(refused).map(([reply, count]) => `${count} × "${reply}"`);
  return {
    startedAt: startedAt - performance.timeOrigin,
    cpuSeconds: Number(client.resourceUsage()?.cpuTime.total ?? 0) / 1e6,
    failure: accepted === messages ? null : `${accepted} of ${messages} taken: ${words.join(", ")}`,
  };
}

/** Sends `messages` of a workload's messages to a port. */
export function sendMail(
  workload: MailWorkload,
  where: { readonly port: number; readonly messages: number; readonly folder: string },
): Promise<MailLoad> {
  const { message, sessions, client } = workload;
  switch (client) {
    case "kept":
      return sendPlain({ ...where, sessions, message, keep: true });
    case "submission":
      return sendSubmissions({ ...where, sessions }, typeof message === "number" ? message : message.length);
    default:
      return client satisfies never;
  }
}
