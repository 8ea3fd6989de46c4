// `gatepost quarantine list|release|delete`.
import type { Config } from "../config/config.ts";
import type { QuarantineItem } from "../store/quarantine-item.ts";
import { askDaemon } from "./ask-daemon.ts";
import { EXIT, formatTable, formatTime, type Terminal } from "./terminal.ts";

/** So many are asked for at a time, and are shown to people. */
const PAGE = 1000;

/** Lists what is kept, newest first. */
export async function quarantineList(
  config: Config,
  options: {
    readonly json: boolean;
    readonly recipient: string | null;
    readonly class: QuarantineItem["class"] | null;
  },
  terminal: Terminal,
): Promise<number> {
  const filter = {
    ...(options.recipient === null ? {} : { recipient: options.recipient }),
    ...(options.class === null ? {} : { class: options.class }),
    limit: PAGE,
  };
  const items = await askDaemon(config, "quarantine-list", filter);
  if (options.json) {
    for (let page = items; ; ) {
      for (const item of page) terminal.data(JSON.stringify(item));
      const last = page.at(-1);
      if (page.length < PAGE || last === undefined) return EXIT.ok;
      const before = { receivedAt: last.receivedAt, id: last.id };
      page = await askDaemon(config, "quarantine-list", { ...filter, before });
    }
  }
  if (items.length === 0) {
    const all = options.class === null && options.recipient === null;
    terminal.out(all ? "The quarantine is empty." : "Nothing in the quarantine fits.");
    return EXIT.ok;
  }
  const rows = items.map((item) => [
    item.id,
    item.state,
    formatTime(item.receivedAt),
    item.reversePath || "<>",
    item.recipient,
    item.class,
    item.class === "undeliverable" ? item.words : item.rule,
    item.subject,
  ]);
  terminal.out(formatTable([["ID", "STATE", "RECEIVED", "FROM", "TO", "CLASS", "WHY", "SUBJECT"], ...rows]));
  if (items.length === PAGE)
    terminal.out(`(These are the newest ${PAGE}; "gatepost quarantine list --json" lists all.)`);
  return EXIT.ok;
}

/** Sends a quarantined message on to its recipient, once however often it is asked. */
export async function quarantineRelease(
  config: Config,
  { id, malware }: { readonly id: string; readonly malware: boolean },
  terminal: Terminal,
): Promise<number> {
  const result = await askDaemon(config, "quarantine-release", { id, malware });
  if (typeof result === "object" && "refused" in result) {
    terminal.err(`${id} stays in quarantine. ${result.refused}`);
    return EXIT.failed;
  }
  if (typeof result === "object") {
    terminal.err(`Malware was found in ${id}: ${result.found}. To release it all the same, add --malware.`);
    return EXIT.failed;
  }
  switch (result) {
    case "released":
      terminal.out(`Released ${id}; it is queued for delivery.`);
      return EXIT.ok;
    case "already":
      terminal.out(`${id} was released before; it is not sent again.`);
      return EXIT.ok;
    case "gone":
      terminal.err(`The quarantine has no message "${id}"; it may have been deleted or expired.`);
      return EXIT.failed;
  }
}

/** Deletes a quarantined message for good. */
export async function quarantineDelete(config: Config, id: string, terminal: Terminal): Promise<number> {
  if (await askDaemon(config, "quarantine-delete", { id })) {
    terminal.out(`Deleted ${id}.`);
    return EXIT.ok;
  }
  terminal.err(`The quarantine has no message "${id}"; it may have been deleted or expired.`);
  return EXIT.failed;
}

/** Notes that somebody has looked at undeliverable mail: its alarm goes when all of it was looked at. */
export async function quarantineSeen(config: Config, id: string, terminal: Terminal): Promise<number> {
  if (await askDaemon(config, "quarantine-seen", { id })) {
    terminal.out(`Marked ${id} as seen; it stays until it is released, deleted or expires.`);
    return EXIT.ok;
  }
  terminal.err(`The quarantine has no message "${id}"; it may have been deleted or expired.`);
  return EXIT.failed;
}
