// What a data directory must hold and does not: the start stops and says it, --accept-loss goes on; what goes away while the gateway runs
// is told within a minute, and nothing is acknowledged into a file without a name.
import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { examineDataFolder } from "../../src/gateway/data-folder.ts";
import { silentLog } from "../../src/observe/log.ts";
import { freePorts, waitUntil } from "../peers/run-command.ts";
import { type RunningGateway, runGateway } from "../peers/run-gateway.ts";
import { alarmNames, gatepost, PROGRAM, ROOT, sendOne, smallPolicy } from "./gateway-kit.ts";

let gateway: RunningGateway;
let mx = 0;

beforeEach(async () => {
  const ports = await freePorts("mx", "server");
  mx = ports.mx;
  const policy = smallPolicy(mx, ports.server).replace('retry = ["1s"]', 'retry = ["1h"]');
  gateway = await runGateway({ policy });
}, 60_000);

afterEach(() => gateway.dispose(), 60_000);

const at = (...names: string[]) => join(gateway.data, ...names);

/** Starts it in the foreground, to see it refuse. */
function serve(...options: string[]) {
  return gatepost(["serve", ...options, "--config", join(gateway.directory, "gatepost.toml")]);
}

/** Starts it with the option, looks, and stops it. */
async function startAccepting<T>(look: () => Promise<T>): Promise<T> {
  const file = join(gateway.directory, "gatepost.toml");
  const child = Bun.spawn([...PROGRAM, "serve", "--accept-loss", "--config", file], {
    cwd: ROOT,
    stdout: "ignore",
    stderr: "ignore",
  });
  try {
    await waitUntil("it runs", async () => (await gateway.command("queue", "list")).code === 0);
    return await look();
  } finally {
    child.kill();
    await child.exited;
  }
}

const LARGE = `${"x".repeat(70)}\r\n`.repeat(2000);

type Spoil = readonly [words: RegExp, spoil: () => void];

const SPOILS: readonly Spoil[] = [
  [/spool\.db is missing/, () => rmSync(at("spool.db"))],
  [/gatepost\.db is missing/, () => rmSync(at("gatepost.db"))],
  [
    /spool\.db is missing[\s\S]*gatepost\.db is missing/,
    () => ["spool.db", "gatepost.db"].forEach((name) => void rmSync(at(name))),
  ],
  [/spool\.db is empty/, () => truncateSync(at("spool.db"), 0)],
  [
    /gatepost\.db is cut short/,
    () => truncateSync(at("gatepost.db"), statSync(at("gatepost.db")).size - 8192),
  ],
  [/spool\.db is damaged/, () => writeFileSync(at("spool.db"), "x".repeat(100_000))],
  [
    /spool\.db is no file/,
    () => {
      rmSync(at("spool.db"));
      mkdirSync(at("spool.db"));
    },
  ],
  [/vault is missing/, () => rmSync(at("vault"), { recursive: true })],
  [
    /vault was emptied or replaced/,
    () => {
      rmSync(at("vault"), { recursive: true });
      mkdirSync(at("vault"));
    },
  ],
  [/spool is missing/, () => rmSync(at("spool"), { recursive: true })],
  [/keys\/appliance\.key is missing/, () => rmSync(at("keys"), { recursive: true })],
  [
    /keys\/appliance\.key is another one/,
    () => writeFileSync(at("keys", "appliance.key"), `${Buffer.alloc(32, 7).toString("base64")}\n`),
  ],
  [/keys\/appliance\.key is another one, or damaged/, () => truncateSync(at("keys", "appliance.key"), 3)],
  [/gatepost-data\.json is damaged/, () => writeFileSync(at("gatepost-data.json"), "{")],
];

