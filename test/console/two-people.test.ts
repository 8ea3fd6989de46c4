// Two people with one form: what one has not touched stays as the other has set it, and where both have changed one field, who saves later is asked.
import { describe, expect, test } from "bun:test";
import { administratorAt, browserOf, type TestBrowser } from "./console-browser.ts";
import { type FakeGateway, fakeGateway } from "./fake-services.ts";
import { formFields } from "./page-form.ts";

type Fields = Record<string, string[]>;

const formAt = async (browser: TestBrowser, path: string): Promise<Fields> =>
  formFields(await (await browser.get(path)).text());

const policyOf = (gateway: FakeGateway) => gateway.services.settings.current().policy;

async function twoPeople(): Promise<{ gateway: FakeGateway; ann: TestBrowser; ben: TestBrowser }> {
  const gateway = await fakeGateway();
  const { app, browser } = administratorAt(gateway);
  return { gateway, ann: browser, ben: browserOf(app, gateway, "administrator") };
}

const without = (fields: Fields, name: string): Fields =>
  Object.fromEntries(Object.entries(fields).filter(([key]) => key !== name));

interface Case {
  readonly path: string;
  /** What the first one changes; null: a switch goes off. */
  readonly first: readonly [field: string, value: string | null];
  readonly second: readonly [field: string, value: string];
}

const CASES: readonly Case[] = [
  { path: "/senders/carol%40example.test/edit", first: ["enabled", null], second: ["limits.per_day", "900"] },
  {
    path: "/senders/carol%40example.test/edit",
    first: ["limits.per_hour", "25"],
    second: ["limits.per_day", "900"],
  },
  {
    path: "/senders/carol%40example.test/edit",
    first: ["send_as", "a@example.test\r\nb@example.test"],
    second: ["lock.spam", "7"],
  },
  {
    path: "/senders/192.0.2.64%2F28/edit",
    first: ["enabled", null],
    second: ["identity_limits.per_hour", "9"],
  },
  { path: "/domains/example.test/edit", first: ["enabled", null], second: ["recipients.cache", "3h"] },
  {
    path: "/domains/example.test/edit",
    first: ["routes[0].host", "10.9.9.9"],
    second: ["recipients.cache", "3h"],
  },
  {
    path: "/domains/example.test/outgoing",
    first: ["outgoing.abuse_contact", "abuse@example.test"],
    second: ["outgoing.default_limits.per_hour", "77"],
  },
  { path: "/listeners/mx/edit", first: ["greeting_delay", "3000"], second: ["max_message_bytes", "12 MB"] },
  { path: "/rules/no-ads/edit", first: ["mode", "off"], second: ["priority", "77"] },
  { path: "/settings", first: ["trusted", "10.1.0.0/16"], second: ["excepted", "10.1.2.0/24"] },
  { path: "/settings/delivery", first: ["give_up_after", "3d"], second: ["delay_notice_after", "5h"] },
  { path: "/settings/general", first: ["log_keep", "40d"], second: ["quarantine_keep", "20d"] },
];

/** The fields as a page would post them after the change; says so when the page has no such field. */
function changed(fields: Fields, [name, value]: Case["first"]): Fields {
  if (!(name in fields)) throw new Error(`the page has no ${name}; it has ${Object.keys(fields).join(", ")}`);
  return value === null ? without(fields, name) : { ...fields, [name]: [value] };
}

describe("what the other has set meanwhile stays", () => {
  test.each(CASES.map((one) => [`${one.path}: ${one.first[0]}, then ${one.second[0]}`, one] as const))(
    "%s",
    async (_, { path, first, second }) => {
      const { gateway, ann, ben } = await twoPeople();
      const annsPage = await formAt(ann, path);
      const bensPage = await formAt(ben, path);
      expect((await ben.post(path, changed(bensPage, first))).status).toBe(303);
      const afterBen = await formAt(ben, path);
      expect((await ann.post(path, changed(annsPage, second))).status).toBe(303);
      const [name, value] = second;
      const mark = "shown-values";
      expect(without(await formAt(ann, path), mark)).toEqual(
        without({ ...changed(afterBen, second), [name]: [value] }, mark),
      );
      expect(gateway.services.settings.current().version).toBeGreaterThan(2);
    },
  );

  test("both have set the same", async () => {
    const { gateway, ann, ben } = await twoPeople();
    const path = "/senders/carol%40example.test/edit";
    const page = await formAt(ann, path);
    const both = changed(page, ["limits.per_hour", "25"]);
    expect((await ben.post(path, both)).status).toBe(303);
    expect((await ann.post(path, both)).status).toBe(303);
    const carol = policyOf(gateway).sender.find(({ login }) => login === "carol@example.test");
    expect(carol?.limits.per_hour).toBe(25);
  });

  test("a form that does not say what it showed is taken as it is", async () => {
    const { gateway, ann, ben } = await twoPeople();
    const path = "/senders/carol%40example.test/edit";
    const page = without(await formAt(ann, path), "shown-values");
    expect((await ben.post(path, changed(page, ["limits.per_hour", "25"]))).status).toBe(303);
    expect((await ann.post(path, page)).status).toBe(303);
    const carol = policyOf(gateway).sender.find(({ login }) => login === "carol@example.test");
    expect(carol?.limits.per_hour).not.toBe(25);
  });
});

