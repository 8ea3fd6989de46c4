// Passwords judged by a real mail server (requirement O13): Dovecot by IMAP, POP3 and submission, Postfix with SASL by SMTP; and
// CRAM-MD5 as swaks computes it. The gateway is the real one, the client is swaks.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeCertificate } from "../delivery/certificate.ts";
import { freePorts, havePrograms, runCommand, waitUntil } from "./run-command.ts";
import { type RunningGateway, runGateway } from "./run-gateway.ts";
import { type RunningLoginServer, runLoginServer } from "./run-login-server.ts";
import { type RunningPostfix, runPostfix } from "./run-postfix.ts";

const PASSWORD = 'right "pass\\word ü {3}';
const CRAM_PASSWORD = "lantern-otter-52-violet";

/** A domain for each way to ask: alice has her password there, bob has his. */
const WAYS = [
  ["imaps.test", "imap", "implicit"],
  ["imap.test", "imap", "starttls"],
  ["pop3s.test", "pop3", "implicit"],
  ["pop3.test", "pop3", "starttls"],
  ["submissions.test", "smtp", "implicit"],
  ["submission.test", "smtp", "starttls"],
] as const;

function domainPolicy(
  name: string,
  server: {
    readonly protocol: string;
    readonly tls: string;
    readonly port: number;
    readonly verify?: boolean;
  },
): string {
  const { protocol, tls, port, verify = false } = server;
  const users = ["alice", "bob"].map(
    (user) => `[[sender]]\nlogin = "${user}@${name}"\ndomain = "${name}"\nverify = "mail-server"\n`,
  );
  return `
[[domain]]
name = "${name}"
outgoing = { password_server = { protocol = "${protocol}", host = "127.0.0.1", port = ${port}, tls = "${tls}", verify_certificate = ${verify}, cache = "10m" } }
${users.join("")}`;
}

/** A Postfix that takes logins over STARTTLS and asks a Dovecot's socket about them. */
async function runSaslPostfix(saslSocket: string) {
  const directory = mkdtempSync(join(tmpdir(), "gatepost-sasl-"));
  const { port } = await freePorts("port");
  const { key, cert } = await makeCertificate(["mail.example.test"]);
  writeFileSync(join(directory, "key.pem"), key);
  writeFileSync(join(directory, "cert.pem"), cert);
  const postfix = await runPostfix({
    port,
    domain: "example.test",
    users: [],
    settings: {
      smtpd_sasl_auth_enable: "yes",
      smtpd_sasl_type: "dovecot",
      smtpd_sasl_path: saslSocket,
      smtpd_tls_security_level: "may",
      smtpd_tls_auth_only: "yes",
      smtpd_tls_cert_file: join(directory, "cert.pem"),
      smtpd_tls_key_file: join(directory, "key.pem"),
    },
  });
  const remove = () => rmSync(directory, { recursive: true, force: true });
  return { postfix, port, remove };
}

const programs = ["dovecot", "postfix", "swaks"];
const dovecotParts = [
  "/usr/lib/dovecot/imap-login",
  "/usr/lib/dovecot/pop3-login",
  "/usr/lib/dovecot/submission-login",
];
const ready = havePrograms("passwords at a real mail server", [...programs, ...dovecotParts]);

