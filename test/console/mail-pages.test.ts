// The pages about mail: finding a message, understanding it, acting on it.
import { describe, expect, test } from "bun:test";
import { administratorAt, apiToken, browserOf, ORIGIN } from "./console-browser.ts";
import { fakeGateway } from "./fake-services.ts";

async function setUp() {
  const gateway = await fakeGateway();
  return { gateway, ...administratorAt(gateway) };
}

function rows(markup: string): number {
  return [...markup.matchAll(/<tr id="m-/g)].length;
}

describe("overview", () => {
  test("says what happened and what needs a person", async () => {
    const { browser } = await setUp();
    const markup = await (await browser.get("/")).text();
    expect(markup).toContain("Listener submission-2525 does not listen");
    expect(markup).toContain("1 recipient held");
    expect(markup).toContain("Name a postmaster");
    expect(markup).toMatch(
      /<span class="figure-label">Delivered<\/span><span class="figure-value">[1-9][\d,]+<\/span>/,
    );
    expect([...markup.matchAll(/class="bar"/g)]).toHaveLength(24);
    expect(await (await browser.get("/?range=30d")).text()).toContain("Recipients in the last 30 days");
  });

  test("leads others to what they may see", async () => {
    const { gateway, app } = await setUp();
    expect((await browserOf(app, gateway, "domain-administrator").get("/")).headers.get("Location")).toBe(
      "/quarantine",
    );
    expect((await browserOf(app, gateway, "user").get("/")).headers.get("Location")).toBe("/account");
  });

  test("on a new gateway says what to do first", async () => {
    const gateway = await fakeGateway({ fresh: true });
    gateway.accounts.push({
      id: "account-1",
      login: "a",
      role: "administrator",
      domains: [],
      passwordHash: "",
    });
    const markup = await (await administratorAt(gateway).browser.get("/")).text();
    expect(markup).toContain("Add your first domain");
    expect(markup).toContain("No mail yet");
  });
});

describe("message log", () => {
  test("is searched and filtered, and pages by cursor", async () => {
    const { browser } = await setUp();
    const text = async (path: string) => (await browser.get(path)).text();
    const first = await text("/messages");
    expect(rows(first)).toBe(50);
    const older = /href="(\/messages\?before=[^"]+)" rel="next"/.exec(first)?.[1] ?? "";
    const second = await text(older);
    expect(rows(second)).toBe(10);
    expect(second).not.toContain('rel="next"');
    expect(second).not.toContain("data-live");
    expect(rows(await text("/messages?q=invoice+48812"))).toBe(1);
    expect(rows(await text("/messages?state=held"))).toBe(1);
    expect(rows(await text("/messages?rule=virus"))).toBe(1);
    expect(rows(await text("/messages?sender=carol@"))).toBe(1);
    expect(await text("/messages?q=no-such-thing")).toContain("No message fits");
  });

  test("reads times in the reader's zone", async () => {
    const { browser } = await setUp();
    browser.cookies.set("gatepost-zone", "Asia/Tokyo");
    const markup = await (await browser.get("/messages?since=2026-11-21T23:30")).text();
    expect(rows(markup)).toBe(2);
    expect(markup).toContain("23:31:10");
    browser.cookies.set("gatepost-zone", "<script>");
    expect(await (await browser.get("/messages")).text()).toContain("Times in UTC");
  });
});

