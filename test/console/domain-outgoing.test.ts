// A domain's outgoing control as a form: what is typed is what is saved, and domain administrators stay within their domains.
import { describe, expect, test } from "bun:test";
import { createConsole } from "../../src/console/create-console.ts";
import { outgoingSchema } from "../../src/policy/schema-outgoing.ts";
import type { Actor } from "../../src/policy/settings.ts";
import { administratorAt, browserOf, guestBrowser, type TestBrowser } from "./console-browser.ts";
import { type FakeGateway, fakeGateway, stateOf } from "./fake-services.ts";

const PAGE = "/domains/example.test/outgoing";
const SHOP = "/domains/shop.example.test/outgoing";
const ACTOR: Actor = { name: "test", via: "console", ip: null };

function outgoingOf(gateway: FakeGateway, name = "example.test") {
  const domain = gateway.services.settings.current().policy.domain.find((one) => one.name === name);
  if (domain === undefined) throw new Error(`no domain ${name}`);
  return domain.outgoing;
}

async function put(gateway: FakeGateway, outgoing: object, name = "example.test"): Promise<void> {
  const { settings } = gateway.services;
  const domain = settings.current().policy.domain.find((one) => one.name === name);
  const result = await settings.put("domain", { ...domain, outgoing }, ACTOR);
  expect(result).toMatchObject({ ok: true });
}

/** Everything that can be set, each unlike its default. */
const FULL = outgoingSchema.parse({
  barred: true,
  enterprise: true,
  from_must_exist: false,
  known_identities_only: true,
  limit_identities: false,
  default_limits: { per_minute: 3, per_hour: 33, recipients_per_day: 333 },
  link_same_password: true,
  abuse_contact: "abuse@example.test",
  alerts: {
    mail: ["admin@example.test", "night@example.test"],
    webhook: { url: "https://hooks.example.org/x", secret: "a secret of twenty c" },
    sms: { url: "https://sms.example.org/?t={text}&n={to}", to: "+43 1 23", method: "POST" },
    thresholds: { spam: null, virus: 2, bulk: null, window: "2h" },
  },
  report: {
    every: "weekly",
    hour: 0,
    weekday: "sunday",
    timezone: "Asia/Kathmandu",
    to: ["board@example.test"],
  },
  password_server: {
    protocol: "pop3",
    host: "pop.example.test",
    port: 1995,
    tls: "starttls",
    verify_certificate: false,
    cache: "1m",
  },
  dkim_selector: "gate2",
});

function unescapeText(text: string): string {
  return text
    .replaceAll("&quot;", '"')
    .replaceAll("&#39;", "'")
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&amp;", "&");
}

/** The fields of the page's form as a browser would send them back untouched. */
async function fieldsOf(browser: TestBrowser, path: string): Promise<Record<string, string[]>> {
  const markup = await (await browser.get(path)).text();
  const start = markup.indexOf('class="policy-form"');
  const form = markup.slice(start, markup.indexOf("</form>", start));
  const fields: Record<string, string[]> = {};
  const add = (name: string, value: string) => {
    fields[name] = [...(fields[name] ?? []), value];
  };
  for (const [tag] of form.matchAll(/<input[^>]*>/g)) {
    const name = /name="([^"]*)"/.exec(tag)?.[1] ?? "";
    if (/type="password"/.test(tag)) continue;
    const value = unescapeText(/value="([^"]*)"/.exec(tag)?.[1] ?? "");
    if (!/type="checkbox"/.test(tag)) add(name, value);
    else if (/ checked/.test(tag)) add(name, value === "" ? "on" : value);
  }
  for (const [, name = "", text = ""] of form.matchAll(/<textarea[^>]*name="([^"]*)"[^>]*>([^<]*)</g))
    add(name, unescapeText(text));
  for (const [, name = "", options = ""] of form.matchAll(
    /<select[^>]*name="([^"]*)"[^>]*>(.*?)<\/select>/gs,
  ))
    add(name, /value="([^"]*)" selected/.exec(options)?.[1] ?? "");
  return fields;
}

