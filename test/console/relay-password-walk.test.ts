// The self-service page, a domain's outgoing control and the templates in a real browser: under the console's strict policy, accessible,
// fitting at every width, with script and (but for the challenge) without.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { createConsole } from "../../src/console/create-console.ts";
import { type ConsoleServer, serveConsole } from "../../src/console/serve-console.ts";
import { passwordMatches } from "../../src/policy/password-hash.ts";
import { ADMIN_PASSWORD, type FakeGateway, fakeGateway } from "./fake-services.ts";
import { violationsOf } from "./judge-page.ts";
import { selfSigned } from "./self-signed.ts";

const CHROMIUM = "/usr/bin/chromium";
const present = existsSync(CHROMIUM);
if (!present) console.warn(`SKIPPED: the self-service walk needs ${CHROMIUM}; install the package chromium`);
const FRESH = "granite-willow-compass-46";

let browser: Browser;
let gateway: FakeGateway;
let server: ConsoleServer;
let base: string;

beforeAll(async () => {
  if (!present) return;
  gateway = await fakeGateway();
  const { settings } = gateway.services;
  const domain = settings.current().policy.domain.find((one) => one.name === "example.test");
  const outgoing = { enterprise: true, require_tls: false, alerts: { mail: ["admin@example.test"] } };
  await settings.put("domain", { ...domain, outgoing }, { name: "test", via: "console", ip: null });
  server = serveConsole({
    app: createConsole(gateway.services),
    listen: "127.0.0.1:0",
    tls: await selfSigned("walk"),
  });
  base = `https://127.0.0.1:${server.port}`;
  browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"],
  });
}, 60_000);

afterAll(async () => {
  if (!present) return;
  await browser.close();
  await server.close(100);
});

interface Look {
  readonly context: BrowserContext;
  readonly page: Page;
  /** What the browser complained of; a page that says 422 or 410 is none. */
  readonly errors: string[];
}

async function open(options: { readonly javaScriptEnabled?: boolean } = {}): Promise<Look> {
  const context = await browser.newContext({
    ignoreHTTPSErrors: true,
    javaScriptEnabled: options.javaScriptEnabled ?? true,
    viewport: { width: 1280, height: 800 },
    reducedMotion: "reduce",
  });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const errors: string[] = [];
  page.on("console", (message) => {
    const words = message.text();
    if (message.type() === "error" && !/status of (410|422)/.test(words)) errors.push(words);
  });
  page.on("pageerror", (error) => {
    // The test turns the window while a page still fades in.
    if (!error.message.startsWith("Transition was aborted")) errors.push(error.message);
  });
  return { context, page, errors };
}

async function logIn(page: Page): Promise<void> {
  await page.goto(`${base}/login`);
  await page.fill("#login", "admin@example.test");
  await page.fill("#password", ADMIN_PASSWORD);
  await page.click("main button[type=submit]");
  await page.waitForURL(`${base}/`);
}

/** What is wrong with the page as it stands, at two widths in both themes. */
async function problemsOf(page: Page): Promise<readonly string[]> {
  const problems: string[] = [];
  for (const width of [320, 1440]) {
    await page.setViewportSize({ width, height: 800 });
    for (const scheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme: scheme });
      for (const words of await violationsOf(page, scheme))
        problems.push(`${page.url()} ${width} ${scheme} ${words}`);
    }
    const wider = await page.evaluate(
      "document.documentElement.scrollWidth - document.documentElement.clientWidth",
    );
    if (wider !== 0) problems.push(`${page.url()} ${width}: ${wider} px wider than the window`);
  }
  return problems;
}

const VERIFIED = ".altcha[data-state=verified]";

/** The path of the link mailed last. */
async function lastLink(count: number): Promise<string> {
  for (let i = 0; i < 400 && gateway.outgoing.notices.length < count; i++) await Bun.sleep(10);
  return /(\/smtp-password\/\S+)$/.exec(gateway.outgoing.notices.at(-1) ?? "")?.[1] ?? "";
}