describe("message", () => {
  async function messagePage(subject: string): Promise<string> {
    const { gateway, browser } = await setUp();
    const [line] = await gateway.services.messageLog.search({ limit: 1, text: subject });
    return (await browser.get(`/messages/${line?.id}`)).text();
  }

  test("one sentence says what became of it and why", async () => {
    const markup = await messagePage("Invoice 48812");
    const sentence = /<p class="why-sentence"><bdi>(.*?)<\/bdi>/.exec(markup)?.[1] ?? "";
    expect(sentence).toBe(
      "Delivered for dave@example.test to mail.example.test [10.0.0.5]:25 over TLSv1.3; quarantined for invoices@example.test by rule “virus”: clamd.found is true (clamd.signature: Win.Test.EICAR_HDB-1).",
    );
    expect(markup).toContain('<a href="/rules#rule-virus">virus</a>');
    expect(markup).toContain("observed only");
    expect(markup).toContain("It would have quarantined it.");
    expect(markup).toContain("example.test is a domain of this gateway.");
  });

  test("shows each attempt with server, encryption and reply", async () => {
    const markup = await messagePage("Offer 2026-118");
    expect(markup).toContain("451 4.7.1 Greylisted, please try again later");
    expect(markup).toContain("250 2.0.0 Ok: queued as 4Bk2Xz1mQz");
    expect(markup).toContain("mx1.example.org [192.0.2.7]:25");
    expect(markup).toContain("The client logged in as carol@example.test.");
  });

  test("a refused transaction without a message says why", async () => {
    const markup = await messagePage("victim@elsewhere.example.org");
    expect(markup).toContain("relaying denied: the client is neither trusted nor logged in");
    expect(markup).toContain("No permission to relay was given.");
    expect(markup).toContain("Refused in the SMTP dialogue, before any rule was asked");
    expect(markup).not.toContain("what no rule stops is accepted");
  });

  test("an unknown id is a page, not an error", async () => {
    const { browser } = await setUp();
    const response = await browser.get("/messages/nothing");
    expect(response.status).toBe(404);
    expect(await response.text()).toContain("No such message");
  });
});

describe("quarantine", () => {
  test("releases once, with an audit entry", async () => {
    const { gateway, browser } = await setUp();
    const kept = await gateway.services.quarantine.list({ limit: 50, state: "kept" });
    const item = kept.find(({ rule }) => rule !== "virus");
    const id = item?.id ?? "";
    expect((await browser.post(`/quarantine/${id}/release`)).headers.get("Location")).toBe("/quarantine");
    expect(await (await browser.get("/quarantine")).text()).toContain(
      "Released: the message is on its way to",
    );
    await browser.post(`/quarantine/${id}/release`);
    expect(await (await browser.get("/quarantine")).text()).toContain("it is not sent twice");
    expect(gateway.released).toEqual([id]);
    expect(gateway.auditEntries.filter((entry) => entry.action === "quarantine release")).toHaveLength(1);
  });

  test("deletes after a question; many at once as well", async () => {
    const { gateway, browser } = await setUp();
    const items = await gateway.services.quarantine.list({ limit: 9, state: "kept" });
    const ids = items.map((item) => item.id);
    expect(ids).toHaveLength(4);
    const question = await (await browser.post("/quarantine/bulk", { action: "delete", id: ids })).text();
    expect(question).toContain("Delete 4 messages?");
    expect(gateway.deleted).toEqual([]);
    await browser.post("/quarantine/bulk", { action: "delete", confirmed: "yes", id: ids });
    expect(gateway.deleted).toEqual(ids);
    expect(await (await browser.get("/quarantine")).text()).toContain("4 messages deleted.");
    await browser.post("/quarantine/bulk", { action: "release" });
    expect(await (await browser.get("/quarantine")).text()).toContain("No message was selected");
  });

  test("shows what is in a message and hands it out as a file", async () => {
    const { gateway, browser } = await setUp();
    const [item] = await gateway.services.quarantine.list({ limit: 1, state: "kept" });
    const page = await (await browser.get(`/quarantine/${item?.id}`)).text();
    expect(page).toContain("&lt;b&gt;invoice&lt;/b&gt;&quot;.exe");
    expect(page).toContain("&lt;script&gt;alert(&#39;text&#39;)&lt;/script&gt;");
    const file = await browser.get(`/quarantine/${item?.id}/message.eml`);
    expect(file.headers.get("Content-Type")).toBe("message/rfc822");
    expect(file.headers.get("Content-Disposition")).toBe(`attachment; filename="${item?.id}.eml"`);
    expect(await file.text()).toBe("Subject: x\r\n\r\nbody\r\n");
    expect(gateway.auditEntries.at(-1)?.action).toBe("quarantine download");
  });

  test("asked for its head alone, or when that cannot be audited, a message is not read", async () => {
    const { gateway, browser, app } = await setUp();
    const [item] = await gateway.services.quarantine.list({ limit: 1, state: "kept" });
    const source = gateway.services.quarantine.source;
    let read = 0;
    Object.assign(gateway.services.quarantine, {
      source: async (id: string) => {
        const pieces = await source(id);
        return (async function* () {
          read++;
          if (pieces !== null) yield* pieces;
        })();
      },
    });
    const token = apiToken(gateway, "read");
    const page = `/quarantine/${item?.id}/message.eml`;
    const api = `${ORIGIN}/api/v1/quarantine/${item?.id}/message`;
    const headers = { Authorization: `Bearer ${token}` };
    const audited = gateway.auditEntries.length;
    for (const head of [
      await browser.send(page, { method: "HEAD" }),
      await app.request(api, { method: "HEAD", headers }),
    ]) {
      expect(head.status).toBe(200);
      expect(head.headers.get("Content-Disposition")).toBe(`attachment; filename="${item?.id}.eml"`);
    }
    expect([read, gateway.auditEntries.length - audited]).toEqual([0, 0]);
    Object.assign(gateway.services.accounts, { audit: () => Promise.reject(new Error("the disk is full")) });
    expect((await browser.get(page)).status).toBe(500);
    expect((await app.request(api, { headers })).status).toBe(500);
    expect(read).toBe(0);
  });
});