describe("the form", () => {
  test.each([
    ["with everything set", FULL],
    ["with nothing set", outgoingSchema.parse({})],
  ])("sent back untouched changes nothing: %s", async (_name, outgoing) => {
    const gateway = await fakeGateway();
    const { browser } = administratorAt(gateway);
    await put(gateway, outgoing);
    const before = gateway.services.settings.current();
    const response = await browser.post(PAGE, await fieldsOf(browser, PAGE));
    expect(response.status).toBe(303);
    expect(outgoingOf(gateway)).toEqual(outgoing);
    expect(gateway.services.settings.current().version).toBe(before.version);
  });

  test("saves what is typed, and leaves the rest of the domain as it is", async () => {
    const gateway = await fakeGateway();
    const { browser } = administratorAt(gateway);
    const before = gateway.services.settings
      .current()
      .policy.domain.find((one) => one.name === "example.test");
    const response = await browser.post(PAGE, {
      ...(await fieldsOf(browser, PAGE)),
      "outgoing.barred": "on",
      "outgoing.enterprise": "on",
      "outgoing.require_tls": "off",
      "outgoing.alerts.mail": "a@example.test\r\nb@example.test",
      "outgoing.alerts.thresholds.bulk": "",
      "outgoing.alerts.webhook.url": "https://hooks.example.org/y",
      "outgoing.alerts.webhook.secret": "another secret, long",
      "outgoing.report.every": "daily",
      "outgoing.report.timezone": "Europe/Vienna",
      "outgoing.password_server.host": "imap.example.test",
      "outgoing.dkim_selector": "gate1",
    });
    expect(response.headers.get("Location")).toBe(PAGE);
    const domain = gateway.services.settings
      .current()
      .policy.domain.find((one) => one.name === "example.test");
    expect(domain).toMatchObject({ routes: before?.routes ?? [], recipients: before?.recipients ?? {} });
    expect(domain?.outgoing).toMatchObject({
      barred: true,
      enterprise: true,
      require_tls: false,
      lock_identities: null,
      alerts: {
        mail: ["a@example.test", "b@example.test"],
        webhook: { url: "https://hooks.example.org/y", secret: "another secret, long" },
        sms: null,
        thresholds: { spam: 5, virus: 1, bulk: null, window: "1h" },
      },
      report: { every: "daily", timezone: "Europe/Vienna" },
      password_server: { protocol: "imap", host: "imap.example.test", port: null, verify_certificate: true },
      dkim_selector: "gate1",
    });
    const page = await (await browser.get(PAGE)).text();
    expect(page).not.toContain("another secret, long");
    expect(page).toContain("One is set; empty: unchanged.");
    expect(page).toContain("daily report at 07:00 (Europe/Vienna)");
    await browser.post(PAGE, { ...(await fieldsOf(browser, PAGE)), "outgoing.report.every": "weekly" });
    expect(await (await browser.get(PAGE)).text()).toContain(
      "weekly report on Monday at 07:00 (Europe/Vienna)",
    );
  });

  test("says what enterprise mode turned on, and what each part is now", async () => {
    const gateway = await fakeGateway();
    const { browser } = administratorAt(gateway);
    expect(await (await browser.get(PAGE)).text()).toContain("As enterprise mode says (off now)");
    await put(gateway, { enterprise: true, require_tls: false });
    const page = await (await browser.get(PAGE)).text();
    expect(page).toContain("As enterprise mode says (on now)");
    const inForce = /<ul class="in-force">(.*?)<\/ul>/s.exec(page)?.[1]?.replace(/<[^>]+>/g, " ") ?? "";
    expect(inForce).toMatch(/Known identities only\s+by enterprise mode\s+On/);
    expect(inForce).toMatch(/TLS only\s+set on its own\s+Off/);
  });

  test("says what is wrong at its field", async () => {
    const gateway = await fakeGateway();
    const { browser } = administratorAt(gateway);
    const version = gateway.services.settings.current().version;
    const response = await browser.post(PAGE, {
      ...(await fieldsOf(browser, PAGE)),
      "outgoing.abuse_contact": "nobody",
      "outgoing.alerts.webhook.url": "ftp://x",
      "outgoing.alerts.webhook.secret": "short",
      "outgoing.report.timezone": "Middle/Earth",
    });
    const markup = await response.text();
    expect(response.status).toBe(422);
    for (const id of ["abuse_contact", "alerts-webhook-url", "alerts-webhook-secret", "report-timezone"])
      expect(markup).toContain(`id="f-outgoing-${id}-error"`);
    expect(markup).toContain('value="ftp://x"');
    expect(gateway.services.settings.current().version).toBe(version);
  });

  test("the secret of the web hook stays for the same address and goes with another", async () => {
    const gateway = await fakeGateway();
    const { browser } = administratorAt(gateway);
    await put(gateway, FULL);
    const fields = await fieldsOf(browser, PAGE);
    await browser.post(PAGE, { ...fields, "outgoing.default_limits.per_hour": "44" });
    expect(outgoingOf(gateway).alerts.webhook?.secret).toBe("a secret of twenty c");
    await browser.post(PAGE, { ...fields, "outgoing.alerts.webhook.url": "https://other.example.org/" });
    expect(outgoingOf(gateway).alerts.webhook).toEqual({ url: "https://other.example.org/" });
    const anew = await fieldsOf(browser, PAGE);
    await browser.post(PAGE, { ...anew, "outgoing.alerts.webhook.url": "" });
    expect(outgoingOf(gateway).alerts.webhook).toBeNull();
  });
});

