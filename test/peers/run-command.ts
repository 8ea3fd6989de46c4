// Runs the real programs the tests talk to, finds them, and waits for things without guessing how long they take.
import { existsSync } from "node:fs";
import { createServer } from "node:net";

/** How long anything may take before a test gives up; far above what a slow machine needs. */
export const PATIENCE_MS = 60_000;

const PATH = `${process.env.PATH ?? ""}:/usr/local/sbin:/usr/sbin:/sbin`;

/** The full path of a program, or null when it is not installed. */
export function findProgram(name: string): string | null {
  return Bun.which(name, { PATH });
}

/** True when all are installed; otherwise says loudly what is not tested. `postfix` and `clamd` also need root. */
export function havePrograms(subject: string, names: readonly string[]): boolean {
  const missing = names.filter((name) => findProgram(name) === null);
  const needsRoot = names.some((name) => name === "postfix" || name === "clamd") && process.getuid?.() !== 0;
  if (missing.length === 0 && !needsRoot) return true;
  const why = missing.length > 0 ? `not installed: ${missing.join(", ")}` : "needs root";
  console.log(`SKIPPED ${subject}: ${why}`);
  return false;
}

export interface CommandResult {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a command to its end, at most PATIENCE_MS. `input` is its standard input. */
export async function runCommand(
  command: readonly string[],
  options: { readonly cwd?: string; readonly input?: string } = {},
): Promise<CommandResult> {
  const child = Bun.spawn([...command], {
    stdin: new TextEncoder().encode(options.input ?? ""),
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, PATH },
    timeout: PATIENCE_MS,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const [code, out, err] = await Promise.all([
    child.exited,
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code, out, err };
}

/** Runs a command that must succeed; its output. */
export async function mustRun(
  command: readonly string[],
  options: { readonly cwd?: string; readonly input?: string } = {},
): Promise<string> {
  const { code, out, err } = await runCommand(command, options);
  if (code !== 0) throw new Error(`"${command.join(" ")}" ended with ${code}:\n${out}${err}`);
  return out;
}

/** Asks again and again until the answer is neither null, undefined nor false; throws with `what` when it never comes. */
export async function waitUntil<T>(
  what: string,
  ask: () => Promise<T> | T,
): Promise<Exclude<T, null | undefined | false>> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const answer = await ask();
    if (answer !== null && answer !== undefined && answer !== false) {
      return answer as Exclude<T, null | undefined | false>;
    }
    if (Date.now() > deadline) throw new Error(`Waited ${PATIENCE_MS / 1000} s in vain: ${what}`);
    await Bun.sleep(50);
  }
}

/** Waits for a file (a socket, a pid file) to appear. */
export async function waitForFile(path: string): Promise<void> {
  await waitUntil(`${path} appears`, () => existsSync(path));
}

/** Loopback TCP ports nobody listens on now; all different. */
export async function freePorts<const Names extends readonly string[]>(
  ...names: Names
): Promise<{ readonly [Name in Names[number]]: number }> {
  const servers = names.map(() => createServer());
  const ports: Record<string, number> = {};
  for (const [index, server] of servers.entries()) {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(0, "127.0.0.1", resolve);
    });
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("a listening server has no port");
    ports[names[index] ?? ""] = address.port;
  }
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports as { readonly [Name in Names[number]]: number };
}

/** Waits until an SMTP server greets with 220 on a loopback port. */
export async function waitForGreeting(port: number, host = "127.0.0.1"): Promise<void> {
  await waitUntil(`the greeting on ${host}:${port}`, async () =>
    (await greeting(port, host)).startsWith("220"),
  );
}

/** The first line a server sends; empty when there is none. */
function greeting(port: number, host: string): Promise<string> {
  return new Promise((resolve) => {
    const giveUp = setTimeout(() => resolve(""), 5000);
    const done = (line: string) => {
      clearTimeout(giveUp);
      resolve(line);
    };
    Bun.connect({
      hostname: host,
      port,
      socket: {
        data(socket, chunk) {
          done(chunk.toString());
          socket.end("QUIT\r\n");
        },
        close: () => done(""),
        error: () => done(""),
      },
    }).catch(() => done(""));
  });
}