test("what is lost while it does not run stops the start, in words, and changes nothing; --accept-loss goes on", async () => {
  expect(await sendOne(mx, { subject: "waits", body: LARGE })).toStartWith("250");
  expect(await gateway.stop()).toBe(0);
  const whole = join(gateway.directory, "whole");
  cpSync(gateway.data, whole, { recursive: true });
  for (const [words, spoil] of SPOILS) {
    rmSync(gateway.data, { recursive: true });
    cpSync(whole, gateway.data, { recursive: true });
    spoil();
    const names = readdirSync(gateway.data, { recursive: true }).toSorted();
    expect(() => examineDataFolder(gateway.data, { acceptLoss: false, log: silentLog })).toThrow(words);
    expect(readdirSync(gateway.data, { recursive: true }).toSorted()).toEqual(names);
  }
  const { code, err } = await serve();
  expect([code, err]).toEqual([69, expect.stringContaining("--accept-loss")]);
  // The last one was the list alone: accepted, all of the rest is there.
  const { out } = await startAccepting(() => gateway.command("queue", "list", "--json"));
  expect(JSON.parse(out)).toMatchObject({ reversePath: "alice@example.org" });
  // A lost database: what cannot be used is moved aside, the rest is as it was, and the next start asks nothing.
  writeFileSync(at("spool.db"), "x".repeat(100_000));
  const queued = await startAccepting(() => gateway.command("queue", "list", "--json"));
  expect(queued.out).toBe("");
  const aside = readdirSync(gateway.data).filter((name) => name.startsWith("lost-"));
  expect(aside.some((name) => existsSync(at(name, "spool.db")))).toBe(true);
  await gateway.restart();
  expect((await gateway.command("export")).out).toContain("example.test");
}, 180_000);

test("a database of another gateway, and one whose log is gone after a kill, stop the start", async () => {
  // An empty log is no loss.
  expect(await sendOne(mx, { subject: "in the log", body: "x\r\n" })).toStartWith("250");
  await gateway.kill9();
  for (const name of ["spool.db-wal", "spool.db-shm"]) rmSync(at(name));
  const killed = await serve();
  expect([killed.code, killed.err]).toEqual([69, expect.stringContaining("its log spool.db-wal is missing")]);
  await startAccepting(async () => {});

  const ports = await freePorts("mx", "server");
  const other = await runGateway({ policy: smallPolicy(ports.mx, ports.server) });
  await other.stop();
  renameSync(at("spool.db"), at("spool.kept"));
  cpSync(join(other.data, "spool.db"), at("spool.db"));
  const foreign = await serve();
  expect([foreign.code, foreign.err]).toEqual([
    69,
    expect.stringContaining("spool.db is not the one this directory had"),
  ]);
  // Its own again, it starts.
  rmSync(at("spool.db"));
  renameSync(at("spool.kept"), at("spool.db"));
  await gateway.restart();
  await other.dispose();
}, 120_000);

test("a log that is cut short or damaged after a kill stops the start; --accept-loss goes on with the rest, and the next start asks nothing", async () => {
  await gateway.command("send-test", "--kind", "spam", "--to", "bob@example.test");
  for (let n = 0; n < 20; n++) expect(await sendOne(mx, { subject: `waits ${n}` })).toStartWith("250");
  await gateway.kill9();
  const killed = join(gateway.directory, "killed");
  cpSync(gateway.data, killed, { recursive: true, filter: (path) => !path.endsWith(".sock") });
  const half = (name: string) => truncateSync(at(name), Math.floor(statSync(at(name)).size / 2));
  const halfAlone = (name: string) => {
    half(name);
    rmSync(at(name.replace("-wal", "-shm")));
  };
  const noEnd = (name: string) => {
    for (const end of ["-shm", "-mark"]) rmSync(at(name.replace("-wal", end)));
  };
  const flip = (name: string) => {
    const bytes = readFileSync(at(name));
    bytes.fill(0x5a, Math.floor(bytes.length / 2), Math.floor(bytes.length / 2) + 64);
    writeFileSync(at(name), bytes);
  };
  for (const [name, spoil] of [
    ["spool.db-wal", half],
    ["spool.db-wal", flip],
    ["gatepost.db-wal", half],
    ["spool.db-wal", halfAlone],
    ["gatepost.db-wal", halfAlone],
    ["spool.db-wal", noEnd],
    ["gatepost.db-wal", noEnd],
    ["gatepost.db-wal", flip],
    ["spool.db-wal", (log: string) => truncateSync(at(log), 0)],
  ] as const) {
    rmSync(gateway.data, { recursive: true });
    cpSync(killed, gateway.data, { recursive: true });
    spoil(name);
    const before = readFileSync(at(name));
    expect(() => examineDataFolder(gateway.data, { acceptLoss: false, log: silentLog })).toThrow(name);
    expect(readFileSync(at(name)).equals(before)).toBe(true);
  }
  flip("gatepost.db-wal");
  const { code, err } = await serve();
  expect([code, err]).toEqual([69, expect.stringMatching(/spool\.db-wal is empty[\s\S]*--accept-loss/)]);
  await startAccepting(async () => {});
  const aside = readdirSync(gateway.data).filter((name) => name.startsWith("lost-"));
  expect(aside.some((name) => existsSync(at(name, "spool.db-wal")))).toBe(true);
  await gateway.restart();
  await gateway.kill9();
  await gateway.restart();
  // Untouched it starts with all of it.
  await gateway.kill9();
  rmSync(gateway.data, { recursive: true });
  cpSync(killed, gateway.data, { recursive: true });
  await gateway.restart();
  expect((await gateway.command("queue", "list", "--json")).out.trim().split("\n").length).toBe(20);
}, 180_000);