describe("the test button", () => {
  test("is there for what is saved, and says in words what came of it", async () => {
    const gateway = await fakeGateway();
    const { browser } = administratorAt(gateway);
    expect(await (await browser.get(PAGE)).text()).toContain("No alert is set up yet");
    await put(gateway, { alerts: { mail: ["a@example.test"], sms: { url: "https://sms.example.org/" } } });
    const page = await (await browser.get(PAGE)).text();
    expect(page).toContain("Test mail");
    expect(page).not.toContain("Test web hook");
    for (const channel of ["mail", "sms"]) {
      expect((await browser.post(`${PAGE}/test`, { channel })).headers.get("Location")).toBe(PAGE);
      expect(await (await browser.get(PAGE)).text()).toContain(
        channel === "sms" ? "Test by SMS: the gateway answered 503" : "Test by mail: it was taken",
      );
    }
    expect(gateway.outgoing.notices).toEqual(["test example.test mail", "test example.test sms"]);
    expect((await browser.post(`${PAGE}/test`, { channel: "pigeon" })).status).toBe(422);
  });
});

describe("a domain administrator", () => {
  test("changes the own domain, but neither the bar nor where the gateway calls and passwords go", async () => {
    const gateway = await fakeGateway();
    const keeper = browserOf(createConsole(gateway.services), gateway, "domain-administrator");
    await put(gateway, { ...FULL, dkim_selector: null }, "shop.example.test");
    const page = await (await keeper.get(SHOP)).text();
    expect(page).not.toContain("password_server");
    expect(page).not.toContain("outgoing.barred");
    expect(page).not.toContain("outgoing.alerts.webhook");
    expect(page).toContain("This domain is barred");
    const response = await keeper.post(SHOP, {
      ...(await fieldsOf(keeper, SHOP)),
      "outgoing.report.hour": "9",
      // Fields the form does not have.
      "outgoing.barred": "",
      "outgoing.password_server.host": "evil.example.org",
      "outgoing.password_server.protocol": "imap",
      "outgoing.alerts.webhook.url": "http://127.0.0.1:9143/metrics",
      "outgoing.alerts.sms.url": "http://127.0.0.1:9143/",
      name: "example.test",
      "routes[0].host": "evil.example.org",
      enabled: "",
    });
    expect(response.status).toBe(303);
    const domain = gateway.services.settings
      .current()
      .policy.domain.find((one) => one.name === "shop.example.test");
    const wanted = { ...FULL, dkim_selector: null, report: { ...FULL.report, hour: 9 } };
    expect(JSON.stringify(domain?.outgoing)).toBe(JSON.stringify(outgoingSchema.parse(wanted)));
    expect(domain).toMatchObject({ enabled: true, routes: [{ host: "10.0.0.7" }] });
    // Whom the operator wants told of abuse.
    const elsewhere = {
      ...(await fieldsOf(keeper, SHOP)),
      "outgoing.abuse_contact": "new@shop.example.test",
    };
    expect((await keeper.post(SHOP, elsewhere)).status).toBe(422);
    await keeper.post(SHOP, {
      ...(await fieldsOf(keeper, SHOP)),
      "outgoing.alerts.mail": [...FULL.alerts.mail, "me@shop.example.test"].join("\n"),
    });
    expect((await keeper.post(`${SHOP}/test`, { channel: "mail" })).status).toBe(303);
    expect(gateway.outgoing.notices).toEqual(["test shop.example.test mail"]);
  });

  test("neither sees nor touches other domains", async () => {
    const gateway = await fakeGateway();
    const app = createConsole(gateway.services);
    const keeper = browserOf(app, gateway, "domain-administrator");
    const before = stateOf(gateway);
    for (const path of [PAGE, "/domains/nothing.example.test/outgoing"]) {
      expect((await keeper.get(path)).status).toBe(404);
      expect((await keeper.post(path, { "outgoing.barred": "on" })).status).toBe(404);
      expect((await keeper.post(`${path}/test`, { channel: "mail" })).status).toBe(404);
    }
    const list = await (await keeper.get("/domains")).text();
    expect(list).toContain(SHOP);
    expect(list).not.toContain('href="/domains/example.test');
    expect(list).not.toContain("/edit");
    for (const path of [
      "/domains/new",
      "/domains/shop.example.test/edit",
      "/domains/shop.example.test/remove",
    ])
      expect((await keeper.get(path)).status).toBe(403);
    expect((await browserOf(app, gateway, "user").get(SHOP)).status).toBe(403);
    expect((await guestBrowser(app).get(SHOP)).status).toBe(303);
    expect(stateOf(gateway).replace(/"sessions":.*$/, "")).toBe(before.replace(/"sessions":.*$/, ""));
  });
});

