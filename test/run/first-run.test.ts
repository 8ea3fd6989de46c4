// The README's first run, word for word, as a new user has it: a copy of the tree, `npm start`, and a real browser that walks from
// the set-up code to the verdict. Its ports are the README's own.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Subprocess } from "bun";
import { type Browser, chromium, type Page } from "playwright-core";
import { findProgram, havePrograms, mustRun, waitUntil } from "../peers/run-command.ts";
import { PASSWORD, ROOT } from "./gateway-kit.ts";

const PORTS = [2525, 2587, 2465, 8443, 9143];
const SCREENSHOTS = process.env.FIRST_RUN_SCREENSHOTS;

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

/** What a clone would hold: the files git knows or would add. Packages are those installed here, unless they are out of date. */
async function copyOfTheTree(): Promise<string> {
  const copy = mkdtempSync(join(tmpdir(), "gatepost-first-run-"));
  const listed = await mustRun(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    cwd: ROOT,
  });
  for (const file of listed.split("\0")) {
    if (file === "" || !existsSync(join(ROOT, file))) continue;
    mkdirSync(join(copy, dirname(file)), { recursive: true });
    cpSync(join(ROOT, file), join(copy, file));
  }
  const lock = join(ROOT, "node_modules/.installed.lock");
  const current =
    existsSync(lock) && readFileSync(lock, "utf8") === readFileSync(join(ROOT, "bun.lock"), "utf8");
  if (current) symlinkSync(join(ROOT, "node_modules"), join(copy, "node_modules"));
  return copy;
}

async function maySkip(): Promise<boolean> {
  if (!havePrograms("the first run of the README", ["npm", "git", "chromium"])) return true;
  const taken: number[] = [];
  for (const port of PORTS) if (!(await isFree(port))) taken.push(port);
  if (taken.length > 0) console.log(`SKIPPED the first run of the README: ports in use: ${taken.join(", ")}`);
  return taken.length > 0;
}

describe.skipIf(await maySkip())("the first run of the README", () => {
  let copy = "";
  let running: Subprocess<"ignore", "pipe", "pipe">;
  let printed = "";
  let browser: Browser;
  let page: Page;
  const complaints: string[] = [];

  const collect = async (stream: ReadableStream<Uint8Array>): Promise<void> => {
    const decoder = new TextDecoder();
    for await (const chunk of stream) printed += decoder.decode(chunk, { stream: true });
  };
  const shot = async (name: string): Promise<void> => {
    if (SCREENSHOTS !== undefined)
      await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`), fullPage: true });
  };
  const main = async (): Promise<string> => (await page.locator("main").textContent()) ?? "";

  beforeAll(async () => {
    copy = await copyOfTheTree();
    running = Bun.spawn(["npm", "start"], { cwd: copy, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
    void collect(running.stdout);
    void collect(running.stderr);
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
    const context = await browser.newContext({
      ignoreHTTPSErrors: true,
      viewport: { width: 1280, height: 900 },
    });
    page = await context.newPage();
    page.on(
      "console",
      (message) =>
        void (
          message.type() === "error" &&
          complaints.push(`${message.text()} (${message.location().url}, on ${page.url()})`)
        ),
    );
    page.on("pageerror", (error) => complaints.push(error.message));
  }, 180_000);

  afterAll(async () => {
    await browser.close();
    const lock = join(copy, "data/gatepost.pid");
    if (existsSync(lock)) process.kill(Number(readFileSync(lock, "utf8").split(" ")[0]), "SIGTERM");
    await running.exited;
    rmSync(copy, { recursive: true, force: true });
  }, 60_000);

  test("npm start prints the addresses, the set-up code and the line that sends a test message", async () => {
    await waitUntil("it runs", () => {
      if (running.exitCode !== null) throw new Error(`npm start ended:\n${printed}`);
      return printed.includes("send-test");
    });
    for (const line of ["127.0.0.1:2525", "127.0.0.1:2587", "127.0.0.1:2465"])
      expect(printed).toMatch(new RegExp(`${line} +listening`));
    expect(printed).toContain("Console        https://localhost:8443");
    // The address the README shows is the one that is printed.
    expect(readFileSync(join(ROOT, "README.md"), "utf8")).toContain("Console        https://localhost:8443");
  }, 120_000);

  test("the set-up code makes the first administrator, who is logged in", async () => {
    const url = /Console +(\S+)/.exec(printed)?.[1] ?? "";
    await page.goto(url);
    await shot("1-set-up");
    await page.getByLabel("Set-up code").fill(/Set-up code +(\S+)/.exec(printed)?.[1] ?? "");
    await page.getByLabel("Login").fill("admin@example.test");
    await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
    await page.getByLabel("Password again").fill(PASSWORD);
    await page.getByRole("button", { name: "Create administrator" }).click();
    await page.getByRole("link", { name: "Message log" }).first().waitFor();
    await shot("2-overview");
  }, 60_000);

  /** Sends by the printed line and finds the message in the log. */
  const sendAndFind = async (kind: "clean" | "spam"): Promise<void> => {
    const line = /another terminal:\n\s+(.+)\n/.exec(printed)?.[1] ?? "";
    expect(line).toContain("send-test");
    const sent = await mustRun(["sh", "-c", kind === "clean" ? line : `${line} -- --kind ${kind}`], {
      cwd: copy,
    });
    expect(sent).toContain("The gateway answered: 250");
    await waitUntil("it stands in the message log", async () => {
      await page.goto("https://localhost:8443/");
      await page.getByRole("link", { name: "Message log" }).first().click();
      await page.getByRole("heading", { name: "Message log" }).waitFor();
      return (await main()).includes(`Gatepost test message (${kind})`);
    });
    await shot(`3-message-log-${kind}`);
    await page.getByText(`Gatepost test message (${kind})`).first().click();
    await page.getByRole("heading", { name: `Gatepost test message (${kind})` }).waitFor();
    await shot(`4-message-${kind}`);
  };

  test("the test message is found, with the words of the verdict and the delivery attempt", async () => {
    await sendAndFind("clean");
    expect(await main()).toContain("No rule decided; what no rule stops is accepted.");
    expect(await main()).toContain("ECONNREFUSED");
  }, 60_000);

  test("the spam message says which rule took it, waits in the quarantine, and is released from there", async () => {
    await sendAndFind("spam");
    expect(await main()).toMatch(/Quarantined by rule\s+spam[\s\S]*gtube\.found is true/);
    await page.getByRole("link", { name: "Quarantine" }).first().click();
    await page.getByRole("heading", { name: "Quarantine" }).waitFor();
    await shot("5-quarantine");
    await page.getByText("Gatepost test message (spam)").first().click();
    await page.getByRole("button", { name: "Release" }).waitFor();
    expect(await main()).toContain("GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL");
    await shot("6-quarantined-message");
    await page.getByRole("button", { name: "Release" }).click();
    await page.getByText("the message is on its way to you@example.test").waitFor();
    await shot("7-released");
    await page.getByRole("link", { name: "Queue" }).first().click();
    await page.getByRole("heading", { name: "Queue" }).waitFor();
    await waitUntil("both wait for the mail server", async () => {
      await page.reload();
      return ((await main()).match(/you@example\.test/g) ?? []).length >= 2;
    });
    await shot("8-queue");
  }, 60_000);

  test("the browser had nothing to complain of", () => {
    expect(complaints).toEqual([]);
  });
});
