// Forms over the policy: what is saved is what was typed, what is wrong stands at its field, what was typed stays.
import { describe, expect, test } from "bun:test";
import { administratorAt, type TestBrowser } from "./console-browser.ts";
import { fakeGateway } from "./fake-services.ts";
import { formFields } from "./page-form.ts";

const textOf = async (browser: TestBrowser, path: string) => (await browser.get(path)).text();

describe("a form sent back untouched changes nothing", () => {
  test.each([
    "/domains/example.test/edit",
    "/domains/shop.example.test/edit",
    "/senders/carol%40example.test/edit",
    "/senders/heidi%40example.test/edit",
    "/senders/192.0.2.64%2F28/edit",
    "/listeners/mx/edit",
    "/rules/no-ads/edit",
    "/rules/large-from-strangers/edit",
    "/settings",
    "/settings/delivery",
    "/settings/general",
    "/settings/hooks/clamd/edit",
  ])("%s", async (path) => {
    const gateway = await fakeGateway();
    const { browser } = administratorAt(gateway);
    const before = gateway.services.settings.current();
    const fields = formFields(await textOf(browser, path));
    expect(Object.keys(fields).length).toBeGreaterThan(0);
    const response = await browser.post(path, fields);
    expect(response.status).toBe(303);
    expect(gateway.services.settings.current().policy).toEqual(before.policy);
    expect(gateway.services.settings.current().version).toBe(before.version);
  });
});

describe("adding", () => {
  test("a domain with two routes; empty rows are left out", async () => {
    const gateway = await fakeGateway();
    const { browser } = administratorAt(gateway);
    const response = await browser.post("/domains/new", {
      name: "Neue-Post.Example.TEST",
      enabled: "on",
      "routes[0].host": "",
      "routes[0].port": "",
      "routes[0].priority": "",
      "routes[0].tls": "opportunistic",
      "routes[1].host": "10.1.2.3",
      "routes[1].port": "2525",
      "routes[1].priority": "",
      "routes[1].tls": "verified",
      "recipients.verify": "list",
      "recipients.list": "a@neue-post.example.test\r\n b@neue-post.example.test ,\r\n",
      "recipients.cache": "2h",
      "recipients.when_down": "tempfail",
      cut_through: "on",
      rules_from: "chosen",
      rules: ["virus", "no-ads"],
    });
    expect(response.headers.get("Location")).toBe("/domains");
    const stored = gateway.services.settings
      .current()
      .policy.domain.find((one) => one.name.startsWith("neue"));
    expect(JSON.parse(JSON.stringify(stored))).toMatchObject({
      name: "neue-post.example.test",
      routes: [{ host: "10.1.2.3", port: 2525, priority: 10, tls: "verified" }],
      recipients: {
        verify: "list",
        list: ["a@neue-post.example.test", "b@neue-post.example.test"],
        cache: "2h",
      },
      rules: ["virus", "no-ads"],
      enabled: true,
    });
    expect(await textOf(browser, "/domains")).toContain("neue-post.example.test");
  });

  test("asking for one more row shows it and saves nothing", async () => {
    const gateway = await fakeGateway();
    const { browser } = administratorAt(gateway);
    const version = gateway.services.settings.current().version;
    const response = await browser.post("/domains/new", {
      name: "half typed",
      "routes[0].host": "h1",
      "more-rows": "routes",
    });
    const markup = await response.text();
    expect(response.status).toBe(200);
    expect(markup).toContain('value="half typed"');
    expect(markup).toContain('name="routes[1].host"');
    expect(markup).not.toContain("field-error");
    expect(gateway.services.settings.current().version).toBe(version);
  });

  test("a user: its password becomes a hash and is never shown", async () => {
    const gateway = await fakeGateway();
    const { browser } = administratorAt(gateway);
    const form = {
      login: "dave@example.test",
      domain: "example.test",
      enabled: "on",
      identify_by: "authenticated-user",
      verify: "",
    };
    const weak = await browser.post("/senders/new?kind=user", { ...form, password: "123456" });
    const markup = await weak.text();
    expect(weak.status).toBe(422);
    expect(markup).toContain("is too weak");
    expect(markup).toContain('value="dave@example.test"');
    expect(markup).not.toContain("123456");
    const good = "copper-violin-meadow-38";
    expect((await browser.post("/senders/new?kind=user", { ...form, password: good })).status).toBe(303);
    const stored = gateway.services.settings
      .current()
      .policy.sender.find((one) => one.login === "dave@example.test");
    expect(await Bun.password.verify(good, stored?.password_hash ?? "")).toBe(true);
    const edit = await textOf(browser, "/senders/dave%40example.test/edit");
    expect(edit).not.toContain("$argon2");
  });

  test("an address range told apart by a header line", async () => {
    const gateway = await fakeGateway();
    const { browser } = administratorAt(gateway);
    const made = { range: "198.51.100.8", domain: "example.test", enabled: "on", next: "configure" };
    const added = await browser.post("/senders/new?kind=ip", made);
    expect(added.status).toBe(303);
    const edit = added.headers.get("Location") ?? "";
    expect(edit).toBe("/senders/198.51.100.8%2F32/edit");
    const form = {
      ...formFields(await textOf(browser, edit)),
      identify_by: "header",
      "identity_headers[0].header": "X-Customer",
      "identity_headers[0].extract": "^(\\d+)",
      "identity_headers[0].remove": "keep",
    };
    expect((await browser.post(edit, form)).status).toBe(303);
    const identifiedBy = () =>
      gateway.services.settings.current().policy.sender.find((one) => one.range?.startsWith("198.51.100.8"))
        ?.identify_by;
    expect(identifiedBy()).toEqual({ header: "X-Customer", extract: "^(\\d+)", remove: false });
    const two = {
      ...formFields(await textOf(browser, edit)),
      "identity_headers[1].header": "X-Client-ID",
      "identity_headers[1].remove": "remove",
    };
    expect((await browser.post(edit, two)).status).toBe(303);
    expect(identifiedBy()).toEqual([
      { header: "X-Customer", extract: "^(\\d+)", remove: false },
      { header: "X-Client-ID", remove: true },
    ]);
    const again = formFields(await textOf(browser, edit));
    expect((await browser.post(edit, again)).status).toBe(303);
    expect(identifiedBy()).toHaveLength(2);
    const missing = await browser.post(edit, {
      ...formFields(await textOf(browser, edit)),
      "identity_headers[0].header": "",
      "identity_headers[1].header": "",
    });
    expect(await missing.text()).toContain("name at least one header line");
  });

  test("what exists already is not overwritten", async () => {
    const gateway = await fakeGateway();
    const { browser } = administratorAt(gateway);
    const before = JSON.stringify(gateway.services.settings.current().policy);
    const response = await browser.post("/domains/new", {
      name: "example.test",
      "recipients.verify": "callout",
      "recipients.cache": "1h",
    });
    expect(response.status).toBe(422);
    expect(await response.text()).toContain("there is one already");
    expect(JSON.stringify(gateway.services.settings.current().policy)).toBe(before);
  });
});

