// Removing a domain takes its senders, DKIM keys and account scopes with it, in one commit, after every door could say so.
import { expect, test } from "bun:test";
import { parseAddress } from "../../src/message/address.ts";
import { systemClock } from "../../src/observe/clock.ts";
import { silentLog } from "../../src/observe/log.ts";
import { planText } from "../../src/policy/plan-text.ts";
import { createPolicyStore } from "../../src/policy/policy-store.ts";
import { createSettings } from "../../src/policy/run-settings.ts";
import { createAccounts } from "../../src/store/run-accounts.ts";
import { type DkimKit, dkimKit } from "../dkim/dkim-kit.ts";
import { CHEAP_HASH, TESTER } from "./policy-fixtures.ts";

const DOCUMENT = {
  domain: [{ name: "corp.test" }, { name: "other.test" }],
  sender: [
    { login: "ann@corp.test", domain: "corp.test", password_hash: CHEAP_HASH },
    { kind: "domain", domain: "corp.test", password_hash: CHEAP_HASH },
    { kind: "ip", range: "192.0.2.0/28", domain: "corp.test" },
    { login: "bob@other.test", domain: "other.test", password_hash: CHEAP_HASH },
  ],
};

async function trial(kit: DkimKit) {
  const make = (initial?: object) =>
    createSettings({
      store: createPolicyStore(kit.database),
      clock: systemClock,
      log: silentLog,
      // As in the gateway: what seals secrets hides nothing of what the store tells.
      seal: { seal: (text) => `sealed:${text}`, open: (text) => text.slice("sealed:".length) },
      ...(initial === undefined ? {} : { initial }),
    });
  const settings = await make(DOCUMENT);
  settings.onChange((now, before) => {
    for (const { name } of before.policy.domain) if (now.domain(name) === null) kit.dkim.forget(name);
  });
  await kit.dkim.create({ domain: "corp.test", selector: "gate1", algorithm: "ed25519" }, "tester");
  await kit.dkim.create({ domain: "other.test", selector: "gate1", algorithm: "ed25519" }, "tester");
  const accounts = createAccounts(kit.database);
  const account = { role: "domain-administrator", passwordHash: CHEAP_HASH } as const;
  await accounts.create({ ...account, login: "dora", domains: ["corp.test", "other.test"] });
  await accounts.create({ ...account, login: "emil", domains: ["corp.test"] });
  const left = async (of = settings) => ({
    domains: of.current().policy.domain.map(({ name }) => String(name)),
    senders: of
      .current()
      .policy.sender.map(({ login, range, domain }) => String(login ?? range ?? `@${domain}`)),
    keys: (await kit.dkim.list()).map(({ domain, selector }) => `${selector} of ${domain}`),
    scopes: (await accounts.list()).map(({ login, domains }) => `${login}: ${domains.join(", ")}`),
  });
  return { settings, make, left };
}

const AFTER = {
  domains: ["other.test"],
  senders: ["bob@other.test"],
  keys: ["gate1 of other.test"],
  scopes: ["dora: other.test", "emil: "],
};

test("the question says what goes; then all of it goes, in memory and on disk", async () => {
  await using kit = await dkimKit();
  const { settings, make, left } = await trial(kit);
  const words = (await settings.removal("domain", "corp.test")).changes.flatMap((change) => change.words);
  expect(words).toEqual([
    "domain corp.test: removed",
    "domain corp.test: its DKIM key gate1 is deleted",
    "domain corp.test: the account dora no longer manages it",
    "domain corp.test: the account emil no longer manages it",
    "sender 192.0.2.0/28: removed",
    "sender @corp.test: removed",
    "sender ann@corp.test: removed",
  ]);
  expect(await settings.remove("domain", "corp.test", TESTER)).toBe(true);
  expect(await left()).toEqual(AFTER);
  expect(await left(await make())).toEqual(AFTER);
  // Made again, it has nothing of what was.
  await settings.put("domain", { name: "corp.test" }, TESTER);
  expect((await left()).senders).toEqual(AFTER.senders);
  expect((await left()).keys).toEqual(AFTER.keys);
  expect(await settings.removal("domain", "nobody.test")).toEqual({ changes: [], warnings: [] });
});

