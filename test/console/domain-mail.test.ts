// What a domain administrator sees of mail: the own domain's in both directions, nothing that an outsider only claims to be from it.
import { describe, expect, test } from "bun:test";
import { createConsole } from "../../src/console/create-console.ts";
import { visibleMessage } from "../../src/console/message-scope.ts";
import type { LogMessage } from "../../src/store/message-log.ts";
import { administratorAt, browserOf } from "./console-browser.ts";
import { fakeGateway } from "./fake-services.ts";
import { sampleMessages } from "./sample-mail.ts";

const SHOP = ["shop.example.test"];

function sampleOf(subject: string): LogMessage {
  const found = sampleMessages().find(({ record }) => record.subject.includes(subject));
  if (found === undefined) throw new Error(`no sample has the subject ${subject}`);
  return found;
}

async function keeperAt() {
  const gateway = await fakeGateway();
  const app = createConsole(gateway.services);
  return { gateway, keeper: browserOf(app, gateway, "domain-administrator") };
}

describe("the message log", () => {
  test("holds what the domain sent and got", async () => {
    const { gateway, keeper } = await keeperAt();
    const markup = await (await keeper.get("/messages")).text();
    expect(markup).toContain("Our winter catalogue");
    expect(markup).not.toContain("Invoice 48812");
    const [line] = await gateway.services.messageLog.search({ limit: 1, text: "winter catalogue" });
    const page = await keeper.get(`/messages/${line?.id}`);
    expect(page.status).toBe(200);
    const text = await page.text();
    expect(text).toContain("stranger@elsewhere.example.org");
    expect(text).toContain("/identity?sender=orders%40shop.example.test&amp;name=orders%40shop.example.test");
    expect(text).not.toContain('href="/rules');
    const [other] = await gateway.services.messageLog.search({ limit: 1, text: "Invoice 48812" });
    expect((await keeper.get(`/messages/${other?.id}`)).status).toBe(404);
  });

  test("shows of mail from outside the own recipients only", () => {
    const message = sampleOf("Invoice 48812");
    const [first, second] = message.record.recipients;
    if (first === undefined || second === undefined) throw new Error("the sample has two recipients");
    const mixed: LogMessage = {
      ...message,
      record: {
        ...message.record,
        recipients: [{ ...first, address: "info@shop.example.test" }, second],
      },
    };
    const shown = visibleMessage(SHOP, mixed);
    expect(shown?.record.recipients.map(({ address }) => address)).toEqual(["info@shop.example.test"]);
    expect(shown?.states.map(({ n }) => n)).toEqual([first.n]);
    expect(shown?.attempts.flatMap(({ outcomes }) => outcomes.map(({ n }) => n))).not.toContain(second.n);
    expect(visibleMessage(null, mixed)).toBe(mixed);
    expect(visibleMessage([], mixed)).toBeNull();
  });

  test("does not believe an outsider’s envelope", () => {
    const message = sampleOf("Our winter catalogue");
    const forged: LogMessage = {
      ...message,
      record: {
        ...message.record,
        envelope: { ...message.record.envelope, client: { ...message.record.envelope.client, login: null } },
        recipients: message.record.recipients.map((one) => ({
          ...one,
          address: "victim@example.test",
          direction: "inbound",
        })),
      },
    };
    expect(visibleMessage(SHOP, message)).toBe(message);
    expect(visibleMessage(SHOP, forged)).toBeNull();
  });
});

describe("the outgoing quarantine", () => {
  test("is about the sender: who, how many, and which", async () => {
    const { gateway } = await keeperAt();
    const { browser } = administratorAt(gateway);
    const markup = await (await browser.get("/quarantine?direction=outgoing")).text();
    expect(markup).toContain("Our winter catalogue");
    expect(markup).not.toContain("Invoice 48812");
    expect(markup).toContain("/identity?sender=orders%40shop.example.test");
    expect(markup).toContain("1 message, last");
    expect(await (await browser.get("/quarantine?direction=incoming")).text()).not.toContain(
      "winter catalogue",
    );
  });

  test("is the domain administrator’s to view, release and delete", async () => {
    const { gateway, keeper } = await keeperAt();
    const [item] = await gateway.services.quarantine.list({ limit: 1, senderDomain: "shop.example.test" });
    expect(await (await keeper.get("/quarantine")).text()).not.toContain("winter catalogue");
    expect(await (await keeper.get("/quarantine?direction=outgoing")).text()).toContain("winter catalogue");
    expect((await keeper.get(`/quarantine/${item?.id}`)).status).toBe(200);
    expect((await keeper.post(`/quarantine/${item?.id}/release`)).status).toBe(303);
    expect(gateway.released).toEqual([item?.id ?? ""]);
  });
});
