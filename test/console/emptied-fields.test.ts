// Every field of every form that is emptied goes back to what it is by default, or the answer names what to type. Never "nothing was
// different" with the old value back in the field.
import { expect, test } from "bun:test";
import { administratorAt } from "./console-browser.ts";
import { fakeGateway } from "./fake-services.ts";
import { formFields } from "./page-form.ts";

const SET = {
  settings: {
    min_free: "300 MB",
    postmaster: "pm@example.test",
    console_url: "https://gate.example.test:8443",
    domain_age: { feed: "/x", rdap: "https://rdap.example.test/" },
  },
  networks: { trusted: ["10.0.0.0/8"] },
};

const SAYS_WHAT_TO_DO =
  /the default is|is missing; give|write it like|name at least one header|needs|must have/;
/** The values a field has by default: it may come back with them. */
const USUAL: Readonly<Record<string, readonly string[]>> = {
  "routes[0].port": ["25"],
  "routes[0].priority": ["10"],
  "routes[1].port": ["25"],
  "routes[1].priority": ["10"],
  "smarthost.port": ["587"],
  "outgoing.password_server.cache": ["5m"],
  "lock.spam": ["5"],
  "lock.window": ["10m"],
  "lock.timeout": ["1h"],
  "lock.max_unlocks": ["2"],
};
/** What something is called, or where it is, has no default. */
const KEYS = new Set(["name", "login", "range", "domain", "listen", "address"]);

test.each([
  "/settings",
  "/settings/delivery",
  "/settings/general",
  "/domains/example.test/edit",
  "/domains/example.test/outgoing",
  "/senders/carol%40example.test/edit",
  "/senders/192.0.2.64%2F28/edit",
  "/listeners/mx/edit",
  "/rules/no-ads/edit",
  "/settings/hooks/clamd/edit",
])("%s", async (path) => {
  const gateway = await fakeGateway();
  const { settings } = gateway.services;
  const start = await settings.apply(SET, { prune: false, actor: { name: "t", via: "cli", ip: null } });
  expect(start.ok).toBe(true);
  const { browser } = administratorAt(gateway);
  const page = async () => (await browser.get(path)).text();
  const before = await page();
  // What others change meanwhile is not asked about here: the form does not say what it showed.
  const { "shown-values": _, ...whole } = formFields(before);
  // What a person can empty: lines and areas of text.
  const typed = [...before.matchAll(/<(?:input(?=[^>]* type="text")|textarea)[^>]* name="([^"]+)"/g)].map(
    ([, name = ""]) => name,
  );
  const filled = typed.filter((name) => !KEYS.has(name) && (whole[name]?.[0] ?? "") !== "");
  expect(filled.length).toBeGreaterThan(0);
  for (const name of filled) {
    const response = await browser.post(path, { ...whole, [name]: "" });
    const text = await response.text();
    if (response.status === 303) {
      const now = formFields(await page())[name]?.[0] ?? "";
      const usual = USUAL[name] ?? [];
      expect([name, now, now !== whole[name]?.[0] || usual.includes(now)]).toEqual([name, now, true]);
    } else {
      expect([name, response.status]).toEqual([name, 422]);
      expect([name, SAYS_WHAT_TO_DO.test(text)]).toEqual([name, true]);
      expect([name, /&quot;&quot; is not a (?:duration|size)|is not a whole number/.test(text)]).toEqual([
        name,
        false,
      ]);
    }
    await browser.post(path, whole);
  }
});
