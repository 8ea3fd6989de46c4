// Whatever a stored row has become, in every section and field: nothing opens, nothing is deleted earlier, nothing bounces, nothing that was
// off acts; and its alarm is one of a gateway that is not well where mail really waits for it, and nowhere else.
import { expect, test } from "bun:test";
import { isUnwell } from "../../src/observe/alarm-kinds.ts";
import { POLICY_SCHEMAS } from "../../src/policy/schema.ts";
import { sendsNothing } from "../../src/policy/sends-nothing.ts";
import type { PolicySection } from "../../src/policy/settings.ts";
import type { PolicySnapshot } from "../../src/policy/snapshot.ts";
import { logKeepMs, quarantineKeepMs, tryingTimes } from "../../src/policy/times-in-force.ts";
import { unreadAlarm, unreadWords } from "../../src/policy/unread.ts";
import { address, CHEAP_HASH, client, MemoryStore, settingsOn, TESTER } from "./policy-fixtures.ts";

const BAD = 'client.helo == "bad.example"';
const POLICY = {
  listener: [
    { name: "mx", listen: "127.0.0.1:2525", relay: ["trusted-networks", "authenticated"], auth: "optional" },
    { name: "off", listen: "127.0.0.1:2526", enabled: false },
  ],
  networks: { trusted: ["10.0.0.0/8"] },
  domain: [
    { name: "one.test", rules: ["virus", "dangerous-attachments"], routes: [{ host: "127.0.0.1" }] },
    { name: "two.test", rules: ["virus", "dangerous-attachments", "mine"], routes: [{ host: "127.0.0.1" }] },
    { name: "gone.test", enabled: false },
  ],
  sender: [
    { kind: "user", login: "ann@one.test", domain: "one.test", password_hash: CHEAP_HASH },
    { kind: "user", login: "off@one.test", domain: "one.test", password_hash: CHEAP_HASH, enabled: false },
    { kind: "ip", range: "10.9.0.0/16", domain: "one.test" },
    { kind: "ip", range: "11.9.0.0/16", domain: "one.test" },
    { kind: "domain", domain: "two.test", password_hash: CHEAP_HASH },
  ],
  rule: [
    { name: "mine", when: BAD, action: "reject" },
    { name: "seen", when: BAD, action: "reject", mode: "observe" },
    { name: "never", when: BAD, action: "reject", mode: "off" },
    { name: "dangerous-attachments", mode: "off", scope: { domains: ["two.test"] } },
    { name: "subject-marks", mode: "off" },
  ],
  template: [{ name: "own", subject: "Locked", text: "You are locked." }],
  hook: [
    { name: "clam", kind: "clamd", address: "127.0.0.1:3310" },
    { name: "spare", kind: "clamd", address: "127.0.0.1:3311", enabled: false },
  ],
  delivery: {
    smarthost: { host: "127.0.0.1", port: 2601, user: "u", password: "p" },
    give_up_after: "14d",
    delay_notice_after: "15d",
  },
  settings: {
    log_keep: "400d",
    quarantine_keep: "300d",
    self_service: false,
    subject_warnings: false,
    domain_age: { rdap: "https://rdap.example/" },
  },
};

const filled = new MemoryStore();
await settingsOn(filled, { initial: POLICY });
const whole = await filled.load();

async function snapshotWith(row: { section: string; key: string }, value: unknown): Promise<PolicySnapshot> {
  const store = new MemoryStore();
  await store.rewrite(
    whole.map((one) => (one.section === row.section && one.key === row.key ? { ...one, value } : one)),
  );
  return (await settingsOn(store)).current();
}

const CLIENTS = [
  {},
  { ip: "10.1.2.3" },
  { ip: "10.9.1.1" },
  { ip: "11.9.1.1" },
  { login: "ann@one.test" },
  { login: "off@one.test" },
  { login: "two.test" },
].map(client);
const RECIPIENTS = ["b@one.test", "b@two.test", "b@gone.test", "b@world.test"].map(address);
const LOGINS = ["ann@one.test", "off@one.test", "x@two.test", "two.test"];

