// Changing settings: one after the other, stored before they are in force, and a store with foreign items in it.
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Log, LogFields } from "../../src/observe/log.ts";
import { silentLog } from "../../src/observe/log.ts";
import { createPolicyStore } from "../../src/policy/policy-store.ts";
import { InitialPolicyError } from "../../src/policy/run-settings.ts";
import {
  deliverySchema,
  domainSchema,
  hookSchema,
  listenerSchema,
  networksSchema,
  ruleSchema,
  senderSchema,
  settingsSchema,
} from "../../src/policy/schema.ts";
import { gatepostMigrations } from "../../src/store/gatepost-migrations.ts";
import { openDatabase } from "../../src/store/open-database.ts";
import { CHEAP_HASH, MemoryStore, settingsOn, TESTER } from "./policy-fixtures.ts";

const names = (settings: Awaited<ReturnType<typeof settingsOn>>): readonly string[] =>
  settings.current().policy.domain.map((domain) => String(domain.name));

describe("changes", () => {
  test("come one after the other, none is lost", async () => {
    const store = new MemoryStore();
    store.delayMs = 3;
    const settings = await settingsOn(store);
    const version = settings.current().version;
    await Promise.all(
      Array.from({ length: 12 }, (_, i) => settings.put("domain", { name: `d${i}.test` }, TESTER)),
    );
    expect(names(settings)).toHaveLength(12);
    expect(settings.current().version).toBe(version + 12);
    expect(names(await settingsOn(store))).toHaveLength(12);
  });

  test("one that cannot be stored is not in force, and the next one is", async () => {
    const store = new MemoryStore();
    const settings = await settingsOn(store);
    const before = settings.current();
    store.failure = new Error("disk full");
    await expect(settings.put("domain", { name: "a.test" }, TESTER)).rejects.toThrow("disk full");
    expect(settings.current()).toBe(before);
    store.failure = null;
    expect((await settings.put("domain", { name: "b.test" }, TESTER)).ok).toBe(true);
    expect(names(settings)).toEqual(["b.test"]);
  });

  test("are told to listeners, of which a broken one disturbs nobody", async () => {
    const settings = await settingsOn(new MemoryStore());
    const seen: string[] = [];
    settings.onChange(() => {
      throw new Error("broken part");
    });
    const stop = settings.onChange((now, before) => seen.push(`${before.version} → ${now.version}`));
    await settings.put("domain", { name: "a.test" }, TESTER);
    await settings.put("domain", { name: "a.test" }, TESTER);
    stop();
    await settings.put("domain", { name: "b.test" }, TESTER);
    expect(seen).toEqual(["1 → 2"]);
  });

  test("are written to the audit log with their actor and time", async () => {
    const store = new MemoryStore();
    const settings = await settingsOn(store);
    await settings.put(
      "networks",
      { trusted: ["10.0.0.0/8"] },
      { name: "admin@example.org", via: "console", ip: "10.0.0.1" },
    );
    expect(store.audit.at(-1)).toEqual({
      actor: "admin@example.org",
      at: 1_795_000_000_000,
      words: ["networks: trusted + 10.0.0.0/8"],
    });
  });
});

describe("removing", () => {
  test("an item, once", async () => {
    const settings = await settingsOn(new MemoryStore(), { initial: { domain: [{ name: "a.test" }] } });
    expect(await settings.remove("domain", "a.test", TESTER)).toBe(true);
    expect(await settings.remove("domain", "a.test", TESTER)).toBe(false);
    expect(await settings.remove("delivery", "", TESTER)).toBe(false);
  });
  test("an own rule takes its name out of domains and senders; a changed shipped one keeps it", async () => {
    const settings = await settingsOn(new MemoryStore(), {
      initial: {
        rule: [
          { name: "mine", when: "client.tls", action: "reject" },
          { name: "virus", mode: "observe" },
        ],
        domain: [{ name: "a.test", rules: ["mine", "virus"] }],
        sender: [{ kind: "domain", domain: "a.test", rules: ["mine"] }],
      },
    });
    await settings.remove("rule", "mine", TESTER);
    await settings.remove("rule", "virus", TESTER);
    expect(settings.current().policy.domain[0]?.rules).toEqual(["virus"]);
    expect(settings.current().policy.sender[0]?.rules).toEqual([]);
    expect((await settings.plan({}, { prune: false })).ok).toBe(true);
  });
});

