// A private Dovecot that only answers whether a password is right: what a Postfix needs beside it to take submissions.
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { waitForFile } from "../peers/run-command.ts";

export interface RunningDovecot {
  /** The SASL socket, for Postfix's `smtpd_sasl_path`. */
  readonly socket: string;
  /** The master process. */
  pid(): number;
  dispose(): Promise<void>;
}

export interface DovecotOptions {
  /** The one login it knows. */
  readonly login: { readonly user: string; readonly password: string };
  /** Full path of the program. */
  readonly program: string;
  readonly launcher: readonly string[];
}

/** The password lies in clear in the file: the cheapest comparison there is, in favour of who we are measured against. */
const configuration = (directory: string) => `protocols =
base_dir = ${directory}/run
state_dir = ${directory}/run
log_path = ${directory}/log
ssl = no
auth_mechanisms = plain login
passdb {
  driver = passwd-file
  args = ${directory}/users
}
userdb {
  driver = static
  args = uid=65534 gid=65534 home=/nonexistent
}
service auth {
  unix_listener ${directory}/sasl {
    mode = 0660
    user = postfix
    group = postfix
  }
}
`;

/** Starts it and waits for its socket. Needs root and Dovecot 2.3 (Debian 12's dovecot-core). */
export async function runDovecot({ login, program, launcher }: DovecotOptions): Promise<RunningDovecot> {
  const directory = mkdtempSync(join(tmpdir(), "gatepost-dovecot-"));
  chmodSync(directory, 0o755);
  mkdirSync(join(directory, "run"));
  writeFileSync(join(directory, "users"), `${login.user}:{PLAIN}${login.password}\n`);
  writeFileSync(join(directory, "dovecot.conf"), configuration(directory));
  const child = Bun.spawn([...launcher, program, "-F", "-c", join(directory, "dovecot.conf")], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: Bun.file(join(directory, "errors")),
  });
  const socket = join(directory, "sasl");
  const ended = child.exited.then((code) => {
    const words = ["errors", "log"].map((name) => Bun.file(join(directory, name)));
    throw new Error(`"${program}" ended with ${code}: ${words.map(({ name }) => read(name)).join("")}`);
  });
  await Promise.race([waitForFile(socket), ended]);
  ended.catch(() => {});
  return {
    socket,
    pid: () => child.pid,
    async dispose() {
      child.kill();
      await child.exited;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function read(file: string | undefined): string {
  try {
    return file === undefined ? "" : readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
