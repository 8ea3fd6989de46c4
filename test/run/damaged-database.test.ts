// A database that is damaged anywhere: the start stops in words that name the file, what it held and --accept-loss; with the option the
// file is put aside and the other database's mail and settings go on.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadConfig } from "../../src/config/config.ts";
import { type Gateway, startGateway } from "../../src/gateway.ts";
import { rowsOf } from "../crash/rows-of.ts";
import { freePorts, waitUntil } from "../peers/run-command.ts";
import { type RunningGateway, runGateway } from "../peers/run-gateway.ts";
import { isRunning, sendOne, smallPolicy } from "./gateway-kit.ts";

const MAILS = 8;
const PAGE_BYTES = 4096;
type Name = "spool.db" | "gatepost.db";

let gateway: RunningGateway;
let mx = 0;
let whole = "";
/** Where the tables and indexes of each begin. */
const roots = new Map<string, number>();

beforeAll(async () => {
  const ports = await freePorts("mx", "server");
  mx = ports.mx;
  gateway = await runGateway({
    policy: smallPolicy(mx, ports.server).replace('retry = ["1s"]', 'retry = ["1h"]'),
  });
  const body = `${"x".repeat(70)}\r\n`.repeat(60);
  for (let n = 0; n < MAILS; n++)
    expect(await sendOne(mx, { subject: `waits ${n}`, body })).toStartWith("250");
  await gateway.command("send-test", "--kind", "spam", "--to", "bob@example.test");
  await waitUntil(
    "it is in the quarantine",
    async () => (await gateway.command("quarantine", "list", "--json")).out !== "",
  );
  expect(await gateway.stop()).toBe(0);
  whole = join(gateway.directory, "whole");
  cpSync(gateway.data, whole, { recursive: true });
  for (const name of ["spool.db", "gatepost.db"])
    for (const [what, page] of await rowsOf(
      join(whole, name),
      "select name, rootpage from sqlite_schema where rootpage > 0",
    ))
      roots.set(`${name} ${String(what)}`, Number(page));
}, 120_000);

afterAll(() => gateway.dispose(), 60_000);

const at = (...names: string[]) => join(gateway.data, ...names);

function spoil(name: Name, change: (bytes: Buffer) => void): void {
  rmSync(gateway.data, { recursive: true });
  cpSync(whole, gateway.data, { recursive: true });
  const bytes = readFileSync(at(name));
  change(bytes);
  writeFileSync(at(name), bytes);
}

async function start(acceptLoss: boolean): Promise<Gateway | string> {
  const config = loadConfig(join(gateway.directory, "gatepost.toml"));
  return startGateway({ ...config, log: { level: "silent" } }, { acceptLoss }).catch((error: unknown) =>
    error instanceof Error ? error.message : String(error),
  );
}

async function startAnyway(): Promise<Gateway> {
  const started = await start(true);
  if (typeof started === "string") throw new Error(started);
  return started;
}

/** Noise that is the same each time. */
function fill(bytes: Buffer, from: number, to: number): void {
  for (let n = from; n < to; n++) bytes[n] = (n * 2654435761) >>> 13;
}

const pagesFrom = (first: number) => (bytes: Buffer) => void bytes.fill(0, (first - 1) * PAGE_BYTES);
const rootOf = (name: Name, what: string, change: (page: Buffer) => void) => (bytes: Buffer) => {
  const page = roots.get(`${name} ${what}`) ?? 0;
  expect(page).toBeGreaterThan(1);
  change(bytes.subarray((page - 1) * PAGE_BYTES, page * PAGE_BYTES));
};

type Damage = readonly [what: string, change: (name: Name) => (bytes: Buffer) => void];