describe("both have changed one field", () => {
  test.each([
    ["/senders/carol%40example.test/edit", "limits.per_hour", "25", "30", "it is “25” now"],
    [
      "/domains/example.test/edit",
      "routes[0].host",
      "10.9.9.9",
      "10.8.8.8",
      "it is “10.9.9.9 25 10 required, 10.0.0.6 25 20 opportunistic” now",
    ],
    ["/settings/general", "log_keep", "40d", "50d", "it is “40d” now"],
  ])("%s %s: the later one is told, and may save again", async (path, name, first, second, words) => {
    const { gateway, ann, ben } = await twoPeople();
    const annsPage = await formAt(ann, path);
    expect((await ben.post(path, changed(annsPage, [name, first]))).status).toBe(303);
    const before = policyOf(gateway);
    const answer = await ann.post(path, changed(annsPage, [name, second]));
    expect(answer.status).toBe(422);
    const markup = await answer.text();
    expect(markup).toContain("was changed meanwhile");
    expect(markup).toContain(words);
    expect(policyOf(gateway)).toEqual(before);
    const again = formFields(markup);
    expect(again[name]).toEqual([second]);
    expect((await ann.post(path, again)).status).toBe(303);
    expect((await formAt(ann, path))[name]).toEqual([second]);
  });

  test("what is wrong is told with it, and more rows lose nothing of what was shown", async () => {
    const { gateway, ann, ben } = await twoPeople();
    const path = "/domains/example.test/edit";
    const annsPage = await formAt(ann, path);
    const more = await ann.post(path, { ...annsPage, "more-rows": "routes" });
    const withRow = formFields(await more.text());
    expect((await ben.post(path, without(annsPage, "enabled"))).status).toBe(303);
    const wrong = await ann.post(path, changed(withRow, ["recipients.cache", "soon"]));
    expect(wrong.status).toBe(422);
    const corrected = changed(formFields(await wrong.text()), ["recipients.cache", "3h"]);
    expect((await ann.post(path, corrected)).status).toBe(303);
    const domain = policyOf(gateway).domain.find(({ name }) => String(name) === "example.test");
    expect(domain?.enabled).toBe(false);
    expect(domain?.recipients.cache).toBe("3h");
  });
});

test("what the other is removing does not come back", async () => {
  const { gateway, ann } = await twoPeople();
  const path = "/senders/carol%40example.test/edit";
  const page = await formAt(ann, path);
  const { settings } = gateway.services;
  const actor = { name: "ben", via: "console", ip: null } as const;
  const [answer] = await Promise.all([
    ann.post(path, changed(page, ["limits.per_hour", "25"])),
    // Both have begun: the page still found the sender.
    settings.remove("sender", "carol@example.test", actor),
  ]);
  expect([404, 422]).toContain(answer.status);
  expect(policyOf(gateway).sender.some(({ login }) => login === "carol@example.test")).toBe(false);
});

test("the mode of a rule is changed in the rule as it is", async () => {
  const { gateway, ann, ben } = await twoPeople();
  const page = await formAt(ben, "/rules/no-ads/edit");
  const saved = ben.post("/rules/no-ads/edit", changed(page, ["priority", "77"]));
  const [, mode] = await Promise.all([saved, ann.post("/rules/no-ads/mode", { mode: "observe" })]);
  expect(mode.status).toBe(303);
  const rule = policyOf(gateway).rule.find(({ name }) => name === "no-ads");
  expect([rule?.priority, rule?.mode]).toEqual([77, "observe"]);
});
