// `gatepost serve`: runs the gateway until a signal ends it.
import { type Config, ConfigError } from "../config/config.ts";
import { tuneRuntime } from "../config/tune-runtime.ts";
import { type Gateway, startGateway } from "../gateway.ts";
import { InitialPolicyError } from "../policy/run-settings.ts";
import { askDaemon } from "./ask-daemon.ts";
import { lockDataDirectory, refuseWhenOwned } from "./data-lock.ts";
import { CommandError, EXIT, type Terminal, wordsOf } from "./terminal.ts";

/** What `serve` needs of the process: its signals. */
export interface Signals {
  on(signal: "SIGTERM" | "SIGINT" | "SIGHUP", handler: () => void): unknown;
}

/** Without its database nothing can be kept: attempts under way may finish, but nothing is waited for long. */
const BROKEN_GRACE_MS = 5000;

/** Where the file system has no locks, a gateway in another container still answers on the socket. */
async function refuseWhenAnswered(config: Config): Promise<void> {
  try {
    await askDaemon(config, "status", {});
  } catch {
    // Nobody is there, as it should be.
    return;
  }
  throw new CommandError(
    EXIT.unavailable,
    `Another gateway answers on the data directory "${config.data}". Stop it first, or use another directory.`,
  );
}

/** The boot file behind `npm start` and `npm run send-test`. */
const FIRST_RUN_FILE = "/appliance/dev.toml";

/** A line to copy that sends a test message to this gateway. */
function sendTestCommand(config: Config): string {
  const file = config.file === null ? "" : ` --config ${config.file}`;
  // A compiled program's own modules lie in Bun's virtual folder.
  if (Bun.main.startsWith("/$bunfs/")) return `${process.execPath} send-test${file}`;
  if (config.file?.endsWith(FIRST_RUN_FILE) === true) return "npm run --silent send-test";
  return `sh appliance/bun.sh src/main.ts send-test${file}`;
}

function welcome(gateway: Gateway, config: Config): string {
  const lines = ["", `Gatepost ${gateway.version} is running.`, ""];
  for (const listener of gateway.listeners()) {
    lines.push(
      `  ${listener.name.padEnd(14)} ${listener.listen.padEnd(22)} ${listener.state}${listener.words === "" ? "" : `: ${listener.words}`}`,
    );
  }
  lines.push("", `  Console        ${gateway.consoleUrl}`);
  const code = gateway.setupCode();
  if (code !== null) lines.push(`  Set-up code    ${code}   (makes the first administrator)`);
  lines.push("", "  Send a test message from another terminal:", `    ${sendTestCommand(config)}`, "");
  return lines.join("\n");
}

interface WatchedSignals {
  /** SIGTERM or SIGINT came, maybe during the start. */
  readonly asked: Promise<void>;
  isAsked(): boolean;
  /** The same signal once more. */
  readonly insisted: Promise<void>;
  /** At SIGHUP from now on, and at once when one came before. */
  onReload(reload: () => void): void;
}

/** From the first moment: no signal may end a start midway, while databases are opened or brought up to date. */
function watchSignals(signals: Signals): WatchedSignals {
  const asked = Promise.withResolvers<void>();
  const insisted = Promise.withResolvers<void>();
  const seen = new Set<string>();
  let isDue = false;
  let reload = (): void => {
    isDue = true;
  };
  signals.on("SIGHUP", () => reload());
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    signals.on(signal, () => {
      if (seen.has(signal)) insisted.resolve();
      seen.add(signal);
      asked.resolve();
    });
  }
  return {
    asked: asked.promise,
    isAsked: () => seen.size > 0,
    insisted: insisted.promise,
    onReload(use) {
      reload = use;
      if (isDue) use();
    },
  };
}

/** Runs the gateway. Resolves to the exit code after SIGTERM or SIGINT has drained it; a second signal ends the wait. */
export async function serve(
  config: Config,
  options: { readonly acceptLoss: boolean; readonly signals: Signals },
  terminal: Terminal,
): Promise<number> {
  const stop = watchSignals(options.signals);
  // What is kept here is other people's mail: readable by the gateway's user alone, also in a directory made by somebody else.
  process.umask(0o077);
  tuneRuntime();
  // Looked at before anything is touched: whoever is refused leaves the other one's lock and files as they are.
  refuseWhenOwned(config.data);
  await refuseWhenAnswered(config);
  const unlock = lockDataDirectory(config.data);
  try {
    let gateway: Gateway;
    try {
      gateway = await startGateway(config, options);
    } catch (error) {
      const mistake = error instanceof ConfigError || error instanceof InitialPolicyError;
      const code = mistake ? EXIT.config : EXIT.unavailable;
      throw new CommandError(code, `Gatepost cannot start: ${wordsOf(error)}`, { cause: error });
    }
    if (!stop.isAsked()) terminal.err(welcome(gateway, config));
    stop.onReload(() => void gateway.reloadCertificates());
    const reason = await Promise.race([
      stop.asked.then(() => "signal" as const),
      gateway.broken.then(() => "broken" as const),
    ]);
    const limit = reason === "broken" ? Bun.sleep(BROKEN_GRACE_MS) : stop.insisted;
    await Promise.race([gateway.close(), limit]);
    return reason === "signal" ? EXIT.ok : EXIT.failed;
  } finally {
    unlock();
  }
}
