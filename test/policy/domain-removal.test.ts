// Removing a domain takes its senders, DKIM keys and account scopes with it, in one commit, after every door could say so.
import { expect, test } from "bun:test";
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
  const words = (await settings.removal("domain", "corp.test")).flatMap((change) => change.words);
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
  expect(await settings.removal("domain", "nobody.test")).toEqual([]);
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
