// The boot file and the environment: defaults, what overrides what, and words a person can act on when something is wrong.
import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { ConfigError, loadConfig } from "../../src/config/config.ts";

const directory = mkdtempSync(join(tmpdir(), "gatepost-config-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

let files = 0;
function bootFile(text: string): string {
  const path = join(directory, `${++files}.toml`);
  writeFileSync(path, text);
  return path;
}

/** The words with which the configuration is refused. */
function refusal(file: string | null, env: Record<string, string> = {}): string {
  try {
    loadConfig(file, env);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  throw new Error("it was expected to be refused, and was not");
}

test("an empty boot file has a default for everything", () => {
  const file = bootFile("");
  expect(loadConfig(file, {})).toEqual({
    data: resolve("./data"),
    hostname: hostname().toLowerCase(),
    console: { listen: "0.0.0.0:8443", trustedProxies: [] },
    metrics: { listen: "127.0.0.1:9143" },
    dns: { servers: [] },
    log: { level: "info" },
    firstPolicy: null,
    file,
  });
});

const WHOLE = `data = "/var/lib/gatepost"
hostname = "Gate.Example.Test"
[console]
listen = "[::]:443"
[metrics]
listen = "127.0.0.1:1"
[dns]
servers = ["192.0.2.53:53", "[2001:db8::53]:5353"]
[log]
level = "warn"
[first_start]
policy = "sub/policy.toml"
`;

test("every key is read; the policy's path counts from the file, the host name is lower case", () => {
  const file = bootFile(WHOLE);
  expect(loadConfig(file, {})).toEqual({
    data: "/var/lib/gatepost",
    hostname: "gate.example.test",
    console: { listen: "[::]:443", trustedProxies: [] },
    metrics: { listen: "127.0.0.1:1" },
    dns: { servers: ["192.0.2.53:53", "[2001:db8::53]:5353"] },
    log: { level: "warn" },
    firstPolicy: join(directory, "sub/policy.toml"),
    file,
  });
});

test("each variable overrides its key and leaves the others", () => {
  const file = bootFile(WHOLE);
  const before = loadConfig(file, {});
  const cases = [
    [{ GATEPOST_DATA: "/srv/mail" }, { data: "/srv/mail" }],
    [{ GATEPOST_HOSTNAME: "other.example.test" }, { hostname: "other.example.test" }],
    [
      { GATEPOST_CONSOLE_LISTEN: "127.0.0.1:9443" },
      { console: { listen: "127.0.0.1:9443", trustedProxies: [] } },
    ],
    [{ GATEPOST_METRICS_LISTEN: "" }, { metrics: { listen: "" } }],
    [
      { GATEPOST_DNS_SERVERS: "192.0.2.1:53, 192.0.2.2:53," },
      { dns: { servers: ["192.0.2.1:53", "192.0.2.2:53"] } },
    ],
    [{ GATEPOST_LOG_LEVEL: "debug" }, { log: { level: "debug" } }],
    [{ GATEPOST_FIRST_POLICY: "/etc/first.toml" }, { firstPolicy: "/etc/first.toml" }],
  ] as const;
  for (const [env, change] of cases) expect(loadConfig(file, env)).toEqual({ ...before, ...change });
});

test("an empty variable says nothing, except that it switches the figures off", () => {
  const file = bootFile(WHOLE);
  const env = { GATEPOST_DATA: "", GATEPOST_HOSTNAME: "", GATEPOST_LOG_LEVEL: "", GATEPOST_DNS_SERVERS: "" };
  expect(loadConfig(file, env)).toEqual(loadConfig(file, {}));
});

test("GATEPOST_CONFIG names the file when the command line does not", () => {
  const named = bootFile('hostname = "named.example.test"');
  const asked = bootFile('hostname = "asked.example.test"');
  expect(loadConfig(null, { GATEPOST_CONFIG: named }).hostname).toBe("named.example.test");
  expect(loadConfig(asked, { GATEPOST_CONFIG: named }).hostname).toBe("asked.example.test");
});

test("the configuration cannot be changed later", () => {
  expect(Object.isFrozen(loadConfig(bootFile(""), {}))).toBe(true);
});

test("a mistake names the file, the key and what is wrong", () => {
  const file = bootFile('hostnam = "gate.example.test"\n[console]\nlisten = "8443"\n[log]\nlevel = "loud"\n');
  const words = refusal(file);
  expect(words).toContain(`"${file}"`);
  expect(words).toContain("hostnam");
  expect(words).toContain('console.listen: is not an address with a port; write it like "0.0.0.0:8443"');
  expect(words).toMatch(/log\.level: .*debug/);
});

test("a mistake in the environment names the variable, not only the file", () => {
  const words = refusal(bootFile(WHOLE), { GATEPOST_DNS_SERVERS: "192.0.2.1:53,resolver" });
  expect(words).toContain("dns.servers.1 (from GATEPOST_DNS_SERVERS): is not an address with a port");
  expect(refusal(bootFile("[metrics]\nport = 1"), { GATEPOST_METRICS_LISTEN: "127.0.0.1:1" })).toContain(
    "port",
  );
});

test.each([
  ['hostname = "two words"', "hostname: is not a host name"],
  ['hostname = "gate.example.test\\r\\nEHLO"', "hostname: is not a host name"],
  ['hostname = ""', "hostname"],
  ['[console]\nlisten = "127.0.0.1:70000"', "console.listen: has a port above 65535"],
  ['data = ""', "data"],
  ["console = 8443", "console"],
])("refused: %s", (text, words) => {
  expect(refusal(bootFile(text))).toContain(words);
});

test("bad TOML says where", () => {
  const file = bootFile('data = "/x"\nhostname = = 3\n');
  const words = refusal(file);
  expect(words).toStartWith(`The boot file "${file}" is not valid TOML`);
  expect(words).toContain("2");
});

test("a file that is asked for and cannot be read is an error; one that is not asked for is none", () => {
  expect(refusal(join(directory, "absent.toml"))).toMatch(/absent\.toml" cannot be read: .*ENOENT/);
  const folder = join(directory, "folder");
  mkdirSync(folder);
  expect(refusal(folder)).toContain("cannot be read");
});
