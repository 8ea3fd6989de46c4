// How senders fit the rest of a policy: whom they act for, what locks and tells them, who judges their passwords. No I/O.
import { addressKey, domainKey, domainOf } from "../message/address.ts";
import type { FoundProblems } from "./found-problems.ts";
import { itemKey } from "./policy-document.ts";
import type { DomainSettings, Policy, SenderSettings } from "./schema.ts";
import { SHIPPED_TEMPLATES } from "./shipped-templates.ts";

type SenderItem = { readonly section: "sender"; readonly key: string };

/** Checks every sender, and the rules and domains that name or need them. */
export function checkSenders(policy: Policy, findings: FoundProblems): void {
  const domains = new Map<string, DomainSettings>(policy.domain.map((domain) => [domain.name, domain]));
  const senders = new Map(policy.sender.map((sender) => [itemKey("sender", sender), sender]));
  const templates = new Set([...SHIPPED_TEMPLATES, ...policy.template.map(({ name }) => name)]);
  for (const sender of policy.sender) {
    const item: SenderItem = { section: "sender", key: itemKey("sender", sender) };
    checkLogin(sender, item, { domains, findings });
    warnOfPassword(sender, item, { domain: domains.get(sender.domain), findings });
    warnOfPlainLogin(sender, item, findings);
    warnOfLock(sender, item, { templates, findings });
    checkReauthentication(sender, item, { senders, findings });
  }
  for (const domain of policy.domain) warnOfAlerts(domain, findings);
  warnOfScopes(policy, senders, findings);
}

/** A log-in that is an address of a domain here belongs to that domain, whose administrators answer for it. */
function checkLogin(
  { kind, login, domain }: SenderSettings,
  item: SenderItem,
  {
    domains,
    findings,
  }: { readonly domains: ReadonlyMap<string, DomainSettings>; readonly findings: FoundProblems },
): void {
  if (kind !== "user" || login === undefined) return;
  if (!login.includes("@")) {
    // All of a domain logs in with its name.
    if (domains.has(domainKey(login)))
      findings.problem(
        item,
        ".login",
        `"${login}" is the name of a domain here, which is the log-in for all of it; choose another one`,
      );
    return;
  }
  const own = domainKey(login.slice(login.lastIndexOf("@") + 1));
  if (own === domain || !domains.has(own)) return;
  findings.problem(
    item,
    ".domain",
    `is ${domain}, but ${login} is an address of ${own}, which is a domain here; set domain = "${own}"`,
  );
}

function warnOfPassword(
  sender: SenderSettings,
  { key }: SenderItem,
  { domain, findings }: { readonly domain: DomainSettings | undefined; readonly findings: FoundProblems },
): void {
  const warn = (words: string): unknown => findings.warnings.push(`sender ${key}: ${words}`);
  if (domain === undefined)
    warn(`${sender.domain} is not a domain of this gateway, so it can neither log in nor send`);
  else if (sender.enabled && !domain.enabled)
    warn(`its domain ${domain.name} is switched off, so it can neither log in nor send`);
  if (sender.forwards === "allow")
    warn('forwards is "allow": its servers may send in the name of anybody outside, signed or not');
  if (sender.verify === "mail-server" && domain !== undefined && domain.outgoing.password_server === null)
    warn(
      `its password is checked at the mail server, but domain ${domain.name} has no outgoing.password_server: it cannot log in`,
    );
  const proven = sender.password_hash ?? sender.cram_password ?? sender.verify;
  if (sender.kind !== "user" || proven !== undefined) return;
  warn("has no password, so it cannot log in");
}

/** A login that is no address has no address of its own to send as. */
function warnOfPlainLogin(
  { login, kind, send_as }: SenderSettings,
  { key }: SenderItem,
  findings: FoundProblems,
): void {
  if (kind !== "user" || login === undefined || login.includes("@") || send_as.length > 0) return;
  findings.warnings.push(
    `sender ${key}: its login is no mail address, so it may send as nobody; name its addresses in send_as`,
  );
}

function warnOfLock(
  sender: SenderSettings,
  { key }: SenderItem,
  { templates, findings }: { readonly templates: ReadonlySet<string>; readonly findings: FoundProblems },
): void {
  if (sender.kind === "ip" && sender.lock.sender)
    findings.warnings.push(
      `sender ${key}: lock.sender is on for an address range: one who sends spam locks everybody behind it; lock the identity instead`,
    );
  // A server writes the header for its clients; whoever has a stolen password writes a new name into each message.
  if (sender.kind !== "ip" && typeof sender.identify_by !== "string" && !sender.lock.sender)
    findings.warnings.push(
      `sender ${key}: whoever has its password chooses the identity in the header, and so escapes every lock of one; switch lock.sender on`,
    );
  if (!templates.has(sender.lock.template))
    findings.problem(
      { section: "sender", key },
      ".lock.template",
      `there is no template "${sender.lock.template}"; make it with [[template]], or write "lock-notice" or "none"`,
    );
}

function checkReauthentication(
  { reauthenticate_as: as }: SenderSettings,
  item: SenderItem,
  {
    senders,
    findings,
  }: { readonly senders: ReadonlyMap<string, SenderSettings>; readonly findings: FoundProblems },
): void {
  if (as === undefined) return;
  const named = senders.get(addressKey(as)) ?? senders.get(`@${domainOf(as)}`);
  const why =
    named === undefined
      ? "there is no such sender, and none for its domain"
      : !named.enabled
        ? "that sender is switched off, so the range sends as itself"
        : !named.reauthentication_permitted
          ? "that sender does not permit it; set its reauthentication_permitted"
          : null;
  if (why === null) return;
  // Who is switched off today may be back tomorrow: only a name nobody has stops the change.
  if (named === undefined) findings.problem(item, ".reauthenticate_as", `"${as}": ${why}`);
  else findings.warnings.push(`sender ${item.key}: reauthenticate_as "${as}": ${why}`);
}

function warnOfAlerts({ name, outgoing }: DomainSettings, findings: FoundProblems): void {
  const { alerts, report } = outgoing;
  const nobody = alerts.mail.length === 0 && alerts.webhook === null && alerts.sms === null;
  const asked = outgoing.enterprise || outgoing.lock_identities === true;
  if (nobody && asked)
    findings.warnings.push(
      `domain ${name}: identities are locked automatically, but outgoing.alerts names nobody who is told`,
    );
  if (report.every !== "off" && report.to.length === 0 && alerts.mail.length === 0)
    findings.warnings.push(
      `domain ${name}: outgoing.report is ${report.every}, but neither report.to nor alerts.mail names anybody`,
    );
}

function warnOfScopes(
  policy: Policy,
  senders: ReadonlyMap<string, SenderSettings>,
  findings: FoundProblems,
): void {
  for (const rule of policy.rule) {
    for (const named of rule.scope.senders) {
      if (named.includes("@") && !senders.has(addressKey(named)))
        findings.warnings.push(`rule ${rule.name}: scope names sender ${named}, who does not exist`);
    }
  }
}
