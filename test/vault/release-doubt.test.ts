// A release that fails halfway: what the queue has or may have stays a wish that is finished later; what it has refused stays as it was.
import { expect, test } from "bun:test";
import { join } from "node:path";
import { type DatabaseWriter, StoreError } from "../../src/store/database.ts";
import { openBodyVault } from "../../src/vault/body-vault.ts";
import { keepInQuarantine } from "../../src/vault/keep-in-quarantine.ts";
import { createQuarantine } from "../../src/vault/run-quarantine.ts";
import { noLargeBody } from "../message/small-body.ts";
import { failureOf, openBooks, temporaryDirectory } from "../store/temporary-database.ts";

const YEAR = 365 * 86_400_000;

async function bench(directory: string) {
  const books = await openBooks(directory);
  const vault = await openBodyVault(join(directory, "vault"));
  /** How the queue refuses, and how gatepost.db does once, right after the queue has taken something. */
  const fails: { queue: StoreError | null; afterQueue: StoreError | null } = {
    queue: null,
    afterQueue: null,
  };
  let next: StoreError | null = null;
  /** What the queue has taken; the same id is taken once. */
  const taken = new Set<string>();
  const db: DatabaseWriter = {
    query: (query) => books.query(query),
    commit(unit) {
      const failure = next;
      next = null;
      return failure === null ? books.commit(unit) : Promise.reject(failure);
    },
  };
  const quarantine = createQuarantine({
    db,
    reader: books,
    vault,
    newBodyFile: noLargeBody,
    release: async ({ id }) => {
      if (fails.queue !== null) throw fails.queue;
      taken.add(id);
      next = fails.afterQueue;
    },
  });
  const about = { messageId: "m1", n: 0, recipient: "bob@example.test", reversePath: "alice@example.org" };
  const why = { headerFrom: "", subject: "", direction: "inbound" as const, rule: "virus", words: "" };
  const message = Buffer.from("Subject: x\r\n\r\nhi\r\n");
  const copy = { ...about, ...why, receivedAt: Date.now(), message };
  await books.commit(await keepInQuarantine(vault, { copy, keepMs: 1000 }));
  return { books, quarantine, fails, taken, state: async () => (await quarantine.get("m1-0"))?.state };
}

test("the queue has it, but gatepost.db cannot be told: it is never deleted, and finished when asked again", async () => {
  await using directory = temporaryDirectory();
  const { books, quarantine, fails, taken, state } = await bench(directory.path);
  // The wish is written, the queue takes it, and then the disk of gatepost.db is full for a moment.
  fails.afterQueue = new StoreError("disk-full", "no space");
  expect((await failureOf(quarantine.release("m1-0", "admin"))).kind).toBe("disk-full");
  fails.afterQueue = null;
  expect(await quarantine.remove("m1-0", "other")).toBe(false);
  expect(await quarantine.expire(Date.now() + YEAR)).toBe(0);
  expect(await quarantine.resumeReleases()).toBe(1);
  expect(await state()).toBe("released");
  expect([...taken]).toEqual(["m1-0"]);
  await books.close();
});

test("nobody knows whether the queue has it: the wish stands until it is known", async () => {
  await using directory = temporaryDirectory();
  const { books, quarantine, fails, taken, state } = await bench(directory.path);
  fails.queue = new StoreError("failed", "spool.db cannot be used any more");
  expect((await failureOf(quarantine.release("m1-0", "admin"))).kind).toBe("failed");
  expect(await quarantine.remove("m1-0", "other")).toBe(false);
  expect(await quarantine.expire(Date.now() + YEAR)).toBe(0);
  fails.queue = null;
  expect(await quarantine.resumeReleases()).toBe(1);
  expect(await state()).toBe("released");
  expect([...taken]).toEqual(["m1-0"]);
  await books.close();
});

test("the queue has refused it: it stays as it was, and may be deleted", async () => {
  await using directory = temporaryDirectory();
  const { books, quarantine, fails, taken, state } = await bench(directory.path);
  fails.queue = new StoreError("disk-full", "no space");
  expect((await failureOf(quarantine.release("m1-0", "admin"))).kind).toBe("disk-full");
  expect(await state()).toBe("kept");
  expect(await quarantine.resumeReleases()).toBe(0);
  expect(await quarantine.remove("m1-0", "other")).toBe(true);
  expect([...taken]).toEqual([]);
  await books.close();
});
