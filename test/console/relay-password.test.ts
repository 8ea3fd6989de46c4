// The self-service page for relay passwords: the same answer for everybody, a link that works once, a password that is judged.
import { describe, expect, test } from "bun:test";
import { type Challenge, solveChallenge } from "altcha-lib";
import { deriveKey } from "altcha-lib/algorithms/pbkdf2";
import { createConsole } from "../../src/console/create-console.ts";
import { loggedPath } from "../../src/console/security/logged-path.ts";
import { createRequestLimit } from "../../src/console/security/request-limit.ts";
import { passwordMatches } from "../../src/policy/password-hash.ts";
import { browserOf, guestBrowser, type TestBrowser } from "./console-browser.ts";
import { type FakeGateway, fakeGateway } from "./fake-services.ts";

const FRESH = "granite-willow-compass-46";
const MINUTE_MS = 60_000;

/** What the widget would put into the form. */
async function solved(browser: TestBrowser): Promise<string> {
  const challenge = (await (await browser.get("/smtp-password/challenge")).json()) as Challenge;
  const solution = await solveChallenge({ challenge, deriveKey });
  return btoa(JSON.stringify({ challenge, solution }));
}

async function ask(browser: TestBrowser, address: string): Promise<Response> {
  return browser.post("/smtp-password", { address, challenge: await solved(browser) });
}

/** What has been mailed: `address` and the path of the link. Mails are written after the answer. */
async function mailed(gateway: FakeGateway, atLeast: number): Promise<readonly (readonly string[])[]> {
  for (let i = 0; i < 400 && gateway.outgoing.notices.length < atLeast; i++) await Bun.sleep(5);
  return gateway.outgoing.notices.map((line) => {
    const [, address = "", url = ""] = /^password link (\S+) (\S+)$/.exec(line) ?? [];
    return [address, url.replace("https://gate.example.test:8443", "")];
  });
}

function hashOf(gateway: FakeGateway, login: string): string {
  const { sender } = gateway.services.settings.current().policy;
  return sender.find((one) => one.login === login)?.password_hash ?? "";
}

async function start(): Promise<{ gateway: FakeGateway; browser: TestBrowser }> {
  const gateway = await fakeGateway();
  return { gateway, browser: guestBrowser(createConsole(gateway.services)) };
}

/** A link for carol, by the front door. */
async function linkFor(gateway: FakeGateway, browser: TestBrowser, login: string): Promise<string> {
  const before = gateway.outgoing.notices.length;
  await ask(browser, login);
  const links = await mailed(gateway, before + 1);
  return links[before]?.[1] ?? "";
}