describe.skipIf(!ready)("passwords at a real mail server", () => {
  let dovecot: RunningLoginServer;
  let postfix: RunningPostfix;
  let gateway: RunningGateway;
  let submissions = 0;
  const closers: (() => Promise<unknown> | unknown)[] = [];

  beforeAll(async () => {
    const names = [...WAYS.map(([name]) => name), "postfix.test"];
    const users = names.flatMap((name) => [`alice@${name}`, `bob@${name}`]);
    dovecot = await runLoginServer(Object.fromEntries(users.map((user) => [user, PASSWORD])));
    closers.push(() => dovecot.dispose());
    const sasl = await runSaslPostfix(dovecot.saslSocket);
    postfix = sasl.postfix;
    closers.push(
      () => sasl.remove(),
      () => postfix.dispose(),
    );
    ({ submissions } = await freePorts("submissions"));
    const portOf = (name: string) => dovecot.ports[name.replace(".test", "") as keyof typeof dovecot.ports];
    gateway = await runGateway({
      policy: `
[[listener]]
name = "submissions"
listen = "127.0.0.1:${submissions}"
tls = "implicit"
auth = "required"
cram_md5 = true
relay = ["authenticated"]

[[domain]]
name = "cram.test"
[[sender]]
login = "alice@cram.test"
domain = "cram.test"
cram_password = "${CRAM_PASSWORD}"
${WAYS.map(([name, protocol, tls]) => domainPolicy(name, { protocol, tls, port: portOf(name) })).join("")}
${domainPolicy("postfix.test", { protocol: "smtp", tls: "starttls", port: sasl.port })}
${domainPolicy("untrusted.test", { protocol: "imap", tls: "implicit", port: dovecot.ports.imaps, verify: true })}
`,
    });
    closers.push(() => gateway.dispose());
  }, 120_000);

  afterAll(async () => {
    for (const close of closers.reverse()) await close();
  }, 120_000);

  /** The gateway's answer to a login with swaks. */
  async function logIn(login: string, password: string, mechanism = "PLAIN"): Promise<string> {
    const { out } = await runCommand([
      ...["swaks", "--server", "127.0.0.1", "--port", String(submissions), "--tls-on-connect"],
      ...[
        "--helo",
        "client.example.org",
        "--from",
        login,
        "--to",
        "friend@example.org",
        "--quit-after",
        "AUTH",
      ],
      ...["--auth", mechanism, "--auth-user", login, "--auth-password", password, "--timeout", "60s"],
    ]);
    const replies = [...out.matchAll(/^<~[~*-]? {1,2}(\d{3} .*)$/gm)].map(([, line = ""]) => line.trim());
    return replies.findLast((line) => /^(235|4|5)/.test(line)) ?? out;
  }

  test.concurrent.each([...WAYS.map(([name]) => name), "postfix.test"])(
    "%s: the right password, and a wrong one",
    async (name) => {
      expect(await logIn(`alice@${name}`, "wrong password")).toStartWith("535 5.7.8");
      expect(await logIn(`alice@${name}`, PASSWORD)).toStartWith("235 2.7.0");
      expect(await logIn(`alice@${name}`, PASSWORD, "LOGIN")).toStartWith("235 2.7.0");
      expect(await logIn(`nobody@${name}`, PASSWORD)).toStartWith("535 5.7.8");
    },
    120_000,
  );

  test("a wrong password reaches the server once for each time it was typed", async () => {
    const failures = () =>
      dovecot
        .log()
        .split("\n")
        .filter((line) => line.includes("<bob@imaps.test>") && line.includes("auth failed"));
    expect(await logIn("bob@imaps.test", "typed once")).toStartWith("535");
    expect(await logIn("bob@imaps.test", "typed twice")).toStartWith("535");
    const lines = await waitUntil("Dovecot logs them", () => (failures().length >= 2 ? failures() : null));
    expect(lines).toHaveLength(2);
    expect(lines.join("\n")).not.toContain("2 attempts");
  }, 120_000);

  test("a certificate that cannot be verified: 454, and the administrator is told why", async () => {
    expect(await logIn("alice@untrusted.test", PASSWORD)).toStartWith("454 4.7.0");
    await waitUntil("the alarm is in the log", () =>
      gateway.output().includes("its certificate is not trusted"),
    );
  }, 120_000);

  test("with the server stopped the answer is 454; a password proven a moment ago still is; then all is well again", async () => {
    await dovecot.stop();
    await postfix.stop();
    const names = [...WAYS.map(([name]) => name), "postfix.test"];
    for (const answer of await Promise.all(names.map((name) => logIn(`bob@${name}`, PASSWORD))))
      expect(answer).toStartWith("454 4.7.0");
    expect(await logIn("alice@imaps.test", PASSWORD)).toStartWith("235 2.7.0");
    await dovecot.start();
    await waitUntil("the server is asked again", async () =>
      (await logIn("bob@imaps.test", PASSWORD)).startsWith("235"),
    );
  }, 120_000);

  test("CRAM-MD5 by swaks; the password stands nowhere in the export", async () => {
    expect(await logIn("alice@cram.test", CRAM_PASSWORD, "CRAM-MD5")).toStartWith("235 2.7.0");
    expect(await logIn("alice@cram.test", "lantern-otter-52-purple", "CRAM-MD5")).toStartWith("535 5.7.8");
    const { out } = await gateway.command("export");
    expect(out).not.toContain(CRAM_PASSWORD);
    expect(out).toContain('cram_password = "***"');
    expect((await gateway.command("export", "--secrets")).out).toContain('cram_password = "sealed:');
    expect(gateway.output()).not.toContain(CRAM_PASSWORD);
    expect(gateway.output()).not.toContain('right \\"pass');
  }, 120_000);
});
