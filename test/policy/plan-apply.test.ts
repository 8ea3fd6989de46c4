// plan and apply: what a document changes, that applying twice changes nothing, and that an export makes the same gateway.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { parse } from "smol-toml";
import { planText } from "../../src/policy/plan-text.ts";
import { exportDocument, exportToml } from "../../src/policy/policy-document.ts";
import type { PlanResult } from "../../src/policy/settings.ts";
import { address, CHEAP_HASH, MemoryStore, settingsOn, TESTER } from "./policy-fixtures.ts";

const FILE = `
[[listener]]
name = "mx"
listen = "127.0.0.1:2525"
[networks]
trusted = ["10.0.0.0/8"]
[[domain]]
name = "Example.test"
routes = [{ host = "127.0.0.1", port = 25 }]
rules = ["virus", "own"]
[[sender]]
login = "alice@example.test"
password = "tulip magnet forty"
domain = "example.test"
[[rule]]
name = "own"
when = 'message.size > 20 MB'
action = "reject"
[delivery]
smarthost = { host = "smart.example.org", user = "u", password = "not-shown" }
`;

function lines(result: PlanResult): readonly string[] {
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return result.changes.flatMap((change) => change.words);
}

const keep = { prune: false } as const;

describe("a file", () => {
  test("applied twice changes nothing, with the password still in clear text", async () => {
    const store = new MemoryStore();
    const settings = await settingsOn(store);
    const planned = await settings.plan(parse(FILE), keep);
    const applied = await settings.apply(parse(FILE), { ...keep, actor: TESTER });
    expect(lines(applied)).toEqual(lines(planned));
    expect(lines(await settings.plan(parse(FILE), keep))).toEqual([]);
    expect(planText(await settings.plan(parse(FILE), keep))).toBe("No change.\n");
    const written = store.audit.length;
    await settings.apply(parse(FILE), { ...keep, actor: TESTER });
    expect(store.audit).toHaveLength(written);
    const again = await settingsOn(store);
    expect(lines(await again.plan(parse(FILE), keep))).toEqual([]);
    expect(again.current().policy).toEqual(settings.current().policy);
  });

  test("changes are named field by field", async () => {
    const settings = await settingsOn(new MemoryStore(), { initial: parse(FILE) });
    const changed = FILE.replace("port = 25 ", "port = 2600 ")
      .replace('"own"]', '"dmarc"]')
      .replace("20 MB", "30 MB");
    expect(lines(await settings.plan(parse(changed), keep))).toEqual([
      "domain example.test: routes[0].port 25 → 2600",
      "domain example.test: rules + dmarc, - own",
      'rule own: when "message.size > 20 MB" → "message.size > 30 MB"',
    ]);
    const other = FILE.replace("tulip magnet forty", "orchard lamp seventeen");
    expect(lines(await settings.plan(parse(other), keep))).toEqual([
      "sender alice@example.test: password changed",
    ]);
    expect(planText(await settings.plan(parse(changed), keep))).toContain(
      "~ domain example.test\n    routes[0].port 25 → 2600\n",
    );
  });

  test("secrets are in no plan, change or audit entry", async () => {
    const store = new MemoryStore();
    const settings = await settingsOn(store);
    const result = await settings.apply(parse(FILE), { ...keep, actor: TESTER });
    const told = JSON.stringify([result, store.audit]);
    expect(told).not.toContain("tulip");
    expect(told).not.toContain("argon2");
    expect(told).not.toContain("not-shown");
    expect(settings.current().userSender("ALICE@example.test")?.password_hash).toStartWith(
      "$argon2id$v=19$m=19456,t=2,p=1$",
    );
  });

  test("what it does not name is left alone; with prune it goes", async () => {
    const settings = await settingsOn(new MemoryStore(), { initial: parse(FILE) });
    const only = { domain: [{ name: "other.test" }] };
    await settings.apply(only, { ...keep, actor: TESTER });
    expect(settings.current().policy.domain.map((d) => String(d.name))).toEqual([
      "example.test",
      "other.test",
    ]);
    const pruned = await settings.apply(only, { prune: true, actor: TESTER });
    expect(lines(pruned)).toEqual([
      "domain example.test: removed",
      "sender alice@example.test: removed",
      "rule own: removed",
    ]);
    expect(settings.current().policy.listener.map((l) => l.name)).toEqual(["mx"]);
    expect(settings.current().policy.networks.trusted.map(String)).toEqual(["10.0.0.0/8"]);
    expect(lines(await settings.plan(only, { prune: true }))).toEqual([]);
  });

  test("an item it names without a password keeps the one it has", async () => {
    const settings = await settingsOn(new MemoryStore(), { initial: parse(FILE) });
    const before = settings.current().userSender("alice@example.test")?.password_hash;
    for (const password of [undefined, "", "***"]) {
      const sender = {
        login: "alice@example.test",
        domain: "example.test",
        send_as: ["x@example.test"],
        ...(password === undefined ? {} : { password }),
      };
      expect((await settings.apply({ sender: [sender] }, { ...keep, actor: TESTER })).ok).toBe(true);
      expect(settings.current().userSender("alice@example.test")?.password_hash).toBe(before);
    }
    expect(settings.current().userSender("alice@example.test")?.send_as).toEqual(["x@example.test"]);
  });

  test("the smart host's password stays with its host and user, and is never sent to another", async () => {
    const settings = await settingsOn(new MemoryStore(), { initial: parse(FILE) });
    const put = async (smarthost: object): Promise<string | undefined> => {
      await settings.put("delivery", { smarthost }, TESTER);
      return settings.current().policy.delivery.smarthost?.password;
    };
    expect(await put({ host: "smart.example.org", user: "u", password: "***" })).toBe("not-shown");
    expect(await put({ host: "smart.example.org", user: "u", tls: "verified" })).toBe("not-shown");
    for (const other of [
      { host: "evil.example.org", user: "u" },
      { host: "smart.example.org", user: "u", port: 2525 },
      { host: "smart.example.org", user: "v" },
    ])
      for (const password of ["***", "", undefined]) {
        const smarthost = password === undefined ? other : { ...other, password };
        const planned = await settings.plan({ delivery: { smarthost } }, { prune: false });
        expect(planned.ok ? "" : planned.problems[0]?.path).toBe("delivery.smarthost.password");
        await put(smarthost);
        expect(settings.current().policy.delivery.smarthost).toMatchObject({
          host: "smart.example.org",
          port: 587,
        });
      }
    expect(await put({ host: "evil.example.org" })).toBeUndefined();
    expect(await put({ host: "new.example.org", user: "u", password: "given again" })).toBe("given again");
  });
});

