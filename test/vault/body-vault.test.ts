// Bodies in the vault: kept once, read back whole, never removed while somebody may need them.
import { expect, test } from "bun:test";
import { createHash, randomBytes } from "node:crypto";
import { readdirSync, readlinkSync, statSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openBodyVault } from "../../src/vault/body-vault.ts";
import { temporaryDirectory } from "../store/temporary-database.ts";

const HOUR = 3_600_000;
const never = (): Promise<boolean> => Promise.resolve(false);

function pathOf(directory: string, hash: string): string {
  return join(directory, hash.slice(0, 2), `${hash}.zst`);
}

async function messageOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => "resolved",
    (error: unknown) => String(error),
  );
}

test("the same content is one small file and comes back byte for byte", async () => {
  await using directory = temporaryDirectory();
  const vault = await openBodyVault(directory.path);
  const body = Buffer.from("Subject: again\r\n\r\n".repeat(5000));
  const hash = createHash("sha256").update(body).digest("hex");
  expect(await Promise.all([vault.put(body), vault.put(body), vault.put(body)])).toEqual([hash, hash, hash]);
  expect(await vault.put(new Uint8Array(0))).not.toBe(hash);
  expect(statSync(pathOf(directory.path, hash)).size).toBeLessThan(1000);
  expect(Buffer.from((await vault.get(hash)) ?? [])).toEqual(body);
  expect(readdirSync(join(directory.path, "tmp"))).toEqual([]);
  const again = await openBodyVault(directory.path);
  expect(Buffer.from((await again.get(hash)) ?? [])).toEqual(body);
  expect(await again.get("0".repeat(64))).toBeNull();
  expect(await again.get("../../../../etc/passwd")).toBeNull();
});

test("a damaged file is an error, never a wrong body", async () => {
  await using directory = temporaryDirectory();
  const vault = await openBodyVault(directory.path);
  const hash = await vault.put(Buffer.from("one"));
  const other = await vault.put(Buffer.from("two"));
  writeFileSync(pathOf(directory.path, hash), await Bun.file(pathOf(directory.path, other)).bytes());
  expect(await messageOf(vault.get(hash))).toContain("does not hold the body it is named after");
  truncateSync(pathOf(directory.path, other), 5);
  expect(await messageOf(vault.get(other))).toContain("the file is damaged");
  writeFileSync(pathOf(directory.path, other), "no zstd at all");
  expect(await messageOf(vault.get(other))).toContain("cannot be unpacked");
});

test("what an interrupted write left is removed at start", async () => {
  await using directory = temporaryDirectory();
  await openBodyVault(directory.path);
  writeFileSync(join(directory.path, "tmp", "999-1"), "half");
  await openBodyVault(directory.path);
  expect(readdirSync(join(directory.path, "tmp"))).toEqual([]);
});

test("a body is removed only when nobody refers to it and it has rested", async () => {
  await using directory = temporaryDirectory();
  let now = Date.now();
  const vault = await openBodyVault(directory.path, () => now);
  const hash = await vault.put(Buffer.from("one"));
  expect(await vault.removeUnlessReferenced(hash, never)).toBe(false);
  expect(await vault.sweep(never)).toBe(0);
  now += 2 * HOUR;
  expect(await vault.removeUnlessReferenced(hash, () => Promise.resolve(true))).toBe(false);
  expect(await vault.get(hash)).not.toBeNull();
  expect(await vault.removeUnlessReferenced(hash, never)).toBe(true);
  expect(await vault.get(hash)).toBeNull();
});

test("the sweep finds orphans of an earlier life, and leaves what is young or needed", async () => {
  await using directory = temporaryDirectory();
  const first = await openBodyVault(directory.path);
  const [old, needed, young] = await Promise.all(
    ["old", "needed", "young"].map((text) => first.put(Buffer.from(text))),
  );
  if (old === undefined || needed === undefined || young === undefined)
    throw new Error("three bodies were put");
  const longAgo = new Date(Date.now() - 3 * HOUR);
  for (const hash of [old, needed]) utimesSync(pathOf(directory.path, hash), longAgo, longAgo);
  const vault = await openBodyVault(directory.path);
  expect(await vault.sweep((hash) => Promise.resolve(hash === needed))).toBe(1);
  expect(
    await Promise.all([old, needed, young].map(async (hash) => (await vault.get(hash)) !== null)),
  ).toEqual([false, true, true]);
});

test("a body stored while it is being removed is there afterwards", async () => {
  await using directory = temporaryDirectory();
  let now = Date.now();
  const vault = await openBodyVault(directory.path, () => now);
  for (let round = 0; round < 20; round++) {
    const body = Buffer.from(`round ${round}`);
    const hash = await vault.put(body);
    now += 2 * HOUR;
    const removal = vault.removeUnlessReferenced(hash, async () => {
      await Bun.sleep(round % 3);
      return false;
    });
    if (round % 2 === 1) await Bun.sleep(1);
    await Promise.all([removal, vault.put(body)]);
    expect(await vault.get(hash)).not.toBeNull();
  }
});

test("pieces that nobody asks for leave no file open, and those that are not read to the end neither", async () => {
  await using directory = temporaryDirectory();
  const vault = await openBodyVault(directory.path);
  // Not to be packed, so that its first piece is far from its end.
  const hash = await vault.put(randomBytes(4_000_000));
  const openFiles = (): number =>
    readdirSync("/proc/self/fd").filter((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`) === pathOf(directory.path, hash);
      } catch {
        return false;
      }
    }).length;
  const unread = [];
  for (let i = 0; i < 10; i++) unread.push(await vault.pieces(hash));
  expect(openFiles()).toBe(0);
  const [begun, never] = unread;
  expect((await begun?.next())?.done).toBe(false);
  expect(openFiles()).toBe(1);
  await begun?.return(undefined);
  await never?.return(undefined);
  // A read that is under way ends first.
  for (let n = 0; n < 200 && openFiles() > 0; n++) await Bun.sleep(10);
  expect(openFiles()).toBe(0);
});
