// swaks, the SMTP test client, as the real client before the gateway.
import { runCommand } from "./run-command.ts";

export interface SwaksOptions {
  readonly port: number;
  readonly from: string;
  readonly to: string;
  /** The whole message with LF line ends. */
  readonly message: string;
  readonly tls?: "none" | "starttls" | "implicit";
  readonly login?: { readonly user: string; readonly password: string };
  readonly helo?: string;
}

export interface SwaksResult {
  readonly accepted: boolean;
  /** Every reply line of the server in order, without swaks' marks: `250 2.1.0 …`. */
  readonly replies: readonly string[];
  /** The dialogue as swaks prints it, for failures. */
  readonly dialogue: string;
}

/** Sends one message; never throws for a refusal. */
export async function runSwaks(options: SwaksOptions): Promise<SwaksResult> {
  const { port, from, to, message, tls = "none", login, helo = "client.example.org" } = options;
  const { code, out, err } = await runCommand(
    [
      "swaks",
      ...["--server", "127.0.0.1", "--port", String(port), "--helo", helo],
      ...["--from", from, "--to", to, "--data", "-", "--timeout", "60s"],
      ...(tls === "starttls" ? ["--tls"] : tls === "implicit" ? ["--tls-on-connect"] : []),
      ...(login === undefined
        ? []
        : ["--auth", "PLAIN", "--auth-user", login.user, "--auth-password", login.password]),
    ],
    // swaks puts a line end of its own at the end.
    { input: message.replace(/\n$/, "") },
  );
  const replies = [...out.matchAll(/^<[~*-][*~-]? {1,2}(\d{3}[ -].*)$/gm)].map(([, line = ""]) =>
    line.trim(),
  );
  return { accepted: code === 0, replies, dialogue: out + err };
}

let counter = 0;

/** A small message with an own subject to find it by in the log. */
export function testMessage(options: {
  readonly from: string;
  readonly to: string;
  readonly subject: string;
  readonly body?: string;
}): { readonly subject: string; readonly text: string } {
  counter += 1;
  const subject = `${options.subject} ${process.pid}.${counter}`;
  const text = `From: ${options.from}
To: ${options.to}
Subject: ${subject}
Date: Sat, 21 Nov 2026 12:00:00 +0000
Message-ID: <${process.pid}.${counter}@example.org>
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8

${options.body ?? "Good day,\n\n.a line with a leading dot\nthat is all."}
`;
  return { subject, text };
}
