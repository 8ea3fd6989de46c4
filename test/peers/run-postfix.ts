// A private Postfix for a test: own directory, queue and loopback port, no chroot. It is the customer's mail server:
// mail for its users ends in Maildirs, strangers are refused with 550 5.1.1, everything else leaves by the smart host.
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mustRun, runCommand, waitForGreeting, waitUntil } from "./run-command.ts";

const NOBODY = 65534;

export interface PostfixOptions {
  readonly port: number;
  readonly domain: string;
  /** Local parts that exist in the domain. */
  readonly users: readonly string[];
  /** Where mail for other domains goes: `127.0.0.1:2525`. */
  readonly smartHost?: string;
  /** The loopback address it connects from, so that a gateway can tell it from other clients. */
  readonly bindAddress?: string;
  /** main.cf settings that replace or add to those below. */
  readonly settings?: Readonly<Record<string, string>>;
  /** A command that the start command is given to, for example to put it into a cgroup. */
  readonly launcher?: readonly string[];
}

export interface RunningPostfix {
  readonly port: number;
  /** The messages delivered to a user, oldest first. */
  inbox(user: string): readonly string[];
  /** Hands a message in the way a local program does, with `sendmail -t`-like addressing. */
  submit(message: { readonly from: string; readonly to: string; readonly text: string }): Promise<void>;
  mailLog(): string;
  /** The master process. */
  pid(): number;
  stop(): Promise<void>;
  start(): Promise<void>;
  dispose(): Promise<void>;
}

const MASTER = (port: number) => `127.0.0.1:${port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
`;

async function configure(directory: string, options: PostfixOptions): Promise<void> {
  const daemons = (await mustRun(["postconf", "-d", "-h", "daemon_directory"])).trim();
  const smartHost = options.smartHost?.replace(/^(.*):(\d+)$/, "[$1]:$2");
  const settings: Readonly<Record<string, string>> = {
    compatibility_level: "3.6",
    queue_directory: `${directory}/spool`,
    data_directory: `${directory}/data`,
    command_directory: "/usr/sbin",
    daemon_directory: daemons,
    mail_owner: "postfix",
    setgid_group: "postdrop",
    maillog_file: `${directory}/mail.log`,
    maillog_file_prefixes: directory,
    inet_interfaces: "127.0.0.1",
    inet_protocols: "ipv4",
    myhostname: "mail.example.test",
    mydestination: "",
    alias_maps: "",
    smtp_dns_support_level: "disabled",
    smtp_tls_security_level: "may",
    mynetworks: "127.0.0.0/8",
    virtual_mailbox_domains: options.domain,
    virtual_mailbox_maps: `texthash:${directory}/etc/users`,
    virtual_mailbox_base: `${directory}/mail`,
    virtual_uid_maps: `static:${NOBODY}`,
    virtual_gid_maps: `static:${NOBODY}`,
    ...(smartHost === undefined ? {} : { relayhost: smartHost }),
    ...(options.bindAddress === undefined ? {} : { smtp_bind_address: options.bindAddress }),
    ...options.settings,
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}\n`);
  writeFileSync(join(directory, "etc/main.cf"), lines.join(""));
  writeFileSync(join(directory, "etc/master.cf"), MASTER(options.port));
  const users = options.users.map((user) => `${user}@${options.domain} ${user}/\n`);
  writeFileSync(join(directory, "etc/users"), users.join(""));
}

/** Starts it and waits for its greeting. Needs root and Debian's postfix. */
export async function runPostfix(options: PostfixOptions): Promise<RunningPostfix> {
  const directory = mkdtempSync(join(tmpdir(), "gatepost-postfix-"));
  const etc = join(directory, "etc");
  for (const name of ["etc", "spool", "data", "mail"]) mkdirSync(join(directory, name));
  // Postfix's own users must reach it.
  chmodSync(directory, 0o755);
  await mustRun(["chown", "postfix", join(directory, "data")]);
  await mustRun(["chown", String(NOBODY), join(directory, "mail")]);
  await configure(directory, options);

  const postfix = (verb: string) => runCommand(["postfix", "-c", etc, verb]);
  const start = async () => {
    await mustRun([...(options.launcher ?? []), "postfix", "-c", etc, "start"]);
    await waitForGreeting(options.port);
  };
  const stop = async () => {
    await postfix("stop");
    await waitUntil("Postfix stops", async () => (await postfix("status")).code !== 0);
  };
  await start();

  return {
    port: options.port,
    inbox(user) {
      const folder = join(directory, "mail", user, "new");
      if (!existsSync(folder)) return [];
      // A Maildir name starts with the second and microsecond of delivery.
      return readdirSync(folder)
        .sort()
        .map((name) => readFileSync(join(folder, name), "latin1"));
    },
    async submit({ from, to, text }) {
      await mustRun(["sendmail", "-C", etc, "-i", "-f", from, to], { input: text });
    },
    pid: () => Number(readFileSync(join(directory, "spool/pid/master.pid"), "utf8")),
    mailLog: () => readFileSync(join(directory, "mail.log"), "utf8"),
    start,
    stop,
    async dispose() {
      await stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
