// Requirement L6: a CRAM-MD5 password comes in clear and is stored sealed under the appliance key, by every door.
import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exportDocument } from "../../src/policy/policy-document.ts";
import { CRAM_PURPOSE } from "../../src/policy/sealed-password.ts";
import type { PlanResult } from "../../src/policy/settings.ts";
import { loadOrMakeApplianceKey } from "../../src/vault/appliance-key.ts";
import { MemoryStore, settingsOn, TESTER } from "./policy-fixtures.ts";

const GOOD = "tulip magnet forty";
const OTHER = "silver-lantern-otter-52";
const DOMAIN = { domain: [{ name: "example.test" }] };
const ALICE = { login: "alice@example.test", domain: "example.test" };

function newKey() {
  const folder = mkdtempSync(join(tmpdir(), "gatepost-key-"));
  const key = loadOrMakeApplianceKey(folder);
  rmSync(folder, { recursive: true });
  return key;
}

async function trial() {
  const seal = newKey();
  const store = new MemoryStore();
  const settings = await settingsOn(store, { seal, initial: DOMAIN });
  const stored = () => settings.current().userSender(ALICE.login)?.cram_password;
  const put = (more: object) => settings.put("sender", { ...ALICE, ...more }, TESTER);
  return { seal, store, settings, put, stored, opened: () => seal.open(stored() ?? "", CRAM_PURPOSE) };
}

const words = (result: PlanResult): string =>
  (result.ok
    ? result.changes.flatMap((change) => change.words)
    : result.problems.map((p) => `${p.path} ${p.message}`)
  ).join("\n");

describe("a CRAM-MD5 password", () => {
  test("is stored sealed; no door shows it, nor the audit log", async () => {
    const { store, settings, put, stored, opened } = await trial();
    const result = await put({ cram_password: GOOD });
    expect(words(result)).toContain("cram_password set");
    expect(stored()).toStartWith("sealed:");
    expect(opened()).toBe(GOOD);
    const everything = JSON.stringify([
      result,
      [...store.rows.values()],
      store.audit,
      exportDocument(settings.current().policy, { secrets: "keep" }),
    ]);
    expect(everything).not.toContain(GOOD);
    expect(JSON.stringify([result, store.audit])).not.toContain("sealed:");
  });

  test("given again changes nothing; left out, empty or *** it stays; another one replaces it; none takes it away", async () => {
    const { put, stored, opened } = await trial();
    await put({ cram_password: GOOD });
    const first = stored();
    for (const same of [
      { cram_password: GOOD },
      {},
      { cram_password: "" },
      { cram_password: "***" },
      { cram_password: first },
    ]) {
      const result = await put(same);
      expect(result.ok && result.changes).toEqual([]);
      expect(stored()).toBe(first);
    }
    expect(words(await put({ cram_password: OTHER }))).toContain("cram_password changed");
    expect(opened()).toBe(OTHER);
    expect(words(await put({ cram_password: "none" }))).toContain("cram_password removed");
    expect(stored()).toBeUndefined();
  });

  test("a plan shows the change and keeps nothing", async () => {
    const { settings, stored } = await trial();
    const plan = await settings.plan({ sender: [{ ...ALICE, cram_password: GOOD }] }, { prune: false });
    expect(words(plan)).toContain("cram_password set");
    expect(JSON.stringify(plan)).not.toContain("sealed:");
    expect(stored()).toBeUndefined();
  });

  test("an export goes back to its own gateway, not to another", async () => {
    const one = await trial();
    await one.put({ cram_password: GOOD });
    const document = exportDocument(one.settings.current().policy, { secrets: "keep" });
    const again = await one.settings.apply(document, { prune: false, actor: TESTER });
    expect(again.ok && again.changes).toEqual([]);
    const other = await trial();
    const refused = await other.settings.apply(document, { prune: false, actor: TESTER });
    expect(words(refused)).toContain("sender[0].cram_password was sealed by another gateway's key");
  });

  test.each([
    ["123456", "sender[0].cram_password is too weak: it has 6 characters"],
    ["Sommer2025!", "sender[0].cram_password is too weak: it is one word"],
    [42, "sender[0].cram_password must be text in quotes"],
    ["sealed:AAAA", "sender[0].cram_password was sealed by another gateway's key"],
  ])("is refused with a reason: %j", async (cram_password, reason) => {
    const { put, stored } = await trial();
    expect(words(await put({ cram_password }))).toContain(reason);
    expect(stored()).toBeUndefined();
  });

  test("cannot be kept without an appliance key", async () => {
    const settings = await settingsOn(new MemoryStore());
    const result = await settings.put("sender", { ...ALICE, cram_password: GOOD }, TESTER);
    expect(words(result)).toContain("there is no appliance key");
  });

  test("is taken from the policy file of a first start", async () => {
    const seal = newKey();
    const initial = { ...DOMAIN, sender: [{ ...ALICE, cram_password: GOOD }] };
    const settings = await settingsOn(new MemoryStore(), { seal, initial });
    expect(seal.open(settings.current().userSender(ALICE.login)?.cram_password ?? "", CRAM_PURPOSE)).toBe(
      GOOD,
    );
  });
});
