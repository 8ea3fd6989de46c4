// Changes that follow from what is there, and files whose passwords take time: nobody's change is lost, and nobody waits for another's passwords.
import { expect, test } from "bun:test";
import type { Settings } from "../../src/policy/settings.ts";
import { CHEAP_HASH, MemoryStore, settingsOn, TESTER } from "./policy-fixtures.ts";

const names = (settings: Settings): readonly string[] =>
  settings.current().policy.domain.map((domain) => String(domain.name));

test("that follow from what is there are asked in their turn, and may leave it", async () => {
  const store = new MemoryStore();
  const settings = await settingsOn(store);
  await settings.put("domain", { name: "a.test" }, TESTER);
  store.delayMs = 3;
  const item = { section: "domain", key: "a.test" } as const;
  const seen: unknown[] = [];
  const [, changed, left, missing] = await Promise.all([
    settings.put("domain", { name: "a.test", enabled: false }, TESTER),
    settings.change(item, (now) => ({ ok: true, input: { ...now, cut_through: false } }), TESTER),
    settings.change(
      item,
      (now) => {
        seen.push(now);
        return { ok: false, problems: [{ path: "name", message: "stays" }] };
      },
      TESTER,
    ),
    settings.change(
      { ...item, key: "b.test" },
      (now) => {
        seen.push(now);
        return { ok: true, input: { name: "b.test" } };
      },
      TESTER,
    ),
  ]);
  expect([changed.ok, left.ok, missing.ok]).toEqual([true, false, true]);
  const [domain] = settings.current().policy.domain;
  expect([domain?.enabled, domain?.cut_through]).toEqual([false, false]);
  expect(seen).toEqual([domain, null]);
  expect(names(settings)).toEqual(["a.test", "b.test"]);
});

test("do not wait for the passwords of a file; of two files the later one wins", async () => {
  const settings = await settingsOn(new MemoryStore());
  await settings.put("domain", { name: "a.test" }, TESTER);
  const ended: string[] = [];
  const file = (perHour: number, users: number) => ({
    sender: Array.from({ length: users }, (_, i) => ({
      kind: "user",
      login: `u${i}@a.test`,
      domain: "a.test",
      password: `granite-willow-compass-${i}`,
      limits: { per_hour: perHour },
    })),
  });
  const options = { prune: false, actor: TESTER };
  await Promise.all([
    settings.apply(file(5, 3), options).then(() => ended.push("long file")),
    settings.apply(file(9, 1), options).then(() => ended.push("short file")),
    settings.put("domain", { name: "b.test" }, TESTER).then(() => ended.push("domain")),
  ]);
  expect(ended).toEqual(["domain", "long file", "short file"]);
  expect(settings.current().userSender("u0@a.test")?.limits.per_hour).toBe(9);
  expect(settings.current().userSender("u2@a.test")?.limits.per_hour).toBe(5);
  // The same again proves each password and changes nothing.
  const version = settings.current().version;
  const again = await settings.apply(file(5, 3), options);
  expect(again.ok && again.changes.map(({ key }) => key)).toEqual(["u0@a.test"]);
  expect(settings.current().version).toBe(version + 1);
});

test("a file does not overrule what was set while its passwords were worked out", async () => {
  const settings = await settingsOn(new MemoryStore());
  await settings.put("domain", { name: "a.test" }, TESTER);
  const user = (login: string, password: object) => ({
    kind: "user",
    login,
    domain: "a.test",
    ...password,
  });
  const stored = { password_hash: CHEAP_HASH };
  for (const login of ["off@a.test", "gone@a.test", "still@a.test"])
    await settings.put("sender", user(login, stored), TESTER);
  const file = {
    sender: [
      user("new@a.test", { password: "granite-willow-compass-1" }),
      ...["off@a.test", "gone@a.test", "still@a.test"].map((login) => user(login, stored)),
    ],
  };
  const options = { prune: false, actor: TESTER };
  const [applied] = await Promise.all([
    settings.apply(file, options),
    settings.put("sender", { ...user("off@a.test", stored), enabled: false }, TESTER),
    settings.remove("sender", "gone@a.test", TESTER),
  ]);
  expect(applied.ok).toBe(false);
  const paths = applied.ok ? [] : applied.problems.map(({ path }) => path);
  expect(paths.toSorted()).toEqual(["sender gone@a.test", "sender off@a.test"]);
  const now = settings.current().policy.sender.map(({ login, enabled }) => `${login} ${enabled}`);
  expect(now.toSorted()).toEqual(["off@a.test false", "still@a.test true"]);
  // Begun anew it is what was asked for, and says so.
  expect((await settings.apply(file, options)).ok).toBe(true);
  expect(settings.current().policy.sender).toHaveLength(4);
});
