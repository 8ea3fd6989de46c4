// The question before a domain is removed: what goes with it, what waits for it, what goes on; the API and a plan say the same.
import { describe, expect, test } from "bun:test";
import { z } from "zod";
import { withWaiting } from "../../src/console/waiting-mail.ts";
import { planText } from "../../src/policy/plan-text.ts";
import { exportDocument } from "../../src/policy/policy-document.ts";
import type { QueueEntry } from "../../src/queue/queue.ts";
import { TESTER } from "../policy/policy-fixtures.ts";
import { administratorAt, apiToken, browserOf, type TestBrowser } from "./console-browser.ts";
import { fakeGateway } from "./fake-services.ts";

const removalAnswer = z.object({ warnings: z.array(z.string()) });

const textOf = async (browser: TestBrowser, path: string) => (await browser.get(path)).text();

describe("what the question before removing a domain says", () => {
  test.each([
    ["example.test", "allow", true],
    ["example.test", "refuse", false],
    ["shop.example.test", "allow", true],
  ] as const)("%s, other authors: %s", async (domain, forwards, goesOn) => {
    const gateway = await fakeGateway();
    const { browser } = administratorAt(gateway);
    const { settings, queue } = gateway.services;
    await settings.put("networks", { trusted: ["10.0.0.0/8"], forwards }, TESTER);
    const entries = await queue.list({ limit: 1000, offset: 0 });
    const of = (pick: (entry: QueueEntry) => string) =>
      new Set(entries.filter((entry) => pick(entry).endsWith(`@${domain}`)).map((entry) => entry.messageId))
        .size;
    const into = of((entry) => entry.recipient);
    const from = of((entry) => entry.reversePath);
    if (domain === "example.test") expect(into + from).toBeGreaterThan(0);
    const question = await textOf(browser, `/domains/${domain}/remove`);
    const waits = `of the mail in the queue ${into} ${into === 1 ? "message is" : "messages are"} for it and ${from} from it`;
    expect(question).toContain(into + from === 0 ? "nothing in the queue is for it or from it." : waits);
    expect(question.includes("that is not delivered any more")).toBe(into + from > 0);
    expect(/or is given up \w+ after it came\.<\/bdi><\/p>/.test(question)).toBe(into + from > 0);
    expect(question.includes("as mail of other authors")).toBe(goesOn);
    expect(question.includes("it does not stop with the domain.</bdi></p>")).toBe(goesOn);
    // The API and a plan say the same.
    const headers = { Authorization: `Bearer ${apiToken(gateway, "read")}` };
    const answer = await browser.get(`/api/v1/domains/${domain}/removal`, headers);
    const { warnings } = removalAnswer.parse(await answer.json());
    for (const words of warnings) expect(question).toContain(`<bdi>${words}.</bdi>`);
    const document = exportDocument(settings.current().policy, { secrets: "hide" });
    const without = [document.domain].flat().filter((one) => Reflect.get(Object(one), "name") !== domain);
    const planned = await withWaiting(
      gateway.services,
      await settings.plan({ ...document, domain: without }, { prune: true }),
    );
    if (!planned.ok) throw new Error(planText(planned));
    const [waitsFor = ""] = warnings.filter((words) => words.includes("in the queue"));
    expect(waitsFor).not.toBe("");
    expect(planned.warnings).toContain(waitsFor);
  });
});

test("the question names who of other domains writes for it, and all that goes, however much it is", async () => {
  const gateway = await fakeGateway();
  const { browser } = administratorAt(gateway);
  const { settings } = gateway.services;
  const many = Array.from({ length: 70 }, (_, i) => ({
    login: `user${i}@old.example.test`,
    domain: "old.example.test",
    verify: "mail-server",
  }));
  const granted = { login: "granted@example.test", domain: "example.test", send_as: ["@old.example.test"] };
  const range = { kind: "ip", range: "203.0.113.33", domain: "example.test", domains: ["old.example.test"] };
  const applied = await settings.apply(
    { sender: [...many, granted, range], settings: { postmaster: "pm@old.example.test" } },
    { prune: false, actor: TESTER },
  );
  if (!applied.ok) throw new Error(planText(applied));
  const question = await textOf(browser, "/domains/old.example.test/remove");
  expect(question).toContain("sender granted@example.test: send_as - @old.example.test");
  expect(question).toContain("sender 203.0.113.33/32: domains - old.example.test");
  expect(question).toContain("settings: postmaster is pm@old.example.test, of a domain that goes");
  for (const { login } of many) expect(question).toContain(`sender ${login}: removed`);
  expect(question).toMatch(/<summary>and 2[0-9] more<\/summary>/);
});

test.each([
  "/messages",
  "/senders",
  "/identities",
  "/quarantine",
  "/domains",
  "/senders?domain=example.test",
])("an administrator of domains who has none any more is told so: %s", async (path) => {
  const gateway = await fakeGateway();
  const { app } = administratorAt(gateway);
  const keeper = browserOf(app, gateway, "domain-administrator");
  const reason = "An administrator has not given you one";
  expect(await textOf(keeper, path)).not.toContain(reason);
  const [account] = gateway.accounts.filter(({ role }) => role === "domain-administrator");
  if (account === undefined) throw new Error("no such account");
  gateway.accounts.splice(gateway.accounts.indexOf(account), 1, { ...account, domains: [] });
  const page = await textOf(keeper, path);
  expect(page).toContain(reason);
  // No dead ends: nothing to add, to search, or to be had by sending a message.
  expect(page).not.toMatch(/No (?:mail|sender|identity) yet|quarantine is empty|\/new|class="filter/);
});