describe("queue", () => {
  test("tries now, holds, drops after a question; each is audited", async () => {
    const { gateway, browser } = await setUp();
    const [entry] = await gateway.services.queue.list({ limit: 1, offset: 0 });
    const id = entry?.messageId ?? "";
    const page = await (await browser.get("/queue")).text();
    expect(page).toContain("451 4.7.1 Greylisted");
    expect(page).toContain("next <time");
    await browser.post(`/queue/${id}/retry`);
    await browser.post(`/queue/${id}/hold`);
    expect(await (await browser.get(`/queue/${id}/drop`)).text()).toContain("Drop this message?");
    await browser.post(`/queue/${id}/drop`);
    await browser.post("/queue/retry");
    expect(gateway.queueActions).toEqual([`retry ${id}`, `hold ${id}`, `drop ${id}`, "retry everything"]);
    expect(gateway.auditEntries.slice(-4).map((one) => one.action)).toEqual([
      "queue retry",
      "queue hold",
      "queue drop",
      "queue retry",
    ]);
    await browser.post("/queue/00000000000000000000/retry");
    expect(await (await browser.get("/queue")).text()).toContain("no longer in the queue");
  });
});

describe("a notice", () => {
  test("is shown once, and its cookie cannot put markup into a page", async () => {
    const { browser } = await setUp();
    await browser.post("/queue/retry");
    expect(await (await browser.get("/queue")).text()).toContain("tried again now");
    expect(await (await browser.get("/queue")).text()).not.toContain("tried again now");
    browser.cookies.set(
      "__Host-gatepost-notice",
      encodeURIComponent(JSON.stringify({ tone: "good", text: "<script>x</script>" })),
    );
    expect(await (await browser.get("/queue")).text()).toContain("&lt;script&gt;x&lt;/script&gt;");
    browser.cookies.set("__Host-gatepost-notice", "%7Bbroken");
    expect((await browser.get("/queue")).status).toBe(200);
  });
});

test("something that breaks is a page with an incident, not a stack", async () => {
  const gateway = await fakeGateway();
  const broken = {
    ...gateway.services,
    messageLog: { ...gateway.services.messageLog, find: () => Promise.reject(new Error("secret detail")) },
  };
  const { browser } = administratorAt({ ...gateway, services: broken });
  const response = await browser.get("/messages");
  const markup = await response.text();
  expect(response.status).toBe(500);
  expect(markup).toMatch(/incident [0-9a-f]{8}/);
  expect(markup).not.toContain("secret detail");
  expect(response.headers.get("Content-Security-Policy")).toContain("default-src 'none'");
});
