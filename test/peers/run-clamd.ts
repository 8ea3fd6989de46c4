// A private clamd for a test, with two hand-written signatures: the EICAR test string, and one that only clamd knows.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findProgram, mustRun, waitForFile } from "./run-command.ts";

/** The EICAR test file, put together here so that this file itself is not one. */
export const EICAR = ["X5O!P%@AP[4\\PZX54(P^)7CC)7}$", "EICAR-STANDARD-ANTIVIRUS-TEST-FILE", "!$H+H*"].join(
  "",
);

/** Harmless text that this clamd takes for malware and no built-in check does. */
export const ONLY_CLAMD_KNOWS = "gatepost test pattern seven crooked herons";

/** Names of the signatures; clamd adds `.UNOFFICIAL`. */
export const SIGNATURES = { eicar: "Gatepost.Test.Eicar", onlyClamd: "Gatepost.Test.Herons" } as const;

export interface RunningClamd {
  /** `unix:/path`, as a hook's address. */
  readonly address: string;
  stop(): Promise<void>;
  start(): Promise<void>;
  dispose(): Promise<void>;
}

/** Starts it and waits for its socket. Needs root and Debian's clamav-daemon. */
export async function runClamd(): Promise<RunningClamd> {
  const directory = mkdtempSync(join(tmpdir(), "gatepost-clamd-"));
  const socket = join(directory, "clamd.sock");
  mkdirSync(join(directory, "db"));
  const signature = (name: string, text: string) => `${name}:0:*:${Buffer.from(text).toString("hex")}\n`;
  writeFileSync(
    join(directory, "db/test.ndb"),
    signature(SIGNATURES.eicar, EICAR.slice(0, 60)) + signature(SIGNATURES.onlyClamd, ONLY_CLAMD_KNOWS),
  );
  writeFileSync(
    join(directory, "clamd.conf"),
    `LocalSocket ${socket}
DatabaseDirectory ${directory}/db
PidFile ${directory}/clamd.pid
LogFile ${directory}/clamd.log
User clamav
Foreground yes
MaxThreads 2
`,
  );
  await mustRun(["chown", "-R", "clamav", directory]);

  const program = findProgram("clamd");
  if (program === null) throw new Error("clamd is not installed");
  const launch = () =>
    Bun.spawn([program, "-c", join(directory, "clamd.conf")], {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "ignore",
    });
  let child = launch();
  const ready = async () => {
    await waitForFile(socket).catch((error: unknown) => {
      throw new Error(`clamd did not start:\n${readFileSync(join(directory, "clamd.log"), "utf8")}`, {
        cause: error,
      });
    });
  };
  await ready();
  const stop = async () => {
    child.kill("SIGTERM");
    await child.exited;
    rmSync(socket, { force: true });
  };
  return {
    address: `unix:${socket}`,
    stop,
    async start() {
      child = launch();
      await ready();
    },
    async dispose() {
      await stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
