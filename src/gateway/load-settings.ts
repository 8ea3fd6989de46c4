// What is set: the policy, as an immutable snapshot that is swapped whole, and what single parts take from it.
import { readFileSync } from "node:fs";
import { parse as parseToml, TomlError } from "smol-toml";
import { ConfigError } from "../config/config.ts";
import type { ClamdHook } from "../hooks/clamd-dialogue.ts";
import { durationMs } from "../policy/duration.ts";
import { createPolicyStore, type PolicyStore } from "../policy/policy-store.ts";
import { createSettings } from "../policy/run-settings.ts";
import type { Policy } from "../policy/schema.ts";
import type { Settings } from "../policy/settings.ts";
import type { PolicySnapshot } from "../policy/snapshot.ts";
import { tryingTimes } from "../policy/times-in-force.ts";
import type { QueueSettings } from "../queue/queue-settings.ts";
import { diskSpace } from "../store/disk-reserve.ts";
import type { Ground } from "./ground.ts";
import type { Stores } from "./open-stores.ts";

/** Loads the policy; on the first start from the file the boot file names. Throws ConfigError when that cannot be used. */
export async function loadSettings({ config, clock, log }: Ground, stores: Stores): Promise<Settings> {
  const kept = createPolicyStore(stores.database);
  const store: PolicyStore = {
    ...kept,
    async rewrite(items) {
      await kept.rewrite(items);
      // What they held before may be a secret in clear.
      stores.database.emptyLog();
    },
  };
  const first = await firstPolicy(store, config.firstPolicy);
  const disk = () => diskSpace(config.data);
  return await createSettings({ store, clock, log, seal: stores.applianceKey, disk, ...first });
}

/** The policy document of a first start; later starts do not look at the file. Throws ConfigError. */
async function firstPolicy(store: PolicyStore, file: string | null): Promise<{ readonly initial?: unknown }> {
  if (file === null || (await store.load()).length > 0) return {};
  try {
    return { initial: parseToml(readFileSync(file, "utf8")) };
  } catch (error) {
    // Its further lines show the file, in which a password may stand; this goes to the log.
    const [what = ""] = (error instanceof Error ? error.message : String(error)).split("\n");
    const why = error instanceof TomlError ? `line ${error.line}: ${what}` : what;
    throw new ConfigError(`The policy of the first start, "${file}", cannot be used: ${why}`, {
      cause: error,
    });
  }
}

/** How mail is sent and retried. */
export function deliverySettings(now: PolicySnapshot): QueueSettings & {
  readonly tls: Policy["delivery"]["tls"];
  readonly maxConnectionsPerDestination: number;
  readonly connectTimeoutMs: number;
} {
  const { delivery } = now.policy;
  return {
    ...tryingTimes(now),
    tls: delivery.tls,
    maxConnectionsPerDestination: delivery.max_connections_per_destination,
    connectTimeoutMs: durationMs(delivery.connect_timeout),
    retryMs: delivery.retry.map(durationMs),
  };
}

/** The virus scanners that are switched on. */
export function clamdHooks({ hook }: Policy): readonly ClamdHook[] {
  return hook
    .filter(({ enabled }) => enabled)
    .map(({ name, address, timeout }) => ({ name, address, timeoutMs: durationMs(timeout) }));
}
