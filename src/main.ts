// argv → command. Owns the signals and the exit code; everything else is in cli/ and below.
import "./cli/early-signals.ts";
import { parseArgs } from "node:util";
import { adminReset } from "./cli/admin-reset.ts";
import { backup, restore } from "./cli/backup.ts";
import { check } from "./cli/check.ts";
import { lockList, lockUnlock } from "./cli/lock.ts";
import { log } from "./cli/log.ts";
import { apply, exportPolicy, plan } from "./cli/policy-commands.ts";
import { probe } from "./cli/probe.ts";
import { quarantineDelete, quarantineList, quarantineRelease, quarantineSeen } from "./cli/quarantine.ts";
import { queueChange, queueList } from "./cli/queue.ts";
import { sendTest } from "./cli/send-test.ts";
import { CommandError, EXIT, terminal, traceOf, wordsOf } from "./cli/terminal.ts";
import { ConfigError, loadConfig } from "./config/config.ts";
import { VERSION } from "./config/version.ts";

const USAGE = `gatepost ${VERSION}: a mail security gateway

  gatepost serve [--accept-loss]         run the gateway; with the option also when the data directory lacks a
                                         database, bodies or a key it had: what is lost is said, and gone
  gatepost plan FILE [--prune]           what a policy file would change
  gatepost apply FILE [--prune]          change it
  gatepost export [--secrets]            the whole policy as a file; secrets as *** unless asked for
  gatepost check MAIL.eml [--from A] [--to A]... [--ip IP] [--helo NAME] [--login A] [--json]
                                         facts and verdict for a file, nothing sent
  gatepost log [--json] [--follow] [--id ID] [--text WORDS] [--limit N]
  gatepost queue list [--json] | retry [ID] | hold [ID] | drop ID
  gatepost quarantine list [--json] [--to A] [--class rule|undeliverable]
  gatepost quarantine release ID [--malware] | seen ID | delete ID
  gatepost lock list [--json] | unlock SENDER [IDENTITY]
  gatepost backup DIR                    a consistent copy while it runs
  gatepost restore DIR                   into an empty data directory
  gatepost admin reset                   a new set-up code
  gatepost probe HOST [--port N]...      does the hidden server answer a stranger?
  gatepost send-test [--kind clean|spam|virus] [--from A] [--to A]
  gatepost --version

Every command takes --config FILE (default: ./gatepost.toml, then /etc/gatepost/gatepost.toml).`;

const OPTIONS = {
  config: { type: "string" },
  "accept-loss": { type: "boolean", default: false },
  prune: { type: "boolean", default: false },
  malware: { type: "boolean", default: false },
  secrets: { type: "boolean", default: false },
  json: { type: "boolean", default: false },
  follow: { type: "boolean", default: false },
  id: { type: "string" },
  text: { type: "string" },
  limit: { type: "string", default: "100" },
  from: { type: "string" },
  to: { type: "string", multiple: true, default: [] as string[] },
  ip: { type: "string", default: "192.0.2.1" },
  helo: { type: "string", default: "unknown.invalid" },
  login: { type: "string" },
  port: { type: "string", multiple: true, default: [] as string[] },
  timeout: { type: "string", default: "5" },
  class: { type: "string" },
  kind: { type: "string", default: "clean" },
  version: { type: "boolean", default: false },
  help: { type: "boolean", short: "h", default: false },
} as const;

type Arguments = ReturnType<
  typeof parseArgs<{ options: typeof OPTIONS; allowPositionals: true; tokens: true }>
>;

interface CommandForm {
  /** How many arguments it takes at most, its own words not counted. */
  readonly takes: number;
  /** Its options, besides those that every command has. */
  readonly options: readonly (keyof typeof OPTIONS)[];
}

const FORMS: Readonly<Record<string, CommandForm>> = {
  serve: { takes: 0, options: ["accept-loss"] },
  plan: { takes: 1, options: ["prune"] },
  apply: { takes: 1, options: ["prune"] },
  export: { takes: 0, options: ["secrets"] },
  check: { takes: 1, options: ["from", "to", "ip", "helo", "login", "json"] },
  log: { takes: 0, options: ["json", "follow", "id", "text", "limit"] },
  "queue list": { takes: 0, options: ["json"] },
  "queue retry": { takes: 1, options: [] },
  "queue hold": { takes: 1, options: [] },
  "queue drop": { takes: 1, options: [] },
  "quarantine list": { takes: 0, options: ["json", "to", "class"] },
  "quarantine release": { takes: 1, options: ["malware"] },
  "quarantine seen": { takes: 1, options: [] },
  "quarantine delete": { takes: 1, options: [] },
  "lock list": { takes: 0, options: ["json"] },
  "lock unlock": { takes: 2, options: [] },
  backup: { takes: 1, options: [] },
  restore: { takes: 1, options: [] },
  "admin reset": { takes: 0, options: [] },
  probe: { takes: 1, options: ["port", "timeout"] },
  "send-test": { takes: 0, options: ["kind", "from", "to"] },
};

