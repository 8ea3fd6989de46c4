// Every command of `gatepost --help` against a running gateway: what it prints, what it does, its exit code.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type MailSink, startMailSink } from "../peers/mail-sink.ts";
import { freePorts, runCommand, waitUntil } from "../peers/run-command.ts";
import { type LoggedMessage, type RunningGateway, runGateway } from "../peers/run-gateway.ts";
import {
  askConsole,
  bootDirectory,
  gatepost,
  PROGRAM,
  ROOT,
  sendOne,
  setUpWith,
  setupCodeIn,
  smallPolicy,
  withEnvironment,
} from "./gateway-kit.ts";

const corpus = join(ROOT, "test/checks/corpus");
const scratch = mkdtempSync(join(tmpdir(), "gatepost-commands-"));
let gateway: RunningGateway;
let sink: MailSink;
let ports: { readonly mx: number; readonly metrics: number; readonly dead: number };

function jsonLines(text: string): readonly unknown[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line): unknown => JSON.parse(line));
}

beforeAll(async () => {
  sink = await startMailSink();
  ports = await freePorts("mx", "metrics", "dead");
  const later = `
[[domain]]
name = "later.example.test"
routes = [{ host = "127.0.0.1", port = ${ports.dead}, tls = "none" }]
recipients = { verify = "catch-all" }
`;
  gateway = await runGateway({
    policy: smallPolicy(ports.mx, sink.port, later).replace('retry = ["1s"]', 'retry = ["1h"]'),
    // Standard output alone goes to the log file: it must be JSON lines and nothing else.
    launcher: [
      ...withEnvironment({ GATEPOST_METRICS_LISTEN: `127.0.0.1:${ports.metrics}` }),
      ...["sh", "-c", 'exec "$@" 2> "$0"', join(scratch, "stderr")],
    ],
  });
}, 60_000);
afterAll(async () => {
  await gateway.dispose();
  await sink.close();
  rmSync(scratch, { recursive: true, force: true });
});

