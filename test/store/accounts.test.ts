// Accounts, sessions, tokens, audit log and policy items on a real file.
import { expect, test } from "bun:test";
import { expireAuditLog } from "../../src/store/expire-audit-log.ts";
import { FAILED_LOG_INS_A_DAY } from "../../src/store/failed-log-ins.ts";
import { loadPolicyItems, policyItemStatements } from "../../src/store/policy-items.ts";
import { createAccounts } from "../../src/store/run-accounts.ts";
import { failureOf, openBooks, rows, temporaryDirectory } from "./temporary-database.ts";

const alice = {
  login: "Alice@example.test",
  role: "domain-administrator",
  domains: ["example.test"],
  passwordHash: "$argon2id$one",
} as const;

test("accounts and their sessions", async () => {
  await using directory = temporaryDirectory();
  const database = await openBooks(directory.path);
  let now = 1_795_000_000_000;
  const accounts = createAccounts(database, () => now);
  expect(await accounts.count()).toBe(0);
  const made = await accounts.create(alice);
  expect(await accounts.count()).toBe(1);
  const { passwordHash, ...shown } = alice;
  expect(made).toEqual({ id: made.id, ...shown });
  expect(await accounts.byLogin("alice@EXAMPLE.test")).toEqual({ ...made, passwordHash });
  expect((await failureOf(accounts.create({ ...alice, login: "ALICE@example.test" }))).message).toContain(
    "already",
  );
  for (const hostile of [
    "",
    "' or 1=1 --",
    "%",
    "alice@example.tes_",
    "x".repeat(1_000_000),
    "alice@example.test\0",
  ]) {
    expect(await accounts.byLogin(hostile)).toBeNull();
  }
  expect((await failureOf(accounts.create({ ...alice, login: "x".repeat(300) }))).kind).toBe("constraint");

  const proven = alice.passwordHash;
  const session = { tokenHash: "h1", accountId: made.id, expiresAt: now + 1000, ip: "192.0.2.1", proven };
  expect(await accounts.createSession(session)).toBe(true);
  expect(await accounts.session("h1", now)).toEqual(made);
  expect(await accounts.session("h1", now + 1000)).toBeNull();
  expect(await accounts.session("H1", now)).toBeNull();
  await accounts.endSession("h1");
  expect(await accounts.session("h1", now)).toBeNull();

  await accounts.createSession({ ...session, tokenHash: "h2" });
  expect(await accounts.setPassword(made.id, "$argon2id$two")).toBe(true);
  expect(await accounts.session("h2", now)).toBeNull();
  expect((await accounts.byLogin(alice.login))?.passwordHash).toBe("$argon2id$two");
  expect((await failureOf(accounts.setPassword("nobody", "x"))).message).toContain(
    'no account with the id "nobody"',
  );
  // Proven against what was stored before: no session, and no other password in the place of the one that was set since.
  expect(await accounts.createSession({ ...session, tokenHash: "late" })).toBe(false);
  expect(await accounts.setPassword(made.id, "$argon2id$thief", proven)).toBe(false);
  expect((await accounts.byLogin(alice.login))?.passwordHash).toBe("$argon2id$two");
  const second = { ...session, proven: "$argon2id$two" };
  expect(await accounts.createSession({ ...second, accountId: "nobody" })).toBe(false);
  expect(await accounts.createSession({ ...second, tokenHash: "kept" })).toBe(true);
  expect(await accounts.setPassword("nobody", "x", "$argon2id$two")).toBe(false);
  expect(await accounts.setPassword(made.id, "$argon2id$thief", proven)).toBe(false);
  expect(await accounts.session("kept", now)).toEqual(made);
  expect(await accounts.setPassword(made.id, "$argon2id$three", "$argon2id$two")).toBe(true);
  expect(await accounts.session("kept", now)).toBeNull();

  const last = { ...session, proven: "$argon2id$three" };
  await accounts.createSession({ ...last, tokenHash: "h3" });
  now += 5000;
  await accounts.createSession({ ...last, tokenHash: "h4", expiresAt: now + 1000 });
  expect(await rows(database, "select token_hash from console_session")).toEqual([["h4"]]);
  await database.close();
});

test("API tokens", async () => {
  await using directory = temporaryDirectory();
  const database = await openBooks(directory.path);
  const accounts = createAccounts(database);
  const admin = await accounts.create({ ...alice, role: "administrator", domains: [] });
  const shown = { name: "ci", scope: "read", createdBy: "admin", createdAt: 5, expiresAt: null } as const;
  const token = { ...shown, tokenHash: "t1", accountId: admin.id };
  await accounts.createToken(token);
  expect(await accounts.token("t1")).toEqual({ name: "ci", scope: "read", expiresAt: null });
  expect(await accounts.token("t2")).toBeNull();
  expect((await failureOf(accounts.createToken({ ...token, tokenHash: "t2" }))).message).toContain(
    'a token "ci" already',
  );
  expect(await accounts.tokens()).toEqual([shown]);
  expect(await accounts.removeToken("ci")).toBe(true);
  expect(await accounts.removeToken("ci")).toBe(false);
  expect(await accounts.token("t1")).toBeNull();

  // They end with the account that made them: when it is removed, and when it is no administrator any more.
  const other = await accounts.create({ ...alice, login: "bob", role: "administrator", domains: [] });
  for (const n of [1, 2])
    await accounts.createToken({
      ...token,
      tokenHash: `b${n}`,
      name: `of bob ${n}`,
      accountId: other.id,
      expiresAt: 99,
    });
  await accounts.createToken(token);
  expect(await accounts.change(other.id, { role: "administrator", domains: [] })).toBe("done");
  expect(await accounts.token("b1")).toEqual({ name: "of bob 1", scope: "read", expiresAt: 99 });
  expect(await accounts.change(other.id, { role: "domain-administrator", domains: ["example.test"] })).toBe(
    "done",
  );
  expect(await accounts.token("b1")).toBeNull();
  // It does not come back with the rights.
  expect(await accounts.change(other.id, { role: "administrator", domains: [] })).toBe("done");
  expect(await accounts.token("b2")).toBeNull();
  await accounts.createToken({ ...token, tokenHash: "b3", name: "third", accountId: other.id });
  expect(await accounts.remove(other.id)).toBe("done");
  expect(await accounts.token("b3")).toBeNull();
  expect((await accounts.tokens()).map(({ name }) => name)).toEqual(["ci"]);
  await database.close();
});