/** Code, or the direction of what is taken, for each client and recipient; null: no listener, and nobody can ask. */
function relayed(now: PolicySnapshot): readonly (string | number | null)[] {
  const listener = now.listener("mx");
  return CLIENTS.flatMap((who) =>
    RECIPIENTS.map((recipient) => {
      if (listener === null) return null;
      const answer = now.mayRelay(listener, who, recipient);
      return answer.granted ? answer.direction : answer.reply.code;
    }),
  );
}
function written(now: PolicySnapshot): readonly (string | number | null)[] {
  const listener = now.listener("mx");
  return CLIENTS.flatMap((who) =>
    RECIPIENTS.map((from) =>
      listener === null ? null : (now.refuseSender(listener, who, from)?.code ?? "taken"),
    ),
  );
}
/** What rules do with mail that has something bad in it, and with what has not. */
function judged(now: PolicySnapshot): readonly (string | number)[] {
  const facts = [
    { "client.helo": "bad.example", "attachments.dangerous": ["x.exe"] },
    { "client.helo": "good.example", "attachments.dangerous": [] },
  ];
  return facts.flatMap((given) =>
    RECIPIENTS.slice(0, 2).map((recipient) => {
      const subject = { recipient, direction: "inbound", reversePath: null, login: null } as const;
      const verdict = now.decide(given, subject);
      return verdict.action === "tempfail" ? verdict.replyCode : `${verdict.action} ${verdict.rule}`;
    }),
  );
}
function ways(now: PolicySnapshot): readonly string[] {
  return RECIPIENTS.map((recipient) => {
    const way = now.destination(recipient);
    return way.kind === "routes" && way.held !== undefined && way.awaitsSettings ? "held" : way.key;
  });
}
const answers = (now: PolicySnapshot) => [...relayed(now), ...written(now), ...judged(now)];
const isLater = (answer: unknown): boolean => typeof answer === "number" && answer >= 400 && answer < 500;

/** Nothing is other than it was, but for what waits. Returns whether something does. */
function holdsLaws(was: PolicySnapshot, now: PolicySnapshot): boolean {
  const before = answers(was);
  const changed = answers(now).flatMap((answer, i) => (answer === before[i] ? [] : [answer]));
  // Taken, refused and delivered as before, or put off; nobody asks a listener that is closed.
  expect(changed.filter((answer) => answer !== null && !isLater(answer))).toEqual([]);
  const wayBefore = ways(was);
  const held = ways(now).filter((way, i) => way !== wayBefore[i]);
  expect(held.filter((way) => way !== "held")).toEqual([]);
  for (const login of LOGINS)
    if (now.userSender(login) !== null) expect(was.userSender(login)).not.toBeNull();
  expect(now.listener("off")?.enabled ?? false).toBe(false);
  // Nothing goes earlier.
  expect(logKeepMs(now) ?? Number.POSITIVE_INFINITY).toBeGreaterThanOrEqual(logKeepMs(was) ?? 0);
  expect(quarantineKeepMs(now)).toBeGreaterThanOrEqual(quarantineKeepMs(was));
  const [triedBefore, tried] = [tryingTimes(was), tryingTimes(now)];
  expect(tried.giveUpAfterMs).toBeGreaterThanOrEqual(triedBefore.giveUpAfterMs);
  expect(tried.giveUpAfterMs === triedBefore.giveUpAfterMs || tried.givesNothingUp === true).toBe(true);
  // Nothing that was off acts.
  expect(tried.delayNoticeAfterMs).toBeGreaterThanOrEqual(tried.giveUpAfterMs);
  const { self_service, subject_warnings, malware_release } = now.policy.settings;
  expect([self_service, subject_warnings, malware_release]).toEqual([false, false, "administrators"]);
  const stops = RECIPIENTS.some((path) => {
    const stop = { sender: "", reversePath: path };
    return sendsNothing(now, stop)?.awaitsSettings === true;
  });
  const logins = LOGINS.some(now.isUnreadLogin);
  const asked = now.unread.hooks.length > 0 || now.unread.settings.has("domain_age");
  return changed.length + held.length > 0 || stops || logins || asked;
}

const TRUE_WORDS = /451|454|held in the queue|not open/;
const WHOLE = /switched off or only observed|own text|is in force|decides nothing/;