describe("the first listeners", () => {
  test("are those of L1", async () => {
    const { listener } = (await settingsOn(new MemoryStore())).current().policy;
    expect(listener.map(({ listen, tls, auth }) => `${listen} ${tls} ${auth}`)).toEqual([
      "0.0.0.0:25 starttls off",
      "0.0.0.0:587 starttls-required required",
      "0.0.0.0:2525 starttls-required required",
      "0.0.0.0:465 implicit required",
    ]);
  });
  test("give way to a file that names its own, once", async () => {
    const settings = await settingsOn(new MemoryStore());
    await settings.apply(
      { listener: [{ name: "mx", listen: "127.0.0.1:2525" }] },
      { ...keep, actor: TESTER },
    );
    expect(settings.current().policy.listener.map((l) => l.name)).toEqual(["mx"]);
    await settings.apply(
      { listener: [{ name: "two", listen: "127.0.0.1:2526" }] },
      { ...keep, actor: TESTER },
    );
    expect(settings.current().policy.listener.map((l) => l.name)).toEqual(["mx", "two"]);
  });
  test("stay when one is added by hand", async () => {
    const settings = await settingsOn(new MemoryStore());
    await settings.put("listener", { name: "extra", listen: "127.0.0.1:2600" }, TESTER);
    expect(settings.current().policy.listener).toHaveLength(5);
  });
});

