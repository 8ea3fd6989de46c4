// The page and the API of DKIM keys: over the real thing with a DNS that is a table, from the first key to a rotation.
import { expect, test } from "bun:test";
import { createConsole } from "../../src/console/create-console.ts";
import { BY, type DkimKit, DOMAIN, dkimKit, keyOf } from "../dkim/dkim-kit.ts";
import { rows } from "../store/temporary-database.ts";
import { apiToken, browserOf, ORIGIN, type TestBrowser } from "./console-browser.ts";
import { type FakeGateway, fakeGateway } from "./fake-services.ts";

const LIST = `/domains/${DOMAIN}/dkim`;
const OTHERS = "/domains/shop.example.test/dkim";

interface Desk extends AsyncDisposable {
  readonly kit: DkimKit;
  readonly gateway: FakeGateway;
  readonly app: ReturnType<typeof createConsole>;
  readonly browser: TestBrowser;
}

async function desk(): Promise<Desk> {
  const kit = await dkimKit();
  const gateway = await fakeGateway();
  const app = createConsole({ ...gateway.services, dkim: kit.dkim });
  const browser = browserOf(app, gateway, "administrator");
  return { kit, gateway, app, browser, [Symbol.asyncDispose]: () => kit[Symbol.asyncDispose]() };
}

