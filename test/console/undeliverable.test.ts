// Mail that no server takes, as people meet it: on the overview, in the quarantine, until somebody has looked.
import { expect, test } from "bun:test";
import type { QuarantineItem } from "../../src/store/quarantine-item.ts";
import { administratorAt, apiToken, browserOf, ORIGIN } from "./console-browser.ts";
import { fakeQuarantine } from "./fake-mail.ts";
import { fakeGateway } from "./fake-services.ts";
import { NOW } from "./sample-mail.ts";

const ITEM: QuarantineItem = {
  id: "0m1-0",
  messageId: "0m1",
  n: 0,
  recipient: "typo@shop.example.test",
  reversePath: "bob@sender.example",
  headerFrom: "Bob <bob@sender.example>",
  subject: "Order 17",
  direction: "inbound",
  sender: "",
  identity: "",
  senderDomain: "",
  rule: "",
  words: "Could not be delivered: mail.shop.example.test [10.0.0.5]:25 said “550 5.1.1 <No such user>”",
  size: 900,
  receivedAt: NOW - 7_200_000,
  expiresAt: NOW + 86_400_000,
  state: "kept",
  class: "undeliverable",
  server: "mail.shop.example.test [10.0.0.5]:25",
  answer: "550 5.1.1 <No such user>",
  failedAt: NOW - 3_600_000,
  seenAt: null,
};

async function setUp(items: readonly QuarantineItem[] = [ITEM]) {
  const plain = await fakeGateway();
  const quarantine = fakeQuarantine([...items], plain);
  const gateway = { ...plain, services: { ...plain.services, quarantine } };
  const { app, browser } = administratorAt(gateway);
  return { gateway, app, text: async (path: string) => (await browser.get(path)).text(), browser };
}

test("it stands under what needs a person until somebody has looked", async () => {
  const { gateway, text } = await setUp();
  const before = await text("/");
  expect(before).toContain("1 message could not be delivered");
  expect(before).toContain("/quarantine?class=undeliverable");
  expect(before).toContain("mail.shop.example.test [10.0.0.5]:25 said “550 5.1.1 &lt;No such user&gt;”");
  const item = await text("/quarantine/0m1-0");
  expect(item).toContain("550 5.1.1 &lt;No such user&gt;");
  expect(item).toContain("it is tried again");
  expect(item).not.toContain("Decided by");
  expect(await text("/")).not.toContain("could not be delivered");
  expect(gateway.auditEntries.at(-1)).toMatchObject({ action: "quarantine seen", subject: "0m1-0" });
});

test("the list is filtered by why it is here, and many are marked as seen at once", async () => {
  const rule: QuarantineItem = {
    ...ITEM,
    id: "0m2-0",
    messageId: "0m2",
    subject: "Offer",
    class: "rule",
    rule: "spam",
  };
  const { text, browser } = await setUp([ITEM, rule]);
  const undeliverable = await text("/quarantine?class=undeliverable");
  expect(undeliverable).toContain("Order 17");
  expect(undeliverable).toContain("Undeliverable</span>");
  expect(undeliverable).not.toContain("Offer");
  expect(await text("/quarantine?class=rule")).not.toContain("Order 17");
  expect(await text("/quarantine?class=nonsense")).toContain("Order 17");
  await browser.post("/quarantine/bulk", { action: "seen", id: "0m1-0" });
  expect(await text("/")).not.toContain("could not be delivered");
});

test("the empty states are true", async () => {
  const { text } = await setUp([]);
  expect(await text("/quarantine")).toContain("The quarantine is empty");
  expect(await text("/quarantine?class=undeliverable")).toContain("Nothing undeliverable is kept");
  expect(await text("/quarantine?class=rule")).toContain("Nothing fits");
  expect(await text("/quarantine?recipient=bob@example.test")).toContain("Nothing fits");
});

test("an administrator of the domain sees and handles it, one of another domain does not", async () => {
  const { gateway, app } = await setUp([ITEM, { ...ITEM, id: "0m3-0", recipient: "a@example.test" }]);
  const keeper = browserOf(app, gateway, "domain-administrator");
  expect((await keeper.get("/quarantine/0m1-0")).status).toBe(200);
  expect((await keeper.get("/quarantine/0m3-0")).status).toBe(404);
  await keeper.post("/quarantine/bulk", { action: "seen", id: "0m3-0" });
  expect((await gateway.services.quarantine.get("0m3-0"))?.seenAt).toBeNull();
  await keeper.post("/quarantine/0m1-0/release");
  expect(gateway.released).toEqual(["0m1-0"]);
});

test("over the API: filtered, shown, marked as seen", async () => {
  const { gateway, app } = await setUp();
  const headers = { Authorization: `Bearer ${apiToken(gateway, "write")}` };
  const call = (method: string, path: string) => app.request(`${ORIGIN}/api/v1${path}`, { method, headers });
  const list = await (await call("GET", "/quarantine?class=undeliverable")).json();
  expect(list).toMatchObject({
    items: [{ id: "0m1-0", answer: ITEM.answer, server: ITEM.server, seenAt: null }],
  });
  expect(await (await call("GET", "/quarantine?class=rule")).json()).toMatchObject({ items: [] });
  expect((await call("POST", "/quarantine/0m1-0/seen")).status).toBe(204);
  expect(await (await call("GET", "/quarantine/0m1-0")).json()).toMatchObject({ seenAt: NOW });
});
