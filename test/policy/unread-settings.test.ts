// Stored settings of a newer version: for every section, what depends on one that cannot be read is put off or held, twice in a row, until it
// is saved anew or removed. The real store.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createAlarms } from "../../src/observe/alarms.ts";
import { silentLog } from "../../src/observe/log.ts";
import { createPolicyStore, type PolicyStore, type StoredItem } from "../../src/policy/policy-store.ts";
import { sendsNothing } from "../../src/policy/sends-nothing.ts";
import type { Settings } from "../../src/policy/settings.ts";
import type { PolicySnapshot } from "../../src/policy/snapshot.ts";
import { unreadAlarm, unreadComment, unreadWords } from "../../src/policy/unread.ts";
import { gatepostMigrations } from "../../src/store/gatepost-migrations.ts";
import { openDatabase } from "../../src/store/open-database.ts";
import { address, CHEAP_HASH, client, settingsOn, TESTER } from "./policy-fixtures.ts";

const POLICY = {
  listener: [
    { name: "mx", listen: "127.0.0.1:2525", relay: ["trusted-networks", "authenticated"], auth: "optional" },
  ],
  networks: { trusted: ["10.0.0.0/8"] },
  domain: [
    { name: "one.test", rules: ["virus", "dangerous-attachments"], routes: [{ host: "127.0.0.1" }] },
    { name: "two.test", rules: ["virus", "dangerous-attachments", "mine"], routes: [{ host: "127.0.0.1" }] },
  ],
  sender: [
    { kind: "user", login: "ann@one.test", domain: "one.test", password_hash: CHEAP_HASH },
    { kind: "ip", range: "10.9.0.0/16", domain: "one.test" },
    { kind: "domain", domain: "two.test", password_hash: CHEAP_HASH },
  ],
  rule: [
    { name: "mine", when: 'client.helo == "bad.example"', action: "reject" },
    {
      name: "ours",
      when: 'client.helo == "bad.example"',
      action: "reject",
      scope: { domains: ["one.test"] },
    },
    { name: "seen", when: 'client.helo == "bad.example"', action: "reject", mode: "observe" },
    { name: "dangerous-attachments", mode: "off", scope: { domains: ["two.test"] } },
  ],
  template: [{ name: "own", subject: "Locked", text: "You are locked." }],
  hook: [
    { name: "clam", kind: "clamd", address: "127.0.0.1:3310" },
    { name: "spare", kind: "clamd", address: "127.0.0.1:3311", enabled: false },
  ],
  delivery: { smarthost: { host: "127.0.0.1", port: 2601, user: "u", password: "p" }, give_up_after: "9d" },
  settings: { log_keep: "400d", self_service: false },
};

const folder = mkdtempSync(join(tmpdir(), "gatepost-unread-"));
let database: Awaited<ReturnType<typeof openDatabase>>;
let store: PolicyStore;
let whole: readonly StoredItem[];

beforeAll(async () => {
  database = await openDatabase({
    path: join(folder, "gatepost.db"),
    migrations: gatepostMigrations,
    log: silentLog,
    onBroken: () => {},
  });
  store = createPolicyStore(database);
  await settingsOn(store, { initial: POLICY });
  whole = await store.load();
});
afterAll(async () => {
  await database.close();
  rmSync(folder, { recursive: true, force: true });
});

/** The settings as the second start after the roll-back finds them. `change`: what a newer version has made of the item. */
async function rolledBack(
  section: string,
  key: string,
  change: (value: object) => unknown = (value) => ({ ...value, from_a_newer_version: 1 }),
): Promise<Settings> {
  const row = whole.find((item) => item.section === section && item.key === key);
  if (row === undefined) throw new Error(`there is no ${section} ${key}`);
  await store.rewrite([...whole, { ...row, value: change(Object(row.value)) }]);
  await settingsOn(store);
  return settingsOn(store);
}

