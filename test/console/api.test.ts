// The JSON API: its description, its answers, its refusals; pages by cursor; the same door for settings as the console.
import { describe, expect, test } from "bun:test";
import { API_OPERATIONS } from "../../src/console/api/api-routes.ts";
import { administratorAt, apiToken, ORIGIN } from "./console-browser.ts";
import { fakeGateway } from "./fake-services.ts";

const GOOD_PASSWORD = "granite-willow-compass-7";

interface DescribedOperation {
  readonly operationId: string;
  readonly parameters: readonly { readonly in: string; readonly name: string }[];
  readonly responses: Readonly<Record<string, unknown>>;
}
type PathItem = Readonly<Record<string, DescribedOperation>>;

async function apiOf(scope: "read" | "write") {
  const gateway = await fakeGateway();
  const { app, browser } = administratorAt(gateway);
  const token = apiToken(gateway, scope);
  const call = async (method: string, path: string, body?: unknown, type = "application/json") => {
    const response = await app.request(`${ORIGIN}/api/v1${path}`, {
      method,
      headers: { Authorization: `Bearer ${token}`, ...(body === undefined ? {} : { "Content-Type": type }) },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const json = JSON.parse(/json/.test(response.headers.get("Content-Type") ?? "") ? text : "null");
    return { status: response.status, type: response.headers.get("Content-Type") ?? "", text, json };
  };
  return { gateway, app, browser, call };
}

describe("If-Match", () => {
  const PATHS = ["/domains/example.test", "/senders/carol%40example.test", "/rules/no-ads", "/delivery"];

  test.each(PATHS)("%s: only what was read is replaced", async (path) => {
    const { app, gateway } = await apiOf("write");
    const token = apiToken(gateway, "write");
    const ask = (method: string, headers: Record<string, string>, body?: string) =>
      app.request(`${ORIGIN}/api/v1${path}`, {
        method,
        headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json", ...headers },
        ...(body === undefined ? {} : { body }),
      });
    const read = await ask("GET", {});
    const tag = read.headers.get("ETag") ?? "";
    const item = JSON.parse(await read.text());
    expect(tag).toMatch(/^"[\w-]{27}"$/);
    const field =
      path === "/delivery"
        ? { cut_through_wait: "5s" }
        : { [path.includes("rules") ? "priority" : "enabled"]: path.includes("rules") ? 3 : false };
    const changed = JSON.stringify({ ...item, ...field });
    expect((await ask("PUT", { "If-Match": `"other", ${tag}` }, changed)).status).toBe(200);
    const version = gateway.services.settings.current().version;
    const late = await ask("PUT", { "If-Match": tag }, JSON.stringify(item));
    expect(late.status).toBe(412);
    expect(await late.text()).toContain("It was changed meanwhile");
    expect(gateway.services.settings.current().version).toBe(version);
    expect((await ask("GET", {})).headers.get("ETag")).not.toBe(tag);
    expect((await ask("PUT", { "If-Match": "*" }, JSON.stringify(item))).status).toBe(200);
    expect((await ask("PUT", {}, changed)).status).toBe(200);
    expect((await ask("PUT", { "If-None-Match": "*" }, changed)).status).toBe(412);
    if (path === "/delivery") return;
    expect((await ask("DELETE", { "If-Match": '"other"' })).status).toBe(412);
    expect((await ask("GET", {})).status).toBe(200);
    const present = (await ask("GET", {})).headers.get("ETag") ?? "";
    expect((await ask("DELETE", { "If-Match": present })).status).toBe(204);
    expect((await ask("GET", {})).status).toBe(404);
  });

  test("what is not there matches nothing", async () => {
    const { app, gateway } = await apiOf("write");
    const response = await app.request(`${ORIGIN}/api/v1/domains/new.test`, {
      method: "PUT",
      headers: {
        Authorization: `Bearer ${apiToken(gateway, "write")}`,
        "Content-Type": "application/json",
        "If-Match": "*",
      },
      body: '{"name":"new.test"}',
    });
    expect(response.status).toBe(412);
    expect(gateway.services.settings.current().policy.domain.map(({ name }) => String(name))).not.toContain(
      "new.test",
    );
  });
});

test.each(["the token", "its account"])(
  "what was sent before %s was removed is not carried out after it",
  async (what) => {
    const { app, gateway } = await apiOf("write");
    const token = apiToken(gateway, "write");
    const login = "late@example.test";
    const sent = app.request(`${ORIGIN}/api/v1/senders/${encodeURIComponent(login)}`, {
      method: "PUT",
      headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
      body: JSON.stringify({ login, domain: "example.test", password: GOOD_PASSWORD }),
    });
    await Bun.sleep(5);
    if (what === "the token") gateway.tokens.clear();
    else gateway.accounts.splice(0);
    const answer = await sent;
    expect([answer.status, await answer.text()]).toEqual([422, expect.stringContaining("lost the right")]);
    expect(gateway.services.settings.current().userSender(login)).toBeNull();
  },
);

describe("OpenAPI", () => {
  async function description() {
    const { app } = administratorAt(await fakeGateway());
    return JSON.parse(await (await app.request(`${ORIGIN}/api/v1/openapi.json`)).text());
  }

  test("is complete: every operation, its parameters, its answers", async () => {
    const document = await description();
    expect(document.openapi).toBe("3.1.0");
    const found = Object.entries<PathItem>(document.paths).flatMap(([path, item]) =>
      Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(found.toSorted()).toEqual(API_OPERATIONS.map((one) => `${one.method} ${one.path}`).toSorted());
    const ids = Object.values<PathItem>(document.paths).flatMap((item) =>
      Object.values(item).map((one) => one.operationId),
    );
    expect(new Set(ids).size).toBe(ids.length);
    for (const [path, item] of Object.entries<PathItem>(document.paths)) {
      for (const operation of Object.values(item)) {
        const named = operation.parameters.filter((one) => one.in === "path").map((one) => one.name);
        expect(named).toEqual([...path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => name));
        expect(Object.keys(operation.responses).some((status) => status.startsWith("2"))).toBe(true);
        expect(operation.responses["401"]).toBeDefined();
        // Who may be refused with 412 is told what the condition is called, and where its value comes from.
        const conditions = operation.parameters.filter((one) => one.in === "header").map((one) => one.name);
        expect(conditions.includes("If-Match")).toBe(operation.responses["412"] !== undefined);
        if (conditions.length > 0) expect(item.get?.responses["200"]).toHaveProperty("headers.ETag");
      }
    }
  });

  test("every reference leads somewhere, and every schema says what it is", async () => {
    const document = await description();
    const references = [
      ...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g),
    ].map(([, name]) => name);
    expect(references.length).toBeGreaterThan(40);
    for (const name of references) expect(document.components.schemas[name ?? ""]).toBeDefined();
    expect(document.components.schemas.Domain.properties.routes.items.properties.port).toMatchObject({
      type: "integer",
      minimum: 1,
      maximum: 65535,
      default: 25,
    });
    expect(document.components.schemas.Domain.required).toEqual(["name"]);
    expect(document.components.schemas.Sender.properties.password.type).toBe("string");
  });
});

describe("reading", () => {
  test("pages by cursor without losing or repeating a line", async () => {
    const { call } = await apiOf("read");
    const ids: string[] = [];
    let next: string | null = "";
    for (let page = 0; next !== null && page < 10; page++) {
      const { json } = await call("GET", `/messages?limit=25${next === "" ? "" : `&before=${next}`}`);
      ids.push(...json.items.map((item: { id: string }) => item.id));
      next = json.next;
    }
    expect(ids).toHaveLength(60);
    expect(new Set(ids).size).toBe(60);
    const quarantine = await call("GET", "/quarantine?limit=1&state=kept");
    const second = await call("GET", `/quarantine?limit=1&state=kept&before=${quarantine.json.next}`);
    expect(second.json.items[0].id).not.toBe(quarantine.json.items[0].id);
  });

  test("a message comes with every fact and an explanation", async () => {
    const { call } = await apiOf("read");
    const list = await call("GET", "/messages?text=Invoice%2048812");
    const { json } = await call("GET", `/messages/${list.json.items[0].id}`);
    expect(json.explanation).toContain("quarantined for invoices@example.test by rule “virus”");
    expect(json.record.findings.length).toBeGreaterThan(5);
    expect(json.attempts[0].outcomes[0].server).toBe("mail.example.test [10.0.0.5]:25");
  });

  test("no secret is ever answered", async () => {
    const { call } = await apiOf("read");
    const all = await Promise.all(
      ["/senders", "/senders/carol%40example.test", "/delivery"].map((path) => call("GET", path)),
    );
    for (const { status, text } of all) {
      expect(status).toBe(200);
      expect(text).not.toMatch(/argon2|never-shown/);
    }
    expect(all[2]?.json.smarthost.password).toBe("***");
  });

  test("status, queue, single items", async () => {
    const { call } = await apiOf("read");
    expect((await call("GET", "/status")).json).toMatchObject({
      version: "0.1.0",
      queue: { queued: 1, held: 1 },
    });
    expect((await call("GET", "/queue")).json.items).toHaveLength(2);
    expect((await call("GET", "/senders/192.0.2.64%2F28")).json.range).toBe("192.0.2.64/28");
    expect((await call("GET", "/domains/nothing.example.test")).status).toBe(404);
  });

  test("a wrong query is refused with the parameter", async () => {
    const { call } = await apiOf("read");
    const answer = await call("GET", "/messages?limit=0&state=lost");
    expect(answer.status).toBe(422);
    expect(answer.type).toBe("application/problem+json");
    expect(answer.json.problems.map((one: { path: string }) => one.path)).toEqual(["limit", "state"]);
  });
});

describe("writing", () => {
  test("adds, replaces and removes a domain, under the token's name", async () => {
    const { gateway, call } = await apiOf("write");
    const put = await call("PUT", "/domains/new.example.test", {
      name: "new.example.test",
      routes: [{ host: "10.0.0.9" }],
    });
    expect(put.status).toBe(200);
    expect(put.json.changes[0]).toMatchObject({ section: "domain", key: "new.example.test", kind: "add" });
    expect((await call("GET", "/domains/new.example.test")).json.routes[0].port).toBe(25);
    expect((await call("DELETE", "/domains/new.example.test")).status).toBe(204);
    expect((await call("DELETE", "/domains/new.example.test")).status).toBe(404);
    expect(gateway.services.settings.current().policy.domain).toHaveLength(3);
  });

  test("refuses with every problem by path, and changes nothing", async () => {
    const { gateway, call } = await apiOf("write");
    const before = JSON.stringify(gateway.services.settings.current().policy);
    const wrong = await call("PUT", "/domains/new.example.test", {
      name: "new.example.test",
      routes: [{ host: "h", port: 0 }],
      colour: "red",
    });
    expect(wrong.status).toBe(422);
    expect(wrong.json.problems.map((one: { path: string }) => one.path).toSorted()).toEqual([
      "colour",
      "routes[0].port",
    ]);
    const other = await call("PUT", "/domains/new.example.test", { name: "other.example.test" });
    expect(other.json.problems[0].message).toContain("must be the key in the address");
    for (const body of ["[]", "null", '"x"', "{", "\xff"]) {
      expect([400, 422]).toContain((await call("PUT", "/domains/new.example.test", body)).status);
    }
    expect((await call("PUT", "/domains/new.example.test", "name=x", "text/plain")).status).toBe(415);
    expect(JSON.stringify(gateway.services.settings.current().policy)).toBe(before);
  });

  test("keeps a password that is not sent, and refuses a weak one", async () => {
    const { gateway, call } = await apiOf("write");
    const hashOf = () =>
      gateway.services.settings.current().policy.sender.find((one) => one.login === "carol@example.test")
        ?.password_hash;
    const before = hashOf();
    const { json } = await call("GET", "/senders/carol%40example.test");
    expect((await call("PUT", "/senders/carol%40example.test", { ...json, send_as: [] })).status).toBe(200);
    expect(hashOf()).toBe(before ?? "");
    const weak = await call("PUT", "/senders/carol%40example.test", { ...json, password: "123456" });
    expect(weak.status).toBe(422);
    expect(weak.json.problems[0].path).toBe("password");
  });

  test("plans without changing, applies what was planned, and plans nothing more", async () => {
    const { gateway, call } = await apiOf("write");
    const document = {
      networks: { trusted: ["10.0.0.0/8"] },
      domain: [{ name: "plan.example.test", routes: [{ host: "10.0.0.3" }] }],
    };
    const plan = await call("POST", "/plan", { document });
    expect(plan.json.changes).toHaveLength(2);
    expect(gateway.services.settings.current().policy.domain).toHaveLength(3);
    expect((await call("POST", "/apply", { document })).status).toBe(200);
    expect(gateway.services.settings.current().policy.domain).toHaveLength(4);
    expect((await call("POST", "/plan", { document })).json.changes).toEqual([]);
    expect((await call("POST", "/plan", {})).status).toBe(422);
  });

  test("a plan tells whether a password is the one that is set: not to those who may only read", async () => {
    const { call } = await apiOf("read");
    const document = {
      sender: [{ login: "carol@example.test", domain: "example.test", password: "a guess at it" }],
    };
    expect((await call("POST", "/plan", { document })).status).toBe(403);
  });

  test("releases, deletes, retries, holds and drops, each with an audit entry", async () => {
    const { gateway, call } = await apiOf("write");
    const { items } = (await call("GET", "/quarantine?state=kept")).json;
    expect((await call("POST", `/quarantine/${items[0].id}/release?malware=release`)).json).toEqual({
      result: "released",
    });
    expect((await call("POST", `/quarantine/${items[0].id}/release`)).json).toEqual({ result: "already" });
    expect((await call("DELETE", `/quarantine/${items[1].id}`)).status).toBe(204);
    expect((await call("DELETE", `/quarantine/${items[1].id}`)).status).toBe(404);
    expect((await call("POST", `/quarantine/${items[1].id}/release`)).status).toBe(410);
    const [entry] = (await call("GET", "/queue")).json.items;
    for (const action of ["retry", "hold", "drop"]) {
      expect((await call("POST", `/queue/${entry.messageId}/${action}`)).json).toEqual({ recipients: 1 });
    }
    expect((await call("POST", "/queue/nothing/drop")).status).toBe(404);
    const actions = gateway.auditEntries.slice(-5).map((one) => `${one.actor} ${one.via} ${one.action}`);
    expect(actions).toEqual(
      ["quarantine release", "quarantine delete", "queue retry", "queue hold", "queue drop"].map(
        (action) => `api token test-write api ${action}`,
      ),
    );
  });

  test("too large a body is refused before it is read", async () => {
    const { call } = await apiOf("write");
    expect((await call("POST", "/plan", `{"document":"${"x".repeat(5_000_000)}"}`)).status).toBe(413);
  });
});

describe("tokens", () => {
  test("are shown once, stored as hashes, and gone when removed", async () => {
    const { gateway, app, browser } = await apiOf("read");
    const page = await (await browser.post("/tokens", { name: "my script", scope: "write" })).text();
    const token = /<code class="secret">(gp_[\w-]{43})<\/code>/.exec(page)?.[1] ?? "";
    expect(JSON.stringify([...gateway.tokens])).not.toContain(token);
    const call = () =>
      app.request(`${ORIGIN}/api/v1/status`, { headers: { Authorization: `Bearer ${token}` } });
    expect((await call()).status).toBe(200);
    expect(await (await browser.get("/tokens")).text()).not.toContain(token);
    expect((await browser.post("/tokens", { name: "my script", scope: "read" })).status).toBe(422);
    expect((await browser.post("/tokens/my%20script/remove")).status).toBe(303);
    expect((await call()).status).toBe(401);
  });

  test("end at their time, and with the account that made them", async () => {
    const { gateway, app, browser } = await apiOf("read");
    const make = async (form: Record<string, string>) =>
      /<code class="secret">(gp_[\w-]{43})<\/code>/.exec(
        await (await browser.post("/tokens", form)).text(),
      )?.[1] ?? "";
    const call = (token: string) =>
      app.request(`${ORIGIN}/api/v1/status`, { headers: { Authorization: `Bearer ${token}` } });
    const day = await make({ name: "day", scope: "read", ends: "1d" });
    const never = await make({ name: "never", scope: "read", ends: "never" });
    expect((await browser.post("/tokens", { name: "odd", scope: "read", ends: "soon" })).status).toBe(422);
    expect(await (await browser.get("/tokens")).text()).toContain("never by itself");
    expect((await call(day)).status).toBe(200);
    gateway.clock.set(gateway.clock.now() + 86_400_000);
    const late = await call(day);
    expect(late.status).toBe(401);
    expect(await late.text()).toContain("The time of the token");
    expect((await call(never)).status).toBe(200);
    const account = gateway.accounts.findIndex(({ id }) => id === "account-1");
    const maker = gateway.accounts[account];
    if (maker === undefined) throw new Error("no account");
    gateway.accounts[account] = { ...maker, role: "domain-administrator", domains: ["shop.example.test"] };
    expect((await call(never)).status).toBe(401);
    gateway.accounts.splice(account, 1);
    expect((await call(never)).status).toBe(401);
  });
});