const domainName = fc.constantFrom("a.test", "b.test", "c.test");
const generated = fc.record(
  {
    networks: fc.record({
      trusted: fc.uniqueArray(fc.constantFrom("10.0.0.0/8", "192.168.1.7", "2001:db8::/32")),
    }),
    domain: fc.uniqueArray(
      fc.record(
        {
          name: domainName,
          routes: fc.array(
            fc.record({
              host: fc.constantFrom("127.0.0.1", "mail.a.test"),
              port: fc.integer({ min: 1, max: 65535 }),
            }),
            { maxLength: 2 },
          ),
          rules: fc.oneof(
            fc.constant(null),
            fc.uniqueArray(fc.constantFrom("virus", "spam", "subject-marks", "own")),
          ),
          recipients: fc.record(
            { verify: fc.constantFrom("callout", "list", "catch-all"), cache: fc.constantFrom("10m", 30) },
            { requiredKeys: [] },
          ),
          enabled: fc.boolean(),
        },
        { requiredKeys: ["name"] },
      ),
      { selector: (d) => d.name },
    ),
    sender: fc.uniqueArray(
      fc.oneof(
        fc.record({
          kind: fc.constant("user"),
          // Of no domain here: an address of one belongs to that one.
          login: fc.constantFrom("x@partner.test", "Y@elsewhere.test"),
          domain: domainName,
          password_hash: fc.constant(CHEAP_HASH),
          send_as: fc.uniqueArray(fc.constantFrom("@b.test", "z@a.test")),
        }),
        fc.record({
          kind: fc.constant("ip"),
          range: fc.constantFrom("192.0.2.7", "192.0.2.0/28"),
          domain: domainName,
        }),
      ),
      { selector: (s) => ("login" in s ? s.login.toLowerCase() : s.range) },
    ),
    delivery: fc.record(
      {
        retry: fc.array(fc.constantFrom("1m", "1h", 90), { minLength: 1, maxLength: 3 }),
        tls: fc.constantFrom("none", "verified"),
      },
      { requiredKeys: [] },
    ),
    settings: fc.record(
      { note_header: fc.constantFrom("X-A", "X-B"), log_keep: fc.constantFrom("7d", "30d") },
      { requiredKeys: [] },
    ),
  },
  { requiredKeys: [] },
);
const own = [{ name: "own", when: "client.tls and message.size > 1 MB", action: "tempfail", code: 450 }];

test("any document: apply, then plan finds nothing; its export makes the same policy on an empty gateway", async () => {
  await fc.assert(
    fc.asyncProperty(generated, generated, fc.boolean(), async (first, second, prune) => {
      const settings = await settingsOn(new MemoryStore(), { initial: { rule: own } });
      for (const document of [first, { ...second, rule: own }]) {
        expect((await settings.apply(document, { prune, actor: TESTER })).ok).toBe(
          !(prune && document === first && usesOwn(document)),
        );
      }
      expect(lines(await settings.plan({ ...second, rule: own }, { prune }))).toEqual([]);
      const { policy } = settings.current();
      for (const document of [
        parse(exportToml(policy, { secrets: "keep" })),
        JSON.parse(JSON.stringify(exportDocument(policy, { secrets: "keep" }))),
      ]) {
        const copy = await settingsOn(new MemoryStore(), { initial: document });
        expect(sorted(copy.current().policy)).toEqual(sorted(policy));
        expect(lines(await settings.plan(document, { prune: true }))).toEqual([]);
      }
    }),
    { numRuns: 60 },
  );
}, 30_000);

function usesOwn(document: { domain?: readonly { rules?: readonly string[] | null }[] }): boolean {
  return document.domain?.some((domain) => domain.rules?.includes("own")) ?? false;
}

/** Order within a section says nothing. */
function sorted(policy: object): unknown {
  return Object.fromEntries(
    Object.entries(policy).map(([section, value]) => [
      section,
      Array.isArray(value) ? value.map((v) => JSON.stringify(v)).sort() : value,
    ]),
  );
}

test("an export without secrets leaves them as they are on the same gateway", async () => {
  const settings = await settingsOn(new MemoryStore(), { initial: parse(FILE) });
  const hidden = exportToml(settings.current().policy, { secrets: "hide" });
  expect(hidden).not.toContain("not-shown");
  expect(lines(await settings.plan(parse(hidden), { prune: true }))).toEqual([]);
});

test("the same file gives the same decisions on an empty gateway", async () => {
  const one = await settingsOn(new MemoryStore(), { initial: parse(FILE) });
  const two = await settingsOn(new MemoryStore(), {
    initial: parse(exportToml(one.current().policy, { secrets: "keep" })),
  });
  const subject = {
    recipient: address("u@example.test"),
    direction: "inbound" as const,
    reversePath: null,
    login: null,
  };
  for (const facts of [
    {},
    { "eicar.found": true },
    { "message.size": 30_000_000 },
    { "scan.failed": true },
  ]) {
    expect(two.current().decide(facts, subject)).toEqual(one.current().decide(facts, subject));
  }
});
