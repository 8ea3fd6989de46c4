// Where what an alarm is about is set: the list's row and the page tell it, and the overview leads there. Reads only what it is given.
import { serverKey } from "../hooks/mail-server-dialogue.ts";
import type { HookSettings, Policy } from "../policy/schema.ts";
import { passwordServerAddress } from "../policy/still-asked.ts";
import type { Alarm } from "./services.ts";

export interface AlarmPlace {
  readonly href: string;
  readonly action: string;
}

/** The part of a domain's settings an alarm is about. */
export type DomainPart = "edit" | "outgoing" | "dkim";

interface OfDomain {
  readonly domain: string;
  readonly part: DomainPart;
}

const DOMAIN_ACTIONS: Readonly<Record<DomainPart, string>> = {
  edit: "Domain",
  outgoing: "Outgoing mail",
  dkim: "DKIM keys",
};

/** Alarms named after a domain: what stands before its name. */
const NAMED_AFTER: readonly (readonly [start: string, part: DomainPart])[] = [
  ["call-out ", "edit"],
  ["loop ", "edit"],
  ["web hook of ", "outgoing"],
  ["short message gateway of ", "outgoing"],
  ["lock alerts of ", "outgoing"],
];
const PASSWORD_SERVER = "password-server ";
/** `dkim gate1._domainkey.example.test`, and the same with `dkim key`. */
const DKIM = /^dkim (?:key )?[^ ]+?\._domainkey\.(.+)$/;

/** Of each set of domains, those that ask a password server, by its key: walked once, however many alarms and rows ask. */
const askers = new WeakMap<Policy["domain"], ReadonlyMap<string, readonly string[]>>();

function askersIn(domains: Policy["domain"]): ReadonlyMap<string, readonly string[]> {
  const known = askers.get(domains);
  if (known !== undefined) return known;
  const found = new Map<string, string[]>();
  for (const { name, outgoing } of domains) {
    if (outgoing.password_server === null) continue;
    const key = serverKey(passwordServerAddress(outgoing.password_server));
    const those = found.get(key);
    if (those === undefined) found.set(key, [name]);
    else those.push(name);
  }
  askers.set(domains, found);
  return found;
}

function ofDomains({ name }: Alarm, { domain }: Pick<Policy, "domain">): readonly OfDomain[] {
  for (const [start, part] of NAMED_AFTER)
    if (name.startsWith(start)) {
      // Mail may loop for a domain that is not ours, or not any more: it has no page.
      return domain.flatMap((one) =>
        one.name === name.slice(start.length) ? [{ domain: one.name, part }] : [],
      );
    }
  const signed = DKIM.exec(name)?.[1];
  if (signed !== undefined) return [{ domain: signed, part: "dkim" }];
  if (!name.startsWith(PASSWORD_SERVER)) return [];
  const theirs = askersIn(domain).get(name.slice(PASSWORD_SERVER.length)) ?? [];
  return theirs.map((one) => ({ domain: one, part: "outgoing" }));
}

/** The question which alarms stand for a part of a domain's settings, for whoever asks it of many domains: worked out once. */
export function alarmsByDomain(
  alarms: readonly Alarm[],
  policy: Pick<Policy, "domain">,
): (of: OfDomain) => readonly Alarm[] {
  const keyOf = ({ domain, part }: OfDomain): string => `${part} ${domain}`;
  const found = new Map<string, Alarm[]>();
  for (const alarm of alarms) {
    for (const key of new Set(ofDomains(alarm, policy).map(keyOf))) {
      const those = found.get(key);
      if (those === undefined) found.set(key, [alarm]);
      else those.push(alarm);
    }
  }
  return (of) => found.get(keyOf(of)) ?? [];
}

/** The alarms that stand for a part of the domain's settings. */
export function alarmsOfDomain(
  alarms: readonly Alarm[],
  policy: Pick<Policy, "domain">,
  of: OfDomain,
): readonly Alarm[] {
  return alarmsByDomain(alarms, policy)(of);
}

/** The alarms that stand for the hook. */
export function alarmsOfHook(alarms: readonly Alarm[], { kind, name }: HookSettings): readonly Alarm[] {
  return alarms.filter((alarm) => [`${kind} "${name}"`, `${kind} size "${name}"`].includes(alarm.name));
}

/** Where the lists and forms of a section are. */
const SECTION_PAGES: Readonly<Record<string, string>> = {
  listener: "/listeners",
  domain: "/domains",
  sender: "/senders",
  rule: "/rules",
  template: "/settings/templates",
  hook: "/settings/hooks",
  delivery: "/settings/delivery",
  settings: "/settings/general",
};

/** `setting domain example.test`: a stored setting that cannot be read. */
function ofSetting({ name }: Alarm): AlarmPlace | null {
  const section = /^(?:setting aside|setting|secret of) ([a-z]+)/.exec(name)?.[1];
  const href = section === undefined ? undefined : SECTION_PAGES[section];
  return href === undefined ? null : { href, action: "Settings" };
}

/** No domain: where all mail to the world goes. */
const SMARTHOST_LOOP = "loop (smart host)";

export function alarmsOfDelivery(alarms: readonly Alarm[]): readonly Alarm[] {
  return alarms.filter(({ name }) => name === SMARTHOST_LOOP);
}

const HOOKS: AlarmPlace = { href: "/settings/hooks", action: "Scanning" };

/** Every way out of it that leads to a page, the likeliest first; at least one. */
export function alarmPlaces(
  alarm: Alarm,
  policy: Pick<Policy, "domain">,
): readonly [AlarmPlace, ...AlarmPlace[]] {
  if (alarm.name.startsWith("clamd size ")) return [HOOKS, { href: "/listeners", action: "Listeners" }];
  if (alarm.name.startsWith("clamd ")) return [HOOKS];
  const setting = ofSetting(alarm);
  if (setting !== null) return [setting];
  if (alarm.name === SMARTHOST_LOOP) return [{ href: "/settings/delivery", action: "Delivery" }];
  const [first, ...others] = ofDomains(alarm, policy).map(
    ({ domain, part }): AlarmPlace => ({
      href: `/domains/${encodeURIComponent(domain)}/${part}`,
      action: DOMAIN_ACTIONS[part],
    }),
  );
  return first === undefined ? [{ href: "/settings", action: "Settings" }] : [first, ...others.slice(0, 2)];
}
