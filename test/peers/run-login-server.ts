// A private Dovecot that people log in to: IMAP, POP3 and submission, each with STARTTLS and over TLS, on loopback ports of the test.
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeCertificate } from "../delivery/certificate.ts";
import { findProgram, freePorts, waitUntil } from "./run-command.ts";

export interface RunningLoginServer {
  readonly ports: {
    readonly imap: number;
    readonly imaps: number;
    readonly pop3: number;
    readonly pop3s: number;
    readonly submission: number;
    readonly submissions: number;
  };
  /** For `smtpd_sasl_path` of a Postfix. */
  readonly saslSocket: string;
  start(): Promise<void>;
  stop(): Promise<void>;
  log(): string;
  dispose(): Promise<void>;
}

const inet = (name: string, port: number, ssl: boolean) =>
  `  inet_listener ${name} {\n    address = 127.0.0.1\n    port = ${port}\n    ssl = ${ssl ? "yes" : "no"}\n  }\n`;

export interface LoginServerOptions {
  /** Does it make whoever was wrong wait, as it does by default? */
  readonly delays?: boolean;
  /** Networks whose word it takes for the client's address, null: none. */
  readonly trustedNetworks?: string | null;
}

const NO_DELAYS = `
# All logins of a gateway come from one address: Dovecot would make that wait longer and longer.
auth_failure_delay = 0
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
`;

function configuration(
  directory: string,
  ports: RunningLoginServer["ports"],
  { delays = false, trustedNetworks = null }: LoginServerOptions,
): string {
  return `protocols = imap pop3 submission
base_dir = ${directory}/run
state_dir = ${directory}/run
log_path = ${directory}/log
ssl = required
ssl_cert = <${directory}/cert.pem
ssl_key = <${directory}/key.pem
disable_plaintext_auth = yes
auth_mechanisms = plain login
${delays ? "" : NO_DELAYS}
${trustedNetworks === null ? "" : `login_trusted_networks = ${trustedNetworks}`}
mail_location = maildir:${directory}/mail/%u
submission_relay_host = 127.0.0.1
submission_relay_port = 9
passdb {
  driver = passwd-file
  args = ${directory}/users
}
userdb {
  driver = static
  args = uid=65534 gid=65534 home=${directory}/mail/%u
}
service auth {
  unix_listener ${directory}/sasl {
    mode = 0666
  }
}
service imap-login {
${inet("imap", ports.imap, false)}${inet("imaps", ports.imaps, true)}}
service pop3-login {
${inet("pop3", ports.pop3, false)}${inet("pop3s", ports.pop3s, true)}}
service submission-login {
${inet("submission", ports.submission, false)}${inet("submissions", ports.submissions, true)}}
`;
}

/** Starts it for these logins and passwords. Needs root and Debian's dovecot-imapd, dovecot-pop3d and dovecot-submissiond. */
export async function runLoginServer(
  users: Readonly<Record<string, string>>,
  options: LoginServerOptions = {},
): Promise<RunningLoginServer> {
  const directory = mkdtempSync(join(tmpdir(), "gatepost-logins-"));
  chmodSync(directory, 0o755);
  mkdirSync(join(directory, "run"));
  mkdirSync(join(directory, "mail"));
  chmodSync(join(directory, "mail"), 0o777);
  const { key, cert } = await makeCertificate(["mail.example.test"]);
  writeFileSync(join(directory, "key.pem"), key, { mode: 0o600 });
  writeFileSync(join(directory, "cert.pem"), cert);
  const lines = Object.entries(users).map(([user, password]) => `${user}:{PLAIN}${password}\n`);
  writeFileSync(join(directory, "users"), lines.join(""));
  const ports = await freePorts("imap", "imaps", "pop3", "pop3s", "submission", "submissions");
  writeFileSync(join(directory, "dovecot.conf"), configuration(directory, ports, options));
  const log = () => {
    const read = (name: string) =>
      existsSync(join(directory, name)) ? readFileSync(join(directory, name), "utf8") : "";
    return read("errors") + read("log");
  };
  const launch = () =>
    Bun.spawn([findProgram("dovecot") ?? "dovecot", "-F", "-c", join(directory, "dovecot.conf")], {
      stdin: "ignore",
      stdout: "ignore",
      stderr: Bun.file(join(directory, "errors")),
    });
  let child: ReturnType<typeof launch> | null = null;
  const stop = async () => {
    child?.kill();
    await child?.exited;
    child = null;
  };
  const start = async () => {
    const started = launch();
    child = started;
    await waitUntil("Dovecot listens", async () => {
      if (started.exitCode !== null) throw new Error(`Dovecot ended with ${started.exitCode}: ${log()}`);
      const open = await Promise.all(Object.values(ports).map(accepts));
      return open.every((yes) => yes);
    });
  };
  await start();
  return {
    ports,
    saslSocket: join(directory, "sasl"),
    start,
    stop,
    log,
    async dispose() {
      await stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Does anybody listen on the loopback port? */
async function accepts(port: number): Promise<boolean> {
  const nothing = { data() {}, error() {} };
  try {
    const socket = await Bun.connect({ hostname: "127.0.0.1", port, socket: nothing });
    socket.end();
    return true;
  } catch {
    return false;
  }
}