describe.skipIf(!present)("in a browser", () => {
  test("from the address to the new password, the challenge solved by the browser", async () => {
    const { context, page, errors } = await open();
    const problems: string[] = [];
    await page.goto(`${base}/smtp-password`);
    await page.locator(VERIFIED).waitFor();
    problems.push(...(await problemsOf(page)));
    await page.getByLabel("Your mail address").fill("carol@example.test");

    // Left lying until the challenge is too old: said so, done anew, and the address is still there.
    gateway.clock.set(gateway.clock.now() + 16 * 60_000);
    await page.getByRole("button", { name: "Send me the link" }).click();
    await page.getByText("The check was used or too old").waitFor();
    expect(await page.getByLabel("Your mail address").inputValue()).toBe("carol@example.test");
    problems.push(...(await problemsOf(page)));
    await page.locator(VERIFIED).waitFor();
    await page.getByRole("button", { name: "Send me the link" }).click();
    await page.getByRole("heading", { name: "Look into your mail" }).waitFor();
    problems.push(...(await problemsOf(page)));
    await page.reload();
    await page.getByRole("heading", { name: "Look into your mail" }).waitFor();

    const link = await lastLink(1);
    await page.goto(base + link);
    problems.push(...(await problemsOf(page)));
    await page.getByLabel("New password", { exact: true }).fill("letmein");
    await page.locator("#password-meter .weak").waitFor();
    await page.getByLabel("New password", { exact: true }).fill(FRESH);
    await page.locator("#password-meter .meter-words:not(.weak)").waitFor();
    await page.getByLabel("New password again").fill("another one");
    await page.getByRole("button", { name: "Set the password" }).click();
    await page.locator("#again-error").waitFor();
    problems.push(...(await problemsOf(page)));
    await page.getByLabel("New password", { exact: true }).fill(FRESH);
    await page.getByLabel("New password again").fill(FRESH);
    await page.getByRole("button", { name: "Set the password" }).click();
    await page.getByText("Your new password holds from now on").waitFor();
    expect(page.url()).toBe(`${base}/smtp-password/done`);
    problems.push(...(await problemsOf(page)));
    const carol = gateway.services.settings
      .current()
      .policy.sender.find((one) => one.login === "carol@example.test");
    expect(await passwordMatches(FRESH, carol?.password_hash ?? "")).toBe(true);

    await page.goto(base + link);
    await page.getByRole("heading", { name: "This link was used already" }).waitFor();
    problems.push(...(await problemsOf(page)));
    await context.close();
    expect([...problems, ...errors]).toEqual([]);
  }, 180_000);

  test("without script the page says what is missing, and the link works all the same", async () => {
    const { context, page } = await open({ javaScriptEnabled: false });
    await page.goto(`${base}/smtp-password`);
    await page.locator("noscript p", { hasText: "The check needs JavaScript" }).waitFor();
    const other = await open();
    await other.page.goto(`${base}/smtp-password`);
    await other.page.getByLabel("Your mail address").fill("orders@shop.example.test");
    await other.page.locator(VERIFIED).waitFor();
    await other.page.getByRole("button", { name: "Send me the link" }).click();
    await other.page.getByRole("heading", { name: "Look into your mail" }).waitFor();
    await other.context.close();
    await page.goto(base + (await lastLink(2)));
    await page.fill("#password", FRESH);
    await page.fill("#again", FRESH);
    await page.getByRole("button", { name: "Set the password" }).click();
    await page.getByText("Your new password holds from now on").waitFor();
    await context.close();
  }, 60_000);

  test.each([
    "/domains",
    "/domains/example.test/outgoing",
    "/domains/example.test/edit",
    "/settings/templates",
    "/settings/templates/new",
    "/settings/general",
    "/rules/new",
    "/listeners/submission/edit",
  ])(
    "%s is accessible and fits, with everything unfolded",
    async (path) => {
      const { context, page, errors } = await open();
      await logIn(page);
      await page.goto(base + path);
      await page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })");
      const problems = await problemsOf(page);
      await context.close();
      expect([...problems, ...errors]).toEqual([]);
    },
    60_000,
  );

  test("a test alert says what came of it, and what was typed meanwhile stays", async () => {
    const { context, page, errors } = await open();
    await logIn(page);
    await page.goto(`${base}/domains/example.test/outgoing`);
    const window = page.getByLabel("Within");
    await window.fill("3h");
    await page.getByRole("button", { name: "Test mail" }).click();
    await page.getByText("Test by mail: it was taken").waitFor();
    expect(await window.inputValue()).toBe("3h");
    await context.close();
    expect(errors).toEqual([]);
  }, 30_000);

  test("the preview of a template follows what is typed", async () => {
    const { context, page, errors } = await open();
    await logIn(page);
    await page.goto(`${base}/settings/templates/new`);
    await page.getByLabel("Subject").fill("Stopped: {identity} & <b>co</b>");
    await page.locator("#preview", { hasText: "Stopped: alice@example.test & <b>co</b>" }).waitFor();
    await context.close();
    expect(errors).toEqual([]);
  }, 30_000);
});
