// What a result depends on besides the contestants: the machine and the versions. The first line of the raw results.
import { cpus, release, totalmem } from "node:os";
import { findProgram, runCommand } from "../peers/run-command.ts";

export interface Environment {
  readonly kind: "environment";
  /** ISO 8601, UTC. */
  readonly at: string;
  readonly kernel: string;
  readonly processors: number;
  readonly processor: string;
  readonly memoryMb: number;
  /** The versions the programs tell; only of those that are there. */
  readonly versions: Readonly<Record<string, string>>;
  /** What the bench was started with. */
  readonly options: Readonly<Record<string, unknown>>;
}

/** Looks at the machine and asks the programs for their versions. `binary` is the built gateway. */
export async function lookAround(
  binary: string,
  options: Readonly<Record<string, unknown>>,
): Promise<Environment> {
  const asked: Readonly<Record<string, readonly string[]>> = {
    gatepost: [binary, "--version"],
    postfix: ["postconf", "-d", "-h", "mail_version"],
    dovecot: ["dovecot", "--version"],
    rspamd: ["rspamd", "--version"],
  };
  const versions: Record<string, string> = { bun: Bun.version };
  for (const [name, command] of Object.entries(asked)) {
    if (findProgram(command[0] ?? "") === null) continue;
    const { out } = await runCommand(command);
    // Some say their name first.
    versions[name] = out.trim().replace(/^\D*/, "");
  }
  return {
    kind: "environment",
    at: new Date().toISOString(),
    kernel: release(),
    processors: cpus().length,
    processor: cpus()[0]?.model ?? "unknown",
    memoryMb: Math.round(totalmem() / 1e6),
    versions,
    options,
  };
}

/** One line for a person. */
export function environmentLine({ at, processors, processor, kernel, versions }: Environment): string {
  const programs = Object.entries(versions).map(([name, version]) => `${name} ${version.split("\n")[0]}`);
  return `${at.slice(0, 10)}, ${processors} × ${processor}, Linux ${kernel}; ${programs.join(", ")}`;
}
