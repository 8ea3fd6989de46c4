// The archive's copies on real files: filed once however often, and their bodies are never swept while a row names them.
import { expect, test } from "bun:test";
import { join } from "node:path";
import { openBodyVault } from "../../src/vault/body-vault.ts";
import { type ArchivedCopy, keepInArchive } from "../../src/vault/keep-in-archive.ts";
import { keepInQuarantine } from "../../src/vault/keep-in-quarantine.ts";
import { createQuarantine } from "../../src/vault/run-quarantine.ts";
import { noLargeBody } from "../message/small-body.ts";
import { openBooks, rows, temporaryDirectory } from "../store/temporary-database.ts";

const HOUR = 3_600_000;
const YEAR = 365 * 24 * HOUR;
const BODY = Buffer.from("Subject: x\r\n\r\nkept for years\r\n");

function copy(messageId: string, receivedAt: number): ArchivedCopy {
  return {
    messageId,
    domain: "Example.test",
    sender: "alice@example.test",
    reversePath: "alice@example.test",
    recipients: ["bob@example.org", "carol@example.org"],
    subject: "x",
    headerFrom: "<alice@example.test>",
    direction: "outbound",
    receivedAt,
    message: BODY,
  };
}

async function open(directory: string) {
  const books = await openBooks(directory);
  let now = Date.now();
  const vault = await openBodyVault(join(directory, "vault"), () => now);
  const quarantine = createQuarantine({
    db: books,
    reader: books,
    vault,
    newBodyFile: noLargeBody,
    release: async () => {},
    now: () => now,
  });
  return {
    books,
    vault,
    quarantine,
    now: () => now,
    turn: (ms: number) => {
      now += ms;
    },
  };
}

test("filing twice keeps one row and one body", async () => {
  await using directory = temporaryDirectory();
  const { books, vault, now } = await open(directory.path);
  for (let i = 0; i < 2; i++) await books.commit(await keepInArchive(vault, copy("m1", now())));
  const [row, ...others] = await rows(
    books,
    "select id, message_id, domain, sender, recipients, direction, size, body_hash from archive",
  );
  expect(others).toEqual([]);
  const hash = String(row?.[7]);
  expect(row?.slice(0, 7)).toEqual([
    "m1",
    "m1",
    "example.test",
    "alice@example.test",
    '["bob@example.org","carol@example.org"]',
    "outbound",
    BODY.length,
  ]);
  expect(Buffer.from((await vault.get(hash)) ?? []).equals(BODY)).toBe(true);
  await books.close();
});

test("the recipients of a message that are released one by one are all kept", async () => {
  await using directory = temporaryDirectory();
  const { books, vault, now } = await open(directory.path);
  for (const recipient of ["carol@example.org", "bob@example.org", "carol@example.org"]) {
    const one = { ...copy("m1", now()), recipients: [recipient] };
    await books.commit(await keepInArchive(vault, one));
  }
  expect(await rows(books, "select recipients from archive")).toEqual([
    ['["bob@example.org","carol@example.org"]'],
  ]);
  await books.close();
});

test("the body stays while a row names it, also when the quarantine no longer does", async () => {
  await using directory = temporaryDirectory();
  const { books, vault, quarantine, now, turn } = await open(directory.path);
  const receivedAt = now();
  await books.commit(await keepInArchive(vault, copy("m1", receivedAt)));
  const quarantined = {
    ...{ messageId: "m1", n: 0, recipient: "bob@example.org", reversePath: "alice@example.test" },
    ...{ headerFrom: "", subject: "", direction: "outbound" as const, rule: "spam", words: "" },
    ...{ receivedAt, message: BODY },
  };
  await books.commit(await keepInQuarantine(vault, { copy: quarantined, keepMs: HOUR }));
  const [row] = await rows(books, "select body_hash from archive");
  const hash = String(row?.[0]);

  turn(YEAR);
  // Files bear the times of the machine; the vault's clock is a year ahead.
  expect(await quarantine.expire(now())).toBe(1);
  expect(await quarantine.sweep()).toBe(0);
  expect(await vault.get(hash)).not.toBeNull();

  await books.commit([{ sql: "delete from archive", params: [] }]);
  expect(await quarantine.sweep()).toBe(1);
  expect(await vault.get(hash)).toBeNull();
  await books.close();
});

test("lists by domain and by sender, and the question for a body, walk indexes", async () => {
  await using directory = temporaryDirectory();
  const { books } = await open(directory.path);
  const plan = async (where: string) =>
    String(await rows(books, `explain query plan select * from archive where ${where}`));
  const newest = "order by received_at desc, id desc limit 50";
  expect(await plan(`domain = 'example.test' ${newest}`)).toContain("archive_domain");
  expect(await plan(`sender = 'alice@example.test' ${newest}`)).toContain("archive_sender");
  expect(await plan("body_hash = 'x' limit 1")).toContain("archive_body");
  for (const where of [`domain = 'x' ${newest}`, `sender = 'x' ${newest}`])
    expect(await plan(where)).not.toContain("TEMP B-TREE");
  await books.close();
});
