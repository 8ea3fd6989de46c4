// Senders in the console: every setting by form, the list with its limits and locks, and what a domain administrator may not give.
import { describe, expect, test } from "bun:test";
import { createConsole } from "../../src/console/create-console.ts";
import { scopeProblems } from "../../src/console/pages/sender-input.ts";
import type { SenderSettings } from "../../src/policy/schema.ts";
import { administratorAt, browserOf, type TestBrowser } from "./console-browser.ts";
import { type FakeGateway, fakeGateway } from "./fake-services.ts";
import { formFields } from "./page-form.ts";

const CAROL = "/senders/carol%40example.test/edit";
const RANGE = "/senders/192.0.2.64%2F28/edit";
const ORDERS = "/senders/orders%40shop.example.test/edit";
const GOOD = "copper-violin-meadow-38";

const textOf = async (browser: TestBrowser, path: string) => (await browser.get(path)).text();

function senderOf(gateway: FakeGateway, key: string): SenderSettings | undefined {
  const { sender } = gateway.services.settings.current().policy;
  return sender.find((one) => one.login === key || one.range === key || `@${one.domain}` === key);
}

async function keeperAt() {
  const gateway = await fakeGateway();
  const app = createConsole(gateway.services);
  return { gateway, keeper: browserOf(app, gateway, "domain-administrator") };
}

