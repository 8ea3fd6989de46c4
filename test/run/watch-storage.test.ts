// May mail be taken? Space, inodes, the reserve, files that are not what they were; each alarm and its end.
import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLog } from "../../src/observe/log.ts";
import { createStorageWatch, type StorageWatch } from "../../src/queue/watch-storage.ts";
import { StoreError } from "../../src/store/database.ts";
import { createDiskReserve, type DiskReserve } from "../../src/store/disk-reserve.ts";
import { openSpoolBodies, type SpoolBodies } from "../../src/store/spool-bodies.ts";
import { START, TurnedClock } from "../queue/queue-kit.ts";

const MB = 1024 * 1024;
const RESERVE = 2 * MB;

let data = "";
let watch: StorageWatch;
let clock: TurnedClock;
let reserve: DiskReserve;
let minFree: number | null = null;
let disk = { total: 1000 * MB, free: 500 * MB, inodes: 100_000, inodesFree: 50_000 };
let canWrite = true;
let planned = 0;
let tries = 0;
let bodies: SpoolBodies;
const alarms = new Map<string, string>();

beforeEach(async () => {
  data = mkdtempSync(join(tmpdir(), "gatepost-storage-"));
  for (const name of ["spool.db", "spool.db-wal", "gatepost.db"])
    writeFileSync(join(data, name), "x".repeat(5000));
  for (const name of ["spool", "vault"]) mkdirSync(join(data, name));
  bodies = await openSpoolBodies(join(data, "spool"));
  disk = { total: 1000 * MB, free: 500 * MB, inodes: 100_000, inodesFree: 50_000 };
  minFree = null;
  canWrite = true;
  alarms.clear();
  clock = new TurnedClock(START);
  reserve = createDiskReserve(data, RESERVE);
  watch = createStorageWatch({
    data,
    reserve,
    clock: {
      now: () => clock.now(),
      after(wait, wake) {
        planned++;
        return clock.after(wait, wake);
      },
    },
    log: silentLog,
    minFree: () => minFree,
    look: () => disk,
    onAlarm: (name, words) => void (words === null ? alarms.delete(name) : alarms.set(name, words)),
    spool: {
      onFileWritten(tell) {
        bodies.onWritten(tell);
      },
      async keepBody(_id, _seq, body) {
        if (!canWrite) throw new StoreError("failed", "read-only file system");
        const name = `try-${++tries}.eml`;
        await bodies.write(name, body as Uint8Array);
        await bodies.remove(name);
        return { file: null, inRow: null, body };
      },
      async removeBody() {},
    },
  });
});

afterEach(() => {
  watch.stop();
  rmSync(data, { recursive: true, force: true });
});

/** Lets the clock run; what a turn of the watch does is finished before time goes on. */
async function turn(ms: number): Promise<void> {
  const until = clock.now() + ms;
  for (let before = planned; clock.step(until); before = planned)
    for (let n = 0; planned === before && n < 2000; n++) await Bun.sleep(2);
  clock.jump(Math.max(0, until - clock.now()));
}

test("the reserve is made when there is room, given up at once, and made anew when there is room again", async () => {
  await turn(10_000);
  expect(reserve.isHeld()).toBe(true);
  expect(readdirSync(join(data, "reserve")).length).toBe(32);
  expect(createDiskReserve(data, RESERVE).isHeld()).toBe(true);
  disk = { ...disk, free: 3 * MB };
  expect(reserve.giveUp()).toBe(true);
  expect(existsSync(join(data, "reserve"))).toBe(false);
  await turn(20_000);
  expect(reserve.isHeld()).toBe(false);
  disk = { ...disk, free: 400 * MB };
  await turn(20_000);
  expect(reserve.isHeld()).toBe(true);
});