type Row = readonly [section: PolicySection, key: string, isOff: boolean];
const ROWS: readonly Row[] = [
  ["listener", "mx", false],
  ["listener", "off", true],
  ["networks", "", false],
  ["domain", "one.test", false],
  ["domain", "two.test", false],
  ["domain", "gone.test", true],
  ["sender", "ann@one.test", false],
  ["sender", "off@one.test", true],
  ["sender", "10.9.0.0/16", false],
  ["sender", "11.9.0.0/16", false],
  ["sender", "@two.test", false],
  ["rule", "mine", false],
  ["rule", "seen", true],
  ["rule", "never", true],
  ["rule", "dangerous-attachments", true],
  ["rule", "subject-marks", true],
  ["template", "own", false],
  ["hook", "clam", false],
  ["hook", "spare", true],
  ["delivery", "", false],
  ["settings", "", false],
];

/** The fields that say that a row is off, and for whom; without them nobody knows. */
const SAYS_OFF = ["enabled", "mode", "scope"];

function damages(
  section: PolicySection,
  value: object,
): readonly (readonly [name: string, value: unknown, saysOff: boolean])[] {
  const text = JSON.stringify(value);
  const fields = Object.keys(section === "sender" ? value : POLICY_SCHEMAS[section].shape);
  return [
    ["cut in half", text.slice(0, text.length / 2), false],
    ["null", null, false],
    ["[]", [], false],
    ['"x"', "x", false],
    ["4", 4, false],
    ["a field of a newer version", { ...value, newer: { on: true } }, true],
    ...fields.map(
      (field) =>
        [
          `${field} of a newer version`,
          { ...value, [field]: { newer: 1 } },
          !SAYS_OFF.includes(field),
        ] as const,
    ),
  ];
}

test.each(ROWS)("%s %s, however it is damaged", async (section, key, isOff) => {
  const row = { section, key };
  const value = Object(whole.find((one) => one.section === section && one.key === key)?.value);
  const was = await snapshotWith(row, value);
  expect(was.unread.items).toEqual([]);
  for (const [name, damaged, saysOff] of damages(section, value)) {
    const now = await snapshotWith(row, damaged);
    expect(now.unread.items.map((item) => `${name}: ${item.section} ${item.key}`)).toEqual([
      `${name}: ${section} ${key}`,
    ]);
    const [item] = now.unread.items;
    if (item === undefined) continue;
    const waits = holdsLaws(was, now);
    const alarm = unreadAlarm(item);
    const words = unreadWords(item);
    if (isOff && saysOff) {
      expect([name, judged(now), now.unread.hooks]).toEqual([name, judged(was), []]);
      expect([name, isUnwell(alarm)]).toEqual([name, false]);
      continue;
    }
    // Whether a row that does not say so is off nobody knows.
    if (!isOff) expect([name, isUnwell(alarm), words]).toEqual([name, waits, words]);
    expect(`${name}: ${words}`).toMatch(isUnwell(alarm) ? TRUE_WORDS : WHOLE);
  }
});

test.each([
  ["an own rule that is off", "never", { when: "comet.seen" }, false],
  ["an own rule that observes", "seen", { when: "comet.seen" }, false],
  ["an own rule", "mine", { when: "comet.seen" }, true],
  ["a rule of the product that is off", "subject-marks", { action: "quarantine" }, false],
  ["a rule of the product that observes", "subject-marks", { mode: "observe", when: BAD }, false],
  ["a rule of the product that is off for a domain", "dangerous-attachments", { when: BAD }, false],
  ["a rule of the product", "dangerous-attachments", { mode: "enforce", when: BAD }, true],
])("%s that reads and does not compile", async (_, key, part, waits) => {
  const row = { section: "rule", key };
  const value = Object(whole.find((one) => one.section === "rule" && one.key === key)?.value);
  const was = await snapshotWith(row, value);
  const now = await snapshotWith(row, { ...value, ...part });
  expect(now.unread.items).toHaveLength(1);
  expect(holdsLaws(was, now)).toBe(waits);
  for (const item of now.unread.items) {
    expect(isUnwell(unreadAlarm(item))).toBe(waits);
    expect(unreadWords(item)).toContain(waits ? "is put off with 451" : "decides nothing");
  }
});