describe("the form", () => {
  test("has every setting, and keeps what it saved", async () => {
    const gateway = await fakeGateway();
    const { browser } = administratorAt(gateway);
    const form = {
      ...formFields(await textOf(browser, RANGE)),
      "lock.identity": "on",
      "lock.sender": "on",
      "lock.spam": "7",
      "lock.window": "20m",
      "lock.timeout": "2h",
      "lock.max_unlocks": "0",
      "lock.template": "none",
      "limits.per_minute": "60",
      "limits.recipients_per_day": "2000",
      "identity_limits.per_hour": "30",
      quarantine_response: "accepted",
      block: ["macros", "new-domains"],
      archive: "on",
      dkim_selector: "gate1",
      send_as: "info@example.test\n@sub.example.test",
      rules: ["no-ads"],
    };
    expect((await browser.post(RANGE, form)).status).toBe(303);
    expect(senderOf(gateway, "192.0.2.64/28")).toMatchObject({
      lock: {
        identity: true,
        sender: true,
        spam: 7,
        window: "20m",
        timeout: "2h",
        max_unlocks: 0,
        template: "none",
      },
      limits: { per_minute: 60, per_hour: null, recipients_per_day: 2000 },
      identity_limits: { per_hour: 30, per_minute: null },
      quarantine_response: "accepted",
      block: ["macros", "new-domains"],
      archive: true,
      dkim_selector: "gate1",
      send_as: ["info@example.test", "@sub.example.test"],
      rules: ["no-ads"],
    });
    const page = await textOf(browser, RANGE);
    expect(page).toContain("The sender: 60 a minute and 2,000 recipients a day; each identity: 30 an hour");
    expect(page).toContain("7 spam messages in 20m lock the identity and the whole sender for 2h");
    const before = gateway.services.settings.current().version;
    await browser.post(RANGE, formFields(page));
    expect(gateway.services.settings.current().version).toBe(before);
    // Emptied fields are no limit again.
    await browser.post(RANGE, {
      ...formFields(page),
      "limits.per_minute": "",
      "identity_limits.per_hour": "",
    });
    expect(senderOf(gateway, "192.0.2.64/28")?.limits.per_minute).toBeNull();
    expect(senderOf(gateway, "192.0.2.64/28")?.identity_limits.per_hour).toBeNull();
  });

  test("warns of locking a whole smart host, not of locking a user", async () => {
    const { browser } = administratorAt(await fakeGateway());
    expect(await textOf(browser, RANGE)).toContain("switch-warning");
    expect(await textOf(browser, CAROL)).not.toContain("switch-warning");
  });

  test("asks a newcomer only who it is; Add saves defaults, Add & configure opens the settings", async () => {
    const gateway = await fakeGateway();
    const { browser } = administratorAt(gateway);
    const page = await textOf(browser, "/senders/new?kind=user");
    expect(page).not.toContain("limits.per_minute");
    expect(page).toContain("Add &amp; configure");
    const form = { login: "dave@example.test", domain: "example.test", enabled: "on", password: GOOD };
    const added = await browser.post("/senders/new?kind=user", form);
    expect(added.headers.get("Location")).toBe("/senders");
    expect(senderOf(gateway, "dave@example.test")?.lock).toMatchObject({ identity: true, spam: 5 });
    const configured = await browser.post("/senders/new?kind=user", {
      ...form,
      login: "Erin@Example.Test",
      next: "configure",
    });
    expect(configured.headers.get("Location")).toBe("/senders/erin%40example.test/edit");
    expect(await textOf(browser, "/senders/erin%40example.test/edit")).toContain("limits.per_minute");
  });

  test("takes the domain of a new user from its login, and asks when that is none of ours", async () => {
    const gateway = await fakeGateway();
    const { browser } = administratorAt(gateway);
    const form = { login: "dave@shop.example.test", domain: "", enabled: "on", password: GOOD };
    expect((await browser.post("/senders/new?kind=user", form)).status).toBe(303);
    expect(String(senderOf(gateway, "dave@shop.example.test")?.domain)).toBe("shop.example.test");
    const stranger = await browser.post("/senders/new?kind=user", { ...form, login: "dave@nowhere.example" });
    expect(stranger.status).toBe(422);
    expect(await stranger.text()).toContain("nowhere.example is not a domain of this gateway");
    expect(senderOf(gateway, "dave@nowhere.example")).toBeUndefined();
  });

  test("say in the list what stops them: a locked identity, a barred domain", async () => {
    const gateway = await fakeGateway();
    const { browser } = administratorAt(gateway);
    expect(await textOf(browser, "/senders?q=192.0.2.64")).toContain('tone-warn">At its limit');
    const whole = gateway.outgoing.identities.find(({ name, sender }) => name === "" && sender.includes("/"));
    Object.assign(whole ?? {}, { limits: [] });
    expect(await textOf(browser, "/senders?q=192.0.2.64")).toContain('tone-warn">1 identity locked');
    const stored = gateway.services.settings
      .current()
      .policy.domain.find(({ name }) => String(name) === "example.test");
    const barred = { ...stored, outgoing: { ...stored?.outgoing, barred: true } };
    await gateway.services.settings.put("domain", barred, { name: "admin", via: "console", ip: null });
    expect(await textOf(browser, "/senders?q=192.0.2.64")).toContain('tone-bad">Domain barred');
    const page = await textOf(browser, "/identity?sender=192.0.2.64%2F28&name=client-b");
    expect(page).toContain("May not send: its domain is barred.");
  });

  test("neither changes a range nor overwrites one written in another way", async () => {
    const gateway = await fakeGateway();
    const { browser } = administratorAt(gateway);
    const before = JSON.stringify(gateway.services.settings.current().policy);
    const fields = formFields(await textOf(browser, RANGE));
    expect((await browser.post(RANGE, { ...fields, range: "192.0.2.96/28" })).status).toBe(422);
    const again = { range: "192.0.2.65/28", domain: "example.test", enabled: "on" };
    expect(await (await browser.post("/senders/new?kind=ip", again)).text()).toContain(
      "there is one already",
    );
    expect(JSON.stringify(gateway.services.settings.current().policy)).toBe(before);
  });

  test("says what is wrong with an expression at its row", async () => {
    const { browser } = administratorAt(await fakeGateway());
    const fields = formFields(await textOf(browser, RANGE));
    const answer = await browser.post(RANGE, { ...fields, "identity_headers[0].extract": "(a" });
    expect(answer.status).toBe(422);
    expect(await answer.text()).toContain("cannot be used as a regular expression");
  });
});