test("plan shows it, apply does it", async () => {
  await using kit = await dkimKit();
  const { settings, left } = await trial(kit);
  const document = { domain: [{ name: "other.test" }], sender: [DOCUMENT.sender[3]] };
  const planned = await settings.plan(document, { prune: true });
  expect(planText(planned)).toContain("- domain corp.test\n    its DKIM key gate1 is deleted\n");
  expect(planText(planned)).toContain("- sender ann@corp.test\n");
  expect((await left()).keys).toHaveLength(2);
  await settings.apply(document, { prune: true, actor: TESTER });
  expect(await left()).toEqual(AFTER);
});

test("a document that drops a domain and keeps its sender is warned of it, and that sender sends nothing", async () => {
  await using kit = await dkimKit();
  const { settings, left } = await trial(kit);
  const document = { domain: [{ name: "other.test" }], sender: DOCUMENT.sender };
  const result = await settings.apply(document, { prune: true, actor: TESTER });
  expect(planText(result)).toContain(
    "! sender ann@corp.test: corp.test is not a domain of this gateway, so it can neither log in nor send",
  );
  expect((await left()).keys).toEqual(AFTER.keys);
  expect(settings.current().userSender("ann@corp.test")).toBeNull();
  expect(settings.current().ipSender("192.0.2.1")).toBeNull();
});

/** What others may write of it, and what is set to an address of it. */
const NAMED = {
  domain: [
    { name: "corp.test", outgoing: { abuse_contact: "abuse@corp.test" } },
    { name: "sub.corp.test" },
    {
      name: "other.test",
      outgoing: {
        abuse_contact: "abuse@other.test",
        alerts: { mail: ["alerts@corp.test", "alerts@good.test"] },
        report: { every: "daily", to: ["reports@host.corp.test"] },
      },
    },
  ],
  sender: [
    {
      login: "bob@other.test",
      domain: "other.test",
      password_hash: CHEAP_HASH,
      send_as: ["boss@corp.test", "@corp.test", "root@host.corp.test", "@sub.corp.test", "me@good.test"],
    },
    { kind: "domain", domain: "other.test", password_hash: CHEAP_HASH, send_as: ["@corp.test"] },
    { kind: "ip", range: "203.0.113.33", domain: "other.test", domains: ["corp.test", "sub.corp.test"] },
    { kind: "ip", range: "203.0.113.34", domain: "other.test", forwards: "allow" },
    { kind: "ip", range: "192.0.2.0/28", domain: "corp.test", domains: ["corp.test", "other.test"] },
    { login: "ann@corp.test", domain: "corp.test", password_hash: CHEAP_HASH, send_as: ["team@other.test"] },
    { login: "sue@sub.corp.test", domain: "sub.corp.test", password_hash: CHEAP_HASH },
  ],
  rule: [{ name: "copies", when: "message.size > 1000000", action: "copy", to: "copies@corp.test" }],
  networks: { trusted: ["10.0.0.0/8"] },
  settings: { postmaster: "pm@corp.test" },
};

const ADDRESSED = [
  ["settings: postmaster", "pm@corp.test"],
  ["domain other.test: outgoing.alerts.mail", "alerts@corp.test"],
  ["domain other.test: outgoing.report.to", "reports@host.corp.test"],
  ["rule copies: to", "copies@corp.test"],
].map(
  ([where, address]) =>
    `${where} is ${address}, of a domain that goes: what is sent there leaves by its MX, to whoever has it then, or is undeliverable; name another address`,
);
const GOES_ON = [
  "domain corp.test: what its people send through the trusted networks is still taken, as mail of other authors, because Settings, Networks allows that; it does not stop with the domain",
  "domain corp.test: what its people send through the address range 203.0.113.34/32 is still taken, as mail of other authors, because its forwards allows that; it does not stop with the domain",
];

