// Secrets of the settings at rest: sealed in the database, as they were everywhere else, and what was kept in clear is sealed at the start.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createPolicyStore } from "../../src/policy/policy-store.ts";
import { loadOrMakeApplianceKey } from "../../src/vault/appliance-key.ts";
import { openBooks, rows, temporaryDirectory } from "../store/temporary-database.ts";
import { MemoryStore, settingsOn, TESTER } from "./policy-fixtures.ts";

const SECRETS = ["upstream-word-4711", "web hook secret of ours", "key-of-the-sms-account"];
const DOCUMENT = {
  domain: [
    {
      name: "a.test",
      outgoing: {
        alerts: {
          webhook: { url: "https://hooks.example.org/a", secret: SECRETS[1] },
          sms: { url: `https://sms.example.org/send?key=${SECRETS[2]}&to={to}`, to: "+431234" },
        },
      },
    },
  ],
  delivery: { smarthost: { host: "smart.example.org", user: "gate", password: SECRETS[0] } },
};

const stored = (store: MemoryStore) => JSON.stringify([...store.rows.values()]);
const without = (text: string) => SECRETS.every((secret) => !text.includes(secret));

test("nothing of them is in the database, and all of it in the settings, also after a restart", async () => {
  await using directory = temporaryDirectory();
  const seal = loadOrMakeApplianceKey(directory.path);
  const database = await openBooks(directory.path);
  const store = createPolicyStore(database);
  const settings = await settingsOn(store, { seal });
  expect((await settings.apply(DOCUMENT, { prune: false, actor: TESTER })).ok).toBe(true);
  const { policy } = settings.current();
  const kept = JSON.stringify(await rows(database, "select value from policy_item"));
  expect(without(kept)).toBe(true);
  expect(kept.match(/sealed:/g)).toHaveLength(3);
  expect(without(JSON.stringify(await rows(database, "select detail from audit_log")))).toBe(true);
  const again = await settingsOn(store, { seal });
  expect(again.current().policy).toEqual(policy);
  expect(JSON.stringify(again.current().policy)).toContain(SECRETS[0] ?? "");
  const audits = (await rows(database, "select count(*) from audit_log"))[0];
  // Saying the same again changes nothing, though each sealing looks different.
  const same = await again.apply(DOCUMENT, { prune: false, actor: TESTER });
  expect(same.ok && same.changes).toEqual([]);
  expect((await rows(database, "select count(*) from audit_log"))[0]).toEqual(audits);
  await database.close();
  for (const file of ["gatepost.db", "gatepost.db-wal"]) {
    const bytes = (() => {
      try {
        return readFileSync(join(directory.path, file)).toString("latin1");
      } catch {
        return "";
      }
    })();
    expect(without(bytes)).toBe(true);
  }
});

test("what an older version kept in clear is sealed at the start, without a change to anybody", async () => {
  await using directory = temporaryDirectory();
  const store = new MemoryStore();
  const old = await settingsOn(store);
  await old.apply(DOCUMENT, { prune: false, actor: TESTER });
  expect(without(stored(store))).toBe(false);
  const audits = store.audit.length;
  const seal = loadOrMakeApplianceKey(directory.path);
  const settings = await settingsOn(store, { seal });
  expect(without(stored(store))).toBe(true);
  expect(settings.current().policy).toEqual(old.current().policy);
  expect(store.audit).toHaveLength(audits);
});

test("with another key they are gone, and everything else is as it was", async () => {
  await using one = temporaryDirectory();
  await using other = temporaryDirectory();
  const store = new MemoryStore();
  const before = await settingsOn(store, { seal: loadOrMakeApplianceKey(one.path) });
  await before.apply(DOCUMENT, { prune: false, actor: TESTER });
  const { policy } = (await settingsOn(store, { seal: loadOrMakeApplianceKey(other.path) })).current();
  expect(policy.delivery.smarthost).toMatchObject({ host: "smart.example.org", user: "gate" });
  expect(policy.delivery.smarthost?.password).toBeUndefined();
  expect(policy.domain[0]?.outgoing.alerts.webhook).toEqual({ url: "https://hooks.example.org/a" });
  expect(policy.domain[0]?.outgoing.alerts.sms).toBeNull();
});
