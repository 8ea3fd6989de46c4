// Runs the real gateway for a test: from source, or the built binary when GATEPOST_BIN names it. Own directory, loopback only.
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Subprocess } from "bun";
import type { ControlCommand, ControlCommands, ControlResponse } from "../../src/console/control.ts";
import { emptyDns } from "../dns-server.ts";
import { type CommandResult, freePorts, runCommand, waitUntil } from "./run-command.ts";

const root = join(import.meta.dirname, "../..");

export interface RunningGateway {
  /** Holds the boot file, the policy, the log and `data/`. */
  readonly directory: string;
  readonly data: string;
  readonly consolePort: number;
  /** Runs a command of the gateway on the same boot file: `command("queue", "list")`. */
  command(...args: readonly string[]): Promise<CommandResult>;
  /** Asks over its socket as a command does, without the price of starting one: for what is asked again and again. */
  ask: AskGateway;
  /** How many recipients wait or are held in the queue, up to 1000. */
  queued(): Promise<number>;
  /** Applies a policy text; throws with the gateway's words when it is refused. Its output. */
  apply(policy: string): Promise<string>;
  plan(policy: string): Promise<string>;
  /** The message log as `gatepost log --json` prints it, oldest first, up to 1000. */
  log(): Promise<readonly LoggedMessage[]>;
  /** Waits for the log entry that `find` accepts. */
  logged(what: string, find: (message: LoggedMessage) => boolean): Promise<LoggedMessage>;
  /** The process ids of the gateway: one. */
  pid(): number;
  /** Ends it with SIGTERM and waits; the exit code. */
  stop(): Promise<number>;
  /** Ends it as a power cut would. */
  kill9(): Promise<void>;
  /** Starts it again on the same data after `stop` or `kill9`, and waits until it answers. */
  restart(): Promise<void>;
  /** The same without waiting. */
  launch(): void;
  /** Standard output and error so far. */
  output(): string;
  /** Stops it if it runs and removes the directory. */
  dispose(): Promise<void>;
}

export type AskGateway = <Name extends ControlCommand>(
  name: Name,
  ask: ControlCommands[Name]["ask"],
) => Promise<ControlCommands[Name]["answer"]>;

/** Asks the gateway on this data directory; throws when none answers, or with its words when it refuses. */
async function askSocket<Name extends ControlCommand>(
  data: string,
  name: Name,
  ask: ControlCommands[Name]["ask"],
): Promise<ControlCommands[Name]["answer"]> {
  const unix = join(data, "gatepost.sock");
  const reply = await fetch(`http://gatepost/${name}`, { method: "POST", body: JSON.stringify(ask), unix });
  const response = (await reply.json()) as ControlResponse<Name>;
  if (!response.ok) throw new Error(`the gateway refuses ${name}: ${response.error}`);
  return response.answer;
}

/** Whether a gateway on this data directory answers. */
export async function answersOnSocket(data: string): Promise<boolean> {
  return askSocket(data, "queue-list", { limit: 1, offset: 0 }).then(
    () => true,
    () => false,
  );
}

/** The parts of a line of `gatepost log --json` the tests look at (LogMessage of `store/message-log.ts`). */
export interface LoggedMessage {
  readonly record: {
    readonly id: string;
    readonly subject: string;
    readonly reply: string;
    readonly envelope: { readonly listener: string; readonly reversePath: string | null };
    readonly recipients: readonly {
      readonly address: string;
      readonly direction: string;
      readonly grant: { readonly by: string } | null;
      readonly reply: string;
      readonly verdict: { readonly action: string; readonly rule: string | null } | null;
    }[];
    readonly findings: readonly { readonly fact: string; readonly value: unknown }[];
  };
  readonly states: readonly { readonly n: number; readonly state: string; readonly words: string }[];
  readonly attempts: readonly {
    readonly outcomes: readonly { readonly result: string; readonly text: string }[];
  }[];
}