test("mail is refused before the disk is full, and what was given up is not filled with new mail", async () => {
  await turn(10_000);
  expect(watch.refusal(0)).toBeNull();
  minFree = 100 * MB;
  disk = { ...disk, free: 101 * MB };
  await turn(6000);
  expect(watch.refusal(0)).toBeNull();
  expect(watch.refusal(2 * MB)?.kind).toBe("disk-full");
  expect(alarms.size).toBe(0);
  disk = { ...disk, free: 99 * MB };
  await turn(200);
  expect(watch.refusal(0)?.kind).toBe("disk-full");
  expect(alarms.get("disk-full")).toStartWith("There is no space for mail. It is refused with 452");
  // Given up, the reserve counts as taken.
  disk = { ...disk, free: 101 * MB };
  reserve.giveUp();
  await turn(6000);
  expect(watch.refusal(0)?.kind).toBe("disk-full");
  disk = { ...disk, free: 300 * MB };
  await turn(6000);
  expect(watch.refusal(0)).toBeNull();
  expect(alarms.size).toBe(0);
});

test("without min_free it is a tenth of a small disk, 128 MB of a large one", async () => {
  for (const [total, least] of [
    [50, 5],
    [100_000, 128],
  ] as const) {
    disk = { ...disk, total: total * MB, free: (least * 1.2 + 3) * MB };
    await turn(6000);
    expect(watch.refusal(0)).toBeNull();
    disk = { ...disk, free: least * 0.9 * MB };
    await turn(6000);
    expect(watch.refusal(0)?.kind).toBe("disk-full");
  }
});

test("inodes run out alike", async () => {
  disk = { ...disk, inodesFree: 900 };
  await turn(6000);
  expect(watch.refusal(0)?.kind).toBe("disk-full");
  expect(alarms.get("disk-full")).toContain("inodes");
  disk = { ...disk, inodesFree: 5000 };
  await turn(6000);
  expect(watch.refusal(0)).toBeNull();
  disk = { ...disk, inodes: Number.POSITIVE_INFINITY, inodesFree: Number.POSITIVE_INFINITY };
  await turn(6000);
  expect([watch.refusal(0), alarms.size]).toEqual([null, 0]);
});

test.each([
  ["spool.db", "was removed", () => rmSync(join(data, "spool.db"))],
  ["gatepost.db", "was cut short", () => truncateSync(join(data, "gatepost.db"), 100)],
  ["spool.db-wal", "was removed", () => rmSync(join(data, "spool.db-wal"))],
  [
    "vault",
    "was replaced",
    () => {
      renameSync(join(data, "vault"), join(data, "v"));
      mkdirSync(join(data, "vault"));
    },
  ],
  ["spool", "was removed", () => rmSync(join(data, "spool"), { recursive: true })],
])("%s %s: said within a minute, and nothing more is taken", async (name, what, spoil) => {
  await turn(1000);
  spoil();
  await turn(6000);
  expect(watch.refusal(0)?.kind).toBe("failed");
  expect(alarms.get("data-files")).toStartWith(`${name} ${what} while the gateway runs`);
});

test("a file that is put back ends it", async () => {
  await turn(1000);
  renameSync(join(data, "spool.db"), join(data, "elsewhere"));
  await turn(6000);
  expect(alarms.has("data-files")).toBe(true);
  renameSync(join(data, "elsewhere"), join(data, "spool.db"));
  await turn(6000);
  expect([watch.refusal(0), alarms.size]).toEqual([null, 0]);
});

test("a file that cannot be looked at for once is told, and the watch goes on", async () => {
  await turn(1000);
  const vault = join(data, "vault");
  renameSync(vault, join(data, "elsewhere"));
  // To look at it fails with ELOOP, which is not "no such file".
  symlinkSync(vault, vault);
  watch.failed(new StoreError("failed", "input/output error"));
  expect(alarms.get("data-files")).toStartWith("vault cannot be looked at (");
  await turn(12_000);
  expect(watch.refusal(0)?.message).toContain("cannot be looked at");
  rmSync(vault);
  renameSync(join(data, "elsewhere"), vault);
  await turn(12_000);
  expect([watch.refusal(0), alarms.size]).toEqual([null, 0]);
});