const to = (
  now: PolicySnapshot,
  recipient: string,
  over: Parameters<typeof client>[0] = {},
): number | string => {
  const listener = now.listener("mx");
  if (listener === null) return "no listener";
  const answer = now.mayRelay(listener, client(over), address(recipient));
  return answer.granted ? answer.direction : answer.reply.code;
};
const from = (now: PolicySnapshot, path: string, over: Parameters<typeof client>[0] = {}): number | null => {
  const listener = now.listener("mx");
  if (listener === null) throw new Error("no listener");
  const envelope = now.refuseSender(listener, client(over), address(path));
  const header = now.refuseHeaderFrom(listener, client(over), { reversePath: null, from: [address(path)] });
  expect(header?.code).toBe(envelope?.code);
  return envelope?.code ?? null;
};
const judged = (now: PolicySnapshot, recipient: string): string => {
  const subject = {
    recipient: address(recipient),
    direction: "inbound",
    reversePath: null,
    login: null,
  } as const;
  const verdict = now.decide({ "client.helo": "good.example" }, subject);
  return `${verdict.action} ${verdict.replyCode} ${verdict.rule}`;
};
const ways = (now: PolicySnapshot): readonly string[] =>
  ["b@one.test", "b@two.test", "b@world.test"].map((recipient) => {
    const way = now.destination(address(recipient));
    return way.kind === "routes" && way.held !== undefined ? "held" : way.key;
  });
const OPEN = ["routes:one.test", "routes:two.test", "smarthost:127.0.0.1:2601"];
const LAN = { ip: "10.1.2.3" };

test("nothing unread: all as set", async () => {
  await store.rewrite(whole);
  const now = (await settingsOn(store)).current();
  expect(now.unread.items).toEqual([]);
  expect([to(now, "b@one.test"), to(now, "b@world.test"), to(now, "b@world.test", LAN)]).toEqual([
    "inbound",
    550,
    "outbound",
  ]);
  expect(ways(now)).toEqual(OPEN);
  expect(judged(now, "b@one.test")).toStartWith("accept 250");
  expect([now.isUnreadLogin("ann@one.test"), now.isUnreadLogin("x@two.test")]).toEqual([false, false]);
});