describe("a store with items this version cannot use", () => {
  test("they are reported, left alone, and can be removed or saved anew", async () => {
    const store = new MemoryStore();
    await settingsOn(store, { initial: { domain: [{ name: "a.test" }] } });
    store.rows.set("domain b.test", {
      section: "domain",
      key: "b.test",
      value: { name: "b.test", from_the_future: 1 },
    });
    store.rows.set("domain c.test", {
      section: "domain",
      key: "c.test",
      value: { name: "c.test", from_the_future: 1 },
    });
    store.rows.set("gadget x", { section: "gadget", key: "x", value: {} });
    const errors: LogFields[] = [];
    const log: Log = { ...silentLog, error: (fields) => errors.push(fields) };
    const settings = await settingsOn(store, { log });
    expect(errors).toMatchObject([
      { section: "domain", key: "b.test", problems: ["domain.from_the_future: is not a setting here"] },
      { section: "domain", key: "c.test" },
      { section: "gadget", key: "x", problems: ["gadget: is not a section this version knows"] },
    ]);
    expect(names(settings)).toEqual(["a.test"]);
    await settings.put("domain", { name: "d.test" }, TESTER);
    expect(store.rows.get("domain b.test")?.value).toEqual({ name: "b.test", from_the_future: 1 });
    expect(await settings.remove("domain", "b.test", TESTER)).toBe(true);
    expect(store.rows.has("domain b.test")).toBe(false);
    await settings.put("domain", { name: "c.test" }, TESTER);
    expect(names(settings)).toEqual(["a.test", "d.test", "c.test"]);
    errors.length = 0;
    await settingsOn(store, { log });
    expect(errors).toHaveLength(1);
  });
});

test("an initial document that cannot be used stops the start and says why", async () => {
  const store = new MemoryStore();
  const start = settingsOn(store, { initial: { domain: [{ name: "a.test", rules: ["virsu"] }] } });
  await expect(start).rejects.toBeInstanceOf(InitialPolicyError);
  await expect(start).rejects.toThrow('domain[0].rules[0]: there is no rule "virsu"');
  expect(store.rows.size).toBe(0);
});

const folder = mkdtempSync(join(tmpdir(), "gatepost-policy-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("in the real database: kept, changed, removed, with audit entries", async () => {
  const options = {
    path: join(folder, "gatepost.db"),
    migrations: gatepostMigrations,
    log: silentLog,
    onBroken: () => {},
  };
  const database = await openDatabase(options);
  const settings = await settingsOn(createPolicyStore(database), {
    initial: {
      domain: [{ name: "a.test" }, { name: "b.test" }],
      sender: [{ login: "x@a.test", domain: "a.test", password_hash: CHEAP_HASH }],
    },
  });
  await settings.put("domain", { name: "a.test", rules: ["virus"] }, TESTER);
  await settings.remove("domain", "b.test", TESTER);
  await database.close();
  const again = await openDatabase(options);
  const loaded = await settingsOn(createPolicyStore(again));
  expect(loaded.current().policy.domain).toEqual(settings.current().policy.domain);
  expect(loaded.current().userSender("x@a.test")?.password_hash).toBe(CHEAP_HASH);
  const rows = await again.query({ sql: "select action, subject from audit_log order by rowid", params: [] });
  expect(rows.slice(-2).map((row) => row.join(" "))).toEqual([
    "policy.change domain a.test",
    "policy.remove domain b.test",
  ]);
  await again.close();
});

