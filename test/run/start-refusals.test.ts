// A gateway that cannot start says why, ends with the right code, and has taken nothing; commands without a gateway say so.
import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { findProgram, freePorts, runCommand, waitUntil } from "../peers/run-command.ts";
import { runGateway } from "../peers/run-gateway.ts";
import {
  alarmNames,
  bootDirectory,
  gatepost,
  isRoot,
  PROGRAM,
  ROOT,
  sendOne,
  smallPolicy,
  withEnvironment,
} from "./gateway-kit.ts";

const directories: string[] = [];
afterAll(() => {
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});

function boot(options: Parameters<typeof bootDirectory>[0]): ReturnType<typeof bootDirectory> {
  const made = bootDirectory(options);
  directories.push(made.directory);
  return made;
}

async function occupy(port: number): Promise<Server> {
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return server;
}

/** Connects again and again until `stop` is called; how often somebody answered. */
function knock(port: number): { stop(): number } {
  let answered = 0;
  let stopped = false;
  const again = async (): Promise<void> => {
    while (!stopped) {
      const tried = await Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {} } }).catch(
        () => null,
      );
      if (tried !== null) answered += 1;
      tried?.end();
      await Bun.sleep(1);
    }
  };
  void again();
  return {
    stop() {
      stopped = true;
      return answered;
    },
  };
}

test("a console port that is taken: 69 with words, and no mail port was ever open", async () => {
  const ports = await freePorts("console", "mx", "server");
  const { file, data } = boot({ consolePort: ports.console, policy: smallPolicy(ports.mx, ports.server) });
  const other = await occupy(ports.console);
  const knocking = knock(ports.mx);
  const { code, err } = await gatepost(["serve", "--config", file]);
  expect(knocking.stop()).toBe(0);
  other.close();
  expect(code).toBe(69);
  expect(err).toStartWith(`Gatepost cannot start: console: cannot listen on 127.0.0.1:${ports.console}`);
  expect(err).toContain("another program has the port");
  expect(readdirSync(data).filter((name) => /sock|pid/.test(name))).toEqual([]);
});

test.each([
  ["[console]\nlisten = 8443\n", /console\.listen/],
  ["mailbox = 1\n", /mailbox/],
  ["data = \n", /is not valid TOML/],
])("the boot file %j: 78 with words", async (text, words) => {
  const { directory } = boot({ consolePort: 1 });
  const file = join(directory, "bad.toml");
  writeFileSync(file, text);
  for (const command of [["serve"], ["queue", "list"]]) {
    const { code, err } = await gatepost([...command, "--config", file]);
    expect(code).toBe(78);
    expect(err).toMatch(words);
    expect(err).toContain(file);
  }
});

test.each([
  ["[[listener]]\nname = 'MX mail'\nlisten = '127.0.0.1:2525'\n", "listener"],
  ["[[domain]\n", "policy.toml"],
])("the first policy %j: 78 with words", async (policy, words) => {
  const { console: consolePort } = await freePorts("console");
  const { file } = boot({ consolePort, policy });
  const { code, err } = await gatepost(["serve", "--config", file]);
  expect(code).toBe(78);
  expect(err).toContain(words);
});

test("a data directory that cannot be written to: 73 with words", async () => {
  const setpriv = findProgram("setpriv");
  const asNobody = [setpriv ?? "", "--reuid=65534", "--regid=65534", "--clear-groups"];
  const mayRead = async () =>
    (await runCommand([...asNobody, ...PROGRAM, "--version"], { cwd: ROOT })).code === 0;
  if (!isRoot || setpriv === null || !(await mayRead())) {
    console.log(
      "SKIPPED an unwritable data directory: needs root, setpriv, and a source tree others may read",
    );
    return;
  }
  const { file, data, directory } = boot({ consolePort: 1 });
  mkdirSync(data, { mode: 0o755 });
  await runCommand(["chmod", "755", directory]);
  await runCommand(["chmod", "644", file]);
  const { code, err } = await runCommand([...asNobody, ...PROGRAM, "serve", "--config", file], { cwd: ROOT });
  expect(code).toBe(73);
  expect(err).toContain(`The data directory "${data}" cannot be used`);
  expect(err).toContain("EACCES");
});

test("commands without a gateway: 69, naming the data directory", async () => {
  const { file, data } = boot({ consolePort: 1 });
  const policy = join(ROOT, "appliance/dev-policy.toml");
  const commands = [
    ["plan", policy],
    ["apply", policy],
    ["export"],
    ["check", join(ROOT, "test/checks/corpus/clean.eml")],
    ["log"],
    ["queue", "list"],
    ["quarantine", "list"],
    ["backup", join(data, "copy")],
    ["admin", "reset"],
    ["send-test"],
  ];
  const results = await Promise.all(commands.map((command) => gatepost([...command, "--config", file])));
  for (const { code, err } of results) {
    expect(code).toBe(69);
    expect(err).toContain(`No gateway answers on the data directory "${data}"`);
  }
  expect(existsSync(data)).toBe(false);
}, 60_000);

test("a socket that a killed gateway left behind is not taken for a gateway", async () => {
  const { file, data } = boot({ consolePort: 1 });
  mkdirSync(data);
  const socket = Bun.listen({ unix: join(data, "gatepost.sock"), socket: { data() {} } });
  await runCommand(["mv", join(data, "gatepost.sock"), join(data, "kept.sock")]);
  socket.stop(true);
  await runCommand(["mv", join(data, "kept.sock"), join(data, "gatepost.sock")]);
  const { code, err } = await gatepost(["queue", "list", "--config", file]);
  expect([code, err]).toEqual([69, expect.stringContaining("No gateway answers")]);
});

