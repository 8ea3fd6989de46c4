// `gatepost log`: the message log, newest last; with --follow it goes on as mail comes.
import type { Config } from "../config/config.ts";
import type { MessageRecord, RecipientRecord } from "../store/log-record.ts";
import type { LogFilter, LogLine, LogMessage } from "../store/message-log.ts";
import { askDaemon } from "./ask-daemon.ts";
import { CommandError, EXIT, formatSize, formatTime, type Terminal } from "./terminal.ts";

export interface LogOptions {
  readonly json: boolean;
  readonly follow: boolean;
  readonly id: string | null;
  readonly text: string | null;
  readonly limit: number;
}

const FOLLOW_EVERY_MS = 1000;
/** How long a message may take from MAIL to the log and still be shown. */
const FOLLOW_BACK_MS = 10 * 60_000;
/** More messages than this in one go are not all shown: `gatepost log` has them. */
const FOLLOW_BATCH = 1000;
const SEARCH_BATCH = 1000;

function lineText(line: LogLine): string {
  const head = `${formatTime(line.receivedAt)}  ${line.id}  ${line.clientIp}  <${line.reversePath}>  ${formatSize(line.size)}  ${line.subject}`;
  const recipients = line.recipients.map(
    (recipient) =>
      `    → ${recipient.address}  ${recipient.state}${recipient.rule === null ? "" : `  (rule ${recipient.rule})`}`,
  );
  // Refused before any recipient: its answer is all there is to say.
  const whole =
    line.recipients.length > 0
      ? []
      : line.states.map((state) => `    ${state}: ${line.refusal ?? "no reason is kept"}`);
  return [head, ...recipients, ...whole].join("\n");
}

function grantWords({ grant, direction, address }: RecipientRecord): string {
  if (grant === null)
    return direction === "inbound" && address.includes("@")
      ? `our domain ${address.slice(address.lastIndexOf("@") + 1).toLowerCase()}`
      : "not granted";
  switch (grant.by) {
    case "relay-domain":
      return `our domain ${grant.domain}`;
    case "authenticated-sender":
    case "ip-sender":
    case "pop-before-smtp":
      return `${grant.by} ${grant.sender}`;
    case "trusted-network":
      return `trusted network ${grant.network}`;
    case "allow-list":
      return `allow list entry ${grant.entry}`;
    default:
      return grant satisfies never;
  }
}

/** Mail of the gateway's own had no client, and nobody was answered. */
function headLines(record: MessageRecord): readonly string[] {
  const { client, listener, receivedAt, reversePath } = record.envelope;
  const own = listener === "" && client.ip === "";
  const when = formatTime(receivedAt);
  const answer = `${record.reply}${record.cause === null ? "" : `   (${record.cause})`}`;
  return [
    own
      ? `Message ${record.id}  written by the gateway itself ${when}`
      : `Message ${record.id}  received ${when} on listener ${listener}`,
    ...(own
      ? []
      : [
          `  client    ${client.ip} (${client.helo || "no HELO"})${client.login === null ? "" : ` logged in as ${client.login}`}${client.tls === null ? ", no TLS" : `, ${client.tls.protocol} ${client.tls.cipher}`}`,
        ]),
    `  from      <${reversePath ?? ""}>   header ${record.headerFrom || "(none)"}`,
    `  subject   ${record.subject}`,
    `  size      ${formatSize(record.size)}`,
    own
      ? `  what      ${record.reply.replace(/^\d{3} \d\.\d\.\d (?:Own mail: )?/, "")}`
      : `  answer    ${answer}`,
  ];
}

