// Starts Debian's clamd on a signature database of one hand-written line, on loopback and a socket in a scratch folder.
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pingClamd } from "../../src/hooks/clamd.ts";

const CLAMD = "/usr/sbin/clamd";

export interface RealClamd {
  readonly tcp: string;
  readonly unix: string;
  readonly pid: number;
  /** Where it writes what it scans. */
  readonly temporary: string;
  /** Lets it write files of so many octets at most, as on a disk with so much room; null: of any size. */
  leaveRoom(octets: number | null): void;
  stop(): Promise<void>;
}

/** True when clamd is installed; otherwise says loudly what is left out. */
export function clamdInstalled(): boolean {
  const installed = existsSync(CLAMD);
  if (!installed)
    console.warn(`SKIPPED: ${CLAMD} is not installed; the tests against a real clamd need clamav-daemon`);
  return installed;
}

/** `maxStreamBytes`: its StreamMaxLength. Resolves when it answers PING. */
export async function startClamd({
  maxStreamBytes,
}: {
  readonly maxStreamBytes: number;
}): Promise<RealClamd> {
  const folder = mkdtempSync(join(tmpdir(), "gatepost-clamd-"));
  const port = await freePort();
  const socket = join(folder, "clamd.ctl");
  const temporary = join(folder, "temporary");
  mkdirSync(temporary);
  // The extended signature format: name, any file type, anywhere, the octets in hex.
  const marker = Buffer.from("EICAR-STANDARD-ANTIVIRUS-TEST-FILE!").toString("hex");
  writeFileSync(join(folder, "test.ndb"), `Gatepost.Test.Eicar:0:*:${marker}\n`);
  const conf = join(folder, "clamd.conf");
  writeFileSync(
    conf,
    [
      `DatabaseDirectory ${folder}`,
      `LocalSocket ${socket}`,
      "TCPAddr 127.0.0.1",
      `TCPSocket ${port}`,
      "Foreground yes",
      `StreamMaxLength ${maxStreamBytes}`,
      `TemporaryDirectory ${temporary}`,
      "OfficialDatabaseOnly no",
      "",
    ].join("\n"),
  );
  // It is to go on when a test lets it write no more.
  const start = ["sh", "-c", `trap '' XFSZ; exec ${CLAMD} -c "$0"`, conf];
  const daemon = Bun.spawn(start, { stdout: "pipe", stderr: "pipe" });
  const hook = { name: "starting", address: `127.0.0.1:${port}`, timeoutMs: 500 };
  const giveUpAt = Date.now() + 15_000;
  while (!(await answers(hook))) {
    if (daemon.exitCode !== null || Date.now() > giveUpAt) {
      throw new Error(`clamd did not start: ${await new Response(daemon.stderr).text()}`);
    }
    await Bun.sleep(50);
  }
  return {
    tcp: hook.address,
    unix: `unix:${socket}`,
    pid: daemon.pid,
    temporary,
    leaveRoom(octets) {
      const limit = `--fsize=${octets ?? "unlimited"}:unlimited`;
      const { exitCode } = Bun.spawnSync(["prlimit", "--pid", String(daemon.pid), limit]);
      if (exitCode !== 0) throw new Error(`prlimit ended with ${exitCode}`);
    },
    async stop() {
      // One that a test has stopped hears nothing else.
      daemon.kill("SIGKILL");
      await daemon.exited;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function answers(hook: Parameters<typeof pingClamd>[0]): Promise<boolean> {
  try {
    await pingClamd(hook);
    return true;
  } catch {
    return false;
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}
