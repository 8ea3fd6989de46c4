// Identities, days and locks of outgoing control on a real file: upserts, additions, exact filters, clean-up.
import { expect, test } from "bun:test";
import {
  dayAddition,
  expireIdentities,
  findIdentities,
  type IdentityRow,
  identityUpsert,
  loadDays,
  loadIdentities,
  loadIdentity,
} from "../../src/store/outgoing-identity-rows.ts";
import { openBooks, rows, temporaryDirectory } from "./temporary-database.ts";

function identity(name: string, over: Partial<IdentityRow> = {}): IdentityRow {
  return {
    sender: "192.0.2.0/28",
    name,
    domain: "example.test",
    firstSeen: 1000,
    lastSeen: 2000,
    state: new Uint8Array([1, 0, 255]),
    ...over,
  };
}

test("an identity is kept as it is now, since it was first seen", async () => {
  await using directory = temporaryDirectory();
  const database = await openBooks(directory.path);
  await database.commit([identityUpsert(identity("a")), identityUpsert(identity("b"))]);
  const later = identity("a", {
    firstSeen: 1500,
    lastSeen: 3000,
    domain: "example.org",
    state: new Uint8Array([7]),
  });
  await database.commit([identityUpsert(later), identityUpsert(later)]);
  const found = await loadIdentity(database, { sender: "192.0.2.0/28", name: "a" });
  expect({ ...found, state: [...(found?.state ?? [])] }).toEqual({ ...later, firstSeen: 1000, state: [7] });
  expect(await loadIdentity(database, { sender: "192.0.2.0/28", name: "A" })).toBeNull();
  await database.close();
});

test("days add up, also twice in one commit", async () => {
  await using directory = temporaryDirectory();
  const database = await openBooks(directory.path);
  const day = { sender: "s", name: "a", day: "2026-11-21", messages: 1, recipients: 2, spam: 3, refused: 4 };
  await database.commit([dayAddition(day), dayAddition(day), dayAddition({ ...day, day: "2026-11-20" })]);
  await database.commit([dayAddition(day)]);
  expect(await loadDays(database, { sender: "s", name: "a", since: "2026-11-21" })).toEqual([
    { ...day, messages: 3, recipients: 6, spam: 9, refused: 12 },
  ]);
  await database.close();
});

test("all identities can be walked through, newest first, and what is past its time is deleted", async () => {
  await using directory = temporaryDirectory();
  const database = await openBooks(directory.path);
  const all = Array.from({ length: 1203 }, (_, i) => identity(`n${i}`, { lastSeen: 10_000 + (i % 7) }));
  await database.commit([...all, identity("", { lastSeen: 1 })].map(identityUpsert));
  const walked: IdentityRow[] = [];
  for (let after: IdentityRow | null = null; ; ) {
    const page: readonly IdentityRow[] = await loadIdentities(database, { after, limit: 100 });
    walked.push(...page);
    after = page.at(-1) ?? null;
    if (page.length < 100) break;
  }
  expect(new Set(walked.map(({ name }) => name)).size).toBe(1204);
  expect(walked.map(({ lastSeen }) => lastSeen)).toEqual(
    walked.map(({ lastSeen }) => lastSeen).sort((a, b) => b - a),
  );
  await expireIdentities(database, { day: "2026-11-21", seen: 10_003, most: 10_000 });
  // Those seen at 10,003 to 10,006, and the sender itself.
  expect(
    await rows(database, "select count(*), min(last_seen) from outgoing_identity where name <> ''"),
  ).toEqual([[all.filter(({ lastSeen }) => lastSeen >= 10_003).length, 10_003]]);
  await expireIdentities(database, { day: "2026-11-21", seen: 0, most: 100 });
  const { total } = await findIdentities(database, { limit: 0, offset: 0 });
  // All of one moment stay or go together.
  expect(total).toBe(1 + all.filter(({ lastSeen }) => lastSeen === 10_006).length);
  await database.close();
});