describe("asking for a link", () => {
  test("answers the same for every address; only a sender with a password of its own gets mail", async () => {
    const { gateway, browser } = await start();
    const addresses = [
      "nobody@example.test",
      // Its password is the mail server's.
      "heidi@example.test",
      "stranger@elsewhere.example.org",
      "Carol@Example.test",
    ];
    const answers = new Set<string>();
    for (const address of addresses) {
      const response = await ask(browser, address);
      answers.add(`${response.status} ${response.headers.get("Location")} ${await response.text()}`);
    }
    expect([...answers]).toEqual(["303 /smtp-password/sent "]);
    const links = await mailed(gateway, 1);
    expect(links).toHaveLength(1);
    expect(links[0]?.[0]).toBe("carol@example.test");
    expect(links[0]?.[1]).toMatch(/^\/smtp-password\/[A-Za-z0-9_-]{43}$/);
    const sent = await browser.get("/smtp-password/sent");
    expect(await sent.text()).not.toContain("carol");
    expect(gateway.auditEntries.filter((one) => one.actor === "self-service")).toMatchObject([
      { action: "password link sent", subject: "carol@example.test", ip: "192.0.2.10" },
    ]);
  });

  test("a switched-off sender gets none", async () => {
    const { gateway, browser } = await start();
    const { settings } = gateway.services;
    const carol = settings.current().policy.sender.find((one) => one.login === "carol@example.test");
    await settings.put("sender", { ...carol, enabled: false }, { name: "test", via: "console", ip: null });
    await ask(browser, "carol@example.test");
    await ask(browser, "orders@shop.example.test");
    expect((await mailed(gateway, 1)).map(([address]) => address)).toEqual(["orders@shop.example.test"]);
  });

  test("needs a solved challenge, which counts once and for a while", async () => {
    const { gateway, browser } = await start();
    const form = { address: "carol@example.test" };
    for (const challenge of ["", "nonsense", btoa("{}"), btoa(JSON.stringify({ challenge: 1 }))])
      expect((await browser.post("/smtp-password", { ...form, challenge })).status).toBe(422);

    const challenge = await solved(browser);
    const forged = JSON.parse(atob(challenge)) as { challenge: { parameters: { data: { until: number } } } };
    forged.challenge.parameters.data.until += 1;
    const bent = btoa(JSON.stringify(forged));
    expect((await browser.post("/smtp-password", { ...form, challenge: bent })).status).toBe(422);
    expect(await mailed(gateway, 0)).toHaveLength(0);

    expect((await browser.post("/smtp-password", { ...form, challenge })).status).toBe(303);
    const again = await browser.post("/smtp-password", { ...form, challenge });
    expect(again.status).toBe(422);
    expect(await again.text()).toContain("was used or too old");

    const late = await solved(browser);
    gateway.clock.set(gateway.clock.now() + 16 * MINUTE_MS);
    expect((await browser.post("/smtp-password", { ...form, challenge: late })).status).toBe(422);
    expect(await mailed(gateway, 1)).toHaveLength(1);
  });

  test("the same solution sent twice at once counts once", async () => {
    const { browser } = await start();
    const form = { address: "carol@example.test", challenge: await solved(browser) };
    const both = await Promise.all([
      browser.post("/smtp-password", form),
      browser.post("/smtp-password", form),
    ]);
    expect(both.map((one) => one.status).toSorted()).toEqual([303, 422]);
  });

  test("what is no mail address is said so, and stays in its field", async () => {
    const { browser } = await start();
    const response = await browser.post("/smtp-password", { address: '"><script>', challenge: "" });
    const markup = await response.text();
    expect(response.status).toBe(422);
    expect(markup).toContain("This is not a mail address");
    expect(markup).not.toContain("<script>");
  });

  test("three mails to one address while a link is valid, so that strangers cannot keep a link from its owner", async () => {
    const { gateway, browser } = await start();
    for (let i = 0; i < 5; i++) expect((await ask(browser, "carol@example.test")).status).toBe(303);
    await ask(browser, "orders@shop.example.test");
    const links = await mailed(gateway, 4);
    expect(links.map(([address]) => address)).toEqual([
      ...Array.from({ length: 3 }, () => "carol@example.test"),
      "orders@shop.example.test",
    ]);
    // As long as no further one is mailed, one that was mailed works.
    gateway.clock.set(gateway.clock.now() + 29 * MINUTE_MS);
    expect((await browser.get(links[2]?.[1] ?? "")).status).toBe(200);
    gateway.clock.set(gateway.clock.now() + 2 * MINUTE_MS);
    await ask(browser, "carol@example.test");
    expect(await mailed(gateway, 5)).toHaveLength(5);
  }, 30_000);

  test("a network that asks for too many is told so, whatever the addresses", async () => {
    const { gateway } = await start();
    const browser = guestBrowser(createConsole(gateway.services), "198.51.100.77");
    for (let i = 0; i < 30; i++)
      expect((await ask(browser, `nobody${i}@example.test`)).headers.get("Location")).toBe(
        "/smtp-password/sent",
      );
    for (const address of ["carol@example.test", "nobody@example.test"]) {
      const response = await ask(browser, address);
      expect(response.status).toBe(429);
      expect(await response.text()).toContain("Too many requests come from your network");
    }
    expect(await mailed(gateway, 0)).toHaveLength(0);
  }, 60_000);

  test("switched off, there is no such page", async () => {
    const { gateway, browser } = await start();
    const link = await linkFor(gateway, browser, "carol@example.test");
    const { settings } = gateway.services;
    await settings.put("settings", { self_service: false }, { name: "test", via: "console", ip: null });
    for (const path of ["/smtp-password", "/smtp-password/sent", "/smtp-password/challenge", link]) {
      const response = await browser.get(path);
      expect(response.status).toBe(404);
      expect(await response.text()).toContain("There is no such page");
    }
    const response = await browser.post(link, { password: FRESH, again: FRESH });
    expect(response.status).toBe(404);
    expect(await passwordMatches(FRESH, hashOf(gateway, "carol@example.test"))).toBe(false);
  });
});

