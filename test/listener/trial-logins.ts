// What logins need of the gateway, real but alone: bans, mail servers that are asked, CRAM-MD5 under a key of its own. For tests.
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Clock } from "../../src/observe/clock.ts";
import { type Log, silentLog } from "../../src/observe/log.ts";
import type { PolicySnapshot } from "../../src/policy/snapshot.ts";
import { createCramPasswords } from "../../src/session/cram-md5.ts";
import { createBans } from "../../src/session/run-bans.ts";
import type { GatewayServices } from "../../src/session/services.ts";
import { type ApplianceKey, loadOrMakeApplianceKey } from "../../src/vault/appliance-key.ts";

/** An appliance key for the tests of one process. */
export const TRIAL_KEY: ApplianceKey = makeKey();

function makeKey(): ApplianceKey {
  const folder = mkdtempSync(join(tmpdir(), `gatepost-key-${randomBytes(3).toString("hex")}-`));
  const key = loadOrMakeApplianceKey(folder);
  rmSync(folder, { recursive: true });
  return key;
}

/** A mail server nobody can reach. */
const UNREACHABLE: GatewayServices["mailServerLogin"] = {
  check: () => Promise.resolve({ result: "unavailable", words: "no mail server in this test" }),
  usualRefusalMs: () => 1,
};

/** The services logins ask. */
export function createTrialLogins(options: {
  readonly clock: Clock;
  readonly snapshot: () => PolicySnapshot;
  readonly log?: Log;
  readonly mailServerLogin?: GatewayServices["mailServerLogin"];
}): Pick<GatewayServices, "bans" | "mailServerLogin" | "cramPasswords"> {
  const { clock, snapshot, log = silentLog, mailServerLogin = UNREACHABLE } = options;
  return {
    bans: createBans({ clock, log, snapshot }),
    mailServerLogin,
    cramPasswords: createCramPasswords(TRIAL_KEY, log),
  };
}
