// The built file alone: GATEPOST_BIN in an empty directory, and where possible in a root directory with nothing but the C library.
// Without GATEPOST_BIN it is not built here, and nothing is tested.
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startMailSink } from "../peers/mail-sink.ts";
import { freePorts, runCommand, waitUntil } from "../peers/run-command.ts";
import { runGateway } from "../peers/run-gateway.ts";

const binary = process.env.GATEPOST_BIN ?? "";
if (binary === "")
  console.log("SKIPPED the built binary: GATEPOST_BIN names none (`bun run build`, then GATEPOST_BIN=…)");

const directories: string[] = [];
function emptyDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "gatepost-bare-"));
  directories.push(directory);
  return directory;
}

afterAll(() => {
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});

function policy(mx: number, sink: number): string {
  return `
[[listener]]
name = "mx"
listen = "127.0.0.1:${mx}"
[[domain]]
name = "example.test"
routes = [{ host = "127.0.0.1", port = ${sink}, priority = 10, tls = "opportunistic" }]
recipients = { verify = "catch-all" }
`;
}

describe.skipIf(binary === "")("the built binary", () => {
  test("says its version", async () => {
    const manifest = JSON.parse(readFileSync(join(import.meta.dirname, "../../package.json"), "utf8")) as {
      version: string;
    };
    const { out } = await runCommand([binary, "--version"], { cwd: emptyDirectory() });
    expect(out).toStartWith(`gatepost ${manifest.version}`);
  });

  test("runs no code it finds in its working directory", async () => {
    const directory = emptyDirectory();
    writeFileSync(join(directory, "bunfig.toml"), 'preload = ["./planted.ts"]\n');
    writeFileSync(join(directory, "planted.ts"), 'console.log("PLANTED");\n');
    const { out, err } = await runCommand([binary, "--version"], { cwd: directory });
    expect(out + err).not.toContain("PLANTED");
  });

  test("takes, judges and delivers mail and shows the console", async () => {
    const sink = await startMailSink();
    const { mx } = await freePorts("mx");
    const gateway = await runGateway({ binary, policy: policy(mx, sink.port) });
    try {
      const sent = await gateway.command("send-test", "--to", "you@example.test");
      expect(sent.out + sent.err).toContain("250");
      await waitUntil("the test message arrives", () => sink.messages.length > 0);
      const page = await fetch(`https://127.0.0.1:${gateway.consolePort}/`, {
        tls: { rejectUnauthorized: false },
      });
      expect(page.status).toBe(200);
      const html = await page.text();
      const asset = /(?:href|src)="(\/[^"]+\.(?:css|js))"/.exec(html)?.[1] ?? "/none";
      const served = await fetch(`https://127.0.0.1:${gateway.consolePort}${asset}`, {
        tls: { rejectUnauthorized: false },
      });
      expect(served.status).toBe(200);
      // Nothing is written beside what it was told to write.
      expect(readdirSync(gateway.directory).sort()).toEqual([
        "data",
        "gatepost.toml",
        "gateway.log",
        "policy.toml",
      ]);
    } finally {
      await gateway.dispose();
      await sink.close();
    }
  }, 120_000);
});