describe("what cannot be read is put off, and nothing else", () => {
  test("a domain", async () => {
    const now = (await rolledBack("domain", "two.test")).current();
    expect([to(now, "b@two.test"), to(now, "b@two.test", LAN), to(now, "b@one.test")]).toEqual([
      451,
      451,
      "inbound",
    ]);
    expect(from(now, "a@two.test", LAN)).toBe(451);
    expect(from(now, "cron@web.two.test", LAN)).toBe(451);
    expect(from(now, "a@two.test")).toBeNull();
    expect(from(now, "a@one.test", LAN)).toBeNull();
    expect([
      now.isUnreadLogin("x@two.test"),
      now.isUnreadLogin("two.test"),
      now.isUnreadLogin("ann@one.test"),
    ]).toEqual([true, true, false]);
    expect(ways(now)).toEqual(["routes:one.test", "held", "smarthost:127.0.0.1:2601"]);
    expect(now.refuseDomainOf(address("a@two.test"), "")?.code).toBe(451);
    expect(sendsNothing(now, { sender: "", reversePath: "a@two.test" })?.domain).toBe("two.test");
    expect(sendsNothing(now, { sender: "", reversePath: "a@one.test" })).toBeNull();
  });
  test.each([
    ["an own rule that domains name", "mine", "accept 250 null", "tempfail 451 mine"],
    ["an own rule with a scope", "ours", "tempfail 451 ours", "accept 250 null"],
    [
      "a rule of the product that is switched off somewhere",
      "dangerous-attachments",
      "accept 250 null",
      "accept 250 null",
    ],
    ["a rule that only observes", "seen", "accept 250 null", "accept 250 null"],
  ])("%s", async (_, key, one, two) => {
    const now = (await rolledBack("rule", key)).current();
    expect([judged(now, "b@one.test"), judged(now, "b@two.test")]).toEqual([one, two]);
    expect(ways(now)).toEqual(OPEN);
  });
  test.each([
    [
      "a scope of a newer version",
      "ours",
      { scope: { countries: ["xx"] } },
      "tempfail 451 ours",
      "tempfail 451 ours",
    ],
    ["a fact of a newer version", "ours", { when: "comet.seen" }, "tempfail 451 ours", "accept 250 null"],
    ["an action of a newer version", "ours", { action: "teleport" }, "tempfail 451 ours", "accept 250 null"],
  ])("a rule with %s", async (_, key, part, one, two) => {
    const now = (await rolledBack("rule", key, (value) => ({ ...value, ...part }))).current();
    expect([judged(now, "b@one.test"), judged(now, "b@two.test")]).toEqual([one, two]);
    expect(now.unread.items).toHaveLength(1);
  });
  test("a rule of the product that is off for one domain stays off there, and on elsewhere; with a scope nobody can read it puts off", async () => {
    const rejecting = async (part: object): Promise<readonly string[]> => {
      const now = (
        await rolledBack("rule", "dangerous-attachments", (value) => ({ ...value, ...part }))
      ).current();
      const facts = { "attachments.dangerous": ["x.exe"], "client.helo": "x" };
      return ["b@one.test", "b@two.test"].map((recipient) => {
        const subject = {
          recipient: address(recipient),
          direction: "inbound",
          reversePath: null,
          login: null,
        } as const;
        return now.decide(facts, subject).action;
      });
    };
    expect(await rejecting({})).toEqual(["quarantine", "accept"]);
    expect(await rejecting({ from_a_newer_version: 1 })).toEqual(["quarantine", "accept"]);
    expect(await rejecting({ scope: { countries: ["xx"] } })).toEqual(["tempfail", "tempfail"]);
  });
  test("a rule of the product that only a newer version has", async () => {
    const now = (
      await rolledBack("domain", "two.test", (value) => ({ ...value, rules: ["virus", "comets"] }))
    ).current();
    expect([judged(now, "b@one.test"), judged(now, "b@two.test")]).toEqual([
      "accept 250 null",
      "tempfail 451 comets",
    ]);
    expect(now.unread.items.map(unreadAlarm)).toEqual(["setting domain two.test"]);
  });
  test.each([
    ["a scanner", "clam", ["clam"]],
    ["a scanner that is switched off", "spare", []],
  ])("%s", async (_, key, asked) => {
    const { unread } = (await rolledBack("hook", key)).current();
    expect(unread.hooks).toEqual(asked);
    expect(unread.items).toHaveLength(1);
  });
  test("the networks: nobody relays, and who may be one of ours is put off", async () => {
    const now = (await rolledBack("networks", "")).current();
    expect([to(now, "b@world.test", LAN), to(now, "b@world.test"), to(now, "b@one.test")]).toEqual([
      451,
      451,
      "inbound",
    ]);
    expect([from(now, "a@one.test", LAN), from(now, "a@world.test")]).toEqual([451, null]);
    expect(now.trustedNetwork("10.1.2.3")).toBeNull();
    // As a stranger's, what a second MX hands in would be refused by SPF and DMARC of its address.
    expect([to(now, "b@one.test", LAN), to(now, "b@one.test", { ip: "11.1.2.3" })]).toEqual([451, "inbound"]);
    // Forms show what can be read of it.
    expect(now.policy.networks.trusted.map(String)).toEqual(["10.0.0.0/8"]);
  });
  const ODD = [{ trusted: "::/0" }, { trusted: [{}] }, { trusted: ["::1", "10.0.0.0-9"] }, { in: [] }, 4];
  for (const row of ODD)
    test(`networks like ${JSON.stringify(row)}, not all of them known: nobody is a stranger`, async () => {
      const now = (await rolledBack("networks", "", () => row)).current();
      for (const over of [LAN, {}, { ip: "11.1.2.3" }])
        expect([to(now, "b@one.test", over), to(now, "b@world.test", over)]).toEqual([451, 451]);
      expect(now.unread.items.map(unreadWords).join()).toContain("all mail that comes without a login");
    });
  test.each([
    ["a user", "ann@one.test", { ip: "10.9.1.1" }, "outbound", ["ann@one.test"]],
    ["an IP sender, which the network around it does not let in", "10.9.0.0/16", { ip: "10.9.1.1" }, 451, []],
    ["a domain's log-in", "@two.test", { ip: "10.9.1.1" }, "outbound", ["two.test"]],
  ] as const)("a sender: %s", async (_, key, over, answer, logins) => {
    const now = (await rolledBack("sender", key)).current();
    expect([to(now, "b@world.test", over), to(now, "b@world.test", LAN)]).toEqual([answer, "outbound"]);
    expect(["ann@one.test", "bob@one.test", "two.test"].filter(now.isUnreadLogin)).toEqual([...logins]);
    expect(to(now, "b@one.test")).toBe("inbound");
  });
  test.each([
    ["a setting more", { from_a_newer_version: 1 }],
    ["a smart host of a newer version", { smarthost: { host: "127.0.0.1", tunnel: true } }],
    ["a password that another key has sealed", null],
  ])("delivery with %s: mail to the outside is held", async (_, part) => {
    const strange = { seal: (text: string) => text, open: () => null };
    const settings = await rolledBack("delivery", "", (value) =>
      part === null
        ? { ...value, smarthost: { host: "127.0.0.1", port: 2601, user: "u", password: "sealed:x" } }
        : { ...value, ...part },
    );
    const now = (part === null ? await settingsOn(store, { seal: strange }) : settings).current();
    expect(ways(now)).toEqual(["routes:one.test", "routes:two.test", "held"]);
    expect(now.policy.delivery.give_up_after).toBe("9d");
  });
  test.each([
    ["a setting more", { from_a_newer_version: 1 }, []],
    ["a time nobody can read", { log_keep: { days: 4 } }, ["log_keep"]],
    ["a source of a newer version", { domain_age: { whois: "x" } }, ["domain_age"]],
    ["self_service of a newer version", { self_service: "sometimes" }, ["self_service"]],
  ])("the general settings with %s: the rest holds, and nothing opens", async (_, part, lost) => {
    const { policy, unread } = (
      await rolledBack("settings", "", (value) => ({ ...value, ...part }))
    ).current();
    expect([policy.settings.self_service, [...unread.settings], unread.items.length]).toEqual([
      false,
      lost,
      1,
    ]);
    if (lost.length === 0) expect(policy.settings.log_keep).toBe("400d");
  });
  test("a listener is not opened, a template not used", async () => {
    expect((await rolledBack("listener", "mx")).current().listener("mx")).toBeNull();
    expect((await rolledBack("template", "own")).current().policy.template).toEqual([]);
  });
});

