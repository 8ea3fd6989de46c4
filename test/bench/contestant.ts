// The servers that are measured against each other, each relaying example.test to the same sink and told to trust loopback, so
// that nobody waits before the greeting; the two for submission take nothing without a login all the same.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadOrMakeCertificate } from "../../src/listener/certificate.ts";
import { LOGIN } from "../peers/peer-policy.ts";
import { findProgram, freePorts } from "../peers/run-command.ts";
import { runGateway } from "../peers/run-gateway.ts";
import { runPostfix } from "../peers/run-postfix.ts";
import type { CpuMeter } from "./cpu-meter.ts";
import { runDovecot } from "./run-dovecot.ts";
import { runRspamd } from "./run-rspamd.ts";

export interface Contestant {
  readonly port: number;
  /** The first of its processes; the others descend from them. */
  pids(): readonly number[];
  dispose(): Promise<void>;
}

export interface ContestantOptions {
  readonly sinkPort: number;
  readonly meter: CpuMeter;
  /** `host:port` of the resolver: every name unknown. */
  readonly dns: string;
  readonly binary: string;
}

export type ContestantName =
  | "gatepost"
  | "gatepost-cut-through"
  | "gatepost-checks"
  | "gatepost-submission"
  | "postfix"
  | "postfix-rspamd"
  | "postfix-dovecot";

/** The program a contestant needs besides Postfix, and Debian's package of it. */
export const NEEDS: Readonly<Partial<Record<ContestantName, { program: string; debianPackage: string }>>> = {
  "postfix-rspamd": { program: "rspamd", debianPackage: "rspamd" },
  "postfix-dovecot": { program: "dovecot", debianPackage: "dovecot-core" },
};

/** The rules switched on where content is checked: SPF, DKIM, DMARC and attachments are all looked at. */
const CHECKING_RULES = ["virus", "subject-marks", "dangerous-attachments"];

const RELAY = 'tls = "none"\nauth = "off"\nrelay = ["trusted-networks"]';
/** Mail from outside, whose senders wait for the sink's own answer. */
const FROM_OUTSIDE =
  'tls = "none"\nauth = "off"\nrelay = []\ngreeting_delay = 0\nmax_connections_per_client = 1000';
const SUBMISSION = `tls = "starttls-required"
auth = "required"
relay = ["authenticated"]
[[sender]]
kind = "user"
login = "${LOGIN.user}"
password = "${LOGIN.password}"
domain = "example.test"
identify_by = "authenticated-user"`;

async function gateway(
  options: ContestantOptions,
  policy: { readonly listener: string; readonly rules: readonly string[]; readonly trusted?: string },
): Promise<Contestant> {
  const { smtp } = await freePorts("smtp");
  const running = await runGateway({
    binary: options.binary,
    launcher: options.meter.launcher,
    dns: [options.dns],
    policy: `
[[listener]]
name = "bench"
listen = "127.0.0.1:${smtp}"
${policy.listener}
[networks]
trusted = [${policy.trusted ?? '"127.0.0.0/8"'}]
[[domain]]
name = "example.test"
routes = [{ host = "127.0.0.1", port = ${options.sinkPort}, priority = 10, tls = "none" }]
recipients = { verify = "catch-all" }
rules = [${policy.rules.map((rule) => `"${rule}"`).join(", ")}]
`,
  });
  return { port: smtp, pids: () => [running.pid()], dispose: running.dispose };
}

/** What runs beside a Postfix and is measured with it. */
interface Companion {
  pid(): number;
  dispose(): Promise<void>;
}

async function postfix(
  options: ContestantOptions,
  settings: Readonly<Record<string, string>> = {},
  companion?: Companion,
): Promise<Contestant> {
  const { smtp } = await freePorts("smtp");
  const running = await runPostfix({
    port: smtp,
    domain: "unused.example.test",
    users: [],
    launcher: options.meter.launcher,
    settings: {
      virtual_mailbox_domains: "",
      relay_domains: "example.test",
      relay_recipient_maps: "",
      transport_maps: `static:smtp:[127.0.0.1]:${options.sinkPort}`,
      smtpd_relay_restrictions: "permit_mynetworks, reject_unauth_destination",
      message_size_limit: "52428800",
      default_process_limit: "100",
      ...settings,
    },
  });
  return {
    port: smtp,
    pids: () => [running.pid(), ...(companion === undefined ? [] : [companion.pid()])],
    async dispose() {
      await running.dispose();
      await companion?.dispose();
    },
  };
}

async function postfixWithRspamd(options: ContestantOptions): Promise<Contestant> {
  const rspamd = await runRspamd({ dns: options.dns, launcher: options.meter.launcher });
  return postfix(options, { smtpd_milters: rspamd.milter, milter_default_action: "tempfail" }, rspamd);
}

async function postfixWithDovecot(options: ContestantOptions): Promise<Contestant> {
  const program = findProgram("dovecot") ?? "dovecot";
  const dovecot = await runDovecot({ login: LOGIN, program, launcher: options.meter.launcher });
  // The same kind of key as the gateway makes for itself, so that the handshakes cost the same.
  const keys = mkdtempSync(join(tmpdir(), "gatepost-bench-keys-"));
  await loadOrMakeCertificate(keys, "mail.example.test");
  const settings = {
    smtpd_tls_chain_files: `${keys}/key.pem, ${keys}/certificate.pem`,
    smtpd_tls_security_level: "encrypt",
    smtpd_sasl_auth_enable: "yes",
    smtpd_sasl_type: "dovecot",
    smtpd_sasl_path: dovecot.socket,
    smtpd_client_restrictions: "permit_sasl_authenticated, reject",
    smtpd_relay_restrictions: "permit_sasl_authenticated, reject",
  };
  const both = await postfix(options, settings, dovecot);
  return {
    ...both,
    async dispose() {
      await both.dispose();
      rmSync(keys, { recursive: true, force: true });
    },
  };
}

/** Starts one, fresh, and waits until it greets. */
export async function startContestant(name: ContestantName, options: ContestantOptions): Promise<Contestant> {
  switch (name) {
    case "gatepost":
      return gateway(options, { listener: RELAY, rules: [] });
    case "gatepost-cut-through":
      return gateway(options, { listener: FROM_OUTSIDE, rules: [], trusted: "" });
    case "gatepost-checks":
      return gateway(options, { listener: RELAY, rules: CHECKING_RULES });
    case "gatepost-submission":
      return gateway(options, { listener: SUBMISSION, rules: [] });
    case "postfix":
      return postfix(options);
    case "postfix-rspamd":
      return postfixWithRspamd(options);
    case "postfix-dovecot":
      return postfixWithDovecot(options);
    default:
      return name satisfies never;
  }
}
