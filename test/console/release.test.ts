// Releasing from the quarantine: malware asks by name and is the operator's, mail for another tenant is that tenant's, and the log tells.
import { describe, expect, test } from "bun:test";
import { createConsole } from "../../src/console/create-console.ts";
import { malwareIn } from "../../src/console/release-terms.ts";
import { apiToken, browserOf, ORIGIN } from "./console-browser.ts";
import { type FakeGateway, fakeGateway } from "./fake-services.ts";

const ADMIN = { name: "admin", via: "console", ip: null } as const;

async function trial() {
  const gateway = await fakeGateway();
  const app = createConsole(gateway.services);
  return {
    gateway,
    app,
    admin: browserOf(app, gateway, "administrator"),
    keeper: browserOf(app, gateway, "domain-administrator"),
  };
}

/** An item of the sample mail, made over: with the findings and for the recipient that are asked for. */
async function itemWith(
  gateway: FakeGateway,
  over: {
    readonly rule?: string;
    readonly recipient?: string;
    readonly senderDomain?: string;
    readonly sender?: string;
    readonly reversePath?: string;
    readonly direction?: "inbound" | "internal" | "outbound";
  },
  findings: readonly { check: string; fact: string; value: string | boolean }[] = [],
): Promise<string> {
  const { quarantine, messageLog } = gateway.services;
  const [first] = await quarantine.list({ limit: 1, state: "kept" });
  if (first === undefined) throw new Error("no sample");
  const item = {
    ...first,
    rule: "spam",
    recipient: "info@shop.example.test",
    direction: "inbound" as const,
    senderDomain: "",
    ...over,
  };
  const message = await messageLog.get(item.messageId);
  Object.assign(quarantine, { get: async () => item });
  Object.assign(messageLog, {
    get: async () => (message === null ? null : { ...message, record: { ...message.record, findings } }),
  });
  return item.id;
}

const EICAR = [{ check: "eicar", fact: "eicar.found", value: true }];
const CLAMD = [
  { check: "clamd", fact: "clamd.found", value: true },
  { check: "clamd", fact: "clamd.signature", value: "Win.Trojan.Agent-1" },
];

describe("malware", () => {
  test("is told by what the engines found, whatever rule put the message aside; else by the rule", () => {
    expect(malwareIn({ findings: CLAMD }, "my-own-rule")).toBe("Win.Trojan.Agent-1");
    expect(malwareIn({ findings: [...EICAR, ...CLAMD] }, "spam")).toContain("EICAR");
    expect(malwareIn({ findings: [] }, "virus")).toBe("malware");
    expect(malwareIn(null, "virus")).toBe("malware");
    expect(malwareIn(null, "spam")).toBeNull();
    expect(
      malwareIn({ findings: [{ check: "clamd", fact: "clamd.found", value: false }] }, "spam"),
    ).toBeNull();
  });

  test("is released by administrators, after a question that names it", async () => {
    const { gateway, admin } = await trial();
    const id = await itemWith(gateway, { rule: "my-own-rule" }, CLAMD);
    const asked = await admin.post(`/quarantine/${id}/release`);
    expect(asked.status).toBe(200);
    const page = await asked.text();
    expect(page).toContain("Win.Trojan.Agent-1");
    expect(page).toContain('name="confirmed" value="yes"');
    expect(gateway.released).toEqual([]);
    expect((await admin.post("/quarantine/bulk", { action: "release", id })).status).toBe(303);
    expect(gateway.released).toEqual([]);
    expect((await admin.post(`/quarantine/${id}/release`, { confirmed: "yes" })).status).toBe(303);
    expect(gateway.released).toEqual([id]);
    expect(gateway.auditEntries.at(-1)?.detail).toContain("with Win.Trojan.Agent-1 in it");
  });

  test("is not released by administrators of domains, unless the setting allows it", async () => {
    const { gateway, keeper } = await trial();
    const id = await itemWith(gateway, { rule: "virus" }, EICAR);
    const offered = async () =>
      (await (await keeper.get(`/quarantine/${id}`)).text()).includes(`${id}/release"`);
    expect(await offered()).toBe(false);
    expect(await (await keeper.get(`/quarantine/${id}`)).text()).toContain("You cannot release it.");
    const item = await gateway.services.quarantine.get(id);
    if (item === null) throw new Error("no item");
    Object.assign(gateway.services.quarantine, { list: async () => [item] });
    const list = await (await keeper.get("/quarantine")).text();
    expect(list).not.toContain(`${id}/release"`);
    expect(list).not.toContain('value="release"');
    expect(list).toContain("Why no release?");
    expect(list).toContain("Only an administrator of the gateway releases it.");
    for (const path of [`/quarantine/${id}/release`]) {
      const refused = await keeper.post(path, { confirmed: "yes" });
      expect(refused.status).toBe(403);
      expect(await refused.text()).toContain("EICAR");
    }
    await keeper.post("/quarantine/bulk", { action: "release", id, confirmed: "yes" });
    expect(gateway.released).toEqual([]);
    await gateway.services.settings.put("settings", { malware_release: "domain-administrators" }, ADMIN);
    expect(await offered()).toBe(true);
    expect(await (await keeper.get("/quarantine")).text()).toContain(`${id}/release"`);
    expect((await keeper.post(`/quarantine/${id}/release`)).status).toBe(200);
    expect(gateway.released).toEqual([]);
    expect((await keeper.post(`/quarantine/${id}/release`, { confirmed: "yes" })).status).toBe(303);
    expect(gateway.released).toEqual([id]);
  });

  test("over the API is named, and released when that is said", async () => {
    const { gateway, app } = await trial();
    const id = await itemWith(gateway, { rule: "virus" }, CLAMD);
    const headers = { Authorization: `Bearer ${apiToken(gateway, "write")}` };
    const call = (query: string) =>
      app.request(`${ORIGIN}/api/v1/quarantine/${id}/release${query}`, { method: "POST", headers });
    const asked = await call("");
    expect(asked.status).toBe(409);
    expect(await asked.text()).toContain("Win.Trojan.Agent-1");
    expect(gateway.released).toEqual([]);
    expect((await call("?malware=release")).status).toBe(200);
    expect(gateway.released).toEqual([id]);
  });
});

