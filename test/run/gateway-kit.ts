// What the run-time tests share: a small policy, starting `serve` to see it fail, one message by hand, an administrator's browser.
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openDialogue } from "../crash/smtp-dialogue.ts";
import { type CommandResult, runCommand } from "../peers/run-command.ts";
import type { RunningGateway } from "../peers/run-gateway.ts";

/** The project's directory. */
export const ROOT = join(import.meta.dirname, "../..");

export const isRoot = process.getuid?.() === 0;

/** The gateway as a command: the built binary when GATEPOST_BIN names it, else the source. */
export const PROGRAM: readonly string[] =
  process.env.GATEPOST_BIN === undefined ? [process.execPath, "src/main.ts"] : [process.env.GATEPOST_BIN];

/** One listener, one domain whose mail server is on a loopback port. `more` is put at its end. */
export function smallPolicy(mx: number, server: number, more = ""): string {
  return `
[[listener]]
name = "mx"
listen = "127.0.0.1:${mx}"
greeting_delay = 0
[[domain]]
name = "example.test"
routes = [{ host = "127.0.0.1", port = ${server}, tls = "none" }]
recipients = { verify = "catch-all" }
rules = ["virus", "spam"]
[delivery]
retry = ["1s"]
${more}`;
}

/** A boot file in a directory of its own. `data` and the console's port are always set. */
export function bootDirectory(options: {
  readonly consolePort: number;
  readonly data?: string;
  readonly policy?: string;
  readonly more?: string;
}): { readonly directory: string; readonly file: string; readonly data: string } {
  const directory = mkdtempSync(join(tmpdir(), "gatepost-run-"));
  const data = options.data ?? join(directory, "data");
  const file = join(directory, "gatepost.toml");
  const first = options.policy === undefined ? "" : '[first_start]\npolicy = "policy.toml"\n';
  if (options.policy !== undefined) writeFileSync(join(directory, "policy.toml"), options.policy);
  writeFileSync(
    file,
    `data = "${data}"
hostname = "gate.example.test"
[console]
listen = "127.0.0.1:${options.consolePort}"
[metrics]
listen = ""
[dns]
servers = ["127.0.0.1:9"]
${first}${options.more ?? ""}`,
  );
  return { directory, file, data };
}

/** Runs a command of the gateway to its end. `before`: what the command is given to, `["setpriv", …]`. */
export function gatepost(
  args: readonly string[],
  options: { readonly before?: readonly string[] } = {},
): Promise<CommandResult> {
  return runCommand([...(options.before ?? []), ...PROGRAM, ...args], { cwd: ROOT });
}

/** Ports of the first listeners that answer, for the launcher of `runGateway`: sets variables of the environment. */
export function withEnvironment(variables: Readonly<Record<string, string>>): readonly string[] {
  return ["env", ...Object.entries(variables).map(([name, value]) => `${name}=${value}`)];
}

/** Hands one message in and says what was answered at the end, or at the first refusal. */
export async function sendOne(
  port: number,
  message: { readonly subject: string; readonly body?: string; readonly to?: string },
): Promise<string> {
  const smtp = await openDialogue(port);
  try {
    let reply = await smtp.say("EHLO client.example.org\r\n");
    const to = message.to ?? "bob@example.test";
    for (const line of ["MAIL FROM:<alice@example.org>", `RCPT TO:<${to}>`, "DATA"]) {
      reply = await smtp.say(`${line}\r\n`);
      if (!/^[23]/.test(reply)) return reply;
    }
    const header = `From: <alice@example.org>\r\nTo: <${to}>\r\nSubject: ${message.subject}\r\n`;
    return await smtp.say(`${header}\r\n${message.body ?? "Hello.\r\n"}.\r\n`);
  } finally {
    smtp.close();
  }
}

/** The alarms the running gateway shows on its socket. */
export async function alarmNames(gateway: Pick<RunningGateway, "data">): Promise<readonly string[]> {
  const reply = await fetch("http://gatepost/status", {
    method: "POST",
    body: "{}",
    unix: join(gateway.data, "gatepost.sock"),
  });
  const { answer } = (await reply.json()) as { answer: { alarms: { name: string }[] } };
  return answer.alarms.map(({ name }) => name);
}

/** A request to the console as a browser on its own pages would send it; redirects are not followed. */
export function askConsole(
  gateway: Pick<RunningGateway, "consolePort">,
  path: string,
  options: { readonly cookie?: string; readonly form?: Readonly<Record<string, string>> } = {},
): Promise<Response> {
  const origin = `https://127.0.0.1:${gateway.consolePort}`;
  return fetch(`${origin}${path}`, {
    method: options.form === undefined ? "GET" : "POST",
    headers: {
      origin,
      "sec-fetch-site": "same-origin",
      ...(options.cookie === undefined ? {} : { cookie: options.cookie }),
    },
    redirect: "manual",
    tls: { rejectUnauthorized: false },
    ...(options.form === undefined ? {} : { body: new URLSearchParams(options.form) }),
  });
}

export const PASSWORD = "nine-Green-otters_42";

/** Makes an administrator with a set-up code; the cookie of the session, or null when it was refused. */
export async function setUpWith(
  gateway: Pick<RunningGateway, "consolePort">,
  code: string,
  login: string,
): Promise<string | null> {
  const form = { code, login, password: PASSWORD, again: PASSWORD };
  const reply = await askConsole(gateway, "/setup", { form });
  return reply.status === 303 ? (reply.headers.get("set-cookie")?.split(";")[0] ?? null) : null;
}

/** The set-up code in what a gateway printed. */
export function setupCodeIn(text: string): string {
  return /Set-up code:?\s+([0-9A-Z-]{14})/.exec(text)?.[1] ?? "";
}

/** True when a file with this process id exists and its process runs. */
export function isRunning(pid: number): boolean {
  const stat = `/proc/${pid}/stat`;
  return existsSync(stat) && !/\) Z /.test(readFileSync(stat, "utf8"));
}
