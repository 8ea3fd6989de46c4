// `gatepost queue list|retry|hold|drop`.
import type { Config } from "../config/config.ts";
import { askDaemon } from "./ask-daemon.ts";
import { EXIT, formatSize, formatTable, formatTime, type Terminal } from "./terminal.ts";

/** So many are asked for at a time, and are shown to people. */
const PAGE = 1000;
const OVERLAP = 200;

/** Lists what waits. */
export async function queueList(
  config: Config,
  options: { readonly json: boolean },
  terminal: Terminal,
): Promise<number> {
  if (options.json) return listAll(config, terminal);
  // One more than is shown tells whether there are more.
  const found = await askDaemon(config, "queue-list", { limit: PAGE + 1, offset: 0 });
  const entries = found.slice(0, PAGE);
  if (entries.length === 0) {
    terminal.out("The queue is empty.");
    return EXIT.ok;
  }
  terminal.out(
    formatTable([
      ["ID", "STATE", "SIZE", "FROM", "TO", "TRIES", "NEXT TRY", "LAST REPLY"],
      ...entries.map((entry) => [
        entry.messageId,
        entry.state,
        formatSize(entry.size),
        entry.reversePath || "<>",
        entry.recipient,
        String(entry.tries),
        entry.state === "queued" ? formatTime(entry.nextAttemptAt) : "-",
        entry.lastReply ?? "",
      ]),
    ]),
  );
  if (found.length > PAGE)
    terminal.out(`(These are the first ${PAGE}; there are more. "gatepost queue list --json" lists all.)`);
  return EXIT.ok;
}

/** Page by page. What is delivered meanwhile moves the rest forward: each page begins a little before the end of the last. */
async function listAll(config: Config, terminal: Terminal): Promise<number> {
  let seen = new Set<string>();
  for (let offset = 0; ; offset += PAGE - OVERLAP) {
    const entries = await askDaemon(config, "queue-list", { limit: PAGE, offset });
    const keys = new Set(entries.map(({ messageId, recipient }) => `${messageId} ${recipient}`));
    for (const entry of entries)
      if (!seen.has(`${entry.messageId} ${entry.recipient}`)) terminal.data(JSON.stringify(entry));
    if (entries.length < PAGE) return EXIT.ok;
    seen = keys;
  }
}

/** Tries now (`retry`), keeps back (`hold`) or settles without delivery (`drop`). `id` null: every message. */
export async function queueChange(
  config: Config,
  change:
    | { readonly verb: "retry" | "hold"; readonly id: string | null }
    | { readonly verb: "drop"; readonly id: string },
  terminal: Terminal,
): Promise<number> {
  const count =
    change.verb === "drop"
      ? await askDaemon(config, "queue-drop", { id: change.id })
      : await askDaemon(config, change.verb === "retry" ? "queue-retry" : "queue-hold", { id: change.id });
  const done = { retry: "will be tried now", hold: "held back", drop: "dropped" }[change.verb];
  terminal.out(`${count} ${count === 1 ? "recipient" : "recipients"} ${done}.`);
  return count === 0 && change.id !== null ? EXIT.failed : EXIT.ok;
}
