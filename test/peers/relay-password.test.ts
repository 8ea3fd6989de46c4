// Show 6 of outgoing control: the self-service page walked in Chromium against the real gateway, from the address to a log-in over SMTP
// with the new password; and what a reused link says.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Browser, chromium, type Page } from "playwright-core";
import { type MailSink, startMailSink } from "./mail-sink.ts";
import { LOGIN, peerPolicy } from "./peer-policy.ts";
import { findProgram, freePorts, havePrograms, waitUntil } from "./run-command.ts";
import { type RunningGateway, runGateway } from "./run-gateway.ts";
import { runSwaks, type SwaksResult, testMessage } from "./run-swaks.ts";

const FRESH = "granite-willow-compass-46";
const present = havePrograms("the self-service page for relay passwords", ["chromium", "swaks"]);

describe.skipIf(!present)("the self-service page", () => {
  let ports: { readonly mx: number; readonly submission: number; readonly submissions: number };
  let server: MailSink;
  let outside: MailSink;
  let gateway: RunningGateway;
  let browser: Browser;
  let page: Page;
  let link = "";
  const complaints: string[] = [];

  beforeAll(async () => {
    ports = await freePorts("mx", "submission", "submissions");
    server = await startMailSink();
    outside = await startMailSink();
    gateway = await runGateway({
      policy: peerPolicy({ ...ports, server: server.port, outside: outside.port }),
    });
    browser = await chromium.launch({
      executablePath: findProgram("chromium") ?? "chromium",
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    });
    const context = await browser.newContext({ ignoreHTTPSErrors: true });
    page = await context.newPage();
    page.on("console", (message) => void (message.type() === "error" && complaints.push(message.text())));
    page.on("pageerror", (error) => complaints.push(error.message));
  }, 120_000);

  afterAll(async () => {
    await browser?.close();
    await gateway?.dispose();
    await Promise.all([server?.close(), outside?.close()]);
  }, 60_000);

  const home = () => `https://127.0.0.1:${gateway.consolePort}/smtp-password`;
  const main = async (): Promise<string> => (await page.locator("main").textContent()) ?? "";

  const askFor = async (address: string): Promise<string> => {
    await page.goto(home());
    await page.getByLabel("Your mail address").fill(address);
    // The browser itself solves the challenge.
    await page.locator(".altcha[data-state=verified]").waitFor({ timeout: 30_000 });
    await page.getByRole("button", { name: "Send me the link" }).click();
    await page.getByRole("heading", { name: "Look into your mail" }).waitFor();
    return main();
  };

  const send = (password: string, subject: string): Promise<SwaksResult> =>
    runSwaks({
      port: ports.submission,
      from: LOGIN.user,
      to: "friend@example.org",
      tls: "starttls",
      login: { user: LOGIN.user, password },
      message: testMessage({ from: LOGIN.user, to: "friend@example.org", subject }).text,
    });

  test("the password in use works before", async () => {
    const result = await send(LOGIN.password, "before");
    expect(result.dialogue).toContain("235");
    expect(result.accepted).toBe(true);
  }, 60_000);

  test("an address that is none of ours gets the same page and no mail", async () => {
    const forNobody = await askFor("nobody@example.test");
    const forAlice = await askFor(LOGIN.user);
    expect(forNobody).toBe(forAlice);
    const mail = await waitUntil("the mail with the link arrives", () =>
      server.messages.find((one) => one.text.includes("/smtp-password/")),
    );
    expect(mail.recipients).toEqual([LOGIN.user]);
    link = /https:\/\/\S+\/smtp-password\/[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])/.exec(mail.text)?.[0] ?? "";
    expect(link).not.toBe("");
    expect(server.messages.filter((one) => one.text.includes("/smtp-password/"))).toHaveLength(1);
  }, 90_000);

  /** The link leads to the gateway's name, which no DNS knows here. */
  const here = () => `https://127.0.0.1:${gateway.consolePort}${new URL(link).pathname}`;

  test("a scanner that fetches the link does not use it; a weak password is refused with a reason", async () => {
    for (let i = 0; i < 2; i++)
      expect((await fetch(here(), { tls: { rejectUnauthorized: false } })).status).toBe(200);
    await page.goto(here());
    await page.getByLabel("New password", { exact: true }).fill("123456");
    await page.locator("#password-meter .weak").waitFor();
    await page.getByLabel("New password again").fill("123456");
    await page.getByRole("button", { name: "Set the password" }).click();
    await page.locator("#password-error").waitFor();
    expect(await page.locator("#password-error").textContent()).toContain("is too weak");
    expect((await send(LOGIN.password, "still")).accepted).toBe(true);
  }, 90_000);

  test("the new password is set, the page says how to send, and SMTP takes the new one only", async () => {
    await page.getByLabel("New password", { exact: true }).fill(FRESH);
    await page.locator("#password-meter .meter-words:not(.weak)").waitFor();
    await page.getByLabel("New password again").fill(FRESH);
    await page.getByRole("button", { name: "Set the password" }).click();
    await page.getByRole("heading", { name: "Settings for your mail program" }).waitFor();
    const words = await main();
    expect(words).toContain("Your new password holds from now on");
    for (const value of ["gate.example.test", String(ports.submissions), "SSL/TLS"])
      expect(words).toContain(value);
    expect(page.url()).not.toContain(new URL(link).pathname);

    const fresh = await send(FRESH, "after");
    expect(fresh.dialogue).toContain("235");
    expect(fresh.accepted).toBe(true);
    // It was cached as right a moment ago; a changed password ends that.
    const old = await send(LOGIN.password, "old");
    expect(old.accepted).toBe(false);
    expect(old.dialogue).toContain("535");
    await waitUntil("the mail sent with the new password arrives", () =>
      outside.messages.find((one) => one.text.includes("Subject: after")),
    );
  }, 120_000);

  test("the link used again says so and offers a new one", async () => {
    await page.goto(here());
    await page.getByRole("heading", { name: "This link was used already" }).waitFor();
    await page.getByRole("link", { name: "Get a new link" }).click();
    await page.getByLabel("Your mail address").waitFor();
  }, 60_000);

  test("the browser had nothing to complain of, and the token stands in no log", () => {
    expect(complaints.filter((words) => !/status of (410|422)/.test(words))).toEqual([]);
    expect(link).not.toBe("");
    expect(gateway.output()).not.toContain(new URL(link).pathname.split("/").at(-1) ?? "?");
  });
});