describe("each is an alarm, until it is saved anew or removed", () => {
  /** The names of the alarms now. */
  const alarms = (settings: Settings) => settings.current().unread.items.map(unreadAlarm);

  test.each([
    ["listener", "mx"],
    ["networks", ""],
    ["domain", "two.test"],
    ["sender", "ann@one.test"],
    ["sender", "10.9.0.0/16"],
    ["rule", "mine"],
    ["template", "own"],
    ["hook", "clam"],
    ["delivery", ""],
    ["settings", ""],
  ] as const)("%s %s", async (section, key) => {
    const settings = await rolledBack(section, key);
    // Nothing waits for a text, nor for settings of which all that is known here is in force.
    const kind = section === "template" || section === "settings" ? "setting aside" : "setting";
    const name = `${kind} ${`${section} ${key}`.trimEnd()}` as const;
    expect(alarms(settings)).toEqual([name]);
    const [item] = settings.current().unread.items;
    const words = item === undefined ? "" : unreadWords(item);
    expect(words).toContain(`"${key === "" ? section : `${section} ${key}`}"`);
    expect(words).toContain("from_a_newer_version");
    // Another change leaves it.
    await settings.put("template", { name: "other", subject: "x", text: "y" }, TESTER);
    expect(alarms(settings)).toEqual([name]);
    expect(unreadComment(settings.current().unread)).toBe(`# ${words}\n`);
    const told: number[] = [];
    settings.onChange(({ unread }) => told.push(unread.items.length));
    const given = whole.find((row) => row.section === section && row.key === key)?.value;
    const { from_a_newer_version: _, ...value } = Object(given);
    const saved = await settings.put(section, value, TESTER);
    expect(saved.ok).toBe(true);
    expect([alarms(settings), told]).toEqual([[], [0]]);
    expect(alarms(await settingsOn(store))).toEqual([]);
    // Removed it is gone as well; what is always there is then as by default.
    const other = await rolledBack(section, key);
    expect(await other.remove(section, key, TESTER)).toBe(true);
    expect([alarms(other), alarms(await settingsOn(store))]).toEqual([[], []]);
    await restore();
  });

  test("a secret that another key has sealed: all else is in force", async () => {
    await restore();
    const alerts = { webhook: { url: "https://example.org/x", secret: "sealed:x" } };
    await rolledBack("domain", "two.test", (value) => ({ ...value, outgoing: { alerts } }));
    const seal = { seal: (text: string) => text, open: () => null };
    const settings = await settingsOn(store, { seal });
    expect([to(settings.current(), "b@two.test"), ...alarms(settings)]).toEqual([
      "inbound",
      "secret of domain two.test",
    ]);
    await restore();
  });

  test("a section of a newer version; a whole file takes it away", async () => {
    await restore();
    await store.save(
      [
        {
          section: "comet",
          key: "x",
          value: {},
          change: { section: "settings", key: "x", kind: "add", before: null, after: null, words: [] },
        },
      ],
      TESTER,
      1,
    );
    const settings = await settingsOn(store);
    expect(alarms(settings)).toEqual(["setting aside comet x"]);
    const planned = await settings.plan(POLICY, { prune: true });
    expect(planned.ok && planned.changes.flatMap(({ words }) => words)).toContain("comet x: removed");
    expect((await settings.apply(POLICY, { prune: true, actor: TESTER })).ok).toBe(true);
    expect([alarms(settings), alarms(await settingsOn(store))]).toEqual([[], []]);
  });

  test("a tenant can neither overwrite nor remove what nobody can read", async () => {
    const settings = await rolledBack("domain", "two.test");
    const tenant = { ...TESTER, domains: ["two.test"] };
    expect((await settings.put("domain", { name: "two.test" }, tenant)).ok).toBe(false);
    expect(await settings.remove("domain", "two.test", tenant)).toBe(false);
    expect(alarms(settings)).toEqual(["setting domain two.test"]);
  });

  test("the list of alarms follows", async () => {
    const { watchUnread } = await import("../../src/gateway/watch-unread.ts");
    const list = createAlarms({ now: () => 1, after: () => () => {} }, silentLog);
    const settings = await rolledBack("hook", "clam");
    watchUnread({ alarms: list, metrics: { gauge: () => {} } }, settings);
    expect(list.list().map(({ name }) => name)).toEqual(["setting hook clam"]);
    await settings.remove("hook", "clam", TESTER);
    expect(list.list()).toEqual([]);
  });
});

/** All rows as they were at first. */
async function restore(): Promise<void> {
  const settings = await settingsOn(store);
  await settings.apply(POLICY, { prune: true, actor: TESTER });
  const there = new Set((await store.load()).map(({ section, key }) => `${section} ${key}`));
  expect(whole.filter(({ section, key }) => !there.has(`${section} ${key}`))).toEqual([]);
  await store.rewrite(whole);
}