test("restore wants a whole backup and an empty data directory", async () => {
  const { file, data, directory } = boot({ consolePort: 1 });
  const incomplete = await gatepost(["restore", directory, "--config", file]);
  expect([incomplete.code, incomplete.err]).toEqual([
    66,
    expect.stringContaining("is not a complete backup"),
  ]);
  writeFileSync(join(directory, "gatepost-backup.json"), "{}\n");
  mkdirSync(data);
  writeFileSync(join(data, "spool.db"), "somebody's mail");
  const full = await gatepost(["restore", directory, "--config", file]);
  expect([full.code, full.err]).toEqual([73, expect.stringContaining("is not empty")]);
  expect(await Bun.file(join(data, "spool.db")).text()).toBe("somebody's mail");
});

/** A directory that looks like a whole backup. */
function backupOf(directory: string): string {
  const backup = join(directory, "backup");
  mkdirSync(backup);
  writeFileSync(join(backup, "gatepost-backup.json"), "{}\n");
  return backup;
}

test("a second gateway on the same data: 69, and the first one goes on; a taken metrics port is an alarm only", async () => {
  const ports = await freePorts("mx", "server", "metrics", "console");
  const other = await occupy(ports.metrics);
  const gateway = await runGateway({
    policy: smallPolicy(ports.mx, ports.server),
    launcher: withEnvironment({ GATEPOST_METRICS_LISTEN: `127.0.0.1:${ports.metrics}` }),
  });
  try {
    expect(await alarmNames(gateway)).toEqual(["metrics"]);
    const file = join(gateway.directory, "gatepost.toml");
    const elsewhere = withEnvironment({ GATEPOST_CONSOLE_LISTEN: `127.0.0.1:${ports.console}` });
    const second = await gatepost(["serve", "--config", file], { before: elsewhere });
    expect(second.code).toBe(69);
    expect(second.err).toContain(
      `Another gateway (process ${gateway.pid()}) runs on the data directory "${gateway.data}"`,
    );
    // The same when the file of the process id says nothing, as it does across containers; what is refused touches nothing.
    const foreign = `${2 ** 22 + 1} 1\n`;
    writeFileSync(join(gateway.data, "gatepost.pid"), foreign);
    for (const more of [[], ["unshare", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc"]]) {
      if (more.length > 0 && !isRoot) continue;
      const third = await gatepost(["serve", "--config", file], { before: [...more, ...elsewhere] });
      expect([third.code, third.err]).toEqual([69, expect.stringContaining("Another gateway runs on")]);
      expect(readFileSync(join(gateway.data, "gatepost.pid"), "utf8")).toBe(foreign);
    }
    const restored = await gatepost(["restore", backupOf(gateway.directory), "--config", file]);
    expect([restored.code, restored.err]).toEqual([69, expect.stringContaining("Another gateway runs on")]);
    rmSync(join(gateway.data, "gatepost.sock"));
    const fourth = await gatepost(["serve", "--config", file], { before: elsewhere });
    expect([fourth.code, fourth.err]).toEqual([69, expect.stringContaining("Another gateway runs on")]);
    expect(await sendOne(ports.mx, { subject: "still here" })).toStartWith("250");
  } finally {
    await gateway.dispose();
    other.close();
  }
}, 60_000);

test("a mail port that is taken does not stop the others: it is reported", async () => {
  const ports = await freePorts("mx", "second", "server");
  const other = await occupy(ports.second);
  const more = `[[listener]]\nname = "second"\nlisten = "127.0.0.1:${ports.second}"\n`;
  const gateway = await runGateway({ policy: more + smallPolicy(ports.mx, ports.server) });
  try {
    expect(gateway.output()).toMatch(/second +127\.0\.0\.1:\d+ +failed: /);
    expect(await alarmNames(gateway)).toEqual(["listener second"]);
    expect(await sendOne(ports.mx, { subject: "one" })).toStartWith("250");
  } finally {
    await gateway.dispose();
    other.close();
  }
}, 60_000);

test("a listener that is moved to a taken port: apply says so, it goes on where it was, and health is 503 until it is bound", async () => {
  const ports = await freePorts("mx", "taken", "server", "metrics");
  const other = await occupy(ports.taken);
  const others = await occupy(ports.metrics);
  const gateway = await runGateway({
    policy: smallPolicy(ports.mx, ports.server),
    launcher: withEnvironment({ GATEPOST_METRICS_LISTEN: `127.0.0.1:${ports.metrics}` }),
  });
  const health = () => fetch(`http://127.0.0.1:${ports.metrics}/healthz`).catch(() => null);
  try {
    expect(await alarmNames(gateway)).toEqual(["metrics"]);
    others.close();
    await waitUntil(
      "the address of the figures is tried again",
      async () => (await health())?.status === 200,
    );
    const moved = join(gateway.directory, "moved.toml");
    writeFileSync(moved, `[[listener]]\nname = "mx"\nlisten = "127.0.0.1:${ports.taken}"\n`);
    const { code, out } = await gateway.command("apply", moved);
    expect(code).toBe(1);
    expect(out).toContain("Set, but not done yet:");
    expect(out).toContain(`"127.0.0.1:${ports.taken}" could not be bound: another program uses port`);
    expect(out).toContain(`still listens on "127.0.0.1:${ports.mx}"`);
    expect(await sendOne(ports.mx, { subject: "still here" })).toStartWith("250");
    const ill = await health();
    expect(ill?.status).toBe(503);
    expect(await ill?.text()).toContain("could not be bound");
    other.close();
    await waitUntil("it is bound", async () => (await health())?.status === 200);
    expect(await sendOne(ports.taken, { subject: "moved" })).toStartWith("250");
    expect(await alarmNames(gateway)).toEqual([]);
  } finally {
    await gateway.dispose();
    other.close();
  }
}, 60_000);
