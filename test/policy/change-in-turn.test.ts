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

test("nor does one that waited behind another file; of that one it may overrule anything", async () => {
  const settings = await settingsOn(new MemoryStore());
  await settings.put("domain", { name: "a.test" }, TESTER);
  const user = (login: string, rest: object) => ({ kind: "user", login, domain: "a.test", ...rest });
  const stored = { password_hash: CHEAP_HASH };
  for (const login of ["off@a.test", "both@a.test"])
    await settings.put("sender", user(login, stored), TESTER);
  const fresh = (n: number) => user(`new${n}@a.test`, { password: `granite-willow-compass-${n}` });
  const both = (per_hour: number) => user("both@a.test", { ...stored, limits: { per_hour } });
  const options = { prune: false, actor: TESTER };
  const [first, second, off, third] = await Promise.all([
    settings.apply({ sender: [fresh(1), fresh(2), both(5)] }, options),
    settings.apply({ sender: [fresh(3), user("off@a.test", stored), both(7)] }, options),
    settings.put("sender", user("off@a.test", { ...stored, enabled: false }), TESTER),
    settings.apply({ sender: [both(9)] }, options),
  ]);
  expect([first.ok, second.ok, off.ok, third.ok]).toEqual([true, false, true, true]);
  expect(second.ok ? [] : second.problems.map(({ path }) => path)).toEqual(["sender off@a.test"]);
  const now = settings
    .current()
    .policy.sender.map(({ login, enabled, limits }) => `${login} ${enabled} ${limits.per_hour ?? "-"}`);
  expect(now.toSorted()).toEqual([
    "both@a.test true 9",
    "new1@a.test true -",
    "new2@a.test true -",
    "off@a.test false -",
  ]);
});

test("are not made for one who was thrown out meanwhile, in none of the ways", async () => {
  const settings = await settingsOn(new MemoryStore());
  await settings.put("domain", { name: "a.test" }, TESTER);
  const before = settings.current().version;
  let asked = 0;
  const actor = { ...TESTER, mayStill: async () => ++asked === 0 };
  const sender = { kind: "user", login: "u@a.test", domain: "a.test", password: "granite-willow-compass-1" };
  const item = { section: "domain", key: "a.test" } as const;
  const results = await Promise.all([
    settings.apply({ sender: [sender] }, { prune: false, actor }),
    settings.put("sender", sender, actor),
    settings.put("networks", { trusted: ["203.0.113.7"] }, actor),
    settings.change(item, (now) => ({ ok: true, input: { ...now, enabled: false } }), actor),
  ]);
  expect(results.map((result) => (result.ok ? "made" : result.problems[0]?.message))).toEqual(
    Array.from({ length: 4 }, () => expect.stringContaining("lost the right meanwhile")),
  );
  expect(await settings.remove("domain", "a.test", actor)).toBe(false);
  expect([settings.current().version, asked]).toEqual([before, 5]);
});

test("of one who saves passwords again and again keep nobody else's waiting", async () => {
  const settings = await settingsOn(new MemoryStore());
  await settings.put("domain", { name: "a.test" }, TESTER);
  const ended: string[] = [];
  const busy = { ...TESTER, name: "busy@a.test" };
  const save = (n: number) =>
    settings.put(
      "sender",
      { kind: "user", login: `u${n}@a.test`, domain: "a.test", password: `granite-willow-compass-${n}` },
      busy,
    );
  await Promise.all([
    ...Array.from({ length: 6 }, (_, n) => save(n).then(({ ok }) => ended.push(`${ok} password`))),
    settings.put("domain", { name: "b.test" }, TESTER).then(() => ended.push("domain")),
  ]);
  expect(ended).toEqual(["domain", ...Array.from({ length: 6 }, () => "true password")]);
});

test("what is removed is asked about in its turn", async () => {
  const settings = await settingsOn(new MemoryStore());
  await settings.put("domain", { name: "a.test" }, TESTER);
  const isOn = (now: object | null) => now !== null && "enabled" in now && now.enabled === true;
  const [, removed] = await Promise.all([
    settings.put("domain", { name: "a.test", enabled: false }, TESTER),
    settings.remove("domain", "a.test", TESTER, isOn),
  ]);
  expect([removed, names(settings)]).toEqual([false, ["a.test"]]);
  expect(await settings.remove("domain", "a.test", TESTER, (now) => !isOn(now))).toBe(true);
});
