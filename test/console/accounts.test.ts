// Accounts and bans in the console: adding, changing, removing; never the last administrator, never oneself.
import { describe, expect, test } from "bun:test";
import { administratorAt, browserOf } from "./console-browser.ts";
import { fakeGateway } from "./fake-services.ts";

const GOOD = "copper-violin-meadow-38";

async function setUp() {
  const gateway = await fakeGateway();
  return { gateway, ...administratorAt(gateway) };
}

describe("accounts", () => {
  test("are added with a strong password, and may then log in to what they should", async () => {
    const { gateway, browser } = await setUp();
    const form = { login: "pat", role: "domain-administrator", domains: "Shop.Example.Test\nexample.test" };
    const weak = await browser.post("/accounts/new", { ...form, password: "123456" });
    expect(weak.status).toBe(422);
    expect(await weak.text()).toContain("This password");
    expect((await browser.post("/accounts/new", { ...form, password: GOOD })).status).toBe(303);
    const made = gateway.accounts.find(({ login }) => login === "pat");
    expect(made).toMatchObject({
      role: "domain-administrator",
      domains: ["shop.example.test", "example.test"],
    });
    expect(await Bun.password.verify(GOOD, made?.passwordHash ?? "")).toBe(true);
    expect(await (await browser.get("/accounts")).text()).toContain("pat");
    expect(gateway.auditEntries.at(-1)).toMatchObject({ action: "account added", subject: "pat" });
  });

  test.each([
    ["a login that is taken", { login: "ADMIN@example.test", role: "user" }, "already"],
    ["no login", { login: " ", role: "user" }, "at least 2 characters"],
    ["an unknown role", { login: "pat", role: "root" }, "choose a role"],
    ["no domains", { login: "pat", role: "domain-administrator" }, "at least one domain"],
    [
      "a domain that is not ours",
      { login: "pat", role: "domain-administrator", domains: "example.org" },
      "not a domain of this gateway",
    ],
    [
      "domains of an administrator",
      { login: "pat", role: "administrator", domains: "example.test" },
      "leave them out",
    ],
  ])("are refused with %s", async (_name, form, words) => {
    const { gateway, browser } = await setUp();
    const answer = await browser.post("/accounts/new", { ...form, password: GOOD });
    expect(answer.status).toBe(422);
    expect(await answer.text()).toContain(words);
    expect(gateway.accounts).toHaveLength(3);
  });

  test("that change must log in anew", async () => {
    const { gateway, app, browser } = await setUp();
    const keeper = browserOf(app, gateway, "domain-administrator");
    expect((await keeper.get("/quarantine")).status).toBe(200);
    await browser.post("/accounts/account-2/edit", { role: "domain-administrator", domains: "example.test" });
    expect((await keeper.get("/quarantine")).status).toBe(303);
    const user = browserOf(app, gateway, "user");
    await browser.post("/accounts/account-3/password", { password: GOOD });
    expect((await user.get("/account")).status).toBe(303);
    await browser.post("/accounts/account-3/remove");
    expect(gateway.accounts.map(({ id }) => id)).toEqual(["account-1", "account-2"]);
    expect(gateway.auditEntries.slice(-3).map(({ action }) => action)).toEqual([
      "account changed",
      "account password set",
      "account removed",
    ]);
  });

  test("are never one’s own, and never the last administrator", async () => {
    const { gateway, app, browser } = await setUp();
    const before = JSON.stringify(gateway.accounts);
    for (const action of ["edit", "password", "remove"]) {
      const answer = await browser.post(`/accounts/account-1/${action}`, { role: "user", password: GOOD });
      expect(answer.status).toBe(422);
    }
    expect(JSON.stringify(gateway.accounts)).toBe(before);
    // Somebody whose session outlived the rights: the store decides.
    await browser.post("/accounts/account-2/edit", { role: "administrator", domains: "" });
    const second = browserOf(app, gateway, "domain-administrator");
    expect((await second.post("/accounts/account-1/edit", { role: "user", domains: "" })).status).toBe(303);
    expect((await browser.get("/accounts")).status).toBe(303);
    expect(gateway.accounts.filter(({ role }) => role === "administrator")).toHaveLength(1);
    expect((await second.get("/accounts/nobody/edit")).status).toBe(404);
  });
});

describe("bans", () => {
  test("are listed with what was tried, and lifted with an audit entry", async () => {
    const { gateway, browser } = await setUp();
    const page = await (await browser.get("/bans")).text();
    expect(page).toContain("203.0.113.7/32");
    expect(page).toContain("&lt;b&gt;info");
    await browser.post("/bans/lift", { network: "203.0.113.7/32" });
    expect(gateway.outgoing.bans).toEqual([]);
    expect(gateway.auditEntries.at(-1)).toMatchObject({ action: "ban lifted", subject: "203.0.113.7/32" });
    await browser.post("/bans/lift", { network: "203.0.113.7/32" });
    expect(await (await browser.get("/bans")).text()).toContain("It was not banned any more");
    expect(await (await browser.get("/bans")).text()).toContain("Nobody is banned");
  });
});