describe("what is wrong", () => {
  test("stands in a summary above and beside its field, and what was typed stays", async () => {
    const gateway = await fakeGateway();
    const { browser } = administratorAt(gateway);
    const fields = formFields(await textOf(browser, "/listeners/mx/edit"));
    const response = await browser.post("/listeners/mx/edit", {
      ...fields,
      listen: 'no "port"',
      max_recipients: "many",
      clients: "10.0.0.0/8\nnot-an-ip",
      idle_timeout: "soon",
    });
    const markup = await response.text();
    expect(response.status).toBe(422);
    // A number that is none cannot reach the schema, so the form says that first.
    expect(markup).toContain("&quot;many&quot; is not a whole number");
    expect(markup).toContain('value="no &quot;port&quot;"');
    const again = await browser.post("/listeners/mx/edit", {
      ...fields,
      listen: "nowhere",
      clients: "10.0.0.0/8\nnot-an-ip",
      idle_timeout: "soon",
    });
    const page = await again.text();
    expect(page).toMatch(/<a href="#f-listen">Address and port<\/a>/);
    expect(page).toMatch(
      /id="f-listen" name="listen" aria-invalid="true" aria-describedby="f-listen-error f-listen-help"/,
    );
    expect(page).toMatch(/id="f-clients-error">entry 2: [^<]*not-an-ip/);
    expect(page).toContain('id="f-idle_timeout-error"');
    expect(page).toContain("not-an-ip</textarea>");
  });

  test("in a row of routes is shown at that row", async () => {
    const { browser } = administratorAt(await fakeGateway());
    const fields = formFields(await textOf(browser, "/domains/example.test/edit"));
    const response = await browser.post("/domains/example.test/edit", {
      ...fields,
      "routes[1].host": "bad host!",
      "routes[0].port": "99999",
    });
    const markup = await response.text();
    expect(markup).toContain('id="f-routes-1-host-error"');
    expect(markup).toContain('id="f-routes-0-port-error"');
    expect(markup).toContain("Routes, row 2, host or address");
  });

  test("in a condition is said with its position", async () => {
    const { browser } = administratorAt(await fakeGateway());
    const form = {
      name: "mine",
      mode: "observe",
      action: "quarantine",
      priority: "5000",
      when: 'spf.reslt == "fail"',
    };
    const response = await browser.post("/rules/new", form);
    const markup = await response.text();
    expect(response.status).toBe(422);
    expect(markup).toContain('id="f-when-error"');
    expect(markup).toContain("spf.result");
  });

  test("the key of a stored item cannot be changed by a bent form", async () => {
    const gateway = await fakeGateway();
    const { browser } = administratorAt(gateway);
    const fields = formFields(await textOf(browser, "/domains/example.test/edit"));
    const response = await browser.post("/domains/example.test/edit", {
      ...fields,
      name: "other.example.test",
    });
    expect(response.status).toBe(422);
    expect(gateway.services.settings.current().policy.domain).toHaveLength(3);
  });
});