test("mail is taken while the reserve is made", async () => {
  minFree = 100 * MB;
  const before = 107.2 * MB;
  disk = { ...disk, free: before };
  clock.step(clock.now());
  const seen: unknown[] = [];
  while (!reserve.isHeld()) {
    const folder = join(data, "reserve");
    const made = existsSync(folder) ? readdirSync(folder).length * (RESERVE / 32) : 0;
    disk = { ...disk, free: before - made };
    clock.jump(200);
    seen.push(watch.refusal(5 * MB)?.message ?? null);
    await Bun.sleep(0);
  }
  expect(seen.length).toBeGreaterThan(3);
  expect(seen.filter((refused) => refused !== null)).toEqual([]);
});

test("a reserve that is given up while it is made, at whichever file, is not held and leaves nothing", async () => {
  const folder = join(data, "reserve");
  for (const at of [1, 16, 32]) {
    const making = reserve.make().then(
      () => "made",
      (error: unknown) => String(error),
    );
    while (!existsSync(join(folder, String(at - 1).padStart(2, "0")))) await Bun.sleep(0);
    reserve.giveUp();
    expect(await making).not.toBe("made");
    expect([reserve.isHeld(), existsSync(folder), reserve.missing()]).toEqual([false, false, RESERVE]);
  }
  await reserve.make();
  expect([reserve.isHeld(), reserve.missing()]).toEqual([true, 0]);
});

test("a disk that takes no writes is told, until it does again, with mail or without", async () => {
  canWrite = false;
  watch.failed(new Error("a bug"));
  watch.failed(new StoreError("constraint", "no"));
  expect(alarms.size).toBe(0);
  watch.failed(new StoreError("failed", "read-only file system"));
  expect(alarms.get("storage")).toContain("read-only file system");
  await turn(6000);
  expect(alarms.has("storage")).toBe(true);
  canWrite = true;
  await turn(6000);
  expect(alarms.size).toBe(0);
  watch.failed(new StoreError("disk-full", "no space left"));
  expect(alarms.get("disk-full")).toContain("no space left");
  watch.written();
  expect(alarms.size).toBe(0);
});

test("a body file that cannot be written is told, whatever small mail does, until one can be", async () => {
  await turn(6000);
  // A name that is taken: the write fails as one into a folder without rights does.
  const taken = new Set<string>();
  const take = (name: string) => {
    taken.add(name);
    writeFileSync(join(data, "spool", name), "");
  };
  const large = async () => {
    const file = bodies.incoming();
    file.write(new Uint8Array(400_000));
    await file.finish();
  };
  for (let n = 1; n < 9; n++) take(`incoming-${process.pid}-${n}`);
  for (let n = tries + 1; n < tries + 9; n++) take(`try-${n}.eml`);
  for (let n = 0; n < 4; n++) {
    const error = await large().catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(StoreError);
    watch.written();
    expect(alarms.get("storage")).toStartWith("Large mail, whose body needs a file, cannot be stored");
    await turn(5500);
    expect(watch.refusal(0)).toBeNull();
  }
  expect(alarms.get("storage")).toContain("EEXIST");
  for (const name of taken) rmSync(join(data, "spool", name), { force: true });
  await turn(11_000);
  expect(alarms.size).toBe(0);
  // One whose sender goes away before its end, and one of the middle size, which the queue tells of as well.
  take(`incoming-${process.pid}-5`);
  const file = bodies.incoming();
  file.write(new Uint8Array(100_000));
  for (let n = 0; !alarms.has("storage") && n < 500; n++) await Bun.sleep(2);
  await file.discard();
  expect(alarms.has("storage")).toBe(true);
  await bodies.write("whole.eml", new Uint8Array(10));
  expect(alarms.size).toBe(0);
  const error = await bodies.write("whole.eml", new Uint8Array(10)).catch((caught: unknown) => caught);
  watch.failed(error);
  watch.written();
  expect(alarms.get("storage")).toStartWith("Large mail");
  await turn(11_000);
  expect(alarms.size).toBe(0);
});