describe("beside the outgoing page", () => {
  test("a domain's own form keeps its outgoing settings", async () => {
    const gateway = await fakeGateway();
    const { browser } = administratorAt(gateway);
    await put(gateway, FULL);
    const path = "/domains/example.test/edit";
    await browser.post(path, { ...(await fieldsOf(browser, path)), "recipients.cache": "2h" });
    expect(outgoingOf(gateway)).toEqual(FULL);
  });

  test("rules say what they mean for senders, listeners offer CRAM-MD5, settings lead the links", async () => {
    const gateway = await fakeGateway();
    const { browser } = administratorAt(gateway);
    const rule = {
      name: "no-crypto-ads",
      mode: "observe",
      action: "quarantine",
      when: "client.tls",
      priority: "5000",
      counts_as_spam: "on",
    };
    expect((await browser.post("/rules/new", rule)).status).toBe(303);
    const { settings } = gateway.services;
    const stored = settings.current().policy.rule.find((one) => one.name === "no-crypto-ads");
    expect(stored).toMatchObject({ counts_as_spam: true });
    expect(stored?.lock_identity).toBeUndefined();
    await browser.post("/listeners/submission/edit", {
      ...(await fieldsOf(browser, "/listeners/submission/edit")),
      cram_md5: "on",
    });
    expect(settings.current().policy.listener.find((one) => one.name === "submission")?.cram_md5).toBe(true);
    await browser.post("/settings/general", {
      ...(await fieldsOf(browser, "/settings/general")),
      console_url: "https://mail.example.test",
      "domain_age.rdap": "https://rdap.example.org/",
    });
    expect(settings.current().policy.settings).toMatchObject({
      console_url: "https://mail.example.test",
      self_service: true,
      domain_age: { feed: "", rdap: "https://rdap.example.org/" },
    });
  });
});
