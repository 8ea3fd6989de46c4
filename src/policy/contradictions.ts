// Values that undo each other: each is fine alone, and one makes the other void. Said in words with the change that brings them. Pure.
import { domainKey } from "../message/address.ts";
import { durationMs } from "./duration.ts";
import type { FoundProblems } from "./found-problems.ts";
import { itemKey } from "./policy-document.ts";
import type { DomainSettings, Policy, SenderSettings } from "./schema.ts";
import type { Limits } from "./schema-sender.ts";

const MINUTE_MS = 60_000;
/** How long a sending server waits for the answer to a message (RFC 5321 §4.5.3.2.6), with room for checks and a slow line. */
const LONGEST_CUT_THROUGH_MS = 5 * MINUTE_MS;
/** The pause that repeats. */
const SHORTEST_REST_MS = MINUTE_MS;
/** How long a server may take for its greeting. (RFC 5321 §4.5.3.2.1) */
const LONGEST_CONNECT_MS = 5 * MINUTE_MS;
/** Windows from the shortest to the longest. */
const WINDOWS = ["per_minute", "per_hour", "per_day", "per_week", "per_month"] as const;

/** Warns of every pair; each warning begins with the item it is about. */
export function warnOfContradictions(policy: Policy, findings: FoundProblems): void {
  const warn = (item: string, all: readonly string[]): unknown =>
    findings.warnings.push(...all.map((words) => `${item}: ${words}`));
  warn("delivery", deliveryTimes(policy));
  warn("settings", keptTimes(policy));
  for (const sender of policy.sender) warn(`sender ${itemKey("sender", sender)}`, limitsOfSender(sender));
  for (const domain of policy.domain) warn(`domain ${domain.name}`, ofDomain(domain));
}

function deliveryTimes({ delivery }: Policy): readonly string[] {
  const { connect_timeout, cut_through_wait, delay_notice_after, give_up_after, retry } = delivery;
  const found: string[] = [];
  if (durationMs(delay_notice_after) >= durationMs(give_up_after))
    found.push(
      `delay_notice_after is ${delay_notice_after}, and mail is given up after ${give_up_after}: no sender is ever told of a delay`,
    );
  if (durationMs(cut_through_wait) > LONGEST_CUT_THROUGH_MS)
    found.push(
      `cut_through_wait is ${cut_through_wait}: many servers wait no longer than 10m for the answer to a message, and send it again`,
    );
  if (durationMs(connect_timeout) > LONGEST_CONNECT_MS)
    found.push(
      `connect_timeout is ${connect_timeout}: each try at a server that is away holds a connection for so long, and the next server of the domain waits; RFC 5321 asks for 5m at most`,
    );
  const endless = retry.findIndex((pause) => durationMs(pause) >= durationMs(give_up_after));
  // Later in the list it is the usual one with a shorter `give_up_after`: tried often enough.
  if (endless === 0 || endless === 1)
    found.push(
      `retry ${endless === 0 ? "begins with" : "comes to"} a pause of ${retry[endless]}, and mail is given up after ${give_up_after}: it is tried ${endless === 0 ? "once" : "twice"}`,
    );
  const last = retry.at(-1);
  if (last !== undefined && durationMs(last) < SHORTEST_REST_MS)
    found.push(
      `retry ends with a pause of ${last}, which repeats until mail is given up: a server that puts it off is asked all the time, and may bar the gateway; usual is 5m and more`,
    );
  const shorter = retry.findIndex(
    (pause, i) => i > 0 && durationMs(pause) < durationMs(retry[i - 1] ?? pause),
  );
  if (shorter > 0)
    found.push(
      `retry goes from ${retry[shorter - 1]} down to ${retry[shorter]}: the longer mail waits, the more often it is tried`,
    );
  return found;
}

function keptTimes({ settings: { console_url, log_keep, quarantine_keep } }: Policy): readonly string[] {
  const found: string[] = [];
  if (durationMs(quarantine_keep) > durationMs(log_keep))
    found.push(
      `quarantine_keep is ${quarantine_keep}, and the message log forgets after ${log_keep}: nobody can see then why a message is kept`,
    );
  if (console_url?.startsWith("http://") === true)
    found.push(
      `console_url is ${console_url}: passwords typed there cross the network in clear text; write https://`,
    );
  return found;
}

function limitsOfSender(sender: SenderSettings): readonly string[] {
  const found = (["limits", "identity_limits"] as const).flatMap((which) =>
    neverReached(sender[which]).map((words) => `${which}.${words}`),
  );
  for (const window of [...WINDOWS, "recipients_per_day"] as const) {
    const [one, all] = [sender.identity_limits[window], sender.limits[window]];
    if (one !== null && all !== null && one > all)
      found.push(
        `identity_limits.${window} is ${one}, but limits.${window} is only ${all} for all identities together: it is never reached`,
      );
  }
  return found;
}

/** Limits of a window behind those of a longer one, as the end of a path. */
function neverReached(limits: Partial<Limits>): readonly string[] {
  const found: string[] = [];
  let before: (typeof WINDOWS)[number] | null = null;
  for (const window of WINDOWS) {
    const most = limits[window] ?? null;
    if (most === null) continue;
    const shorter = before === null ? null : (limits[before] ?? null);
    if (before !== null && shorter !== null && shorter > most)
      found.push(`${before} is ${shorter}, but ${window} is only ${most}: it is never reached`);
    before = window;
  }
  return found;
}

function ofDomain({ name, outgoing, recipients }: DomainSettings): readonly string[] {
  const found = neverReached(outgoing.default_limits).map((words) => `outgoing.default_limits.${words}`);
  const { verify, list } = recipients;
  const foreign = list.filter((address) => domainKey(address.slice(address.lastIndexOf("@") + 1)) !== name);
  if (verify !== "list" || foreign.length === 0) return found;
  const which = foreign.length === list.length ? "none" : `not all (${foreign.slice(0, 3).join(", ")})`;
  return [
    ...found,
    `recipients.list has addresses of which ${which} ${foreign.length === list.length ? "is" : "are"} of ${name}; mail is taken only for addresses of this domain that are in it`,
  ];
}
