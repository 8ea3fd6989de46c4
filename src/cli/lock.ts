// `gatepost lock list|unlock`: for an administrator whose console cannot be reached.
import type { Config } from "../config/config.ts";
import { askDaemon } from "./ask-daemon.ts";
import { EXIT, formatTable, formatTime, type Terminal } from "./terminal.ts";

/** Lists what is locked, newest first. */
export async function lockList(
  config: Config,
  options: { readonly json: boolean },
  terminal: Terminal,
): Promise<number> {
  const locks = await askDaemon(config, "lock-list", {});
  if (options.json) {
    for (const lock of locks) terminal.data(JSON.stringify(lock));
    return EXIT.ok;
  }
  if (locks.length === 0) {
    terminal.out("Nobody is locked.");
    return EXIT.ok;
  }
  const rows = locks.map(({ sender, identity, since, until, by, words }) => [
    sender,
    identity ?? "(the whole sender)",
    formatTime(since),
    until === null ? "unlocked by hand" : formatTime(until),
    by,
    words,
  ]);
  terminal.out(formatTable([["SENDER", "IDENTITY", "SINCE", "UNTIL", "BY", "WHY"], ...rows]));
  return EXIT.ok;
}

/** Unlocks one identity of a sender; `identity` null: the whole sender's own lock. */
export async function lockUnlock(
  config: Config,
  key: { readonly sender: string; readonly identity: string | null },
  terminal: Terminal,
): Promise<number> {
  const whom = key.identity === null ? `sender "${key.sender}"` : `"${key.identity}" of "${key.sender}"`;
  if (await askDaemon(config, "lock-unlock", key)) {
    terminal.out(`Unlocked ${whom}.`);
    return EXIT.ok;
  }
  terminal.err(`There is no lock of ${whom}; "gatepost lock list" shows what is locked.`);
  return EXIT.failed;
}
