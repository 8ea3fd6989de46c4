// `gatepost backup DIR` (while the gateway runs) and `gatepost restore DIR` (while it does not).
import { chmodSync, cpSync, existsSync, readdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Config } from "../config/config.ts";
import { BACKUP_MARK } from "../vault/back-up.ts";
import { askDaemon } from "./ask-daemon.ts";
import { lockDataDirectory, refuseWhenOwned } from "./data-lock.ts";
import { CommandError, EXIT, formatSize, type Terminal, wordsOf } from "./terminal.ts";

/** Asks the gateway to write a consistent copy of everything into a new directory. */
export async function backup(config: Config, directory: string, terminal: Terminal): Promise<number> {
  const target = resolve(directory);
  const { files, bytes } = await askDaemon(config, "backup", { directory: target });
  terminal.out(
    `Backed up ${files} files, ${formatSize(bytes)}, to "${target}". It holds keys and mail: keep it safe.`,
  );
  return EXIT.ok;
}

/** What a gateway that was killed leaves in a directory. */
const LEFT_BEHIND = /^gatepost\.(?:sock|pid)/;

/** Copies a backup into an empty data directory. Refuses to overwrite anything. */
export async function restore(config: Config, directory: string, terminal: Terminal): Promise<number> {
  const source = resolve(directory);
  if (!existsSync(join(source, BACKUP_MARK))) {
    throw new CommandError(EXIT.input, `"${source}" is not a complete backup: it has no ${BACKUP_MARK}.`);
  }
  // The lock tells whether one runs, not the socket, which a killed one leaves.
  refuseWhenOwned(config.data);
  if (await isAnswered(config)) {
    throw new CommandError(
      EXIT.unavailable,
      `A gateway answers on the data directory "${config.data}". Stop it before restoring.`,
    );
  }
  const unlock = lockDataDirectory(config.data);
  try {
    if (readdirSync(config.data).some((name) => !LEFT_BEHIND.test(name))) {
      throw new CommandError(
        EXIT.cannotCreate,
        `The data directory "${config.data}" is not empty. Move it away first; restore never overwrites mail.`,
      );
    }
    copyBackup(source, config.data);
  } finally {
    unlock();
  }
  terminal.out(`Restored "${source}" to "${config.data}". Start the gateway with "gatepost serve".`);
  terminal.out(
    "Mail that was queued when the backup was made is sent again, also what has been delivered since: some may arrive twice.",
  );
  return EXIT.ok;
}

/** All of it or nothing: half a copy would stand in the way of the next try. */
function copyBackup(source: string, data: string): void {
  const names = readdirSync(source).filter((name) => name !== BACKUP_MARK);
  try {
    // Also where an empty directory was there, and where the backup lost its modes on the way.
    chmodSync(data, 0o700);
    for (const name of names)
      cpSync(join(source, name), join(data, name), { recursive: true, preserveTimestamps: true });
  } catch (error) {
    for (const name of names) rmSync(join(data, name), { recursive: true, force: true });
    throw new CommandError(
      EXIT.cannotCreate,
      `The backup cannot be copied to "${data}": ${wordsOf(error)}. Nothing of it is left there.`,
      { cause: error },
    );
  }
}

async function isAnswered(config: Config): Promise<boolean> {
  return askDaemon(config, "status", {}).then(
    () => true,
    () => false,
  );
}
