// Identities, locks and the page behind an unlock link: what is shown, who may act, and that only the button acts.
import { describe, expect, test } from "bun:test";
import { createConsole } from "../../src/console/create-console.ts";
import { identityUrl } from "../../src/console/pages/identity-address.ts";
import { administratorAt, apiToken, browserOf, guestBrowser, ORIGIN } from "./console-browser.ts";
import { type FakeGateway, fakeGateway, stateOf } from "./fake-services.ts";

const RANGE = "192.0.2.64/28";
const LOCKED = { sender: RANGE, name: "client-a" };

async function setUp() {
  const gateway = await fakeGateway();
  return { gateway, ...administratorAt(gateway) };
}

const rows = (markup: string) => [...markup.matchAll(/<tr id="i-/g)].length;
const locksOf = (gateway: FakeGateway) => gateway.outgoing.locks.map(({ identity }) => identity);

describe("identities", () => {
  test("are listed, searched, filtered by sender, domain and lock", async () => {
    const { browser } = await setUp();
    const text = async (query: string) => (await browser.get(`/identities${query}`)).text();
    expect(rows(await text(""))).toBe(6);
    expect(rows(await text("?q=client"))).toBe(2);
    expect(rows(await text("?sender=192.0.2.64%2F28"))).toBe(4);
    expect(rows(await text("?domain=shop.example.test"))).toBe(1);
    const locked = await text("?locked=yes");
    expect(rows(locked)).toBe(1);
    expect(locked).toContain('badge tone-bad">Locked');
    expect(await text("?q=nobody")).toContain("No identity fits");
    expect(await text("")).not.toContain('<script>alert("id")');
  });

  test("have a page: days, limits and when they free, bulk in words, the lock and its history", async () => {
    const { browser } = await setUp();
    const page = await (await browser.get(identityUrl({ sender: RANGE, identity: "client-a" }))).text();
    expect(page).toContain("Locked: <bdi>6 spam messages within 10 minutes (rule spam)</bdi>");
    expect(page).toContain("Ends by itself");
    expect(page).toContain("138 of 500");
    expect(page).toContain("212 new recipients this hour, usual are 4");
    expect(page).toContain("locked by gatepost");
    // The axis is 30 days whatever is known; 14 of them have mail.
    expect([...page.matchAll(/class="bar"/g)]).toHaveLength(30);
    expect(page).toContain("data-live");
    const whole = await (await browser.get(identityUrl({ sender: RANGE, identity: null }))).text();
    expect(whole).toContain("60 of 60");
    expect(whole).toContain("It lets mail through again");
    expect(whole).toContain("Everybody behind this sender is locked with it");
    expect(whole).toContain("The sender as a whole was never locked");
    expect(whole).not.toContain("It was never locked");
  });

  test("behind a trusted network are not called removed while it is trusted", async () => {
    const { gateway, browser } = await setUp();
    const [sample] = gateway.outgoing.identities;
    if (sample === undefined) throw new Error("no sample");
    const page = async (sender: string) => {
      gateway.outgoing.identities.push({
        ...sample,
        sender,
        name: "bob@example.test",
        lock: null,
        limits: [],
      });
      return (await browser.get(identityUrl({ sender, identity: "bob@example.test" }))).text();
    };
    for (const sender of ["example.test via 10.0.0.0/8", "10.0.0.0/8", "example.test via 192.0.2.25/32"]) {
      const text = await page(sender);
      expect([sender, text.includes("May send."), text.includes("was removed")]).toEqual([
        sender,
        true,
        false,
      ]);
      expect(text).toContain("Trusted network");
    }
    for (const sender of ["example.test via 172.16.0.0/12", "gone@example.test"])
      expect([sender, (await page(sender)).includes("its sender was removed")]).toEqual([sender, true]);
    // Of a domain that is gone the network still sends, as mail of other authors.
    expect(await page("gone.test via 10.0.0.0/8")).toContain(
      "Its domain was removed; what it sends counts for 10.0.0.0/8, as mail of other authors. May send.",
    );
  });

  test("of a domain that is switched off may not send, and it says so", async () => {
    const { gateway, browser } = await setUp();
    const { settings } = gateway.services;
    const key = { sender: "example.test via 10.0.0.0/8", identity: "bob@example.test" };
    const [sample] = gateway.outgoing.identities;
    if (sample === undefined) throw new Error("no sample");
    gateway.outgoing.identities.push({ ...sample, ...key, name: key.identity, lock: null, limits: [] });
    const page = async () => (await browser.get(identityUrl(key))).text();
    expect(await page()).toContain("May send.");
    const domain = settings.current().policy.domain.find(({ name }) => name === "example.test");
    await settings.put("domain", { ...domain, enabled: false }, { name: "test", via: "console", ip: "" });
    expect(await page()).toContain("May not send: its domain is switched off.");
  });

  test("of any name can be opened", async () => {
    const { gateway, browser } = await setUp();
    for (const { sender, name } of gateway.outgoing.identities) {
      const response = await browser.get(identityUrl({ sender, identity: name === "" ? null : name }));
      expect(response.status).toBe(200);
    }
    expect((await browser.get("/identity?sender=heidi%40example.test")).status).toBe(200);
    expect((await browser.get("/identity?sender=nobody%40example.test")).status).toBe(404);
    expect((await browser.get("/identity")).status).toBe(404);
  });

  test("are locked and unlocked by a person, under the own name", async () => {
    const { gateway, browser } = await setUp();
    const key = { sender: "carol@example.test", name: "carol@example.test" };
    const locked = await browser.post("/identity/lock", { ...key, reason: " password\r\nstolen " });
    expect(locked.headers.get("Location")).toBe(
      identityUrl({ sender: "carol@example.test", identity: "carol@example.test" }),
    );
    expect(gateway.outgoing.locks.at(-1)).toMatchObject({
      by: "admin@example.test",
      words: "password stolen",
    });
    await browser.post("/identity/lock", key);
    expect(gateway.outgoing.locks).toHaveLength(2);
    await browser.post("/identity/unlock", key);
    await browser.post("/identity/unlock", key);
    expect(locksOf(gateway)).toEqual(["client-a"]);
    expect(gateway.outgoing.lockEvents.slice(0, 2).map((one) => `${one.by} ${one.what}`)).toEqual([
      "admin@example.test unlocked",
      "admin@example.test locked",
    ]);
  });

  test("of the own domain are the domain administrator’s", async () => {
    const { gateway, app } = await setUp();
    const keeper = browserOf(app, gateway, "domain-administrator");
    expect(rows(await (await keeper.get("/identities")).text())).toBe(1);
    expect(rows(await (await keeper.get("/identities?domain=example.test")).text())).toBe(1);
    const key = { sender: "orders@shop.example.test", name: "orders@shop.example.test" };
    expect((await keeper.post("/identity/lock", key)).status).toBe(303);
    expect(locksOf(gateway)).toContain("orders@shop.example.test");
    const before = stateOf(gateway);
    expect((await keeper.post("/identity/unlock", LOCKED)).status).toBe(404);
    expect((await keeper.post("/identity/lock", { sender: "carol@example.test" })).status).toBe(404);
    expect(stateOf(gateway)).toBe(before);
    // A sender that went to another domain goes with all it sent before.
    const admin = { name: "admin", via: "console", ip: null } as const;
    const range = { kind: "ip", range: RANGE, identify_by: { header: "X-Client-ID", remove: true } };
    const page = `/identity?${new URLSearchParams(LOCKED)}`;
    await gateway.services.settings.put("sender", { ...range, domain: "shop.example.test" }, admin);
    expect((await keeper.get(page)).status).toBe(200);
    await gateway.services.settings.put("sender", { ...range, domain: "example.test" }, admin);
    expect((await keeper.get(page)).status).toBe(404);
    // A log-in of one domain does not go under another.
    const moved = { login: key.sender, domain: "example.test" };
    expect((await gateway.services.settings.put("sender", moved, admin)).ok).toBe(false);
  });

  test("locked by hand by the operator are unlocked by the operator alone, whichever door is tried", async () => {
    const { gateway, app, browser } = await setUp();
    const keeper = browserOf(app, gateway, "domain-administrator");
    const key = { sender: "orders@shop.example.test", name: "orders@shop.example.test" };
    const isLocked = () => locksOf(gateway).includes(key.name);
    const page = `/identity?${new URLSearchParams(key)}`;
    // What its own administrator has locked, it may unlock; what fell by itself too.
    await keeper.post("/identity/lock", key);
    expect((await keeper.post("/identity/unlock", key)).status).toBe(303);
    expect(isLocked()).toBe(false);
    await gateway.services.outgoing.lock(
      { sender: key.sender, identity: key.name },
      "gatepost",
      "5 spam messages",
    );
    expect((await keeper.post("/identity/unlock", key)).status).toBe(303);
    expect(isLocked()).toBe(false);
    for (const by of [
      "admin@example.test",
      "command line",
      "api token robot",
      "somebody who is gone",
      "person@example.test",
    ]) {
      await gateway.services.outgoing.lock({ sender: key.sender, identity: key.name }, by, "stolen");
      const refused = await keeper.post("/identity/unlock", key);
      expect(refused.status).toBe(403);
      expect(await refused.text()).toContain("who alone can unlock it");
      expect(await (await keeper.get(page)).text()).not.toContain('action="/identity/unlock"');
      // Locking it over is no way round.
      await keeper.post("/identity/lock", key);
      expect((await keeper.post("/identity/unlock", key)).status).toBe(403);
      expect(isLocked()).toBe(true);
      const subject = { sender: key.sender, identity: key.name };
      const since = String(
        gateway.services.outgoing.locks().find(({ sender }) => sender === key.sender)?.since,
      );
      const token = await gateway.services.links.create({
        kind: "unlock",
        subject: { ...subject, since },
        validMs: 3_600_000,
      });
      const guest = guestBrowser(app);
      expect((await guest.get(`/unlock/${token}`)).status).toBe(403);
      expect((await guest.post(`/unlock/${token}`)).status).toBe(403);
      expect(isLocked()).toBe(true);
      expect((await browser.post("/identity/unlock", key)).status).toBe(303);
      expect(isLocked()).toBe(false);
    }
  });

  test("locked by themselves are made to stay locked by hand", async () => {
    const { gateway, browser } = await setUp();
    expect(await (await browser.get(`/identity?${new URLSearchParams(LOCKED)}`)).text()).toContain(
      "Lock until a person unlocks",
    );
    await browser.post("/identity/lock", { ...LOCKED, reason: "stolen" });
    const lock = gateway.services.outgoing.locks().find(({ identity }) => identity === LOCKED.name);
    expect(lock).toMatchObject({ by: "admin@example.test", until: null, words: "stolen" });
  });

  test("are not said to send while their sender is locked or a limit is reached", async () => {
    const { gateway, browser } = await setUp();
    const text = async (key: Record<string, string>) =>
      (await browser.get(`/identity?${new URLSearchParams(key)}`)).text();
    expect(await text({ sender: RANGE })).toContain("1 identity of it is locked.");
    expect(await text({ sender: RANGE, name: "client-b" })).toContain(
      "Its sender is at its limit: connections an hour.",
    );
    expect(await text({ sender: "carol@example.test" })).toContain("May send.");
    await gateway.services.outgoing.lock({ sender: RANGE, identity: null }, "admin", "stolen");
    expect(await text({ sender: RANGE, name: "client-b" })).toContain("its whole sender is locked");
    expect(await (await browser.get("/identities")).text()).toContain('tone-bad">Sender locked');
    await gateway.services.outgoing.unlock({ sender: RANGE, identity: null }, "admin");
    await gateway.services.outgoing.unlock({ sender: RANGE, identity: "client-a" }, "admin");
    expect(await text({ sender: RANGE })).toContain("At its limit: connections an hour.");
  });

  test("that are locked are on the overview", async () => {
    const { browser } = await setUp();
    expect(await (await browser.get("/")).text()).toContain("Locked: client-a");
  });
});

describe("the page behind an unlock link", () => {
  const link = (gateway: FakeGateway, validMs = 3_600_000) =>
    gateway.services.links.create({
      kind: "unlock",
      subject: {
        sender: RANGE,
        identity: "client-a",
        since: String(gateway.services.outgoing.locks().find(({ sender }) => sender === RANGE)?.since),
      },
      validMs,
    });

  test("shows what is locked and why, however often it is looked at; only the button unlocks, once", async () => {
    const { gateway, app } = await setUp();
    const guest = guestBrowser(app);
    const url = `/unlock/${await link(gateway)}`;
    for (let look = 0; look < 5; look++) {
      const page = await guest.get(url);
      expect(page.status).toBe(200);
      const markup = await page.text();
      expect(markup).toContain("Identity client-a of sender 192.0.2.64/28");
      expect(markup).toContain("6 spam messages within 10 minutes");
      expect(markup).toContain("<button");
      expect(page.headers.get("Referrer-Policy")).toBe("same-origin");
      expect(page.headers.get("Cache-Control")).toBe("no-store");
      expect(markup).not.toMatch(/href="https?:/);
    }
    expect(locksOf(gateway)).toEqual(["client-a"]);
    const cross = { Origin: "https://evil.example.org", "Sec-Fetch-Site": "cross-site" };
    expect((await guest.post(url, {}, cross)).status).toBe(403);
    expect(locksOf(gateway)).toEqual(["client-a"]);
    const done = await guest.post(url);
    expect(done.status).toBe(200);
    expect(await done.text()).toContain("may send again at once");
    expect(locksOf(gateway)).toEqual([]);
    expect(gateway.auditEntries.at(-1)).toMatchObject({
      actor: "one-time unlock link",
      action: "unlock link used",
      ip: "192.0.2.10",
    });
    const again = await guest.post(url);
    expect(again.status).toBe(410);
    expect(await again.text()).toContain("This link was used");
    expect(await (await guest.get(url)).text()).toContain("This link was used");
  });

  test("says of expired, unknown and needless links what they are", async () => {
    const { gateway, app, browser } = await setUp();
    const guest = guestBrowser(app);
    const old = await link(gateway, 1000);
    const needless = await link(gateway, 90_000_000);
    gateway.clock.set(gateway.clock.now() + 2000);
    expect(await (await guest.get(`/unlock/${old}`)).text()).toContain("This link has expired");
    expect((await guest.post(`/unlock/${old}`)).status).toBe(410);
    for (const token of ["B".repeat(43), "x", "..%2F..", "%00".repeat(20)]) {
      const unknown = await guest.get(`/unlock/${token}`);
      expect(unknown.status).toBe(404);
      expect(await unknown.text()).toMatch(/not known|no such page/i);
    }
    await browser.post("/identity/unlock", LOCKED);
    const page = await (await guest.get(`/unlock/${needless}`)).text();
    expect(page).toContain("not locked any more");
    expect(page).not.toContain("<button");
  });

  test("lifts the lock it was made for, not a later one of the same identity", async () => {
    const { gateway, app, browser } = await setUp();
    const guest = guestBrowser(app);
    const first = `/unlock/${await link(gateway)}`;
    await browser.post("/identity/unlock", LOCKED);
    gateway.clock.set(gateway.clock.now() + 60_000);
    await browser.post("/identity/lock", { ...LOCKED, reason: "an investigation" });
    const page = await guest.get(first);
    expect(page.status).toBe(410);
    const markup = await page.text();
    expect(markup).toContain("Locked again since");
    expect(markup).not.toContain("an investigation");
    expect(markup).not.toContain("<button");
    expect((await guest.post(first)).status).toBe(410);
    expect(locksOf(gateway)).toEqual(["client-a"]);
  });

  test("slows down who tries many", async () => {
    const { gateway, app } = await setUp();
    const guest = guestBrowser(app, "198.51.100.9");
    const token = await link(gateway);
    let refused = 0;
    for (let i = 0; i < 40; i++) if ((await guest.get(`/unlock/${"C".repeat(43)}`)).status === 429) refused++;
    expect(refused).toBe(10);
    expect((await guest.post(`/unlock/${token}`)).status).toBe(429);
    expect((await guestBrowser(app, "198.51.100.10").get(`/unlock/${token}`)).status).toBe(200);
    expect(locksOf(gateway)).toEqual(["client-a"]);
  });
});

describe("over the API", () => {
  test("identities are read, locked and unlocked", async () => {
    const gateway = await fakeGateway();
    const app = createConsole(gateway.services);
    const token = apiToken(gateway, "write");
    const call = async (method: string, path: string, body?: unknown) => {
      const response = await app.request(`${ORIGIN}/api/v1${path}`, {
        method,
        headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return { status: response.status, json: JSON.parse(await response.text()) };
    };
    const first = await call("GET", "/identities?limit=4");
    // The lines of three whole senders among them.
    expect(first.json).toMatchObject({ total: 9, next: "4" });
    expect((await call("GET", "/identities?limit=5&before=4")).json).toMatchObject({ next: null });
    expect((await call("GET", "/identity?sender=192.0.2.64/28&identity=client-a")).json.lock.by).toBe(
      "gatepost",
    );
    const { json: whole } = await call("GET", "/identity?sender=192.0.2.64/28");
    const { sender } = gateway.services.settings.current().policy;
    expect(whole.eachIdentity).toEqual({ ...sender.find(({ range }) => range === RANGE)?.identity_limits });
    expect((await call("GET", "/locks")).json.items).toHaveLength(1);
    expect((await call("GET", "/locks?domain=shop.example.test")).json.items).toHaveLength(0);
    const order = { sender: RANGE, identity: "client-b", words: "trial" };
    expect((await call("POST", "/locks", order)).json).toEqual({ result: "locked" });
    expect((await call("POST", "/locks", order)).json).toEqual({ result: "already" });
    expect((await call("POST", "/unlock", { sender: RANGE, identity: "client-b" })).json.result).toBe(
      "unlocked",
    );
    expect((await call("POST", "/unlock", { sender: RANGE, identity: "client-b" })).json.result).toBe(
      "already",
    );
    expect((await call("POST", "/locks", { sender: "nobody@example.test" })).status).toBe(404);
    expect((await call("POST", "/locks", { identity: 5, colour: "red" })).status).toBe(422);
    expect(gateway.outgoing.lockEvents.slice(0, 2).map((one) => `${one.by} ${one.what}`)).toEqual([
      "api token test-write unlocked",
      "api token test-write locked",
    ]);
  });
});
