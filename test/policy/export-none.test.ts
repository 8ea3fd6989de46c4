// What a file cannot say with TOML's own words: "none" for nothing, and `***` for what is stored. An export is the whole policy, on this
// gateway and on one that was set otherwise.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { parse } from "smol-toml";
import { readNone, writeNone } from "../../src/policy/nullable-words.ts";
import { exportDocument, exportToml } from "../../src/policy/policy-document.ts";
import { POLICY_SCHEMAS } from "../../src/policy/schema.ts";
import type { PlanResult } from "../../src/policy/settings.ts";
import { CHEAP_HASH, MemoryStore, settingsOn, TESTER } from "./policy-fixtures.ts";

const KEEP = { prune: false } as const;

const count = fc.constantFrom(null, "none", 1, 5, 77);
const outgoing = fc.record(
  {
    enterprise: fc.boolean(),
    from_must_exist: fc.constantFrom(null, "none", true, false),
    abuse_contact: fc.constantFrom(null, "none", "abuse@b.test"),
    dkim_selector: fc.constantFrom(null, "none", "gate1"),
    alerts: fc.record(
      {
        mail: fc.constantFrom([], ["op@b.test"]),
        thresholds: fc.record(
          { spam: count, virus: count, bulk: count, program: count, undeliverable: count },
          { requiredKeys: [] },
        ),
        webhook: fc.constantFrom(null, "none", {
          url: "https://hook.test/a",
          secret: "0123456789abcdef0123",
        }),
        sms: fc.constantFrom(null, "none", { url: "https://sms.test/?key=1", to: "1" }),
      },
      { requiredKeys: [] },
    ),
    password_server: fc.constantFrom(null, "none", { protocol: "imap", host: "mail.b.test", port: "none" }),
  },
  { requiredKeys: [] },
);
const generated = fc.record(
  {
    domain: fc
      .constantFrom("a.test", "b.test")
      .chain((name) =>
        fc
          .record({ name: fc.constant(name), rules: fc.constantFrom(null, "none", ["virus"]), outgoing })
          .map((one) => [one]),
      ),
    sender: fc
      .constantFrom("a.test", "b.test")
      .map((domain) => [
        { login: "ann@c.test", domain, password_hash: CHEAP_HASH, limits: { per_hour: "none", per_day: 5 } },
      ]),
    delivery: fc.record({
      smarthost: fc.constantFrom(null, "none", { host: "smart.test", user: "u", password: "a word" }),
    }),
    settings: fc.record(
      {
        min_free: fc.constantFrom(null, "none", 0, 2_000_000, "128 MB", "1.5 GB"),
        postmaster: fc.constantFrom(null, "none", "pm@a.test"),
        console_url: fc.constantFrom(null, "none", "https://gate.test:8443"),
        domain_age: fc.constantFrom({}, { rdap: "none" }, { rdap: "https://rdap.test/", feed: "/x" }),
      },
      { requiredKeys: [] },
    ),
  },
  { requiredKeys: ["domain", "settings"] },
);

function words(result: PlanResult): readonly string[] {
  return result.ok
    ? result.changes.flatMap((change) => change.words)
    : result.problems.map(({ path, message }) => `${path}: ${message}`);
}

test("any policy: the plan of one's own export is empty, and on a gateway set otherwise it gives the same policy", async () => {
  await fc.assert(
    fc.asyncProperty(generated, generated, async (mine, theirs) => {
      const settings = await settingsOn(new MemoryStore());
      expect(words(await settings.apply(mine, { ...KEEP, actor: TESTER }))).not.toContain("is ");
      const { policy } = settings.current();
      expect(policy.domain).toHaveLength(1);
      for (const secrets of ["keep", "hide"] as const)
        for (const document of [
          parse(exportToml(policy, { secrets })),
          JSON.parse(JSON.stringify(exportDocument(policy, { secrets }))),
        ])
          for (const prune of [true, false])
            expect(words(await settings.plan(document, { prune }))).toEqual([]);
      const other = await settingsOn(new MemoryStore());
      expect((await other.apply(theirs, { ...KEEP, actor: TESTER })).ok).toBe(true);
      const moved = await other.apply(parse(exportToml(policy, { secrets: "keep" })), {
        prune: true,
        actor: TESTER,
      });
      expect(moved.ok ? [] : moved.problems).toEqual([]);
      const { listener: _, ...rest } = policy;
      expect(JSON.parse(JSON.stringify(other.current().policy))).toMatchObject(
        JSON.parse(JSON.stringify(rest)),
      );
    }),
    { numRuns: 60 },
  );
}, 60_000);

test("every setting of every section that can be nothing is said, or is nothing when it is left out", () => {
  const items = {
    domain: { name: "a.test" },
    sender: { login: "a@a.test", domain: "a.test" },
    rule: { name: "own" },
    listener: { name: "mx", listen: "127.0.0.1:25" },
    template: { name: "t", subject: "s", text: "t" },
    hook: { name: "h", kind: "clamd", address: "127.0.0.1:1" },
  };
  let seen = 0;
  const visit = (value: unknown, path: string, look: (path: string) => void): void => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      look(path);
      return;
    }
    for (const [key, inner] of Object.entries(value))
      visit(inner, path === "" ? key : `${path}.${key}`, look);
  };
  for (const [section, schema] of Object.entries(POLICY_SCHEMAS)) {
    const whole = schema.parse(Reflect.get(items, section) ?? {});
    visit(whole, "", (path) => {
      const emptied = structuredClone(whole);
      const keys = path.split(".");
      const last = keys.pop() ?? "";
      Reflect.set(
        keys.reduce<object>((at, key) => Reflect.get(at, key), emptied),
        last,
        null,
      );
      const there = schema.safeParse(emptied);
      if (!there.success) return;
      seen++;
      const said = writeNone(schema, there.data, { kept: false });
      const file = JSON.parse(JSON.stringify(said, (_, value) => (value === null ? undefined : value)));
      expect([section, path, schema.parse(readNone(schema, file))]).toEqual([section, path, there.data]);
    });
  }
  expect(seen).toBeGreaterThan(30);
});

