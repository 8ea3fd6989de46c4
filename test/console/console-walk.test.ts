// A walk through the console in a real browser: every main page in both themes and three widths, judged by axe, with script and without.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { createConsole } from "../../src/console/create-console.ts";
import { type ConsoleServer, serveConsole } from "../../src/console/serve-console.ts";
import { ADMIN_PASSWORD, type FakeGateway, fakeGateway } from "./fake-services.ts";
import { type Scheme, violationsOf } from "./judge-page.ts";
import { selfSigned } from "./self-signed.ts";

const CHROMIUM = "/usr/bin/chromium";
const present = existsSync(CHROMIUM);
if (!present) console.warn(`SKIPPED: the console walk needs ${CHROMIUM}; install the package chromium`);
const ARGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

const PAGES = [
  "/",
  "/messages",
  "/quarantine",
  "/queue",
  "/domains",
  "/domains/example.test/edit",
  "/senders",
  "/senders/new?kind=user",
  "/senders/192.0.2.64%2F28/edit",
  "/identities",
  "/identity?sender=192.0.2.64%2F28&name=client-a",
  "/identity?sender=192.0.2.64%2F28",
  "/accounts",
  "/accounts/new",
  "/bans",
  "/quarantine?direction=outgoing",
  "/rules",
  "/rules/new",
  "/listeners",
  "/settings",
  "/settings/delivery",
  "/audit",
  "/tokens",
  "/api",
  "/account",
  "/messages/:message",
  "/quarantine/:item",
  "/quarantine/:item/delete",
];

let browser: Browser;
let gateway: FakeGateway;
let server: ConsoleServer;
let base: string;
/** An administrator's page, shared by the checks of the single pages. */
let page: Page;

beforeAll(async () => {
  if (!present) return;
  gateway = await fakeGateway();
  server = serveConsole({
    app: createConsole(gateway.services),
    listen: "127.0.0.1:0",
    tls: await selfSigned("walk"),
  });
  base = `https://127.0.0.1:${server.port}`;
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ARGS });
  ({ page } = await openConsole({ width: 1440 }));
}, 60_000);

afterAll(async () => {
  if (!present) return;
  await browser.close();
  await server.close(100);
});

interface Look {
  readonly width: number;
  readonly javaScriptEnabled?: boolean;
}

async function openConsole(look: Look): Promise<{ context: BrowserContext; page: Page; errors: string[] }> {
  const { width, javaScriptEnabled = true } = look;
  const context = await browser.newContext({
    ignoreHTTPSErrors: true,
    colorScheme: "light",
    javaScriptEnabled,
    viewport: { width, height: 800 },
    timezoneId: "Europe/Berlin",
    reducedMotion: "reduce",
  });
  const page = await context.newPage();
  page.setDefaultTimeout(10_000);
  const errors: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning")
      errors.push(`${page.url()}: ${message.text()}`);
  });
  page.on("pageerror", (error) => errors.push(`${page.url()}: ${error.message}`));
  await page.goto(`${base}/login`);
  await page.fill("#login", "admin@example.test");
  await page.fill("#password", ADMIN_PASSWORD);
  await page.click("main button[type=submit]");
  await page.waitForURL(`${base}/`);
  return { context, page, errors };
}

/** Tables that are cut off at their right, and cells whose content lies over the next one. */
const OVERFLOWING = `[...document.querySelectorAll(".table-frame, .data-table td")]
  .filter((one) => one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 0)
  .map((one) => (one.matches("td") ? "cell " + one.dataset.label : "table") + " is too narrow: " + one.textContent.trim().slice(0, 60))`;

/** What is wrong with a page at one width, in both themes. */
async function problemsAt(page: Page, width: number): Promise<readonly string[]> {
  const problems: string[] = [];
  await page.setViewportSize({ width, height: 800 });
  for (const scheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme: scheme });
    problems.push(...(await violationsOf(page, scheme)).map((words) => `${width} ${scheme}: ${words}`));
  }
  const wider = await page.evaluate(
    "document.documentElement.scrollWidth - document.documentElement.clientWidth",
  );
  if (wider !== 0) problems.push(`${width}: it is ${wider} px wider than the window`);
  problems.push(...(await page.evaluate<string[]>(OVERFLOWING)).map((words) => `${width}: ${words}`));
  return problems;
}

async function pathOf(path: string): Promise<string> {
  const [item] = await gateway.services.quarantine.list({ limit: 1, state: "kept" });
  return path.replace(":message", item?.messageId ?? "").replace(":item", item?.id ?? "");
}

