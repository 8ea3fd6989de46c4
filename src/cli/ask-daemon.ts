// Asks the running gateway over its socket. Commands never open its databases.
import { accessSync, constants, existsSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "../config/config.ts";
import {
  CONTROL_SOCKET,
  type ControlCommand,
  type ControlCommands,
  type ControlResponse,
} from "../console/control.ts";
import { CommandError, EXIT, wordsOf } from "./terminal.ts";

/** The answer of the gateway that runs on this data directory. Throws CommandError when none runs or it refuses. */
export async function askDaemon<Name extends ControlCommand>(
  config: Config,
  name: Name,
  ask: ControlCommands[Name]["ask"],
): Promise<ControlCommands[Name]["answer"]> {
  const socket = join(config.data, CONTROL_SOCKET);
  if (isClosedToUs(config.data))
    throw new CommandError(
      EXIT.unavailable,
      `The data directory "${config.data}" belongs to another user and may not be read by this one; run the command as the gateway's user.`,
    );
  if (!existsSync(socket)) throw notRunning(config, "its socket is not there");
  let response: ControlResponse<Name>;
  try {
    const reply = await fetch(`http://gatepost/${name}`, {
      method: "POST",
      body: JSON.stringify(ask),
      unix: socket,
      signal: AbortSignal.timeout(600_000),
    });
    response = (await reply.json()) as ControlResponse<Name>;
  } catch (error) {
    throw notRunning(config, wordsOf(error), error);
  }
  if (!response.ok) throw new CommandError(EXIT.failed, response.error);
  return response.answer;
}

/** It is there, and what is in it is not shown to this user. */
function isClosedToUs(directory: string): boolean {
  try {
    accessSync(directory, constants.X_OK);
    return false;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EACCES";
  }
}

function notRunning(config: Config, why: string, cause?: unknown): CommandError {
  return new CommandError(
    EXIT.unavailable,
    `No gateway answers on the data directory "${config.data}" (${why}). Start it with "gatepost serve", or name its boot file with --config FILE.`,
    { cause },
  );
}
