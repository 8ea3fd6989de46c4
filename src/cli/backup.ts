// `gatepost backup DIR` (while the gateway runs) and `gatepost restore DIR` (while it does not).
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Config } from "../config/config.ts";
import { CONTROL_SOCKET } from "../console/control.ts";
import { BACKUP_MARK } from "../vault/back-up.ts";
import { askDaemon } from "./ask-daemon.ts";
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

/** Copies a backup into an empty data directory. Refuses to overwrite anything. */
export function restore(config: Config, directory: string, terminal: Terminal): number {
  const source = resolve(directory);
  if (!existsSync(join(source, BACKUP_MARK))) {
    throw new CommandError(EXIT.input, `"${source}" is not a complete backup: it has no ${BACKUP_MARK}.`);
  }
  if (existsSync(join(config.data, CONTROL_SOCKET))) {
    throw new CommandError(
      EXIT.unavailable,
      `A gateway seems to run on "${config.data}". Stop it before restoring.`,
    );
  }
  if (existsSync(config.data) && readdirSync(config.data).length > 0) {
    throw new CommandError(
      EXIT.cannotCreate,
      `The data directory "${config.data}" is not empty. Move it away first; restore never overwrites mail.`,
    );
  }
  try {
    mkdirSync(config.data, { recursive: true, mode: 0o700 });
    // Also where an empty directory was there, and where the backup lost its modes on the way.
    chmodSync(config.data, 0o700);
    cpSync(source, config.data, {
      recursive: true,
      filter: (path) => !path.endsWith(BACKUP_MARK),
      preserveTimestamps: true,
    });
  } catch (error) {
    throw new CommandError(
      EXIT.cannotCreate,
      `The backup cannot be copied to "${config.data}": ${wordsOf(error)}`,
      { cause: error },
    );
  }
  terminal.out(`Restored "${source}" to "${config.data}". Start the gateway with "gatepost serve".`);
  terminal.out(
    "Mail that was queued when the backup was made is sent again, also what has been delivered since: some may arrive twice.",
  );
  return EXIT.ok;
}