describe.skipIf(!present)("in a browser", () => {
  test.each(PAGES)(
    "%s is accessible, fits and logs no error, light and dark, at 320, 768 and 1440 px",
    async (path) => {
      page.removeAllListeners("console");
      const errors: string[] = [];
      page.on("console", (message) => {
        if (message.type() === "error" || message.type() === "warning") errors.push(message.text());
      });
      await page.goto(base + (await pathOf(path)));
      const problems: string[] = [];
      for (const width of [320, 768, 1440]) problems.push(...(await problemsAt(page, width)));
      expect([...problems, ...errors]).toEqual([]);
    },
    60_000,
  );

  test("the judge sees a picture without words, and letters as pale as their ground in either theme", async () => {
    const context = await browser.newContext();
    const bad = await context.newPage();
    const pale = (scheme: Scheme, colour: string, ground: string) =>
      `@media (prefers-color-scheme: ${scheme}) { body { color: ${colour}; background: ${ground} } }`;
    const style = pale("light", "#ddd", "#fff") + pale("dark", "#222", "#000");
    await bad.setContent(`<style>${style}</style><main><h1>Words</h1><img src="x.png"></main>`);
    for (const [scheme, wanted] of [
      ["light", ["color-contrast", "image-alt"]],
      ["dark", ["color-contrast"]],
    ] as const) {
      await bad.emulateMedia({ colorScheme: scheme });
      const found = (await violationsOf(bad, scheme)).map((words) => words.split(":")[0] ?? "");
      expect(found).toEqual(expect.arrayContaining([...wanted]));
    }
    await context.close();
  }, 60_000);

  test("set-up: from the code to an empty console that says what to do, accessible all the way", async () => {
    const fresh = await fakeGateway({ fresh: true });
    const app = createConsole(fresh.services);
    const own = serveConsole({ app, listen: "127.0.0.1:0", tls: await selfSigned("fresh") });
    const context = await browser.newContext({ ignoreHTTPSErrors: true, reducedMotion: "reduce" });
    const guest = await context.newPage();
    await guest.goto(`https://127.0.0.1:${own.port}/`);
    expect(guest.url()).toEndWith("/setup");
    const problems: string[] = [];
    for (const width of [320, 1440]) problems.push(...(await problemsAt(guest, width)));
    await guest.fill("#code", "k7mp-2xq9-vv4d");
    await guest.fill("#login", "root@example.test");
    await guest.fill("#password", ADMIN_PASSWORD);
    await guest.fill("#again", "something else");
    await guest.click("main button[type=submit]");
    expect(await guest.textContent("#again-error")).toBe("The two passwords differ.");
    problems.push(...(await problemsAt(guest, 320)));
    await guest.fill("#password", ADMIN_PASSWORD);
    await guest.fill("#again", ADMIN_PASSWORD);
    await guest.click("main button[type=submit]");
    await guest.waitForSelector("text=You are the administrator");
    for (const path of ["/", "/messages", "/domains", "/queue"]) {
      await guest.goto(`https://127.0.0.1:${own.port}${path}`);
      problems.push(...(await problemsAt(guest, 768)));
    }
    await guest.click("text=Menu");
    await guest.click("text=Log out");
    await guest.waitForSelector("text=You are logged out");
    problems.push(...(await problemsAt(guest, 320)));
    await context.close();
    await own.close(100);
    expect(problems).toEqual([]);
  }, 90_000);

  test("script does what it should: search while typing, release in place, theme, selection, strength", async () => {
    const { context, page, errors } = await openConsole({ width: 1280 });
    await page.goto(`${base}/messages`);
    expect(await page.textContent(".page-footer")).toContain("Europe/Berlin");
    await page.keyboard.press("/");
    await page.keyboard.type("invoice 48812");
    await page.locator("#results tbody tr").nth(1).waitFor({ state: "detached" });
    expect(await page.locator("#results tbody tr").count()).toBe(1);
    expect(page.url()).toBe(`${base}/messages?q=invoice+48812`);
    await page.selectOption("select[name=state]", "held");
    await page.waitForSelector("#results .empty");

    await page.goto(`${base}/rules`);
    await page.evaluate("window.scrollTo(0, 300)");
    await page.click("#mode-spam-observe");
    await page.waitForSelector("#mode-spam-observe[aria-pressed=true]");
    expect(await page.textContent("#notices")).toContain("Rule spam is only observed");
    expect(await page.evaluate("document.title")).toContain("Rules");

    await page.goto(`${base}/quarantine`);
    await page.check("[data-select-all]");
    expect(await page.textContent("[data-selected-count]")).toBe("4 selected");
    expect(await page.frameLocator("iframe").locator("b").count()).toBe(0);

    await page.goto(`${base}/account`);
    await page.fill("#new", "letmein");
    await page.waitForSelector("#new-meter .weak");
    await page.fill("#new", "violet harbour teaspoon 93 x");
    await page.waitForSelector("#new-meter .meter-words:not(.weak)");

    await page.click("text=Colours: as the system");
    await page.click("text=Colours: light");
    expect(await page.getAttribute("html", "data-theme")).toBe("dark");
    expect(page.url()).toBe(`${base}/account`);
    await context.close();
    expect(errors).toEqual([]);
  }, 60_000);

  test("the page behind an unlock link: looked at without log-in, accessible, unlocked by its button", async () => {
    const token = await gateway.services.links.create({
      kind: "unlock",
      subject: {
        sender: "192.0.2.64/28",
        identity: "client-a",
        since: String(gateway.services.outgoing.locks()[0]?.since),
      },
      validMs: 3_600_000,
    });
    const context = await browser.newContext({
      ignoreHTTPSErrors: true,
      reducedMotion: "reduce",
      javaScriptEnabled: true,
    });
    const guest = await context.newPage();
    await guest.goto(`${base}/unlock/${token}`);
    const problems: string[] = [];
    for (const width of [320, 1440]) problems.push(...(await problemsAt(guest, width)));
    expect(gateway.outgoing.locks).toHaveLength(1);
    await guest.click("main button[type=submit]");
    await guest.waitForSelector("text=may send again at once");
    expect(gateway.outgoing.locks).toHaveLength(0);
    problems.push(...(await problemsAt(guest, 320)));
    await context.close();
    expect(problems).toEqual([]);
  }, 60_000);

  test("the warning of locking a whole smart host appears when it is switched on, without script too", async () => {
    const { context, page } = await openConsole({ width: 400, javaScriptEnabled: false });
    await page.goto(`${base}/senders/192.0.2.64%2F28/edit`);
    await page.click("summary:has-text('Automatic lock')");
    const warning = page.locator(".switch-warning");
    expect(await warning.isVisible()).toBe(false);
    await page.check("[name='lock.sender']");
    expect(await warning.isVisible()).toBe(true);
    await page.click("summary:has-text('Limits')");
    await page.fill("[name='limits.per_hour']", "many");
    await page.click(".form-actions button:has-text('Save changes')");
    expect(await page.textContent("[id='f-limits-per_hour-error']")).toContain("not a whole number");
    await context.close();
  }, 60_000);

  test("a message's HTML is shown in its frame and cannot reach out of it", async () => {
    const { context, page } = await openConsole({ width: 1280 });
    const [item] = await gateway.services.quarantine.list({ limit: 1, state: "kept" });
    await page.goto(`${base}/quarantine/${item?.id}`);
    expect(await page.frameLocator("iframe").locator("b").textContent()).toBe("invoice");
    expect(
      await page.evaluate(
        "(() => { try { return String(document.querySelector('iframe').contentDocument) } catch (e) { return 'closed' } })()",
      ),
    ).toMatch(/null|closed/);
    await context.close();
  }, 30_000);

  test("everything works without script: menu, filter, form with a problem, release", async () => {
    const { context, page } = await openConsole({ width: 400, javaScriptEnabled: false });
    await page.click("text=Menu");
    await page.click("#navigation >> text=Message log");
    await page.fill("#q", "48812");
    await page.click("button:has-text('Search')");
    expect(await page.locator("#results tbody tr").count()).toBe(1);
    await page.goto(`${base}/domains/new`);
    await page.fill("#f-name", "not a domain!");
    await page.click("text=Add a server");
    expect(await page.inputValue("#f-name")).toBe("not a domain!");
    expect(await page.locator("[name='routes[1].host']").count()).toBe(1);
    await page.click(".form-actions button:has-text('Add domain')");
    expect(await page.textContent("#f-name-error")).toContain("is not a domain name");
    await page.goto(`${base}/quarantine`);
    const before = gateway.released.length;
    await page.locator("tbody tr:not(:has-text('virus')) button:has-text('Release')").first().click();
    expect(await page.textContent("#notices")).toContain("on its way");
    expect(gateway.released.length).toBe(before + 1);
    await context.close();
  }, 60_000);

  test("the keyboard reaches everything, and what is wrong gets the focus", async () => {
    const { context, page } = await openConsole({ width: 1280 });
    await page.goto(`${base}/domains/new`);
    await page.keyboard.press("Tab");
    expect(await page.evaluate("document.activeElement.textContent.trim()")).toBe("Skip to content");
    await page.keyboard.press("Enter");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Tab");
    expect(await page.evaluate("document.activeElement.id")).toBe("f-name");
    await page.keyboard.press("Enter");
    await page.waitForSelector("#f-name-error");
    expect(await page.evaluate("document.activeElement.id")).toBe("f-name");
    await context.close();
  }, 30_000);
});