/** Everything known of one message, as people read it. */
function messageText(message: LogMessage): string {
  const { record } = message;
  const lines = [...headLines(record)];
  if (record.findings.length > 0) {
    lines.push("Facts");
    for (const finding of record.findings) {
      const value =
        typeof finding.value === "object" ? finding.value.join(", ") || "(none)" : String(finding.value);
      lines.push(
        `  ${finding.fact.padEnd(26)} ${value}${finding.words === undefined ? "" : `   (${finding.words})`}`,
      );
    }
  }
  for (const recipient of record.recipients) {
    const now = message.states.find((state) => state.n === recipient.n);
    const own = record.envelope.listener === "";
    const granted = own ? "" : `, granted by ${grantWords(recipient)}`;
    lines.push(`Recipient ${recipient.address} (${recipient.direction}${granted})`);
    if (!own) lines.push(`  answered  ${recipient.reply}`);
    if (recipient.verdict !== null) lines.push(`  verdict   ${recipient.verdict.words}`);
    if (now !== undefined) lines.push(`  now       ${now.state}${now.words === "" ? "" : `: ${now.words}`}`);
  }
  for (const attempt of message.attempts) {
    lines.push(`Attempt ${formatTime(attempt.startedAt)} to ${attempt.destination}`);
    for (const outcome of attempt.outcomes) {
      lines.push(
        `  recipient ${outcome.n}: ${outcome.result} by ${outcome.server ?? "nobody"}${outcome.tls === null ? "" : ` (${outcome.tls.protocol})`}: ${outcome.text}`,
      );
    }
  }
  return lines.join("\n");
}

async function printOne(config: Config, id: string, terminal: Terminal, json: boolean): Promise<void> {
  const message = await askDaemon(config, "log-get", { id });
  if (message === null) throw new CommandError(EXIT.failed, `The message log has no message "${id}".`);
  if (json) terminal.data(JSON.stringify(message));
  else terminal.out(messageText(message));
}

/** Runs the command. With `follow` it ends only when it is interrupted. */
export async function log(config: Config, options: LogOptions, terminal: Terminal): Promise<number> {
  if (options.id !== null) {
    await printOne(config, options.id, terminal, options.json);
    return EXIT.ok;
  }
  const text = options.text === null ? {} : { text: options.text };
  const print = async (lines: readonly LogLine[]): Promise<void> => {
    for (const line of lines) {
      // One JSON document a message, complete, so that a script needs no second question.
      if (options.json) await printOne(config, line.id, terminal, true);
      else terminal.out(lineText(line));
    }
  };
  // With `follow` more than is shown, to know what is new later on.
  const limit = options.follow ? Math.max(options.limit, FOLLOW_BATCH) : options.limit;
  const lines = await newest(config, { ...text, limit });
  if (lines.length === 0 && !options.follow)
    terminal.err(
      options.text === null ? "The message log is empty." : `No message in the log fits "${options.text}".`,
    );
  await print(lines.slice(0, options.limit).reverse());
  if (options.follow) await followLog(config, { ...text, known: lines }, print);
  return EXIT.ok;
}

/** The newest lines that match, newest first, however many: one answer does not hold them all. */
async function newest(config: Config, filter: LogFilter): Promise<readonly LogLine[]> {
  const lines: LogLine[] = [];
  for (let before: string | undefined; ; ) {
    const limit = Math.min(filter.limit - lines.length, SEARCH_BATCH);
    const more = await askDaemon(config, "log-search", {
      filter: { ...filter, limit, ...(before === undefined ? {} : { before }) },
    });
    lines.push(...more.lines);
    if (lines.length >= filter.limit) return lines;
    // A search of a large log that ran out of its time goes on where it stopped.
    if (more.cutAt === null && more.lines.length < limit) return lines;
    before = more.cutAt ?? more.lines.at(-1)?.id;
  }
}

/** Prints what is new, again and again. Ends only by throwing, when the gateway is gone. */
async function followLog(
  config: Config,
  options: { readonly text?: string; readonly known: readonly LogLine[] },
  print: (lines: readonly LogLine[]) => Promise<void>,
): Promise<never> {
  const text = options.text === undefined ? {} : { text: options.text };
  let seen = new Set(options.known.map((line) => line.id));
  for (;;) {
    await Bun.sleep(FOLLOW_EVERY_MS);
    // A message stands in the log at the time its transaction began, but comes there when it ends: later than younger ones.
    const since = Date.now() - FOLLOW_BACK_MS;
    const { lines } = await askDaemon(config, "log-search", {
      filter: { ...text, since, limit: FOLLOW_BATCH },
    });
    await print(lines.filter((line) => !seen.has(line.id)).reverse());
    seen = new Set([...lines, ...options.known].map((line) => line.id));
  }
}