describe("the list", () => {
  test("shows limits as bars and locks as badges, and filters by domain", async () => {
    const gateway = await fakeGateway();
    const { browser } = administratorAt(gateway);
    await gateway.services.outgoing.lock({ sender: "carol@example.test", identity: null }, "test", "trial");
    const page = await textOf(browser, "/senders");
    expect([...page.matchAll(/<tr id="s-/g)]).toHaveLength(4);
    expect(page).toContain("7 of 60");
    expect(page).toMatch(/carol@example\.test<\/bdi>.*?badge tone-bad">Locked/s);
    expect(page).toContain("/identities?sender=192.0.2.64%2F28");
    const filtered = await textOf(browser, "/senders?domain=shop.example.test");
    expect([...filtered.matchAll(/<tr id="s-/g)]).toHaveLength(1);
    expect(await textOf(browser, "/senders?q=nobody")).toContain("No sender fits");
  });
});

describe("a domain administrator", () => {
  test("adds, changes and removes senders of the own domain", async () => {
    const { gateway, keeper } = await keeperAt();
    expect([...(await textOf(keeper, "/senders")).matchAll(/<tr id="s-/g)]).toHaveLength(1);
    const form = {
      login: "pat@shop.example.test",
      domain: "shop.example.test",
      password: GOOD,
      enabled: "on",
    };
    expect((await keeper.post("/senders/new?kind=user", form)).status).toBe(303);
    const edit = "/senders/pat%40shop.example.test/edit";
    const fields = formFields(await textOf(keeper, edit));
    expect(fields.rules).toBeUndefined();
    const grant = { ...fields, send_as: "info@shop.example.test", rules: ["no-ads"] };
    expect((await keeper.post(edit, grant)).status).toBe(303);
    expect(senderOf(gateway, "pat@shop.example.test")).toMatchObject({
      send_as: ["info@shop.example.test"],
      rules: [],
    });
    expect((await keeper.post("/senders/pat%40shop.example.test/remove")).status).toBe(303);
    expect(senderOf(gateway, "pat@shop.example.test")).toBeUndefined();
  });

  test.each([
    ["a sender of another domain", "user", { login: "x@shop.example.test", domain: "example.test" }],
    ["a login of another domain", "user", { login: "boss@example.test", domain: "shop.example.test" }],
    [
      "a login of another domain in other letters",
      "user",
      { login: "x@EXAMPLE.test", domain: "shop.example.test" },
    ],
    ["a login of a subdomain", "user", { login: "x@a.shop.example.test", domain: "shop.example.test" }],
    ["an address range", "ip", { range: "198.51.100.0/24", domain: "shop.example.test" }],
    ["a log-in for another domain", "domain", { domain: "example.test" }],
  ])("cannot add %s", async (_name, kind, form) => {
    const { gateway, keeper } = await keeperAt();
    const before = JSON.stringify(gateway.services.settings.current().policy);
    const answer = await keeper.post(`/senders/new?kind=${kind}`, { ...form, password: GOOD, enabled: "on" });
    expect(answer.status).toBe(422);
    expect(JSON.stringify(gateway.services.settings.current().policy)).toBe(before);
  });

  test.each([
    ["an address of another domain", "ceo@example.test"],
    ["a whole other domain", "@example.test"],
    ["a subdomain", "@a.shop.example.test"],
    ["one among own ones", "info@shop.example.test\nceo@example.test"],
    ["one behind a quoted name", '"x@shop.example.test"@example.test'],
  ])("cannot let a sender send as %s", async (_name, send_as) => {
    const { gateway, keeper } = await keeperAt();
    const before = JSON.stringify(gateway.services.settings.current().policy);
    const fields = formFields(await textOf(keeper, ORDERS));
    const answer = await keeper.post(ORDERS, { ...fields, send_as });
    expect(answer.status).toBe(422);
    expect(JSON.stringify(gateway.services.settings.current().policy)).toBe(before);
  });

  test("cannot move a sender away, but keeps what an administrator has granted", async () => {
    const { gateway, keeper } = await keeperAt();
    const sender = { ...senderOf(gateway, "orders@shop.example.test"), send_as: ["press@example.test"] };
    await gateway.services.settings.put("sender", sender, { name: "admin", via: "console", ip: null });
    const fields = formFields(await textOf(keeper, ORDERS));
    expect((await keeper.post(ORDERS, { ...fields, domain: "example.test" })).status).toBe(422);
    expect((await keeper.post(ORDERS, { ...fields, "limits.per_hour": "42" })).status).toBe(303);
    expect(senderOf(gateway, "orders@shop.example.test")).toMatchObject({
      send_as: ["press@example.test"],
      limits: { per_hour: 42 },
      domain: "shop.example.test",
    });
  });

  test("cannot have a server treated as a user of another domain", () => {
    const scope = ["shop.example.test"];
    const stored = { kind: "ip", range: "192.0.2.1/32", domain: "shop.example.test" };
    const paths = (as: string, before = stored) =>
      scopeProblems(scope, { ...stored, reauthenticate_as: as }, before).map(({ path }) => path);
    expect(paths("carol@example.test")).toEqual(["range", "reauthenticate_as"]);
    expect(paths("orders@shop.example.test")).toEqual(["range"]);
    expect(scopeProblems(null, { ...stored, reauthenticate_as: "carol@example.test" }, stored)).toEqual([]);
  });
});

test("what holds for each identity stands in the list and on the sender's page, also where the domain brings it", async () => {
  const gateway = await fakeGateway();
  const { browser } = administratorAt(gateway);
  const { settings } = gateway.services;
  const actor = { name: "test", via: "console", ip: null } as const;
  const page = "/identity?sender=carol%40example.test";
  const each = "each identity: 7 a minute, 300 an hour and 1,000 recipients a day";
  for (const path of ["/senders", page]) expect(await textOf(browser, path)).not.toContain("each identity:");
  const domain = settings.current().policy.domain.find(({ name }) => String(name) === "example.test");
  const outgoing = { ...domain?.outgoing, limit_identities: true, default_limits: { per_minute: 7 } };
  await settings.put("domain", { ...domain, outgoing }, actor);
  for (const path of ["/senders", page]) expect(await textOf(browser, path)).toContain(each);
});

describe("limits that the operator set for the domain", () => {
  async function limited() {
    const at = await keeperAt();
    const { settings } = at.gateway.services;
    const operator = { name: "admin", via: "cli", ip: null } as const;
    const domain = settings.current().policy.domain.find(({ name }) => String(name) === "shop.example.test");
    const set = (outgoing: object) =>
      settings.put("domain", { ...domain, outgoing: { ...domain?.outgoing, ...outgoing } }, operator);
    const hold = {
      limit_identities: true,
      lock_identities: true,
      default_limits: { per_minute: 2, per_hour: 4, recipients_per_day: 1 },
    };
    return { ...at, set, hold };
  }
  const words = "2 a minute, 4 an hour and 1 recipient a day";

  test("are told where a sender is added and in its form", async () => {
    const { keeper, set, hold } = await limited();
    expect(await textOf(keeper, "/senders/new?kind=user")).toContain("themselves; nothing else is limited.");
    expect(await textOf(keeper, ORDERS)).not.toContain("its domain’s");
    await set(hold);
    expect(await textOf(keeper, "/senders/new?kind=user")).toContain(
      `themselves; in shop.example.test each identity has ${words}.`,
    );
    const page = await textOf(keeper, ORDERS);
    expect(page).toContain(`ach identity: ${words} (shop.example.test: ${words} for whoever has none)`);
    expect(page).toContain('placeholder="2, its domain’s"');
    expect(page).toContain("shop.example.test has every identity locked, whatever is set here.");
  });

  test("are not lifted by a sender's own, which is said at the field", async () => {
    const { gateway, keeper, set, hold } = await limited();
    await set(hold);
    const before = JSON.stringify(gateway.services.settings.current().policy);
    const more = { "identity_limits.per_minute": "1000", "lock.spam": "10000" };
    const answer = await keeper.post(ORDERS, { ...formFields(await textOf(keeper, ORDERS)), ...more });
    expect(answer.status).toBe(422);
    const page = await answer.text();
    expect(page).toContain(
      "has set 2 for every identity of shop.example.test; you may set less here, not more",
    );
    expect(JSON.stringify(gateway.services.settings.current().policy)).toBe(before);
    const less = { "identity_limits.per_minute": "1", "lock.spam": "1" };
    const taken = await keeper.post(ORDERS, { ...formFields(await textOf(keeper, ORDERS)), ...less });
    expect(taken.status).toBe(303);
    expect(await textOf(keeper, ORDERS)).toContain("1 spam message in 10m locks the identity");
  });

  test("hold where a sender's own was there first, and the form says so", async () => {
    const { keeper, set, hold } = await limited();
    const own = { "identity_limits.per_minute": "1000" };
    await keeper.post(ORDERS, { ...formFields(await textOf(keeper, ORDERS)), ...own });
    await set(hold);
    const page = await textOf(keeper, ORDERS);
    expect(page).toContain("2 holds: an administrator of the gateway has set it for shop.example.test.");
    expect(page).toContain(`ach identity: ${words}`);
    expect(await textOf(keeper, "/senders")).toContain(`each identity: ${words}`);
  });

  test("and a log-in whose rules hold for all of the domain is not taken away", async () => {
    const { gateway, keeper } = await limited();
    const { settings } = gateway.services;
    const whole = { kind: "domain", domain: "shop.example.test", password: GOOD, block: ["macros"] };
    await settings.put("sender", whole, { name: "admin", via: "cli", ip: null });
    for (const answer of [
      await keeper.get("/senders/%40shop.example.test/remove"),
      await keeper.post("/senders/%40shop.example.test/remove"),
    ]) {
      expect(answer.status).toBe(403);
      expect(await answer.text()).toContain("for everybody of the domain");
    }
    expect(senderOf(gateway, "@shop.example.test")).toBeDefined();
  });
});