/** Posts, follows to the page behind, and gives its text. */
async function done(browser: TestBrowser, path: string, form: Record<string, string> = {}): Promise<string> {
  const response = await browser.post(path, form);
  expect(response.status).toBe(303);
  return (await browser.get((response.headers.get("Location") ?? "").replace(/#.*$/, ""))).text();
}

test("from no key to a signing one, in words at each step", async () => {
  await using at = await desk();
  const { kit, browser } = at;
  const empty = await (await browser.get(LIST)).text();
  expect(empty).toContain("not signed yet");
  expect(empty).toContain('value="gate1"');
  const made = await done(browser, LIST, { selector: "gate1", algorithm: "rsa" });
  const [key] = await kit.dkim.list(DOMAIN);
  if (key === undefined) throw new Error("no key was made");
  expect(made).toContain("The key gate1 was made");
  expect(made).toContain('value="gate1._domainkey.example.test"');
  expect(made).toContain(key.record.value);
  // An RSA record is longer than one string; the zone file's form is shown too.
  expect(made).toContain("In strings of at most 255 characters");
  expect(made).toContain('value="gate2"');
  expect(await done(browser, `${LIST}/gate1/check`)).toContain("There is no TXT record at gate1._domainkey");
  expect(await done(browser, `${LIST}/gate1/activate`)).toContain("cannot sign yet");
  kit.publish(key);
  expect(await done(browser, `${LIST}/gate1/check`)).toContain("is published");
  const signing = await done(browser, `${LIST}/gate1/activate`);
  expect(signing).toContain("The key gate1 signs from the next message on");
  expect(signing).not.toContain("not signed yet");
  expect((await kit.dkim.list(DOMAIN))[0]?.state).toBe("active");
});

test("a rotation, a retirement and a removal are asked about first, and done", async () => {
  await using at = await desk();
  const { kit, browser } = at;
  await kit.activeKey("gate1", "ed25519");
  kit.publish(keyOf(await kit.dkim.create({ domain: DOMAIN, selector: "gate2", algorithm: "ed25519" }, BY)));
  expect(await done(browser, `${LIST}/gate2/activate`)).toContain("Leave its record in the DNS until");
  expect(await done(browser, `${LIST}/gate2/remove`)).toContain("activate another one or retire it first");
  expect(await (await browser.get(`${LIST}/gate1/remove`)).text()).toContain(
    "Leave its record in the DNS until",
  );
  expect(await done(browser, `${LIST}/gate1/remove`)).toContain("The key gate1 was removed");
  expect(await (await browser.get(`${LIST}/gate2/retire`)).text()).toContain("its mail leaves unsigned");
  expect(await done(browser, `${LIST}/gate2/retire`)).toContain("signs no more");
  expect((await kit.dkim.list()).map(({ selector, state }) => [selector, state])).toEqual([
    ["gate2", "retiring"],
  ]);
  expect(await done(browser, `${LIST}/nosuch/check`)).toContain("no DKIM key");
  expect((await browser.get(`${LIST}/nosuch/remove`)).status).toBe(303);
  const actors = await rows(kit.database, "select distinct actor from audit_log order by id desc limit 3");
  expect(actors.flat()).toContain("admin@example.test");
});

test("a selector that is refused stays in its field with the reason", async () => {
  await using at = await desk();
  const response = await at.browser.post(LIST, { selector: '"><script>', algorithm: "ed25519" });
  expect(response.status).toBe(422);
  const page = await response.text();
  expect(page).toContain("cannot be a selector");
  expect(page).toContain('aria-invalid="true"');
  expect(page).not.toContain('"><script>');
  expect(page).toContain('<option value="ed25519" selected');
  expect(await at.kit.dkim.list()).toEqual([]);
});

test("a domain administrator keeps the keys of the own domains, and sees no others", async () => {
  await using at = await desk();
  const { kit, gateway, app } = at;
  const key = await kit.activeKey("gate1", "ed25519");
  const keeper = browserOf(app, gateway, "domain-administrator");
  const before = JSON.stringify(await kit.dkim.list());
  expect((await keeper.get(LIST)).status).toBe(404);
  expect((await keeper.post(LIST, { selector: "x", algorithm: "rsa" })).status).toBe(404);
  for (const verb of ["check", "activate", "retire", "remove"])
    expect((await keeper.post(`${LIST}/gate1/${verb}`)).status).toBe(404);
  expect(JSON.stringify(await kit.dkim.list())).toBe(before);
  expect(await (await keeper.get(OTHERS)).text()).not.toContain(key.record.value);
  expect(await done(keeper, OTHERS, { selector: "shop1", algorithm: "ed25519" })).toContain("shop1");
  expect((await browserOf(app, gateway, "user").get(OTHERS)).status).toBe(403);
});

test("keys of a domain that was removed can still be retired and removed, not made", async () => {
  await using at = await desk();
  const { kit, browser } = at;
  const gone = "/domains/gone.example.test/dkim";
  expect((await browser.get(gone)).status).toBe(404);
  keyOf(await kit.dkim.create({ domain: "gone.example.test", selector: "a", algorithm: "ed25519" }, BY));
  expect(await (await browser.get(gone)).text()).not.toContain("Make a key");
  expect((await browser.post(gone, { selector: "b", algorithm: "rsa" })).status).toBe(404);
  expect((await browser.post(`${gone}/a/remove`)).status).toBe(303);
  expect(await kit.dkim.list()).toEqual([]);
});

test("the API does the same, with words in its refusals", async () => {
  await using at = await desk();
  const { kit, gateway, app } = at;
  const authorization = { Authorization: `Bearer ${apiToken(gateway, "write")}` };
  const call = async (method: string, path: string, body?: object) => {
    const response = await app.request(`${ORIGIN}/api/v1${path}`, {
      method,
      headers: { "Content-Type": "application/json", ...authorization },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, json: response.status === 204 ? null : await response.json() };
  };
  expect(await call("POST", LIST, { selector: "gate1", algorithm: "ed25519" })).toMatchObject({
    status: 200,
    json: { selector: "gate1", state: "pending", record: { name: "gate1._domainkey.example.test" } },
  });
  expect(await call("POST", LIST, { selector: "gate1" })).toMatchObject({ status: 409 });
  expect(await call("POST", LIST, { selector: "x", algorithm: "dsa" })).toMatchObject({ status: 422 });
  expect(await call("POST", LIST, { selector: "x", other: 1 })).toMatchObject({ status: 422 });
  expect(await call("POST", `${LIST}/gate1/activate`)).toMatchObject({
    status: 409,
    json: { detail: expect.stringContaining("cannot sign yet") },
  });
  for (const key of await kit.dkim.list()) kit.publish(key);
  expect(await call("POST", `${LIST}/gate1/check`)).toMatchObject({
    json: { publication: { state: "published" } },
  });
  expect(await call("POST", `${LIST}/gate1/activate`)).toMatchObject({
    status: 200,
    json: { state: "active" },
  });
  expect(await call("DELETE", `${LIST}/gate1`)).toMatchObject({ status: 409 });
  expect(await call("POST", `${LIST}/gate1/retire`)).toMatchObject({
    status: 200,
    json: { state: "retiring" },
  });
  expect(await call("GET", `${LIST}/gate1`)).toMatchObject({ status: 200, json: { state: "retiring" } });
  expect(await call("GET", LIST)).toMatchObject({ json: { items: [{ selector: "gate1" }], next: null } });
  expect(await call("DELETE", `${LIST}/gate1`)).toMatchObject({ status: 204 });
  expect(await call("GET", `${LIST}/gate1`)).toMatchObject({ status: 404 });
  expect(await call("GET", "/domains/nosuch.example/dkim")).toMatchObject({ status: 404 });
  const text = JSON.stringify(await rows(kit.database, "select via, actor from audit_log"));
  expect(text).toContain('["api","api token test-write"]');
});