function usageError(message: string): CommandError {
  return new CommandError(EXIT.usage, `${message}\n"gatepost --help" shows every command.`);
}

function wholeNumber(text: string, option: string, [least, most]: readonly [number, number]): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw usageError(`--${option} takes a whole number from ${least} to ${most}, not "${text}".`);
}

/** What is given and would not be looked at is a mistake: `queue drop ID ID` must not drop one of two in silence. */
function refuseSurplus({ positionals, tokens }: Arguments): void {
  const [first = "", second = ""] = positionals;
  const name = FORMS[first] === undefined ? `${first} ${second}` : first;
  const form = FORMS[name];
  if (form === undefined) return;
  const surplus = positionals.slice(name.split(" ").length + form.takes);
  if (surplus.length > 0) throw usageError(`"${name}" does not take "${surplus.join(" ")}".`);
  for (const token of tokens) {
    if (token.kind !== "option" || token.name === "config") continue;
    if (!form.options.some((option) => option === token.name))
      throw usageError(`"${name}" does not take ${token.rawName}.`);
  }
}

function needed(value: string | undefined, what: string): string {
  if (value === undefined) throw usageError(`${what} is missing.`);
  return value;
}

async function queueCommand({ values, positionals }: Arguments): Promise<number> {
  const config = loadConfig(values.config ?? null);
  const [, verb, id] = positionals;
  switch (verb) {
    case "list":
      return queueList(config, { json: values.json }, terminal);
    case "retry":
    case "hold":
      return queueChange(config, { verb, id: id ?? null }, terminal);
    case "drop":
      return queueChange(config, { verb, id: needed(id, "The id of the message to drop") }, terminal);
    default:
      throw noSuchVerb("queue", verb, "list, retry, hold or drop");
  }
}

function quarantineClass(text: string | null): "rule" | "undeliverable" | null {
  if (text === null || text === "rule" || text === "undeliverable") return text;
  throw usageError(`--class takes rule or undeliverable, not "${text}".`);
}

async function quarantineCommand({ values, positionals }: Arguments): Promise<number> {
  const config = loadConfig(values.config ?? null);
  const [, verb, id] = positionals;
  switch (verb) {
    case "list":
      return quarantineList(
        config,
        {
          json: values.json,
          recipient: values.to[0] ?? null,
          class: quarantineClass(values.class ?? null),
        },
        terminal,
      );
    case "release":
      return quarantineRelease(
        config,
        { id: needed(id, "The id of the message to release"), malware: values.malware },
        terminal,
      );
    case "seen":
      return quarantineSeen(config, needed(id, "The id of the message that was looked at"), terminal);
    case "delete":
      return quarantineDelete(config, needed(id, "The id of the message to delete"), terminal);
    default:
      throw noSuchVerb("quarantine", verb, "list, release, seen or delete");
  }
}

async function lockCommand({ values, positionals }: Arguments): Promise<number> {
  const config = loadConfig(values.config ?? null);
  const [, verb, sender, identity = null] = positionals;
  switch (verb) {
    case "list":
      return lockList(config, { json: values.json }, terminal);
    case "unlock":
      return lockUnlock(config, { sender: needed(sender, "The sender to unlock"), identity }, terminal);
    default:
      throw noSuchVerb("lock", verb, "list or unlock");
  }
}

function sendTestCommand({ values }: Arguments): Promise<number> {
  const { kind } = values;
  if (kind !== "clean" && kind !== "spam" && kind !== "virus") {
    throw usageError(`--kind takes clean, spam or virus, not "${kind}".`);
  }
  const options = {
    kind,
    from: values.from ?? "visitor@example.org",
    to: values.to[0] ?? "you@example.test",
  } as const;
  return sendTest(loadConfig(values.config ?? null), options, terminal);
}

