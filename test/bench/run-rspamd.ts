// A private rspamd as milter, Debian's configuration: what a Postfix needs beside it to check what we check.
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePorts, mustRun, runCommand, waitForFile, waitUntil } from "../peers/run-command.ts";

export interface RunningRspamd {
  /** Postfix's name for it: `unix:/path`. */
  readonly milter: string;
  /** The first of its processes. */
  pid(): number;
  dispose(): Promise<void>;
}

/** Its patterns are compiled for a while after the start; measured before, it would look slower than it is. */
const COMPILE_MS = 8000;

/** Starts two scanning processes behind a milter socket. Loopback clients are treated as strangers. Needs root. */
export async function runRspamd(options: {
  readonly dns: string;
  readonly launcher: readonly string[];
}): Promise<RunningRspamd> {
  const directory = mkdtempSync(join(tmpdir(), "gatepost-rspamd-"));
  chmodSync(directory, 0o755);
  const conf = join(directory, "conf");
  cpSync("/etc/rspamd", conf, { recursive: true });
  for (const name of ["conf/local.d", "conf/override.d", "db", "log", "run"]) {
    mkdirSync(join(directory, name), { recursive: true });
  }
  const ports = await freePorts("normal", "controller");
  const local = (name: string, text: string) => writeFileSync(join(conf, "local.d", name), text);
  local("options.inc", `local_addrs = ["10.0.0.0/8"];\ndns { nameserver = ["${options.dns}"]; }\n`);
  local(
    "worker-proxy.inc",
    `bind_socket = "${directory}/run/milter.sock mode=0666";
upstream "local" { default = yes; hosts = "127.0.0.1:${ports.normal}"; self_scan = false; }
`,
  );
  local("worker-normal.inc", `bind_socket = "127.0.0.1:${ports.normal}";\ncount = 2;\n`);
  local("worker-controller.inc", `bind_socket = "127.0.0.1:${ports.controller}";\n`);
  await mustRun(["chown", "-R", "_rspamd:_rspamd", directory]);
  const variables = Object.entries({
    CONFDIR: conf,
    LOCAL_CONFDIR: conf,
    DBDIR: join(directory, "db"),
    LOGDIR: join(directory, "log"),
    RUNDIR: join(directory, "run"),
  }).map(([name, value]) => `--var=${name}=${value}`);
  const pidFile = join(directory, "run/rspamd.pid");
  const command = ["rspamd", "-c", `${conf}/rspamd.conf`, "-u", "_rspamd", "-g", "_rspamd", ...variables];
  // It goes to the background and keeps its standard streams, so they must not be pipes that are read to their end.
  const launched = Bun.spawn([...options.launcher, ...command], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
  });
  if ((await launched.exited) !== 0) throw new Error(`rspamd did not start; see ${directory}/log`);
  await waitForFile(join(directory, "run/milter.sock"));
  chmodSync(join(directory, "run"), 0o755);
  await Bun.sleep(COMPILE_MS);
  const readPid = () => readFileSync(pidFile, "utf8").trim();
  return {
    pid: () => Number(readPid()),
    milter: `unix:${directory}/run/milter.sock`,
    async dispose() {
      const pid = readPid();
      await runCommand(["kill", pid]);
      await waitUntil("rspamd stops", async () => (await runCommand(["kill", "-0", pid])).code !== 0);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