test("the schema's defaults", () => {
  expect(listenerSchema.parse({ name: "a", listen: "0.0.0.0:25" })).toEqual({
    name: "a",
    listen: "0.0.0.0:25",
    tls: "starttls",
    auth: "off",
    auth_without_tls: false,
    cram_md5: false,
    relay: ["trusted-networks"],
    proxy_from: [],
    clients: [],
    content_checks: true,
    greylist: false,
    refuse_outsiders_claiming_local: false,
    max_message_bytes: 52_428_800,
    max_connections: 5000,
    max_connections_per_client: 100,
    max_recipients: 1000,
    idle_timeout: "5m",
    min_data_rate: 500,
    strict_syntax: "strangers",
    bare_lf: "refuse",
    bare_lf_trusted: "normalise",
    nul: "keep",
    header_controls: "refuse",
    hide_clients: "log-ins",
    greeting_delay: 100,
    enabled: true,
  });
  expect(networksSchema.parse({})).toEqual({ trusted: [], excepted: [], forwards: "allow" });
  expect(domainSchema.parse({ name: "a.test", routes: [{ host: "x" }] }) as object).toEqual({
    name: "a.test",
    routes: [{ host: "x", port: 25, priority: 10, tls: "opportunistic" }],
    recipients: { verify: "callout", list: [], cache: "1h", when_down: "tempfail" },
    cut_through: true,
    recipient_delimiter: "",
    rules: null,
    outgoing: {
      barred: false,
      enterprise: false,
      from_must_exist: null,
      known_identities_only: null,
      require_tls: null,
      limit_identities: null,
      lock_identities: null,
      default_limits: { per_minute: 30, per_hour: 300, recipients_per_day: 1000 },
      link_same_password: false,
      abuse_contact: null,
      alerts: {
        mail: [],
        webhook: null,
        sms: null,
        thresholds: { spam: 5, virus: 1, bulk: 1, program: 5, undeliverable: 10, window: "1h" },
      },
      report: { every: "off", hour: 7, weekday: "monday", timezone: "UTC", to: [] },
      password_server: null,
      dkim_selector: null,
    },
    enabled: true,
  });
  const noLimits = {
    per_minute: null,
    per_hour: null,
    per_day: null,
    per_week: null,
    per_month: null,
    recipients_per_day: null,
  };
  expect(senderSchema.parse({ login: "x@a.test", domain: "a.test" }) as object).toEqual({
    kind: "user",
    login: "x@a.test",
    domain: "a.test",
    identify_by: "authenticated-user",
    send_as: [],
    domains: [],
    except_rules: [],
    rules: [],
    limits: noLimits,
    identity_limits: noLimits,
    lock: {
      identity: true,
      sender: false,
      spam: 5,
      window: "10m",
      timeout: "1h",
      max_unlocks: 2,
      template: "lock-notice",
    },
    quarantine_response: "rejected",
    archive: false,
    block: [],
    reauthentication_permitted: false,
    enabled: true,
  });
  expect(ruleSchema.parse({ name: "a" })).toEqual({
    name: "a",
    description: "",
    mode: "enforce",
    priority: 5000,
    scope: { directions: [], domains: [], addresses: [], senders: [] },
  });
  expect(hookSchema.parse({ name: "a", kind: "clamd", address: "127.0.0.1:3310" })).toEqual({
    name: "a",
    kind: "clamd",
    address: "127.0.0.1:3310",
    timeout: "30s",
    enabled: true,
  });
  expect(deliverySchema.parse({})).toEqual({
    smarthost: null,
    tls: "opportunistic",
    max_connections_per_destination: 20,
    retry: ["1m", "5m", "15m", "30m", "1h", "2h", "4h"],
    give_up_after: "5d",
    delay_notice_after: "4h",
    connect_timeout: "30s",
    cut_through_wait: "8s",
  });
  expect(settingsSchema.parse({})).toEqual({
    quarantine_keep: "30d",
    log_keep: "90d",
    min_free: null,
    note_header: "X-Gatepost",
    subject_warnings: true,
    postmaster: null,
    check_timeout: "20s",
    console_url: null,
    malware_release: "administrators",
    self_service: true,
    domain_age: { feed: "", rdap: null },
  });
});

test.each([
  [{}, "envelope-sender"],
  [{ identify_by: "authenticated-user" }, "envelope-sender"],
  [{ identify_by: "envelope-sender" }, "envelope-sender"],
  [{ identify_by: { header: "X-Who" } }, { header: "X-Who", remove: false }],
])("nobody logs in from an address range: with %j it goes by %j", (given, wanted) => {
  const sender = senderSchema.parse({ kind: "ip", range: "203.0.113.32", domain: "a.test", ...given });
  expect(sender.identify_by as unknown).toEqual(wanted);
});