describe("mail of one tenant for another", () => {
  const SENT = {
    recipient: "carol@example.test",
    senderDomain: "shop.example.test",
    direction: "internal",
  } as const;

  test("is not released by the sender's administrators, by neither door", async () => {
    const { gateway, keeper, admin } = await trial();
    const id = await itemWith(gateway, SENT);
    expect((await keeper.get(`/quarantine/${id}`)).status).toBe(200);
    const refused = await keeper.post(`/quarantine/${id}/release`);
    expect(refused.status).toBe(403);
    expect(await refused.text()).toContain("another domain of this gateway");
    await keeper.post("/quarantine/bulk", { action: "release", id });
    expect(gateway.released).toEqual([]);
    expect((await admin.post(`/quarantine/${id}/release`)).status).toBe(303);
    expect(gateway.released).toEqual([id]);
  });

  test("is released by the recipient's; what leaves the gateway by the sender's", async () => {
    const { gateway, keeper } = await trial();
    const own = {
      recipient: "info@shop.example.test",
      senderDomain: "example.test",
      direction: "internal",
    } as const;
    const id = await itemWith(gateway, own);
    expect((await keeper.post(`/quarantine/${id}/release`)).status).toBe(303);
    await itemWith(gateway, {
      recipient: "x@outside.example.org",
      senderDomain: "shop.example.test",
      direction: "outbound",
    });
    expect((await keeper.post(`/quarantine/${id}/release`)).status).toBe(303);
    expect(gateway.released).toHaveLength(2);
  });
});

test("the message's story tells who released it and when, and what the sender was told", async () => {
  const { gateway, admin } = await trial();
  const { messageLog, quarantine } = gateway.services;
  const [item] = await quarantine.list({ limit: 1, state: "kept", rule: "virus" });
  if (item === undefined) throw new Error("no sample");
  const story = async () => (await admin.get(`/messages/${item.messageId}`)).text();
  const message = await messageLog.get(item.messageId);
  if (message === null) throw new Error("no message");
  const record = {
    ...message.record,
    reply: "550 5.7.1 Message refused: it contains malware",
    recipients: message.record.recipients.map((one) => ({
      ...one,
      reply: "250 2.1.5 OK",
      verdict: one.verdict?.rule === "virus" ? { ...one.verdict, replyCode: 550 } : one.verdict,
    })),
  };
  Object.assign(messageLog, { get: async () => ({ ...message, record }) });
  expect(await story()).toContain("550 5.7.1 Message refused: it contains malware");
  expect(await story()).not.toContain("Released by");
  Object.assign(quarantine, { releaseOf: async () => ({ by: "boss@example.test", at: 1_795_270_000_000 }) });
  const told = (await story()).replace(/<[^>]+>/g, "").replace(/\s+/g, " ");
  expect(told).toMatch(/Released by boss@example.test at .*2026/);
  expect(told).toContain("The sender had been told that it was refused");
});

describe("mail of a domain that sends nothing now (O12)", () => {
  test.each([
    ["barred", true, true],
    ["switched off", false, false],
  ])(
    "%s: stays in the quarantine for everybody, by every door, until it sends again",
    async (_, enabled, barred) => {
      const { gateway, app, admin, keeper } = await trial();
      const { settings } = gateway.services;
      const domain = settings.current().policy.domain.find(({ name }) => name === "shop.example.test");
      if (domain === undefined) throw new Error("no domain");
      const sent = { recipient: "w@sender.test", senderDomain: domain.name, direction: "outbound" } as const;
      const id = await itemWith(gateway, {
        ...sent,
        sender: `c1@${domain.name}`,
        reversePath: `c1@${domain.name}`,
      });
      const stopped = { ...domain, enabled, outgoing: { ...domain.outgoing, barred } };
      expect((await settings.put("domain", stopped, ADMIN)).ok).toBe(true);
      for (const browser of [admin, keeper]) {
        const refused = await browser.post(`/quarantine/${id}/release`, { confirmed: "yes" });
        expect([refused.status, await refused.text()]).toEqual([
          403,
          expect.stringContaining(
            "Mail of shop.example.test is held here: the domain is barred from sending or switched off",
          ),
        ]);
        await browser.post("/quarantine/bulk", { action: "release", id });
      }
      const headers = { Authorization: `Bearer ${apiToken(gateway, "write")}` };
      const call = await app.request(`${ORIGIN}/api/v1/quarantine/${id}/release?malware=release`, {
        method: "POST",
        headers,
      });
      expect(call.status).toBe(403);
      expect(gateway.released).toEqual([]);
      expect((await settings.put("domain", domain, ADMIN)).ok).toBe(true);
      expect((await keeper.post(`/quarantine/${id}/release`)).status).toBe(303);
      expect(gateway.released).toEqual([id]);
    },
  );
});
