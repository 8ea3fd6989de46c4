// The built binary alone in an empty folder of a bare Debian, as process 1 of a container: it takes a policy, takes and delivers mail,
// shows the console, and starts again after a crash. `npm run chroot` does it in a root directory that debootstrap made.
import { afterAll, describe, expect, test } from "bun:test";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Subprocess } from "bun";
import { emptyDns } from "../dns-server.ts";
import { startMailSink } from "../peers/mail-sink.ts";
import {
  type CommandResult,
  findProgram,
  freePorts,
  mustRun,
  runCommand,
  waitUntil,
} from "../peers/run-command.ts";
import { isRoot, ROOT, sendOne, setUpWith, setupCodeIn, smallPolicy } from "./gateway-kit.ts";

const binary = process.env.GATEPOST_BIN ?? join(ROOT, "dist/gatepost");
const wholeDebian = process.env.CHROOT_TRIAL === "debootstrap";

function whyNot(): string | null {
  if (!existsSync(binary)) return "there is no built binary (`npm run build`)";
  if (!isRoot) return "needs root";
  if (Bun.spawnSync(["unshare", "--mount", "--pid", "--fork", "true"]).exitCode !== 0)
    return "unshare is not permitted";
  if (wholeDebian && findProgram("debootstrap") === null) return "debootstrap is not installed";
  return null;
}
const obstacle = whyNot();
if (obstacle !== null) console.log(`SKIPPED the binary in a bare Debian: ${obstacle}`);

const roots: string[] = [];
afterAll(() => {
  for (const root of roots) rmSync(root, { recursive: true, force: true });
});

/** What of Debian's base system the binary is linked to, and the few files every root directory has. */
async function smallRoot(root: string): Promise<void> {
  for (const folder of ["dev", "etc", "proc", "tmp"]) mkdirSync(join(root, folder), { recursive: true });
  const addon = join(ROOT, `node_modules/@libsql/linux-${process.arch}-gnu/index.node`);
  for (const file of [binary, addon]) {
    const linked = await mustRun(["ldd", file]);
    for (const [, path = ""] of linked.matchAll(/(\/\S+) \(0x/g)) {
      mkdirSync(join(root, dirname(path)), { recursive: true });
      copyFileSync(path, join(root, path));
    }
  }
  writeFileSync(join(root, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n");
  for (const [name, minor] of [
    ["null", 3],
    ["urandom", 9],
  ] as const)
    await mustRun(["mknod", "-m", "666", join(root, `dev/${name}`), "c", "1", String(minor)]);
}

async function makeRoot(): Promise<string> {
  const root = mkdtempSync(join(tmpdir(), "gatepost-chroot-"));
  roots.push(root);
  if (wholeDebian) {
    const made = Bun.spawn(["debootstrap", "--variant=minbase", "bookworm", root], {
      stdout: "inherit",
      stderr: "inherit",
    });
    if ((await made.exited) !== 0) throw new Error("debootstrap failed");
  } else await smallRoot(root);
  mkdirSync(join(root, "opt/gatepost"), { recursive: true });
  copyFileSync(binary, join(root, "opt/gatepost/gatepost"));
  return root;
}

/** The command inside: only /proc is mounted; the folder of the binary is the working directory. */
function inside(root: string, ...args: readonly string[]): readonly string[] {
  const script = 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"';
  // A whole Debian has env to change the directory with; the small root has nothing but the binary.
  const program = wholeDebian
    ? ["/usr/bin/env", "--chdir=/opt/gatepost", "./gatepost"]
    : ["/opt/gatepost/gatepost"];
  return [
    "unshare",
    "--mount",
    "--pid",
    "--fork",
    "sh",
    "-c",
    script,
    root,
    ...program,
    ...args,
    "--config",
    "/opt/gatepost/gatepost.toml",
  ];
}

function ask(root: string, ...args: readonly string[]): Promise<CommandResult> {
  return runCommand(inside(root, ...args));
}

/** The process id, seen from outside, of the gateway that is process 1 inside. */
function innerPid(child: Subprocess): number {
  return Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").trim().split(" ")[0]);
}

describe.skipIf(obstacle !== null)("the binary in a bare Debian", () => {
  test("takes a policy, delivers, shows the console, survives a crash, and stops when told", async () => {
    const root = await makeRoot();
    const folder = join(root, "opt/gatepost");
    const sink = await startMailSink();
    const ports = await freePorts("mx", "console");
    const gateway = { consolePort: ports.console };
    writeFileSync(
      join(folder, "gatepost.toml"),
      `data = "/opt/gatepost/data"
hostname = "gate.example.test"
[console]
listen = "127.0.0.1:${ports.console}"
[metrics]
listen = ""
[dns]
servers = ["${(await emptyDns()).address}"]
[first_start]
policy = "none.toml"
`,
    );
    writeFileSync(
      join(folder, "none.toml"),
      `[[listener]]\nname = "mx"\nlisten = "127.0.0.1:${ports.mx}"\ngreeting_delay = 0\n`,
    );
    writeFileSync(join(folder, "policy.toml"), smallPolicy(ports.mx, sink.port));
    const log = join(root, "tmp/printed");
    const start = (): Subprocess =>
      Bun.spawn([...inside(root, "serve")], {
        stdin: "ignore",
        stdout: "ignore",
        stderr: Bun.file(log),
        env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
      });
    const answering = (child: Subprocess) =>
      waitUntil("it answers", async () => {
        if (child.exitCode !== null) throw new Error(`The gateway ended:\n${readFileSync(log, "utf8")}`);
        return (await ask(root, "queue", "list")).code === 0;
      });
    let child = start();
    try {
      await answering(child);
      expect(await sendOne(ports.mx, { subject: "too early" })).toStartWith("55");
      const applied = await ask(root, "apply", "/opt/gatepost/policy.toml");
      expect([applied.code, applied.err]).toEqual([0, ""]);
      expect((await ask(root, "send-test", "--to", "you@example.test")).out).toContain("250");
      await waitUntil("it is delivered", () => sink.messages.length === 1);
      expect((await ask(root, "send-test", "--kind", "virus", "--to", "you@example.test")).out).toContain(
        "550",
      );
      expect(
        await setUpWith(gateway, setupCodeIn(readFileSync(log, "utf8")), "admin@example.test"),
      ).not.toBeNull();

      process.kill(innerPid(child), "SIGKILL");
      await child.exited;
      child = start();
      await answering(child);
      expect(await sendOne(ports.mx, { subject: "after the crash" })).toStartWith("250");
      await waitUntil("it is delivered", () => sink.messages.length === 2);
      expect((await ask(root, "log")).out).toContain("Gatepost test message (clean)");
      process.kill(innerPid(child), "SIGTERM");
      expect(await child.exited).toBe(0);
      expect(readdirSync(folder).sort()).toEqual([
        "data",
        "gatepost",
        "gatepost.toml",
        "none.toml",
        "policy.toml",
      ]);
    } finally {
      if (child.exitCode === null) process.kill(innerPid(child), "SIGKILL");
      await child.exited;
      await sink.close();
    }
  }, 600_000);
});
