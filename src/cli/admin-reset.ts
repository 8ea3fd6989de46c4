// `gatepost admin reset`: a new set-up code for somebody who can read the data directory but has lost the password.
import type { Config } from "../config/config.ts";
import { askDaemon } from "./ask-daemon.ts";
import { EXIT, type Terminal } from "./terminal.ts";

/** Prints a set-up code with which the console makes a new administrator. */
export async function adminReset(config: Config, terminal: Terminal): Promise<number> {
  const { setupCode } = await askDaemon(config, "admin-reset", {});
  terminal.out(
    `Set-up code: ${setupCode}\nOpen the console's /setup page and make a new administrator with it. It works once, within an hour.`,
  );
  return EXIT.ok;
}
