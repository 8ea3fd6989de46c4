// `gatepost queue list|retry|hold|drop`.
import type { Config } from "../config/config.ts";
import { askDaemon } from "./ask-daemon.ts";
import { EXIT, formatSize, formatTable, formatTime, type Terminal } from "./terminal.ts";

const LIST_LIMIT = 1000;

/** Lists what waits. */
export async function queueList(
  config: Config,
  options: { readonly json: boolean },
  terminal: Terminal,
): Promise<number> {
  const entries = await askDaemon(config, "queue-list", { limit: LIST_LIMIT, offset: 0 });
  if (options.json) {
    for (const entry of entries) terminal.data(JSON.stringify(entry));
    return EXIT.ok;
  }
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
  if (entries.length === LIST_LIMIT) terminal.out(`(the first ${LIST_LIMIT} entries)`);
  return EXIT.ok;
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