test("`***` keeps the same sender's hash; where none is stored it is an error that says so", async () => {
  const settings = await settingsOn(new MemoryStore());
  const document = {
    domain: [{ name: "a.test" }],
    sender: [
      { login: "ann@a.test", domain: "a.test", password_hash: CHEAP_HASH },
      { kind: "domain", domain: "a.test", password_hash: CHEAP_HASH },
      { kind: "ip", range: "192.0.2.1", domain: "a.test" },
    ],
    delivery: { smarthost: { host: "smart.test", user: "u", password: "a word" } },
  };
  await settings.apply(document, { ...KEEP, actor: TESTER });
  const shown = exportToml(settings.current().policy, { secrets: "hide" });
  expect(shown).not.toContain("$argon2id");
  expect(shown).not.toContain("a word");
  expect(exportToml(settings.current().policy, { secrets: "keep" })).toContain(CHEAP_HASH);
  expect(words(await settings.apply(parse(shown), { prune: true, actor: TESTER }))).toEqual([]);
  const empty = await settingsOn(new MemoryStore());
  const refused = await empty.apply(parse(shown), { prune: true, actor: TESTER });
  const nothing =
    'is "***", which keeps what is stored, and this gateway has nothing stored for it; give it in clear, or use an export made with --secrets';
  expect(words(refused)).toEqual([
    `sender[0].password_hash: ${nothing}`,
    `sender[1].password_hash: ${nothing}`,
    `delivery.smarthost.password: ${nothing}`,
  ]);
  for (const field of ["password", "cram_password", "password_hash"]) {
    const sender = [{ login: "new@a.test", domain: "a.test", [field]: "***" }];
    expect(words(await settings.put("sender", sender[0], TESTER))).toEqual([
      `sender[0].${field}: ${nothing}`,
    ]);
  }
  // A new password beside a hidden hash is the new password.
  const anew = {
    login: "new@a.test",
    domain: "a.test",
    password_hash: "***",
    password: "Blue-Hover-Cranium-42!",
  };
  expect((await settings.put("sender", anew, TESTER)).ok).toBe(true);
});

test("a min_free above what is free is refused with both figures in every door; what stands may stay, and less may come", async () => {
  const GB = 1024 ** 3;
  let free = 3 * GB;
  const settings = await settingsOn(new MemoryStore(), { disk: () => ({ free, total: 20 * GB }) });
  const set = (min_free: unknown) => ({ settings: { min_free } });
  const refusal =
    "settings.min_free: 10 GB is more than is free now: 3.0 GB of the 20 GB disk of the data directory. All mail would be refused at once; set less, or make room first";
  for (const min_free of ["10 GB", "10GiB", 10 * GB, "10240 MB"]) {
    expect(words(await settings.plan(set(min_free), KEEP))).toEqual([refusal]);
    expect(words(await settings.apply(set(min_free), { ...KEEP, actor: TESTER }))).toEqual([refusal]);
    expect(words(await settings.put("settings", { min_free }, TESTER))).toEqual([refusal]);
  }
  for (const min_free of ["99999999999999 TB", "-1", "ten", "1 XB", "1e9"])
    expect(words(await settings.plan(set(min_free), KEEP))).toEqual([
      `settings.min_free: "${min_free}" is not a size; write it in octets or like 500 MB or 2 GB`,
    ]);
  expect((await settings.put("settings", { min_free: "2 GB" }, TESTER)).ok).toBe(true);
  free = GB;
  expect((await settings.put("settings", { log_keep: "7d" }, TESTER)).ok).toBe(true);
  expect((await settings.put("settings", { min_free: "1.5 GB" }, TESTER)).ok).toBe(false);
  expect((await settings.put("settings", { min_free: "none" }, TESTER)).ok).toBe(true);
  expect(settings.current().policy.settings.min_free).toBeNull();
});

test("what is required and was emptied names its default", async () => {
  const settings = await settingsOn(new MemoryStore());
  const problems = async (document: object) => words(await settings.plan(document, KEEP));
  expect(await problems({ delivery: { connect_timeout: "", cut_through_wait: "", retry: [] } })).toEqual([
    "delivery.retry: must have at least 1 entries; the default is 1m, 5m, 15m, 30m, 1h, 2h, 4h",
    "delivery.connect_timeout: is empty; the default is 30s",
    "delivery.cut_through_wait: is empty; the default is 8s",
  ]);
  expect(
    await problems({
      settings: { note_header: "", log_keep: "" },
      listener: [{ name: "mx", listen: "127.0.0.1:25", min_data_rate: "", max_message_bytes: "" }],
    }),
  ).toEqual([
    "settings.log_keep: is empty; the default is 90d",
    "settings.note_header: is empty; the default is X-Gatepost",
    "listener[0].max_message_bytes: is empty; the default is 52428800",
    "listener[0].min_data_rate: is empty; the default is 500",
  ]);
});