export interface GatewayOptions {
  /** The policy file's text, in force when this resolves. */
  readonly policy: string;
  /** True: the gateway starts empty, with its default listeners, and the policy is applied by command. */
  readonly startEmpty?: boolean;
  /** `host:port` of the resolvers; by default one that knows no name. */
  readonly dns?: readonly string[];
  readonly hostname?: string;
  /** The built binary to run, instead of the source or GATEPOST_BIN. */
  readonly binary?: string;
  /** A command that the start command is given to, for example to put it into a cgroup. */
  readonly launcher?: readonly string[];
}

/** Starts a gateway and waits until it has taken the policy. */
export async function runGateway(options: GatewayOptions): Promise<RunningGateway> {
  const directory = mkdtempSync(join(tmpdir(), "gatepost-"));
  const data = join(directory, "data");
  const bootFile = join(directory, "gatepost.toml");
  const { console: consolePort } = await freePorts("console");
  const servers = (options.dns ?? [(await emptyDns()).address]).map((server) => `"${server}"`).join(", ");
  writeFileSync(
    bootFile,
    `data = "${data}"
hostname = "${options.hostname ?? "gate.example.test"}"
[console]
listen = "127.0.0.1:${consolePort}"
[metrics]
listen = ""
[dns]
servers = [${servers}]
${options.startEmpty === true ? "" : '[first_start]\npolicy = "policy.toml"\n'}`,
  );
  writeFileSync(join(directory, "policy.toml"), options.policy);

  const binary = options.binary ?? process.env.GATEPOST_BIN;
  // Compiled, it must need nothing of the source tree; from source, workers are found from the project's root.
  const program = binary === undefined ? [process.execPath, "src/main.ts"] : [binary];
  const cwd = binary === undefined ? root : directory;
  const logFile = join(directory, "gateway.log");
  let child: Subprocess | null = null;

  const command = (...args: readonly string[]) =>
    runCommand([...program, ...args, "--config", bootFile], { cwd });
  const output = () => readFileSync(logFile, "utf8");

  const start = (): void => {
    const lines = openSync(logFile, "a");
    child = Bun.spawn([...(options.launcher ?? []), ...program, "serve", "--config", bootFile], {
      cwd,
      stdin: "ignore",
      stdout: lines,
      stderr: lines,
    });
    closeSync(lines);
  };

  const withPolicy = async (verb: "apply" | "plan", policy: string): Promise<string> => {
    const file = join(directory, `${verb}.toml`);
    writeFileSync(file, policy);
    const { code, out, err } = await command(verb, file);
    if (code !== 0)
      throw new Error(`gatepost ${verb} ended with ${code}:\n${out}${err}\n${output().slice(-2000)}`);
    return out;
  };

  const answering = () =>
    waitUntil("the gateway answers on its socket", async () => {
      if (child === null || child.exitCode !== null)
        throw new Error(`The gateway ended:\n${output().slice(-4000)}`);
      return answersOnSocket(data);
    });

  const ask: AskGateway = (name, question) => askSocket(data, name, question);

  const log = async (): Promise<readonly LoggedMessage[]> => {
    const { lines } = await ask("log-search", { filter: { limit: 1000 } });
    const found = await Promise.all(lines.toReversed().map(({ id }) => ask("log-get", { id })));
    return found.filter((message) => message !== null);
  };

  const end = async (signal: "SIGTERM" | "SIGKILL"): Promise<number> => {
    const running = child;
    if (running === null) return 0;
    running.kill(signal);
    const code = await running.exited;
    child = null;
    return code;
  };

  start();
  try {
    await answering();
    if (options.startEmpty === true) await withPolicy("apply", options.policy);
  } catch (error) {
    await end("SIGKILL");
    throw error;
  }

  return {
    directory,
    data,
    consolePort,
    command,
    ask,
    queued: async () => (await ask("queue-list", { limit: 1000, offset: 0 })).length,
    apply: (policy) => withPolicy("apply", policy),
    plan: (policy) => withPolicy("plan", policy),
    log,
    logged: (what, find) => waitUntil(`the log shows ${what}`, async () => (await log()).find(find)),
    pid: () => child?.pid ?? 0,
    stop: () => end("SIGTERM"),
    async kill9() {
      await end("SIGKILL");
    },
    launch: start,
    async restart() {
      start();
      await answering();
    },
    output,
    async dispose() {
      await end("SIGTERM");
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