/** The lines of the usage about one command; null: none is named, or it is not known. */
function helpOf([command]: readonly string[]): string | null {
  if (command === undefined) return null;
  const lines = USAGE.split("\n");
  const found = lines.filter((line, i) => {
    const own = (text = "") => text.startsWith(`  gatepost ${command} `);
    // A line further in goes on with the one before it.
    return (
      own(line) ||
      (/^ {20,}/.test(line) && own(lines[i - 1]?.startsWith("  gatepost ") ? lines[i - 1] : lines[i - 2]))
    );
  });
  return found.length === 0 ? null : [...found, "", "Every command takes --config FILE."].join("\n");
}

/** `queue` alone: the word behind it is missing; `queue lst`: it is another. */
function noSuchVerb(command: string, verb: string | undefined, takes: string): CommandError {
  return usageError(
    verb === undefined
      ? `"${command}" is the first word of a command; it takes ${takes}.`
      : `"${command} ${verb}" is not a command; it takes ${takes}.`,
  );
}

async function run(parsed: Arguments): Promise<number> {
  const { values, positionals } = parsed;
  const [command, argument] = positionals;
  if (values.version || command === "version") {
    terminal.out(`gatepost ${VERSION}`);
    return EXIT.ok;
  }
  if (values.help || command === "help" || command === undefined) {
    const asked = values.help || command === "help";
    const about = values.help ? helpOf(positionals) : null;
    if (about !== null) {
      terminal.out(about);
      return EXIT.ok;
    }
    if (asked) terminal.out(USAGE);
    else terminal.err(USAGE);
    return asked ? EXIT.ok : EXIT.usage;
  }
  refuseSurplus(parsed);
  const config = () => loadConfig(values.config ?? null);
  switch (command) {
    case "serve": {
      // Loaded for this command alone: the others only ask the running gateway, and start five times as fast without it.
      const { serve } = await import("./cli/serve.ts");
      return serve(config(), { acceptLoss: values["accept-loss"], signals: process }, terminal);
    }
    case "plan":
    case "apply": {
      const options = { file: needed(argument, "The policy file"), prune: values.prune };
      return command === "plan" ? plan(config(), options, terminal) : apply(config(), options, terminal);
    }
    case "export":
      return exportPolicy(config(), { secrets: values.secrets }, terminal);
    case "check": {
      const { ip, helo, json, to } = values;
      const file = needed(argument, "The message file");
      return check(
        config(),
        { file, from: values.from ?? null, to, ip, helo, login: values.login ?? null, json },
        terminal,
      );
    }
    case "log": {
      const { json, follow } = values;
      const limit = wholeNumber(values.limit, "limit", [1, 1_000_000]);
      return log(
        config(),
        { json, follow, id: values.id ?? null, text: values.text ?? null, limit },
        terminal,
      );
    }
    case "queue":
      return queueCommand(parsed);
    case "quarantine":
      return quarantineCommand(parsed);
    case "lock":
      return lockCommand(parsed);
    case "backup":
      return backup(config(), needed(argument, "The directory to back up to"), terminal);
    case "restore":
      return restore(config(), needed(argument, "The directory of the backup"), terminal);
    case "admin":
      if (argument !== "reset") throw noSuchVerb("admin", argument, "reset");
      return adminReset(config(), terminal);
    case "probe": {
      const ports = values.port.map((port) => wholeNumber(port, "port", [1, 65_535]));
      const timeoutMs = wholeNumber(values.timeout, "timeout", [1, 3600]) * 1000;
      return probe({ host: needed(argument, "The host to probe"), ports, timeoutMs }, terminal);
    }
    case "send-test":
      return sendTestCommand(parsed);
    default:
      throw usageError(`"${command}" is not a command.`);
  }
}

function parse(argv: readonly string[]): Arguments {
  try {
    return parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true, tokens: true });
  } catch (error) {
    const [words = ""] = wordsOf(error).split("\n");
    throw usageError(
      words.replace(
        "argument is ambiguous",
        "needs a value, and what begins with a dash is taken for an option",
      ),
    );
  }
}

try {
  process.exitCode = await run(parse(Bun.argv.slice(2)));
} catch (error) {
  if (error instanceof CommandError) {
    terminal.err(error.message);
    process.exitCode = error.exitCode;
  } else if (error instanceof Error && "code" in error && error.code === "EPIPE") {
    // `gatepost log | head`: the reader has what it wanted.
    process.exitCode = EXIT.ok;
  } else if (error instanceof ConfigError) {
    terminal.err(error.message);
    process.exitCode = EXIT.config;
  } else {
    terminal.err(`Gatepost stopped on an error of its own: ${traceOf(error)}`);
    process.exitCode = EXIT.failed;
  }
}
process.exit();