describe("the link", () => {
  test("sets the password once; looking at it does not use it, and a second use says so", async () => {
    const { gateway, browser } = await start();
    const link = await linkFor(gateway, browser, "carol@example.test");
    for (let i = 0; i < 3; i++) {
      const page = await browser.get(link);
      expect(page.status).toBe(200);
      expect(page.headers.get("Referrer-Policy")).toBe("same-origin");
      expect(page.headers.get("Cache-Control")).toBe("no-store");
      expect(await page.text()).toContain("carol@example.test");
    }
    const before = gateway.services.settings.current().policy.sender;
    const done = await browser.post(link, { password: FRESH, again: FRESH });
    expect(done.headers.get("Location")).toBe("/smtp-password/done");
    expect(await passwordMatches(FRESH, hashOf(gateway, "carol@example.test"))).toBe(true);
    expect(await passwordMatches("marble-otter-kettle-71", hashOf(gateway, "carol@example.test"))).toBe(
      false,
    );
    const after = gateway.services.settings.current().policy.sender;
    const rest = (list: typeof after) => list.map(({ password_hash: _hash, ...one }) => one);
    expect(rest(after)).toEqual(rest(before));

    const page = await (await browser.get("/smtp-password/done")).text();
    for (const words of [
      "Your new password holds",
      "gate.example.test",
      "465",
      "SSL/TLS",
      "port 587 with STARTTLS",
    ])
      expect(page).toContain(words);

    for (const response of [
      await browser.get(link),
      await browser.post(link, { password: FRESH, again: FRESH }),
    ]) {
      expect(response.status).toBe(410);
      const markup = await response.text();
      expect(markup).toContain("This link was used already");
      expect(markup).toContain('href="/smtp-password"');
    }
  });

  test("a weak or mistyped password is refused with a reason, and the link still works", async () => {
    const { gateway, browser } = await start();
    const link = await linkFor(gateway, browser, "carol@example.test");
    const before = hashOf(gateway, "carol@example.test");
    const cases = [
      [{ password: "123456", again: "123456" }, "is too weak"],
      [{ password: "carol@example.test1", again: "carol@example.test1" }, "contains the login"],
      [{ password: FRESH, again: "something else" }, "The two passwords differ"],
      [{ password: "", again: "" }, "is too weak"],
    ] as const;
    for (const [form, words] of cases) {
      const response = await browser.post(link, form);
      const markup = await response.text();
      expect(response.status).toBe(422);
      expect(markup).toContain(words);
      expect(markup).not.toContain(FRESH);
    }
    expect(hashOf(gateway, "carol@example.test")).toBe(before);
    expect((await browser.post(link, { password: FRESH, again: FRESH })).status).toBe(303);
  });

  test("two posts at once: one sets its password, the other hears that the link was used", async () => {
    const { gateway, browser } = await start();
    const link = await linkFor(gateway, browser, "carol@example.test");
    const other = "pepper-lagoon-anvil-52";
    const both = await Promise.all([
      browser.post(link, { password: FRESH, again: FRESH }),
      browser.post(link, { password: other, again: other }),
    ]);
    expect(both.map((one) => one.status).toSorted()).toEqual([303, 410]);
    const winner = both[0]?.status === 303 ? FRESH : other;
    expect(await passwordMatches(winner, hashOf(gateway, "carol@example.test"))).toBe(true);
  });

  test("is over after half an hour, and unknown ones are told apart from it", async () => {
    const { gateway, browser } = await start();
    const link = await linkFor(gateway, browser, "carol@example.test");
    gateway.clock.set(gateway.clock.now() + 31 * MINUTE_MS);
    const response = await browser.get(link);
    expect(response.status).toBe(410);
    expect(await response.text()).toContain("This link has expired");
    expect((await browser.post(link, { password: FRESH, again: FRESH })).status).toBe(410);
    const unknown = await browser.get(`/smtp-password/${"B".repeat(43)}`);
    expect(unknown.status).toBe(404);
    expect(await unknown.text()).toContain("This link is not known");
  });

  test("is void once the password is another one, or the sender is gone", async () => {
    const { gateway, browser } = await start();
    const first = await linkFor(gateway, browser, "carol@example.test");
    const second = await linkFor(gateway, browser, "carol@example.test");
    await browser.post(second, { password: FRESH, again: FRESH });
    expect((await browser.get(first)).status).toBe(410);
    const third = await linkFor(gateway, browser, "carol@example.test");
    await gateway.services.settings.remove("sender", "carol@example.test", {
      name: "test",
      via: "console",
      ip: null,
    });
    expect((await browser.get(third)).status).toBe(404);
    expect((await browser.post(third, { password: FRESH, again: FRESH })).status).toBe(404);
  });

  test("brings no sender back that is removed or switched off while it is used", async () => {
    const gateway = await fakeGateway();
    const { links, settings } = gateway.services;
    const actor = { name: "test", via: "console", ip: null } as const;
    const carol = () => settings.current().policy.sender.find((one) => one.login === "carol@example.test");
    let meanwhile: () => Promise<unknown> = async () => {};
    const use: typeof links.use = async (kind, token) => {
      const used = await links.use(kind, token);
      await meanwhile();
      return used;
    };
    const browser = guestBrowser(createConsole({ ...gateway.services, links: { ...links, use } }));
    const form = { password: FRESH, again: FRESH };
    const first = await linkFor(gateway, browser, "carol@example.test");
    meanwhile = () => settings.put("sender", { ...carol(), enabled: false }, actor);
    expect((await browser.post(first, form)).status).toBe(404);
    expect(carol()?.enabled).toBe(false);
    await settings.put("sender", { ...carol(), enabled: true }, actor);
    const second = await linkFor(gateway, browser, "carol@example.test");
    meanwhile = () => settings.remove("sender", "carol@example.test", actor);
    expect((await browser.post(second, form)).status).toBe(404);
    expect(carol()).toBeUndefined();
  });

  test("leaves a change that has begun and is not yet in force", async () => {
    const gateway = await fakeGateway();
    const { links, settings } = gateway.services;
    const actor = { name: "test", via: "console", ip: null } as const;
    const carol = () => settings.current().policy.sender.find((one) => one.login === "carol@example.test");
    let change: object = {};
    const use: typeof links.use = async (kind, token) => {
      const used = await links.use(kind, token);
      void settings.put("sender", { ...carol(), ...change }, actor);
      return used;
    };
    const browser = guestBrowser(createConsole({ ...gateway.services, links: { ...links, use } }));
    const form = { password: FRESH, again: FRESH };
    change = { limits: { per_hour: 5 } };
    const link = await linkFor(gateway, browser, "carol@example.test");
    expect((await browser.post(link, form)).status).toBe(303);
    expect(carol()?.limits.per_hour).toBe(5);
    expect(await passwordMatches(FRESH, carol()?.password_hash ?? "")).toBe(true);
    change = { enabled: false };
    const other = await linkFor(gateway, browser, "carol@example.test");
    expect((await browser.post(other, form)).status).toBe(404);
    expect(carol()?.enabled).toBe(false);
  });

  test("is the only thing that lets a guest have a password judged", async () => {
    const { gateway, browser } = await start();
    const link = await linkFor(gateway, browser, "carol@example.test");
    const judged = await browser.post(`${link}/strength`, { password: "letmein" });
    expect(await judged.text()).toContain("Too weak");
    const guest = await browser.post(`/smtp-password/${"C".repeat(43)}/strength`, { password: "letmein" });
    expect(guest.status).toBe(403);
  });

  test("another site cannot make a browser use it", async () => {
    const { gateway, browser } = await start();
    const link = await linkFor(gateway, browser, "carol@example.test");
    const form = { password: FRESH, again: FRESH };
    const headers = { Origin: "https://evil.example.org", "Sec-Fetch-Site": "cross-site" };
    expect((await browser.post(link, form, headers)).status).toBe(403);
    expect((await browser.get(link)).status).toBe(200);
  });

  test("works for somebody who is logged in as well", async () => {
    const gateway = await fakeGateway();
    const app = createConsole(gateway.services);
    const link = await linkFor(gateway, guestBrowser(app), "carol@example.test");
    expect((await browserOf(app, gateway, "administrator").get(link)).status).toBe(200);
  });
});

describe("the log", () => {
  test("never has the token of a link", () => {
    const path = loggedPath(`/smtp-password/${"Ab_-".repeat(10)}xyz/strength`);
    expect(path).toBe("/smtp-password/…/strength");
    expect(loggedPath("/domains/example.test/outgoing")).toBe("/domains/example.test/outgoing");
  });
});

describe("the limit of requests", () => {
  test("slides, counts by key, and a flood of keys forgets the one used longest ago", () => {
    let now = 0;
    const clock = { now: () => now, after: () => () => undefined };
    const limit = createRequestLimit(clock, { most: 2, windowMs: 1000, maxKeys: 3 });
    expect([limit.take("a"), limit.take("a"), limit.take("a"), limit.take("b")]).toEqual([
      true,
      true,
      false,
      true,
    ]);
    now = 999;
    expect(limit.take("a")).toBe(false);
    now = 1001;
    expect([limit.take("a"), limit.take("a"), limit.take("a")]).toEqual([true, true, false]);
    for (const key of ["c", "d"]) limit.take(key);
    expect(limit.take("a")).toBe(false);
    for (const key of ["e", "f", "g"]) limit.take(key);
    expect(limit.take("a")).toBe(true);
  });
});