test.each([
  ["domain", "two.test", { name: "one.test" }],
  ["sender", "ann@one.test", { login: "eve@one.test" }],
  ["sender", "10.9.0.0/16", { range: "0.0.0.0/0" }],
  ["rule", "mine", { name: "seen" }],
] as const)("a row of %s %s that names another item takes the place of none", async (section, key, part) => {
  const row = { section, key };
  const value = Object(whole.find((one) => one.section === section && one.key === key)?.value);
  const now = await snapshotWith(row, { ...value, ...part });
  expect(now.unread.items.map((item) => `${item.section} ${item.key}`)).toEqual([`${section} ${key}`]);
  holdsLaws(await snapshotWith(row, value), now);
});

test("what an operator had set of a sender that is gone, cut in half: only an operator adds it again", async () => {
  const store = new MemoryStore();
  const ann = POLICY.sender[0];
  await store.rewrite([
    ...whole.filter(({ key }) => key !== "ann@one.test"),
    { section: "ceiling", key: "sender ann@one.test", value: '{"limits.per_hour":1' },
  ]);
  const settings = await settingsOn(store);
  const tenant = { ...TESTER, domains: ["one.test"] };
  const [item] = settings.current().unread.items;
  expect(item === undefined ? null : unreadAlarm(item)).toBe("setting aside ceiling sender ann@one.test");
  expect(item === undefined ? "" : unreadWords(item)).toContain(
    "Administrators of domains cannot change or add it",
  );
  expect(isUnwell("setting aside ceiling sender ann@one.test")).toBe(false);
  expect((await settings.put("sender", ann, tenant)).ok).toBe(false);
  // A whole file that does not name it says nothing of it.
  const { sender, ...rest } = POLICY;
  const named = { ...rest, sender: sender.slice(1) };
  expect((await settings.apply(named, { prune: true, actor: TESTER })).ok).toBe(true);
  expect((await settings.put("sender", ann, tenant)).ok).toBe(false);
  expect((await settings.put("sender", ann, TESTER)).ok).toBe(true);
  expect(settings.current().unread.items).toEqual([]);
  expect((await settingsOn(store)).current().unread.items).toEqual([]);
  expect((await settings.put("sender", { ...ann, limits: { per_hour: 5 } }, tenant)).ok).toBe(true);
});

test("an unread section that is removed is as by default at once, not what could be read of it", async () => {
  const store = new MemoryStore();
  await store.rewrite(
    whole.map((row) =>
      row.section === "networks" ? { ...row, value: { ...Object(row.value), newer: 1 } } : row,
    ),
  );
  const settings = await settingsOn(store);
  expect(settings.current().policy.networks.trusted).toHaveLength(1);
  expect(await settings.remove("networks", "", TESTER)).toBe(true);
  for (const now of [settings.current(), (await settingsOn(store)).current()]) {
    expect(now.trustedNetwork("10.1.1.1")).toBeNull();
    expect(now.policy.networks.trusted).toEqual([]);
    expect(now.unread.items).toEqual([]);
  }
  expect(store.audit.filter(({ words }) => words.join().includes("networks"))).toHaveLength(1);
});

test.each(["plan and apply", "removal"])("an item with a lost secret goes once: %s", async (door) => {
  const store = new MemoryStore();
  await store.rewrite(
    whole.map((row) => {
      const alerts = { webhook: { url: "https://example.org/x", secret: "sealed:x" } };
      return row.key === "gone.test"
        ? { ...row, value: { ...Object(row.value), outgoing: { alerts } } }
        : row;
    }),
  );
  const settings = await settingsOn(store, { seal: { seal: (text) => text, open: () => null } });
  expect(settings.current().unread.items.map(unreadAlarm)).toContain("secret of domain gone.test");
  if (door === "removal") expect(await settings.remove("domain", "gone.test", TESTER)).toBe(true);
  else {
    const named = { ...POLICY, domain: POLICY.domain.slice(0, 2) };
    const planned = await settings.plan(named, { prune: true });
    const removals = planned.ok ? planned.changes.filter(({ key }) => key === "gone.test") : [];
    expect(removals).toHaveLength(1);
    expect((await settings.apply(named, { prune: true, actor: TESTER })).ok).toBe(true);
  }
  expect(store.audit.filter(({ words }) => words.join().includes("gone.test: removed"))).toHaveLength(1);
  expect(settings.current().unread.items.map(unreadAlarm)).not.toContain("secret of domain gone.test");
});