test("policy items change together with their audit entries", async () => {
  await using directory = temporaryDirectory();
  const database = await openBooks(directory.path);
  const accounts = createAccounts(database);
  const actor = { name: "admin", via: "console", ip: "192.0.2.1" };
  const domain = { section: "domain", key: "example.test" };
  await database.commit(
    policyItemStatements(
      [
        { ...domain, value: { name: "example.test", routes: [] }, kind: "add", words: ["added"] },
        {
          section: "networks",
          key: "",
          value: { trusted: ["10.0.0.0/8"] },
          kind: "change",
          words: ["a", "b"],
        },
      ],
      actor,
      1000,
    ),
  );
  expect(await loadPolicyItems(database)).toEqual([
    { ...domain, value: { name: "example.test", routes: [] } },
    { section: "networks", key: "", value: { trusted: ["10.0.0.0/8"] } },
  ]);
  await database.commit(
    policyItemStatements(
      [
        { ...domain, value: { name: "example.test", routes: [1] }, kind: "change", words: ["routes"] },
        { section: "networks", key: "", value: null, kind: "remove", words: [] },
      ],
      actor,
      2000,
    ),
  );
  expect(await loadPolicyItems(database)).toEqual([
    { ...domain, value: { name: "example.test", routes: [1] } },
  ]);
  await accounts.audit({
    ...actor,
    actor: "x".repeat(9),
    at: 3000,
    action: "login",
    subject: "admin",
    detail: "y".repeat(10_000),
  });
  const entries = await accounts.auditLog({ limit: 10 });
  expect(entries.map((entry) => [entry.at, entry.action, entry.subject])).toEqual([
    [3000, "login", "admin"],
    [2000, "policy.remove", "networks"],
    [2000, "policy.change", "domain example.test"],
    [1000, "policy.change", "networks"],
    [1000, "policy.add", "domain example.test"],
  ]);
  expect(entries[0]?.detail.length).toBe(4000);
  expect(entries[3]).toEqual({
    id: expect.any(Number),
    at: 1000,
    actor: "admin",
    via: "console",
    ip: "192.0.2.1",
    action: "policy.change",
    subject: "networks",
    detail: "a\nb",
  });
  expect(
    (await accounts.auditLog({ limit: 1, before: { at: 2000, id: 0 } })).map((entry) => entry.at),
  ).toEqual([1000]);
  await database.close();
});

test("the audit log is walked to its end, however many lines have one time", async () => {
  await using directory = temporaryDirectory();
  const database = await openBooks(directory.path);
  const accounts = createAccounts(database);
  const line = { actor: "a", via: "cli", ip: null, action: "policy.add", detail: "" };
  for (let n = 0; n < 25; n += 1)
    await accounts.audit({ ...line, subject: `d${n}`, at: n < 3 ? 1000 : 2000 });
  for (const limit of [1, 7, 22, 25]) {
    const seen: string[] = [];
    for (let page = await accounts.auditLog({ limit }); page.length > 0; ) {
      seen.push(...page.map(({ subject }) => subject));
      const last = page.at(-1);
      page = last === undefined ? [] : await accounts.auditLog({ limit, before: last });
    }
    expect(seen).toEqual(Array.from({ length: 25 }, (_, n) => `d${24 - n}`));
  }
  await database.close();
});

test("failed log-ins of one day beyond a number are one entry, apart for names there are; old entries go", async () => {
  await using directory = temporaryDirectory();
  const database = await openBooks(directory.path);
  const accounts = createAccounts(database);
  const day = 86_400_000;
  const entry = { actor: "x", via: "console", ip: "192.0.2.1", action: "log-in failed", detail: "" };
  const fail = (at: number, n: number, isAccount: boolean) =>
    accounts.auditFailedLogIn({ ...entry, at: at + n, subject: `${"x".repeat(240)}${n}` }, { isAccount });
  // Strangers choose the moment: one after the other, and all at once.
  for (let n = 0; n < FAILED_LOG_INS_A_DAY + 30; n += 1) await fail(10 * day, n, false);
  await Promise.all(Array.from({ length: FAILED_LOG_INS_A_DAY + 30 }, (_, n) => fail(11 * day, n, false)));
  await fail(11 * day, 500, true);
  const found = await accounts.auditLog({ limit: 1000 });
  expect(found).toHaveLength(2 * (FAILED_LOG_INS_A_DAY + 1) + 1);
  expect(found[0]?.action).toBe("log-in failed");
  expect(
    found.filter(({ action }) => action === "log-ins failed").map(({ detail }) => detail.slice(0, 16)),
  ).toEqual(["30 more that day", "30 more that day"]);
  await expireAuditLog(database, 11 * day);
  expect(await accounts.auditLog({ limit: 1000 })).toHaveLength(FAILED_LOG_INS_A_DAY + 2);
  await database.close();
});