/** Each is found while it starts. */
const DAMAGES: readonly Damage[] = [
  ["its header zeroed", () => (bytes) => void bytes.fill(0, 0, 100)],
  ["a header of no format there is", () => (bytes) => void bytes.fill(0xff, 44, 48)],
  ["a header with no page size there is", () => (bytes) => void bytes.writeUInt16BE(3, 16)],
  ["the list of its tables zeroed", () => (bytes) => void bytes.fill(0, 100, PAGE_BYTES)],
  ["noise in the list of its tables", () => (bytes) => fill(bytes, 108, PAGE_BYTES)],
  ["noise in all pages but the first", () => (bytes) => fill(bytes, PAGE_BYTES, bytes.length)],
  ["zeros in all pages but the first", () => pagesFrom(2)],
  ["zeros in every second page", () => everySecondPage],
  [
    "the last third zeroed",
    () => (bytes) => pagesFrom(Math.ceil((bytes.length / PAGE_BYTES) * (2 / 3)))(bytes),
  ],
  ["its list of migrations zeroed", (name) => rootOf(name, "migration", (page) => void page.fill(0))],
  ["a page of another kind", (name) => rootOf(name, "migration", (page) => void page.writeUInt8(2, 0))],
  [
    "a table zeroed that the start reads",
    (name) => rootOf(name, name === "spool.db" ? "recipient" : "policy_item", (page) => void page.fill(0)),
  ],
];

function everySecondPage(bytes: Buffer): void {
  for (let page = 2; page <= bytes.length / PAGE_BYTES; page += 2)
    bytes.fill(0, (page - 1) * PAGE_BYTES, page * PAGE_BYTES);
}

const HELD: Readonly<Record<Name, string>> = {
  "spool.db": "It held the mail that waited for delivery or filing",
  "gatepost.db": "It held the settings, accounts, the message log",
};

/** It runs with the option: what was damaged is aside, the rest is used on. */
async function goesOn(name: Name): Promise<void> {
  const running = await startAnyway();
  if (name === "gatepost.db") expect(await gateway.queued()).toBe(MAILS);
  else expect((await gateway.ask("export", {})).text).toContain("example.test");
  await running.close();
  const aside = readdirSync(gateway.data).filter((one) => one.startsWith("lost-"));
  expect(aside.length).toBe(1);
  expect(existsSync(at(aside[0] ?? "", name))).toBe(true);
}

async function startsAgain(): Promise<void> {
  const again = await start(false);
  if (typeof again === "string") throw new Error(again);
  await again.close();
}

const CASES = (["spool.db", "gatepost.db"] as const).flatMap((name) =>
  DAMAGES.map(([what, change]) => [name, what, change] as const),
);

test.each(CASES)(
  "%s, %s: stops the start in words; --accept-loss goes on without it",
  async (name, _what, change) => {
    spoil(name, change(name));
    const words = await start(false);
    expect(words).toMatch(new RegExp(`- ${name} is damaged[\\s\\S]*--accept-loss`));
    expect(words).toContain(HELD[name]);
    expect(words).toContain("moved aside, not deleted");
    expect(existsSync(at(name))).toBe(true);
    await goesOn(name);
  },
  60_000,
);

const LATER = [
  ["spool.db", "released"],
  ["spool.db", "message_id"],
  ["gatepost.db", "quarantine"],
  ["gatepost.db", "message_sender"],
  ["gatepost.db", "message_detail"],
] as const;

test.each(LATER)(
  "%s, where only a later question looks (%s): --accept-loss finds it at the start, and the next start asks nothing",
  async (name, what) => {
    spoil(
      name,
      rootOf(name, what, (page) => void page.fill(0)),
    );
    await goesOn(name);
    await startsAgain();
  },
  60_000,
);

test("damage that shows while it runs: no 250, the process ends, and the next start stops in words until it is mended", async () => {
  spoil(
    "spool.db",
    rootOf("spool.db", "message_id", (page) => void page.fill(0)),
  );
  await gateway.restart();
  const pid = gateway.pid();
  expect(await sendOne(mx, { subject: "into what is damaged" })).toStartWith("451");
  await waitUntil("the process has ended", () => !isRunning(pid));
  expect(await gateway.stop()).toBe(1);
  expect(await start(false)).toMatch(/- spool\.db is damaged[\s\S]*--accept-loss/);
  // A whole one in its place ends it.
  const damaged = readFileSync(at("spool.db"));
  for (const end of ["-wal", "-shm", "-mark"]) rmSync(at(`spool.db${end}`), { force: true });
  cpSync(join(whole, "spool.db"), at("spool.db"));
  await startsAgain();
  expect(readFileSync(at("gatepost-data.json"), "utf8")).not.toContain('"damaged"');
  writeFileSync(at("spool.db"), damaged);
  await goesOn("spool.db");
}, 60_000);