describe("secrets", () => {
  test("the smart host's password is never shown, kept when left empty, changed when typed", async () => {
    const gateway = await fakeGateway();
    const { browser } = administratorAt(gateway);
    const markup = await textOf(browser, "/settings/delivery");
    expect(markup).not.toContain("never-shown-9531");
    const fields = formFields(markup);
    const password = () => gateway.services.settings.current().policy.delivery.smarthost?.password;
    const smarthost = () => gateway.services.settings.current().policy.delivery.smarthost;
    await browser.post("/settings/delivery", { ...fields, "smarthost.tls": "verified" });
    expect(password()).toBe("never-shown-9531");
    expect(smarthost()?.tls).toBe("verified");
    // It was given for one address: another one has to be told it again.
    const moved = await browser.post("/settings/delivery", { ...fields, "smarthost.port": "2587" });
    expect(moved.status).toBe(422);
    expect(smarthost()?.port).toBe(587);
    await browser.post("/settings/delivery", { ...fields, "smarthost.password": "fresh-one-44" });
    expect(password()).toBe("fresh-one-44");
    expect(await textOf(browser, "/settings/delivery")).not.toContain("fresh-one-44");
    await browser.post("/settings/delivery", { ...fields, "smarthost.host": "" });
    expect(gateway.services.settings.current().policy.delivery.smarthost).toBeNull();
  });
});

describe("a rule that marks", () => {
  test("keeps the spaces of its marks, and what the form sends back is what is stored", async () => {
    const gateway = await fakeGateway();
    const { browser } = administratorAt(gateway);
    const form = {
      name: "mark-it",
      mode: "enforce",
      action: "mark",
      when: "client.tls",
      priority: "40",
      "subject.prefix": "[x] ",
      "subject.suffix": " !",
      "header.name": "X-Note",
      "header.value": "seen",
      "scope.directions": ["inbound"],
    };
    expect((await browser.post("/rules/new", form)).status).toBe(303);
    const ruleOf = () =>
      gateway.services.settings.current().policy.rule.find((one) => one.name === "mark-it");
    const stored = ruleOf();
    expect(stored).toMatchObject({
      subject: { prefix: "[x] ", suffix: " !" },
      header: { name: "X-Note", value: "seen" },
      scope: { directions: ["inbound"] },
    });
    await browser.post("/rules/mark-it/edit", formFields(await textOf(browser, "/rules/mark-it/edit")));
    expect(ruleOf()).toEqual(stored);
  });
});

describe("removing", () => {
  test("asks first, then removes", async () => {
    const gateway = await fakeGateway();
    const { browser } = administratorAt(gateway);
    const question = await textOf(browser, "/domains/old.example.test/remove");
    expect(question).toContain("Remove domain old.example.test?");
    expect(question).toContain("nothing in the queue is for it or from it.");
    expect(question).not.toContain("is not delivered any more");
    expect(gateway.services.settings.current().policy.domain).toHaveLength(3);
    expect((await browser.post("/domains/old.example.test/remove")).status).toBe(303);
    expect(gateway.services.settings.current().policy.domain).toHaveLength(2);
    expect((await browser.post("/domains/old.example.test/remove")).status).toBe(404);
  });
});

describe("rules", () => {
  test("are enforced, observed or off by one press, shipped ones too, and go back to as shipped", async () => {
    const gateway = await fakeGateway();
    const { browser } = administratorAt(gateway);
    const ruleOf = (name: string) =>
      gateway.services.settings.current().policy.rule.find((one) => one.name === name);
    await browser.post("/rules/virus/mode", { mode: "observe" });
    expect(ruleOf("virus")?.mode).toBe("observe");
    expect(await textOf(browser, "/rules")).toContain("Rule virus is only observed");
    await browser.post("/rules/no-ads/mode", { mode: "off" });
    expect(ruleOf("no-ads")).toMatchObject({ mode: "off", when: 'sender.domain == "ads.example.org"' });
    await browser.post("/rules/virus/reset");
    expect(ruleOf("virus")).toBeUndefined();
    expect((await browser.post("/rules/virus/mode", { mode: "sometimes" })).status).toBe(422);
    expect((await browser.post("/rules/nothing/mode", { mode: "off" })).status).toBe(404);
  });
});