async function trialOf(document: object) {
  const database = await dkimKit();
  const make = (initial?: object) =>
    createSettings({
      store: createPolicyStore(database.database),
      clock: systemClock,
      log: silentLog,
      ...(initial === undefined ? {} : { initial }),
    });
  return { database, make, settings: await make(document) };
}

test("who of others may write for it loses that with it, and what is set to an address of it is told", async () => {
  const { database, make, settings } = await trialOf(NAMED);
  await using _ = database;
  const { changes, warnings } = await settings.removal("domain", "corp.test");
  expect(changes.flatMap(({ words }) => words)).toEqual([
    "domain corp.test: removed",
    "sender 192.0.2.0/28: removed",
    "sender 192.0.2.0/28: what it may write for other.test goes too",
    "sender 203.0.113.33/32: domains - corp.test",
    "sender @other.test: send_as - @corp.test",
    "sender ann@corp.test: removed",
    "sender ann@corp.test: what it may write for team@other.test goes too",
    "sender bob@other.test: send_as - boss@corp.test, @corp.test, root@host.corp.test",
  ]);
  expect(warnings).toEqual([...ADDRESSED, ...GOES_ON]);
  expect(await settings.remove("domain", "corp.test", TESTER)).toBe(true);
  for (const of of [settings, await make()]) {
    const now = of.current();
    const bob = now.userSender("bob@other.test");
    expect(bob?.send_as.map(String)).toEqual(["@sub.corp.test", "me@good.test"]);
    expect(now.ipSender("203.0.113.33")?.domains.map(String)).toEqual(["sub.corp.test"]);
    const listener = now.policy.listener.find(({ auth }) => auth !== "off");
    if (listener === undefined) throw new Error("nobody can log in");
    const from = (address: string) => {
      const path = parseAddress(address);
      if (!path.ok) throw new Error(path.reason);
      const at = { ip: "198.51.100.7", port: 2525, helo: "client.test", hostname: null, tls: null };
      return now.refuseSender(listener, { ...at, login: "bob@other.test" }, path.value)?.code ?? null;
    };
    expect(["boss@corp.test", "x@corp.test", "x@host.corp.test"].map(from)).toEqual([550, 550, 550]);
    expect(["x@sub.corp.test", "me@good.test", "bob@other.test"].map(from)).toEqual([null, null, null]);
  }
  // One below it is a domain of its own: what is granted for that goes with that one.
  expect((await settings.removal("domain", "sub.corp.test")).changes.flatMap(({ words }) => words)).toEqual([
    "domain sub.corp.test: removed",
    "sender 203.0.113.33/32: domains - sub.corp.test",
    "sender bob@other.test: send_as - @sub.corp.test",
    "sender sue@sub.corp.test: removed",
  ]);
});

test("a plan says the same, and warns where the file itself still lets somebody write for it", async () => {
  const { database, settings } = await trialOf(NAMED);
  await using _ = database;
  const kept = {
    ...NAMED,
    domain: NAMED.domain.slice(1),
    sender: NAMED.sender.filter(({ domain }) => domain !== "corp.test"),
  };
  const still = (sender: string, rights: string): string =>
    `sender ${sender}: may still write for ${rights}, which is of a domain that goes: leave it out where nobody is to send for that domain any more`;
  const planned = await settings.plan(kept, { prune: true });
  if (!planned.ok) throw new Error(planText(planned));
  const told = [
    still("bob@other.test", "boss@corp.test, @corp.test, root@host.corp.test"),
    still("@other.test", "@corp.test"),
    still("203.0.113.33/32", "corp.test"),
    ...ADDRESSED,
    ...GOES_ON,
  ];
  expect(planned.warnings.slice(-told.length)).toEqual(told);
  expect(planText(planned)).toContain("    what it may write for other.test goes too\n");
  // Without pruning nothing goes, and nothing is told of it.
  const stays = await settings.plan(kept, { prune: false });
  expect(stays.ok && stays.warnings.some((words) => told.includes(words))).toBe(false);
  // Nor for domains that were never here: whoever is let write for them is.
  expect((await settings.removal("domain", "other.test")).warnings).toEqual([
    GOES_ON[0]?.replaceAll("corp.test", "other.test") ?? "",
  ]);
});
