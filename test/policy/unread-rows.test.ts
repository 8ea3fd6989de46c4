// A stored setting that is no JSON is one more that cannot be read: it is named, and the rest is in force. The real store.
import { expect, test } from "bun:test";
import { sql } from "drizzle-orm";
import { createPolicyStore } from "../../src/policy/policy-store.ts";
import { sqlStatement } from "../../src/store/statement.ts";
import { openBooks, temporaryDirectory } from "../store/temporary-database.ts";
import { CHEAP_HASH, settingsOn, TESTER } from "./policy-fixtures.ts";

const POLICY = {
  networks: { trusted: ["10.0.0.0/8"] },
  domain: [{ name: "one.test" }, { name: "two.test" }],
  sender: [{ kind: "user", login: "ann@one.test", domain: "one.test", password_hash: CHEAP_HASH }],
  rule: [{ name: "mine", when: 'client.helo == "bad.example"', action: "reject" }],
};

test.each([
  ["domain", "one.test"],
  ["rule", "mine"],
  ["networks", ""],
  ["sender", "ann@one.test"],
])("the row of %s %s, cut in half", async (section, key) => {
  await using folder = temporaryDirectory();
  const database = await openBooks(folder.path);
  const store = createPolicyStore(database);
  const written = await (await settingsOn(store)).apply(POLICY, { prune: false, actor: TESTER });
  expect(written.ok).toBe(true);
  await database.commit([
    sqlStatement(
      sql`update policy_item set value = substr(value, 1, length(value) / 2) where section = ${section} and key = ${key}`,
    ),
  ]);
  const now = (await settingsOn(store)).current();
  expect(now.unread.items.map((item) => `${item.section} ${item.key}`)).toEqual([`${section} ${key}`]);
  expect(now.policy.domain.some(({ name }) => String(name) === "two.test")).toBe(true);
  await database.close();
});
