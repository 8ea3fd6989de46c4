// What is true about a message: the checks, in scan workers.
import { createChecks, type GatewayChecks } from "../checks/create-checks.ts";
import type { DomainAgeSettings } from "../checks/domain-age.ts";
import { createResolver } from "../dns/stub-resolver.ts";
import { createFailedScans } from "../hooks/failed-scans.ts";
import { type WatchedClamd, watchClamd } from "../hooks/watch-clamd.ts";
import type { Policy } from "../policy/schema.ts";
import type { Settings } from "../policy/settings.ts";
import type { PolicySnapshot } from "../policy/snapshot.ts";
import type { Ground } from "./ground.ts";
import { clamdHooks } from "./load-settings.ts";

/** The workers start with the first message that needs them. */
export function openChecks(
  { config, parts, clock, log, metrics, alarms }: Ground,
  settings: Settings,
): GatewayChecks {
  // Strangers choose what is asked here: a resolver of their own, so that their dead name servers do not hold up delivery.
  const resolver = createResolver({
    servers: config.dns.servers,
    log,
    clock,
    onSilence: (names) => alarms.set("dns", names === null ? null : silenceWords(names)),
  });
  parts.defer(() => resolver.close());
  const scans = createFailedScans();
  const checks = createChecks({
    resolver,
    hostname: config.hostname,
    log,
    hooks: clamdHooks(settings.current().policy),
    unreadHooks: settings.current().unread.hooks,
    scans,
    domainAge: domainAge(settings.current()),
    clock,
    onFailure: (check) => metrics.checkFailure(check),
  });
  parts.defer(() => checks.close());
  const watch = watchClamd({
    watched: () => watchedClamd(settings.current().policy),
    scans,
    clock,
    onAlarm: (name, words) => alarms.set(name, words),
  });
  parts.defer(() => watch.stop());
  settings.onChange((now) => {
    watch.look();
    checks.useHooks(clamdHooks(now.policy), now.unread.hooks);
    checks.useDomainAge(domainAge(now));
  });
  return checks;
}

function domainAge({ policy, unread }: PolicySnapshot): DomainAgeSettings {
  return { ...policy.settings.domain_age, unread: unread.settings.has("domain_age") };
}

function watchedClamd(policy: Policy): WatchedClamd {
  const sizes = policy.listener.filter(({ enabled }) => enabled).map((one) => one.max_message_bytes);
  return { hooks: clamdHooks(policy), largest: Math.max(0, ...sizes) };
}

function silenceWords(names: readonly string[]): string {
  return `No DNS server answers (${names.join(", ")}): whose mail it is cannot be known, and what a DMARC record could forbid is put off with 451. Mend the servers or the way to them, or name others in [dns] servers of the boot file.`;
}