test.skipIf(Bun.which("python3") === null)(
  "after a kill another program may have opened the databases, and put them in order",
  async () => {
    for (let n = 0; n < 5; n++) expect(await sendOne(mx, { subject: `waits ${n}` })).toStartWith("250");
    await gateway.kill9();
    for (const name of ["spool.db", "gatepost.db"]) {
      const look = `import sqlite3,sys; c=sqlite3.connect(sys.argv[1]); print(c.execute("select count(*) from migration").fetchone()); c.close()`;
      expect(Bun.spawnSync(["python3", "-c", look, at(name)]).exitCode).toBe(0);
      expect(existsSync(at(`${name}-wal`))).toBe(false);
    }
    await gateway.restart();
    expect((await gateway.command("queue", "list", "--json")).out.trim().split("\n").length).toBe(5);
  },
  60_000,
);

test("a restored copy starts; a directory without the list is taken over; a kill while the first start makes it is no loss", async () => {
  expect(await sendOne(mx, { subject: "waits", body: LARGE })).toStartWith("250");
  const copy = join(gateway.directory, "copy");
  expect((await gateway.command("backup", copy)).code).toBe(0);
  // The socket and the lock that a kill leaves are not a gateway.
  await gateway.kill9();
  for (const name of readdirSync(gateway.data))
    if (!/^gatepost\.(sock|pid)$/.test(name)) rmSync(at(name), { recursive: true });
  const restored = await gatepost(["restore", copy, "--config", join(gateway.directory, "gatepost.toml")]);
  expect([restored.code, restored.err]).toEqual([0, ""]);
  await gateway.restart();
  const { out } = await gateway.command("queue", "list", "--json");
  expect(JSON.parse(out)).toMatchObject({ reversePath: "alice@example.org" });
  // While it runs nothing is restored over it.
  const running = await gatepost(["restore", copy, "--config", join(gateway.directory, "gatepost.toml")]);
  expect([running.code, running.err]).toEqual([69, expect.stringContaining("runs on the data directory")]);

  await gateway.stop();
  rmSync(at("gatepost-data.json"));
  await gateway.restart();
  expect(JSON.parse(readFileSync(at("gatepost-data.json"), "utf8"))).toMatchObject({ state: "open" });
  await gateway.stop();
  for (const name of readdirSync(gateway.data)) rmSync(at(name), { recursive: true });
  for (const wait of [300, 600, 900, 1200]) {
    gateway.launch();
    await Bun.sleep(wait);
    await gateway.kill9();
  }
  await gateway.restart();
}, 120_000);

