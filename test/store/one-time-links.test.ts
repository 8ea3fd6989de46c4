// One-time links on a real file: exactly one caller gets one, whoever comes at the same moment; the file holds no token.
import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { silentLog } from "../../src/observe/log.ts";
import { createNoticeState } from "../../src/store/notice-state.ts";
import { openReader } from "../../src/store/open-database.ts";
import { createOneTimeLinks } from "../../src/store/run-one-time-links.ts";
import { openBooks, rows, temporaryDirectory } from "./temporary-database.ts";

const DAY = 86_400_000;
const subject = { sender: "192.0.2.0/28", identity: "client-a" };

async function setUp(directory: string) {
  const database = await openBooks(directory);
  const path = join(directory, "gatepost.db");
  const reader = await openReader({ path, log: silentLog, onBroken: () => undefined });
  let now = 1_795_000_000_000;
  const clock = { now: () => now };
  const links = createOneTimeLinks({ db: database, reader, clock });
  return {
    database,
    links,
    advance: (ms: number) => {
      now += ms;
    },
    async [Symbol.asyncDispose]() {
      await reader.close();
      await database.close();
    },
  };
}

test("a link is looked at as often as one likes and used once", async () => {
  await using directory = temporaryDirectory();
  await using gate = await setUp(directory.path);
  const { links } = gate;
  const token = await links.create({ kind: "unlock", subject, validMs: 7 * DAY });
  expect(token).toMatch(/^[A-Za-z0-9_-]{43}$/);
  for (let i = 0; i < 3; i++) expect(await links.look("unlock", token)).toEqual({ state: "valid", subject });
  // A link for one thing is none for another.
  expect(await links.look("relay-password", token)).toEqual({ state: "unknown", subject: null });
  expect(await links.use("relay-password", token)).toEqual({ state: "unknown", subject: null });
  expect(await links.use("unlock", token)).toEqual({ state: "valid", subject });
  expect(await links.use("unlock", token)).toEqual({ state: "used", subject });
  expect(await links.look("unlock", token)).toEqual({ state: "used", subject });
});

test("of many who use it at the same moment exactly one gets it", async () => {
  await using directory = temporaryDirectory();
  await using gate = await setUp(directory.path);
  const { links } = gate;
  for (let round = 0; round < 5; round++) {
    const token = await links.create({ kind: "unlock", subject, validMs: DAY });
    const answers = await Promise.all(Array.from({ length: 40 }, () => links.use("unlock", token)));
    expect(answers.filter(({ state }) => state === "valid")).toEqual([{ state: "valid", subject }]);
    expect(answers.filter(({ state }) => state === "used").length).toBe(39);
  }
});

test("a link ends with its time and is forgotten later", async () => {
  await using directory = temporaryDirectory();
  await using gate = await setUp(directory.path);
  const { links, database } = gate;
  const token = await links.create({
    kind: "relay-password",
    subject: { address: "a@example.test" },
    validMs: 1000,
  });
  gate.advance(999);
  expect((await links.look("relay-password", token)).state).toBe("valid");
  gate.advance(1);
  expect((await links.look("relay-password", token)).state).toBe("expired");
  expect((await links.use("relay-password", token)).state).toBe("expired");
  expect(await rows(database, "select used_at from one_time_link")).toEqual([[null]]);
  gate.advance(31 * DAY);
  await links.create({ kind: "unlock", subject, validMs: 1000 });
  expect((await links.look("relay-password", token)).state).toBe("unknown");
  expect(await rows(database, "select kind from one_time_link")).toEqual([["unlock"]]);
});

test("what is no token is unknown, and the files hold no token", async () => {
  await using directory = temporaryDirectory();
  await using gate = await setUp(directory.path);
  const { links } = gate;
  const token = await links.create({ kind: "unlock", subject, validMs: DAY });
  for (const wrong of [
    "",
    "x",
    `${token}x`,
    token.toLowerCase() + token,
    "' or 1=1 --",
    "\0".repeat(43),
    "A".repeat(43),
  ]) {
    expect(await links.look("unlock", wrong)).toEqual({ state: "unknown", subject: null });
    expect(await links.use("unlock", wrong)).toEqual({ state: "unknown", subject: null });
  }
  for (const file of readdirSync(directory.path)) {
    expect(readFileSync(join(directory.path, file)).includes(token)).toBe(false);
  }
  expect((await links.use("unlock", token)).state).toBe("valid");
});

test("the memory of notices keeps, changes and forgets values by kind", async () => {
  await using directory = temporaryDirectory();
  await using gate = await setUp(directory.path);
  const state = createNoticeState(gate.database, gate.database);
  await state.keep("report", [
    { key: "example.test", value: { at: 1 } },
    { key: "example.org", value: { at: 2 } },
  ]);
  await state.keep("abuse", [{ key: "example.test", value: { held: 3 } }]);
  await state.keep("report", [
    { key: "example.test", value: { at: 5 } },
    { key: "example.org", value: null },
  ]);
  await state.keep("report", []);
  expect(await state.load("report")).toEqual([{ key: "example.test", value: { at: 5 } }]);
  expect(await state.load("abuse")).toEqual([{ key: "example.test", value: { held: 3 } }]);
});
