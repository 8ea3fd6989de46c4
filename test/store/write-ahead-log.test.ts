// The log of a database that was not closed: what was synced must be there, and what a power cut leaves of the last write is honest.
import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { holdsMarked } from "../../src/store/log-mark.ts";
import { cutLog, logFlaw } from "../../src/store/write-ahead-log.ts";
import { dice } from "../crash/dice.ts";
import { insertThing, openAt, rows } from "./temporary-database.ts";

const FRAME_BYTES = 24 + 4096;
const HEADER_BYTES = 32;

const directory = mkdtempSync(join(tmpdir(), "gatepost-wal-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** What a kill leaves after so many commits: `before` the last one and after it. */
const killed = join(directory, "killed");
let lastStart = 0;

/** Copies a database that is in use as a kill would leave it. */
function snapshot(path: string, folder: string): void {
  mkdirSync(folder, { recursive: true });
  for (const suffix of ["", "-wal", "-shm", "-mark"])
    copyFileSync(`${path}${suffix}`, join(folder, `a.db${suffix}`));
}

const COMMITS = 60;

beforeAll(async () => {
  const path = join(directory, "live.db");
  const database = await openAt(path);
  for (let n = 0; n < COMMITS; n++) {
    if (n === COMMITS - 1) {
      snapshot(path, join(directory, "before"));
      lastStart = endOf(join(directory, "before", "a.db"));
    }
    const bytes = n === COMMITS - 1 ? 90_000 : 500 + ((n * 977) % 20_000);
    await database.commit([
      insertThing(`thing ${n}`, n, crypto.getRandomValues(new Uint8Array(Math.min(bytes, 65_536)))),
    ]);
  }
  snapshot(path, killed);
  await database.close();
}, 30_000);

/** Where what the index knows of ends in the log. */
function endOf(path: string): number {
  return HEADER_BYTES + readFileSync(`${path}-shm`).readUInt32LE(16) * FRAME_BYTES;
}

let made = 0;
/** A copy of what a kill left. */
function copy(): string {
  const folder = join(directory, String(++made));
  cpSync(killed, folder, { recursive: true });
  return join(folder, "a.db");
}

function overwrite(path: string, at: number, bytes: Uint8Array): void {
  const all = readFileSync(path);
  all.set(bytes, at);
  writeFileSync(path, all);
}

async function things(path: string): Promise<number> {
  const database = await openAt(path);
  const [row] = await rows(database, "select count(*) from thing");
  expect(await rows(database, "pragma integrity_check")).toEqual([["ok"]]);
  await database.close();
  return Number(row?.[0]);
}

const killedFlaw = (path: string) => logFlaw(path, { sameBoot: true });
const powerFlaw = (path: string) => logFlaw(path, { sameBoot: false });

test("what a kill leaves is whole, with and without its index", async () => {
  const path = copy();
  expect([killedFlaw(path), powerFlaw(path)]).toEqual([null, null]);
  rmSync(`${path}-shm`);
  expect([killedFlaw(path), powerFlaw(path)]).toEqual([null, null]);
  expect(await things(path)).toBe(COMMITS);
  // Closed: there is no log.
  expect(killedFlaw(path)).toBe(null);
});

test("a log cut anywhere after a kill is found, also at the end of a transaction", async () => {
  const end = endOf(join(killed, "a.db"));
  const random = dice(1);
  const cuts = [0, 1, 31, HEADER_BYTES, HEADER_BYTES + FRAME_BYTES, lastStart, end - 1, end - FRAME_BYTES];
  for (let n = 0; n < 100; n++) cuts.push(Math.floor(random() * end));
  for (let n = 0; n < 60; n++)
    cuts.push(HEADER_BYTES + FRAME_BYTES * Math.floor((random() * (end - HEADER_BYTES)) / FRAME_BYTES));
  const path = copy();
  for (const cut of cuts) {
    copyFileSync(join(killed, "a.db-wal"), `${path}-wal`);
    truncateSync(`${path}-wal`, cut);
    expect([cut, killedFlaw(path) !== null]).toEqual([cut, true]);
  }
}, 60_000);

test("octets that were changed anywhere after a kill are found", () => {
  const end = endOf(join(killed, "a.db"));
  const random = dice(2);
  const path = copy();
  for (let n = 0; n < 80; n++) {
    const length = 1 + Math.floor(random() * 64);
    const at = Math.floor(random() * (end - length));
    const log = readFileSync(join(killed, "a.db-wal"));
    for (let i = 0; i < length; i++) log[at + i] = (log[at + i] ?? 0) ^ (1 + Math.floor(random() * 255));
    writeFileSync(`${path}-wal`, log);
    expect([at, killedFlaw(path) !== null]).toEqual([at, true]);
  }
}, 60_000);

test("without an index what is damaged before the last transactions is found", () => {
  const random = dice(3);
  const path = copy();
  rmSync(`${path}-shm`);
  // The two last transactions may look like one that was broken off.
  const end = lastStart - 8 * FRAME_BYTES;
  for (let n = 0; n < 100; n++) {
    const at = Math.floor(random() * (end - 64));
    copyFileSync(join(killed, "a.db-wal"), `${path}-wal`);
    overwrite(`${path}-wal`, at, crypto.getRandomValues(new Uint8Array(64)));
    const flaw = powerFlaw(path);
    expect([at, flaw !== null && flaw.goodBytes <= at]).toEqual([at, true]);
  }
}, 60_000);

test("a last transaction that a power cut broke off is honest, whatever of it reached the disk", async () => {
  const whole = readFileSync(join(killed, "a.db-wal"));
  const end = endOf(join(killed, "a.db"));
  const random = dice(4);
  for (let n = 0; n < 60; n++) {
    // Sectors that did not reach the disk have what was there before: nothing, zeros, or another log's frames.
    const log = Buffer.from(
      whole.subarray(0, n % 3 === 0 ? Math.floor(lastStart + random() * (end - lastStart)) : end),
    );
    const old = n % 3 === 1 ? Buffer.from(whole.subarray(0, end)) : Buffer.alloc(end);
    for (let at = HEADER_BYTES; at + FRAME_BYTES <= old.length; at += FRAME_BYTES)
      old.writeUInt32BE(n, at + 8);
    const chance = random();
    let lost = 0;
    for (let at = Math.ceil(lastStart / 512) * 512; at < log.length; at += 512) {
      if (random() < chance && !(lost === 0 && at + 512 >= log.length)) continue;
      lost++;
      old.copy(log, at, at, Math.min(at + 512, log.length));
    }
    const path = copy();
    writeFileSync(`${path}-wal`, log);
    // The index on the disk is the one from before, or none.
    if (n % 2 === 0) copyFileSync(join(directory, "before", "a.db-shm"), `${path}-shm`);
    else rmSync(`${path}-shm`);
    // What was not synced is not marked.
    copyFileSync(join(directory, "before", "a.db-mark"), `${path}-mark`);
    expect([n, killedFlaw(path), powerFlaw(path)]).toEqual([n, null, null]);
    if (n % 10 === 0) expect([n, await things(path)]).toEqual([n, COMMITS - 1]);
    rmSync(join(directory, String(made)), { recursive: true });
  }
}, 60_000);

test("a log that was cut off and goes on is whole after the next kill", async () => {
  const path = copy();
  overwrite(`${path}-wal`, Math.floor(endOf(path) / 2), crypto.getRandomValues(new Uint8Array(64)));
  const flaw = killedFlaw(path);
  if (flaw === null) throw new Error("the damage was not found");
  expect(flaw.words).toContain("acknowledged");
  cutLog(`${path}-wal`, flaw, `${path}-aside`);
  expect(statSync(`${path}-aside`).size).toBe(statSync(join(killed, "a.db-wal")).size);
  const database = await openAt(path);
  await database.commit([insertThing("after", 0)]);
  const folder = join(directory, "cut");
  snapshot(path, folder);
  await database.close();
  expect(killedFlaw(join(folder, "a.db"))).toBe(null);
  rmSync(join(folder, "a.db-shm"));
  expect(powerFlaw(join(folder, "a.db"))).toBe(null);
});

test("logs that begin anew, again and again, are whole at each moment", async () => {
  const path = join(directory, "anew.db");
  const first = await openAt(path);
  for (let round = 0; round < 12; round++) {
    for (let n = 0; n < 4; n++) {
      await first.commit([insertThing(`${round} ${n}`, n, new Uint8Array(3000 * ((round % 5) + 1)))]);
      const folder = join(directory, "anew");
      snapshot(path, folder);
      expect([round, n, killedFlaw(join(folder, "a.db"))]).toEqual([round, n, null]);
      // A power cut may leave an index from before.
      if (round > 0) copyFileSync(join(directory, "anew.shm"), join(folder, "a.db-shm"));
      expect([round, n, powerFlaw(join(folder, "a.db"))]).toEqual([round, n, null]);
    }
    copyFileSync(`${path}-shm`, join(directory, "anew.shm"));
    await rows(first, round % 3 === 0 ? "pragma wal_checkpoint(truncate)" : "pragma wal_checkpoint(restart)");
  }
  await first.close();
}, 60_000);

/** A copy that was taken without the index, as another machine or another start of this one finds it. */
function copyWithoutIndex(): string {
  const path = copy();
  rmSync(`${path}-shm`);
  return path;
}

test("without an index a log that is cut anywhere is found by the mark, on this machine and on another", () => {
  const end = endOf(join(killed, "a.db"));
  const path = copyWithoutIndex();
  expect([killedFlaw(path), powerFlaw(path)]).toEqual([null, null]);
  const random = dice(7);
  const cuts = [0, 1, 31, HEADER_BYTES, HEADER_BYTES + FRAME_BYTES, lastStart, end - 1, end - FRAME_BYTES];
  for (let n = 0; n < 40; n++) cuts.push(Math.floor(random() * end));
  for (let n = 0; n < 60; n++)
    cuts.push(HEADER_BYTES + FRAME_BYTES * Math.floor((random() * (end - HEADER_BYTES)) / FRAME_BYTES));
  for (const cut of cuts) {
    copyFileSync(join(killed, "a.db-wal"), `${path}-wal`);
    truncateSync(`${path}-wal`, cut);
    expect([cut, killedFlaw(path) !== null, powerFlaw(path) !== null]).toEqual([cut, true, true]);
  }
}, 60_000);

test("a log of before is found by the mark, also when its index came with it", () => {
  const path = copyWithoutIndex();
  copyFileSync(join(directory, "before", "a.db-wal"), `${path}-wal`);
  expect([killedFlaw(path) !== null, powerFlaw(path) !== null]).toEqual([true, true]);
  copyFileSync(join(directory, "before", "a.db-shm"), `${path}-shm`);
  expect([killedFlaw(path) !== null, powerFlaw(path) !== null]).toEqual([true, true]);
});

test("a mark that a power cut left behind the log is a lower bound, and none asks nothing", async () => {
  const path = copyWithoutIndex();
  copyFileSync(join(directory, "before", "a.db-mark"), `${path}-mark`);
  expect([killedFlaw(path), powerFlaw(path)]).toEqual([null, null]);
  rmSync(`${path}-mark`);
  expect([killedFlaw(path), powerFlaw(path)]).toEqual([null, null]);
  expect(await things(path)).toBe(COMMITS);
});

test("a log that another program copied into the file and removed is no loss; one that was only removed is", async () => {
  const path = copy();
  rmSync(`${path}-wal`);
  rmSync(`${path}-shm`);
  expect(holdsMarked(path)).toBe(false);
  const whole = copy();
  copyFileSync(`${whole}-mark`, join(directory, "kept-mark"));
  // Opened and closed: the log is in the file. The other program knows of no mark.
  await (await openAt(whole)).close();
  copyFileSync(join(directory, "kept-mark"), `${whole}-mark`);
  expect(holdsMarked(whole)).toBe(true);
  // The file of before, put in its place.
  copyFileSync(join(directory, "before", "a.db"), whole);
  expect(holdsMarked(whole)).toBe(false);
});