describe("what a command prints and does", () => {
  test("--help lists every command and --version the version", async () => {
    const help = await gatepost(["--help"]);
    expect(help.code).toBe(0);
    for (const name of "serve plan apply export check log queue quarantine lock backup".split(" "))
      expect(help.out).toContain(`gatepost ${name}`);
    expect((await gatepost(["apply", "-h"])).out).toStartWith("  gatepost apply FILE");
    expect((await gatepost(["--version"])).out).toMatch(/^gatepost \d+\.\d+\.\d+/);
  });

  test("serve prints addresses, console and set-up code for people on standard error", () => {
    const words = readFileSync(join(scratch, "stderr"), "utf8");
    expect(words).toContain(`mx             127.0.0.1:${ports.mx}`);
    expect(words).toContain(`https://localhost:${gateway.consolePort}`);
    expect(setupCodeIn(words)).toMatch(/^[2-9A-Z]{4}(-[2-9A-Z]{4}){2}$/);
    expect(words).toContain("send-test --config");
  });

  test("send-test takes each kind; log shows what became of it", async () => {
    expect((await gateway.command("send-test", "--to", "bob@example.test")).out).toContain(
      "250 2.0.0 Accepted as",
    );
    expect((await gateway.command("send-test", "--kind", "spam", "--to", "bob@example.test")).out).toContain(
      "250",
    );
    const virus = await gateway.command("send-test", "--kind", "virus", "--to", "bob@example.test");
    expect([virus.code, virus.out]).toEqual([0, expect.stringContaining("refused it: Message failed: 550")]);
    await waitUntil("the clean one is delivered", () => sink.messages.length === 1);
    const delivered = await gateway.logged("it as delivered", (one) => one.states[0]?.state === "delivered");
    const text = await gateway.command("log", "--id", delivered.record.id);
    for (const words of ["Facts", "gtube.found", "verdict   Accepted", "now       delivered", "Attempt "])
      expect(text.out).toContain(words);
    const lines = await gateway.command("log");
    expect(lines.out).toContain("Gatepost test message (spam)");
    expect(lines.out).toContain("→ bob@example.test  quarantined  (rule spam)");
    expect((await gateway.command("log", "--text", "virus", "--json")).out).toContain('"virus"');
    expect(jsonLines((await gateway.command("log", "--json", "--limit", "1")).out)).toHaveLength(1);
    const unknown = await gateway.command("log", "--id", "00000000000000000000");
    expect([unknown.code, unknown.err]).toEqual([1, expect.stringContaining("has no message")]);
  });

  test("log --follow --json shows a message that comes later, once", async () => {
    const follower = Bun.spawn(
      [
        ...PROGRAM,
        "log",
        "--follow",
        "--json",
        "--limit",
        "1",
        "--config",
        join(gateway.directory, "gatepost.toml"),
      ],
      {
        cwd: ROOT,
        stdout: "pipe",
      },
    );
    const subjects: string[] = [];
    const reading = (async () => {
      let rest = "";
      for await (const chunk of follower.stdout.pipeThrough(new TextDecoderStream())) {
        const lines = (rest + chunk).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) subjects.push((JSON.parse(line) as LoggedMessage).record.subject);
      }
    })();
    await waitUntil("it shows what is there", () => subjects.length > 0);
    // This one's transaction begins first and ends last: it comes to the log behind a younger one.
    const slow = sendOne(ports.mx, { subject: "slow", body: `${"x".repeat(70)}\r\n`.repeat(30_000) });
    await sendOne(ports.mx, { subject: "quick" });
    await slow;
    await waitUntil("both are shown", () => subjects.includes("slow") && subjects.includes("quick"));
    await sendOne(ports.mx, { subject: "last" });
    await waitUntil("the last is shown", () => subjects.includes("last"));
    follower.kill();
    await reading;
    expect(subjects.slice(1).sort()).toEqual(["last", "quick", "slow"]);
  });

  test("queue list, hold, retry and drop", async () => {
    await sendOne(ports.mx, { subject: "waits", to: "carol@later.example.test" });
    const waits = await gateway.logged(
      "an attempt",
      (one) => one.record.subject === "waits" && one.attempts.length > 0,
    );
    const { id } = waits.record;
    const list = await gateway.command("queue", "list");
    expect(list.out).toContain("carol@later.example.test");
    expect(list.out).toContain("ECONNREFUSED");
    expect(jsonLines((await gateway.command("queue", "list", "--json")).out)).toMatchObject([
      { messageId: id, state: "queued" },
    ]);
    expect((await gateway.command("queue", "hold", id)).out).toBe("1 recipient held back.\n");
    expect((await gateway.command("queue", "list")).out).toContain("held");
    expect((await gateway.command("queue", "retry")).out).toBe("1 recipient will be tried now.\n");
    await gateway.logged("a second attempt", (one) => one.record.id === id && one.attempts.length > 1);
    expect((await gateway.command("queue", "drop", id)).out).toBe("1 recipient dropped.\n");
    expect((await gateway.command("queue", "list")).out).toBe("The queue is empty.\n");
    expect((await gateway.command("queue", "list", "--json")).out).toBe("");
    const again = await gateway.command("queue", "drop", id);
    expect([again.code, again.out]).toEqual([1, "0 recipients dropped.\n"]);
  });

  test("quarantine list, release and delete", async () => {
    const items = jsonLines(
      (await gateway.command("quarantine", "list", "--json", "--to", "bob@example.test")).out,
    ) as {
      id: string;
      rule: string;
    }[];
    expect(items.map(({ rule }) => rule).sort()).toEqual(["spam", "virus"]);
    expect((await gateway.command("quarantine", "list")).out).toContain("Gatepost test message (spam)");
    expect(
      jsonLines((await gateway.command("quarantine", "list", "--json", "--to", "nobody@example.test")).out),
    ).toEqual([]);
    const spam = items.find(({ rule }) => rule === "spam")?.id ?? "";
    const virus = items.find(({ rule }) => rule === "virus")?.id ?? "";
    const before = sink.messages.length;
    expect((await gateway.command("quarantine", "release", spam)).out).toContain("queued for delivery");
    expect((await gateway.command("quarantine", "release", spam)).out).toContain("released before");
    await waitUntil("the released one is delivered", () => sink.messages.length > before);
    expect(sink.messages.at(-1)?.text).toContain("GTUBE");
    expect((await gateway.command("quarantine", "delete", virus)).out).toBe(`Deleted ${virus}.\n`);
    const gone = await gateway.command("quarantine", "release", virus);
    expect([gone.code, gone.err]).toEqual([1, expect.stringContaining("has no message")]);
    expect((await gateway.command("quarantine", "delete", "nonsense")).code).toBe(1);
  });

  test.each([
    ["clean.eml", "eicar.found                false", "ACCEPT"],
    ["eicar-zip.eml", "eicar.found                true", "QUARANTINE"],
    ["gtube.eml", "gtube.found                true", "QUARANTINE"],
    ["two-from.eml", "structure.ambiguous        two From fields", "ACCEPT"],
  ])("check %s shows the facts and the verdict and keeps nothing", async (file, fact, verdict) => {
    const before = (await gateway.log()).length;
    const { code, out } = await gateway.command("check", join(corpus, file));
    expect(code).toBe(0);
    expect(out).toContain(fact);
    expect(out).toContain(verdict);
    expect(out).toContain("postmaster@example.test (inbound)");
    expect((await gateway.log()).length).toBe(before);
  });

  test("check takes the circumstances, and answers as JSON", async () => {
    const circumstances = [
      "--from",
      "x@example.org",
      "--to",
      "bob@example.test",
      "--to",
      "carol@example.org",
      "--ip",
      "192.0.2.7",
    ];
    const { out } = await gateway.command(
      "check",
      join(corpus, "clean.eml"),
      ...circumstances,
      "--helo",
      "h.example.org",
      "--json",
    );
    const explained = JSON.parse(out) as {
      findings: { fact: string; value: unknown }[];
      recipients: { address: string; direction: string }[];
    };
    const fact = (name: string) => explained.findings.find((finding) => finding.fact === name)?.value;
    expect([fact("client.ip"), fact("client.helo"), fact("sender.address")]).toEqual([
      "192.0.2.7",
      "h.example.org",
      "x@example.org",
    ]);
    expect(explained.recipients.map(({ address, direction }) => `${address} ${direction}`)).toEqual([
      "bob@example.test inbound",
      "carol@example.org outbound",
    ]);
    const wrong = await gateway.command("check", join(corpus, "clean.eml"), "--ip", "somewhere");
    expect([wrong.code, wrong.err]).toEqual([1, expect.stringContaining('"somewhere" is not an IP address')]);
    expect((await gateway.command("check", join(corpus, "clean.eml"), "--to", "nobody")).code).toBe(1);
    expect((await gateway.command("check", join(scratch, "absent.eml"))).code).toBe(66);
  });

  test("export gives a file that plan finds nothing to change in; apply changes and says what", async () => {
    const file = join(scratch, "policy.toml");
    const exported = (await gateway.command("export")).out;
    writeFileSync(file, exported);
    expect((await gateway.command("plan", file, "--prune")).out).toContain("No change");
    writeFileSync(file, exported.replace('log_keep = "90d"', 'log_keep = "30d"'));
    const planned = await gateway.command("plan", file);
    expect([planned.code, planned.out]).toEqual([0, expect.stringContaining("log_keep")]);
    expect((await gateway.command("export")).out).toBe(exported);
    expect((await gateway.command("apply", file)).code).toBe(0);
    expect((await gateway.command("export")).out).toContain('log_keep = "30d"');
    writeFileSync(file, '[settings]\nlog_keep = "a while"\n');
    const refused = await gateway.command("apply", file);
    expect([refused.code, refused.err]).toEqual([78, expect.stringContaining("is not a duration")]);
    writeFileSync(file, "[settings\n");
    expect((await gateway.command("plan", file)).code).toBe(78);
    expect((await gateway.command("plan", join(scratch, "absent.toml"))).code).toBe(66);
  });

  test("probe tells open, silent and closed ports apart", async () => {
    const silent = createServer();
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const address = silent.address();
    const silentPort = typeof address === "object" ? (address?.port ?? 0) : 0;
    try {
      const given = [
        "--port",
        String(ports.mx),
        "--port",
        String(silentPort),
        "--port",
        String(ports.dead),
        "--timeout",
        "1",
      ];
      const open = await gateway.command("probe", "127.0.0.1", ...given);
      expect(open.code).toBe(1);
      expect(open.out).toMatch(new RegExp(`^${ports.mx} +open +220 gate.example.test`, "m"));
      expect(open.out).toMatch(new RegExp(`^${silentPort} +silent`, "m"));
      expect(open.out).toMatch(new RegExp(`^${ports.dead} +closed`, "m"));
      expect(open.out).toContain(`answers strangers on port ${ports.mx}.`);
      const hidden = await gateway.command("probe", "127.0.0.1", "--port", String(ports.dead));
      expect([hidden.code, hidden.out]).toEqual([
        0,
        expect.stringContaining("does not answer mail connections"),
      ]);
    } finally {
      silent.close();
    }
  });

  test("admin reset makes another administrator possible, once", async () => {
    const first = setupCodeIn(readFileSync(join(scratch, "stderr"), "utf8"));
    const cookie = await setUpWith(gateway, first, "first@example.test");
    expect(cookie).not.toBeNull();
    expect((await askConsole(gateway, "/", { cookie: cookie ?? "" })).status).toBe(200);
    expect(await setUpWith(gateway, first, "thief@example.test")).toBeNull();
    const reset = await gateway.command("admin", "reset");
    expect(reset.code).toBe(0);
    const code = setupCodeIn(reset.out);
    expect(code).not.toBe(first);
    expect((await askConsole(gateway, "/setup")).status).toBe(200);
    expect(await setUpWith(gateway, "AAAA-AAAA-AAAA", "thief@example.test")).toBeNull();
    const second = await setUpWith(gateway, code, "second@example.test");
    expect((await askConsole(gateway, "/", { cookie: second ?? "" })).status).toBe(200);
    expect(await setUpWith(gateway, code, "thief@example.test")).toBeNull();
    expect((await askConsole(gateway, "/setup")).status).toBe(303);
  });

  test("backup and restore: a gateway on the copy has the settings, the log, the queue and the quarantine", async () => {
    await sendOne(ports.mx, { subject: "in the queue", to: "dave@later.example.test" });
    await sendOne(ports.mx, {
      subject: "large",
      to: "dave@later.example.test",
      body: `${"y".repeat(70)}\r\n`.repeat(2000),
    });
    await gateway.command("send-test", "--kind", "spam", "--to", "bob@example.test");
    await gateway.command("queue", "hold");
    const copy = join(scratch, "backup");
    const made = await gateway.command("backup", copy);
    expect([made.code, made.out]).toEqual([0, expect.stringContaining(`to "${copy}"`)]);
    const twice = await gateway.command("backup", copy);
    expect([twice.code, twice.err]).toEqual([1, expect.stringContaining("exists already")]);
    const { other } = await freePorts("other");
    const { directory, file, data } = bootDirectory({ consolePort: other });
    const restored = await gatepost(["restore", copy, "--config", file]);
    expect([restored.code, restored.err]).toEqual([0, ""]);
    expect(restored.out).toContain("is sent again");
    expect((await gatepost(["restore", copy, "--config", file])).code).toBe(73);
    const child = Bun.spawn([...PROGRAM, "serve", "--config", file], {
      cwd: ROOT,
      stdout: "ignore",
      stderr: "ignore",
    });
    const ask = (...args: string[]) => gatepost([...args, "--config", file]);
    try {
      await waitUntil("the restored gateway answers", async () => (await ask("queue", "list")).code === 0);
      const here = async (...args: string[]) => (await gateway.command(...args)).out;
      expect((await ask("queue", "list", "--json")).out).toBe(await here("queue", "list", "--json"));
      expect((await ask("quarantine", "list", "--json")).out).toBe(
        await here("quarantine", "list", "--json"),
      );
      expect((await ask("log", "--json")).out).toBe(await here("log", "--json"));
      expect((await ask("export")).out).toBe(await here("export"));
      expect(existsSync(join(data, "gatepost-backup.json"))).toBe(false);
    } finally {
      child.kill();
      await child.exited;
      rmSync(directory, { recursive: true, force: true });
    }
  }, 60_000);

  test("/metrics and /healthz tell of the mail that went through", async () => {
    const get = (path: string) => fetch(`http://127.0.0.1:${ports.metrics}${path}`);
    expect((await get("/healthz")).status).toBe(200);
    const text = await (await get("/metrics")).text();
    const value = (name: string) =>
      Number(
        text
          .split("\n")
          .find((line) => line.startsWith(`${name} `))
          ?.split(" ")[1],
      );
    expect(value('gatepost_messages_total{outcome="accepted"}')).toBeGreaterThan(3);
    expect(value('gatepost_messages_total{outcome="refused"}')).toBe(1);
    expect(value('gatepost_deliveries_total{result="delivered"}')).toBeGreaterThan(1);
    expect(value('gatepost_deliveries_total{result="deferred"}')).toBeGreaterThan(0);
    expect(value("gatepost_alarms")).toBe(0);
  });

  test("a reader that is slow gets every line, one that goes away is no error", async () => {
    for (let n = 0; n < 60; n++) await sendOne(ports.mx, { subject: `many ${n}` });
    await gateway.logged("them all", (one) => one.record.subject === "many 59");
    const boot = join(gateway.directory, "gatepost.toml");
    const program = [...PROGRAM, "log", "--json", "--limit", "100000", "--config", boot]
      .map((word) => `'${word}'`)
      .join(" ");
    const slow = await runCommand(["sh", "-c", `${program} | (sleep 1; cat)`], { cwd: ROOT });
    expect(slow.out.length).toBeGreaterThan(65_536);
    expect(jsonLines(slow.out).length).toBe((await gateway.log()).length);
    const short = await runCommand(["sh", "-c", `{ ${program}; echo "code $?" >&2; } | head -n 1`], {
      cwd: ROOT,
    });
    expect(short.err).toBe("code 0\n");
  });

  test("every line of standard output is JSON with time, level and words", () => {
    const lines = jsonLines(gateway.output());
    expect(lines.length).toBeGreaterThan(0);
    for (const line of lines)
      expect(line).toMatchObject({
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
        level: expect.stringMatching(/^(info|warn|error)$/),
        msg: expect.any(String),
      });
  });
});