test.each([
  ["spool.db unlinked", () => rmSync(at("spool.db"))],
  ["spool.db-wal unlinked", () => rmSync(at("spool.db-wal"))],
  ["spool.db-wal cut to nothing", () => truncateSync(at("spool.db-wal"), 0)],
  [
    "spool.db-wal cut by a frame",
    () => truncateSync(at("spool.db-wal"), statSync(at("spool.db-wal")).size - 4120),
  ],
  [
    "the data directory replaced by a link",
    () => {
      cpSync(gateway.data, join(gateway.directory, "moved"), {
        recursive: true,
        filter: (path) => !path.endsWith(".sock"),
      });
      renameSync(gateway.data, join(gateway.directory, "old"));
      symlinkSync(join(gateway.directory, "moved"), gateway.data);
      renameSync(join(gateway.directory, "old", "gatepost.sock"), at("gatepost.sock"));
    },
  ],
])(
  "%s while it runs: nothing more is acknowledged, and it is an alarm",
  async (_what, spoil) => {
    expect(await sendOne(mx, { subject: "before" })).toStartWith("250");
    spoil();
    expect(await sendOne(mx, { subject: "after" })).toStartWith("451 4.3.0");
    expect(await sendOne(mx, { subject: "large, after", body: LARGE })).toStartWith("451 4.3.0");
    await waitUntil("it is told", async () => (await alarmNames(gateway)).includes("data-files"));
    expect(gateway.output()).toMatch(/was (removed|replaced|cut short) while the gateway runs/);
  },
  60_000,
);

test("a log that is cut to half while nothing comes: told, mail is refused, and the next start says what is lost", async () => {
  for (let n = 0; n < 5; n++) expect(await sendOne(mx, { subject: `waits ${n}` })).toStartWith("250");
  truncateSync(at("gatepost.db-wal"), Math.floor(statSync(at("gatepost.db-wal")).size / 2));
  await waitUntil("it is told", async () => (await alarmNames(gateway)).includes("data-files"));
  expect(await sendOne(mx, { subject: "after" })).toStartWith("451 4.3.0");
  await gateway.stop();
  const { code, err } = await serve();
  expect([code, err]).toEqual([
    69,
    expect.stringMatching(/gatepost\.db-wal (ends too soon|is empty|is damaged)/),
  ]);
  // What the queue has is whole.
  await startAccepting(async () => expect(await gateway.queued()).toBe(5));
}, 60_000);

test("keys and databases that everybody may read are told at the start, each by its name", async () => {
  await gateway.stop();
  const told = (): readonly unknown[] => {
    const files: unknown[] = [];
    const warn = (fields: unknown) => void files.push(Object(fields).file);
    examineDataFolder(gateway.data, { acceptLoss: false, log: { ...silentLog, warn } });
    return files.toSorted();
  };
  expect(told()).toEqual([]);
  const names = ["gatepost.db", ...readdirSync(at("keys")).map((name) => join("keys", name))];
  for (const name of names) chmodSync(at(name), 0o644);
  expect(told()).toEqual(names.map((name) => at(name)).toSorted());
  for (const name of names) chmodSync(at(name), 0o640);
  expect(told()).toEqual([]);
}, 60_000);

test("a -shm file that is removed loses nothing", async () => {
  rmSync(at("spool.db-shm"));
  rmSync(at("gatepost.db-shm"));
  for (let n = 0; n < 5; n++) expect(await sendOne(mx, { subject: `after ${n}` })).toStartWith("250");
  expect((await gateway.command("backup", join(gateway.directory, "copy"))).code).toBe(0);
  await gateway.kill9();
  await gateway.restart();
  expect((await gateway.command("queue", "list", "--json")).out.trim().split("\n").length).toBe(5);
}, 60_000);

test("bodies that are gone from the vault are told", async () => {
  await gateway.command("send-test", "--kind", "spam", "--to", "bob@example.test");
  await waitUntil(
    "it is in the quarantine",
    async () => (await gateway.command("quarantine", "list", "--json")).out !== "",
  );
  await gateway.stop();
  for (const shard of readdirSync(at("vault")))
    if (/^[0-9a-f]{2}$/.test(shard))
      for (const name of readdirSync(at("vault", shard))) rmSync(at("vault", shard, name));
  await gateway.restart();
  await waitUntil("it is told", async () => (await alarmNames(gateway)).includes("vault-bodies"));
}, 120_000);
