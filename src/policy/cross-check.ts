// How the items of a policy fit together: names that must exist, ports that must be free, ranges that must not open a relay.
// A problem stops a change; a warning is shown with it. No I/O.
import ipaddr from "ipaddr.js";
import { type IpNetwork, parseNetwork } from "../message/address.ts";
import { didYouMean } from "../rules/nearest-name.ts";
import { SHIPPED_RULES, shippedRule } from "../rules/shipped-rules.ts";
import { checkNames } from "./check-names.ts";
import { checkSenders } from "./check-senders.ts";
import { compileRule } from "./compile-rules.ts";
import { warnOfContradictions } from "./contradictions.ts";
import { type DocumentPaths, FoundProblems } from "./found-problems.ts";
import { ownListenerWarnings } from "./own-listener.ts";
import { itemKey } from "./policy-document.ts";
import type { ListenerSettings, Policy, SenderSettings } from "./schema.ts";
import type { PolicyProblem, PolicySection } from "./settings.ts";
import { checkSmall } from "./small-values.ts";

export interface CrossCheck {
  readonly problems: readonly PolicyProblem[];
  readonly warnings: readonly string[];
}

/** Looking for the nearest name takes time with the number of names. */
const MAX_SUGGESTIONS = 20;

function portOf(listen: string): { readonly host: string; readonly port: number } {
  const colon = listen.lastIndexOf(":");
  return { host: listen.slice(0, colon), port: Number(listen.slice(colon + 1)) };
}

function sameSocket(a: ListenerSettings, b: ListenerSettings): boolean {
  const one = portOf(a.listen);
  const other = portOf(b.listen);
  if (one.port !== other.port) return false;
  const v6 = (host: string): boolean => host.startsWith("[");
  const any = (host: string): boolean => host === "0.0.0.0" || host === "[::]";
  return one.host === other.host || (v6(one.host) === v6(other.host) && (any(one.host) || any(other.host)));
}

function checkListeners(policy: Policy, findings: FoundProblems): void {
  const byPort = new Map<number, ListenerSettings[]>();
  for (const listener of policy.listener) {
    const item = { section: "listener", key: listener.name } as const;
    const { port } = portOf(listener.listen);
    if (port < 1 || port > 65_535)
      findings.problem(item, ".listen", `"${listener.listen}": the port must be 1 to 65535`);
    if (!listener.enabled) continue;
    const neighbours = byPort.get(port) ?? [];
    const other = neighbours.find((before) => sameSocket(before, listener));
    if (other !== undefined) {
      findings.problem(
        item,
        ".listen",
        `"${listener.listen}" is taken by listener ${other.name} (${other.listen})`,
      );
      const otherItem = { section: "listener", key: other.name } as const;
      findings.problem(
        otherItem,
        ".listen",
        `"${other.listen}" is taken by listener ${listener.name} (${listener.listen})`,
      );
    }
    neighbours.push(listener);
    byPort.set(port, neighbours);
    warnOfListener(listener, policy, findings);
  }
  if (!policy.listener.some((listener) => listener.enabled)) {
    findings.warnings.push("no listener is switched on: no mail can come in");
  }
}

function warnOfListener(listener: ListenerSettings, policy: Policy, findings: FoundProblems): void {
  const recoverable = policy.sender.some(({ enabled, cram_password }) => enabled && cram_password);
  const label = `listener ${listener.name}`;
  if (listener.auth === "required" && !listener.relay.includes("authenticated")) {
    findings.warnings.push(
      `${label}: auth is required, but relay does not name "authenticated": nobody can send by it`,
    );
  }
  if (listener.auth === "off" && listener.relay.includes("authenticated")) {
    findings.warnings.push(`${label}: relay names "authenticated", but auth is off: nobody can log in`);
  }
  if (listener.auth !== "off" && listener.tls === "none" && !listener.auth_without_tls) {
    findings.warnings.push(`${label}: auth needs TLS, but tls is none: nobody can log in`);
  }
  if (listener.auth !== "off" && listener.auth_without_tls) {
    findings.warnings.push(`${label}: auth_without_tls lets passwords cross the network in clear text`);
  }
  if (listener.cram_md5 && listener.auth !== "off" && !recoverable) {
    findings.warnings.push(
      `${label}: cram_md5 is on, but no sender has a cram_password: nobody can log in that way`,
    );
  }
  if (listener.greylist)
    findings.warnings.push(`${label}: greylist is on, but greylisting is not built yet: it does nothing`);
  for (const grant of ["pop-before-smtp", "allow-lists"] as const) {
    if (listener.relay.includes(grant))
      findings.warnings.push(`${label}: relay names "${grant}", which grants nothing yet`);
  }
}

/** Ranges of IPv6 behind which IPv4 addresses stand, and where in them. (RFC 6052, RFC 3056) */
const EMBEDDING = [
  { range: ipaddr.parseCIDR("64:ff9b::/96"), at: 96, name: "NAT64" },
  { range: ipaddr.parseCIDR("2002::/16"), at: 16, name: "6to4" },
] as const;
/** Whoever has an IPv4 address has one of these, and chooses the rest. (RFC 4380, RFC 8215) */
const EVERYBODYS = ["2001::/32", "64:ff9b:1::/48"].map((range) => ipaddr.parseCIDR(range));

function overlaps(
  network: [ipaddr.IPv4 | ipaddr.IPv6, number],
  other: [ipaddr.IPv4 | ipaddr.IPv6, number],
): boolean {
  const [shorter, longer] = network[1] <= other[1] ? [network, other] : [other, network];
  return shorter[0].kind() === longer[0].kind() && longer[0].match(shorter);
}

/** Why a range lets in everybody though it does not look like it, or null. */
function translated(network: [ipaddr.IPv4 | ipaddr.IPv6, number]): string | null {
  const [address, bits] = network;
  for (const { range, at, name } of EMBEDDING) {
    if (!overlaps(network, range)) continue;
    const octets = address.toByteArray().slice(at / 8, at / 8 + 4);
    const inner = Math.max(0, Math.min(32, bits - at));
    const v4 = `${octets.join(".")}/${inner}` as IpNetwork;
    const why = bits < at ? "wide" : openRelay(v4);
    if (why !== null)
      return `stands for ${bits <= at ? "every IPv4 address" : `the IPv4 addresses ${v4}`} (${name}); name the IPv4 networks you mean`;
  }
  return EVERYBODYS.some((range) => overlaps(network, range)) && bits < 64
    ? "is open to everybody (Teredo or NAT64 addresses can be had by anyone); name your own networks only"
    : null;
}

/** Why a range is too wide to be trusted with relaying, or null. (L2: never an open relay) */
function openRelay(network: IpNetwork): string | null {
  const [address, bits] = ipaddr.parseCIDR(network);
  const v4 = address.kind() === "ipv4";
  const kind = address.range();
  const local = kind === "uniqueLocal" || kind === "linkLocal" || kind === "private" || kind === "loopback";
  if (
    bits < (v4 ? 8 : 16) &&
    !(kind === "uniqueLocal" && bits >= 7) &&
    !(kind === "linkLocal" && bits >= 10)
  ) {
    return `"${network}" would let much of the Internet send mail through this gateway; name your own networks only`;
  }
  const everybody = v4 ? null : translated([address, bits]);
  if (everybody !== null) return `"${network}" ${everybody}`;
  return !local && bits < (v4 ? 16 : 32) ? "wide" : null;
}

function checkNetworks(policy: Policy, findings: FoundProblems): void {
  const check = (network: IpNetwork, item: { section: PolicySection; key: string }, field: string): void => {
    const why = openRelay(network);
    if (why === "wide")
      findings.warnings.push(
        `${network} is a wide public range: all of it may send mail through this gateway`,
      );
    else if (why !== null) findings.problem(item, field, why);
  };
  for (const [i, network] of policy.networks.trusted.entries()) {
    check(network, { section: "networks", key: "" }, `.trusted[${i}]`);
  }
  // Whoever may name the client's address may name a trusted one.
  for (const { name, proxy_from } of policy.listener)
    for (const [i, network] of proxy_from.entries())
      check(network, { section: "listener", key: name }, `.proxy_from[${i}]`);
  checkExcepted(policy, findings);
  for (const sender of policy.sender) {
    if (sender.range !== undefined) check(sender.range, { section: "sender", key: sender.range }, ".range");
  }
  warnOfNestedRanges(policy, findings);
}

/** Networks outside outgoing control: part of a trusted one, and told every time. */
function checkExcepted({ networks }: Policy, findings: FoundProblems): void {
  for (const [i, network] of networks.excepted.entries()) {
    const [address, bits] = ipaddr.parseCIDR(network);
    const within = networks.trusted.some((trusted) => {
      const range = ipaddr.parseCIDR(trusted);
      return range[0].kind() === address.kind() && range[1] <= bits && address.match(range);
    });
    if (!within)
      findings.problem(
        { section: "networks", key: "" },
        `.excepted[${i}]`,
        `"${network}" lies in no trusted network; name it in trusted as well, or leave it out`,
      );
    else
      findings.warnings.push(
        `networks: ${network} is excepted from outgoing control: its mail is not counted, limited, locked or reported, whoever sends it`,
      );
  }
}

function warnOfNestedRanges(policy: Policy, findings: FoundProblems): void {
  const ranges = new Set(
    policy.sender.flatMap((sender) => (sender.range === undefined ? [] : [sender.range])),
  );
  const lengths = [...new Set([...ranges].map((range) => ipaddr.parseCIDR(range)[1]))];
  for (const inner of ranges) {
    const [address, bits] = ipaddr.parseCIDR(inner);
    for (const length of lengths.filter((shorter) => shorter < bits)) {
      const outer = parseNetwork(`${address.toString()}/${length}`);
      if (!outer.ok || !ranges.has(outer.value)) continue;
      findings.warnings.push(`sender ${inner} lies within sender ${outer.value}: the narrower one counts`);
    }
  }
}

function checkRules(policy: Policy, findings: FoundProblems): void {
  const names = new Set([...SHIPPED_RULES.map((rule) => rule.name), ...policy.rule.map((rule) => rule.name)]);
  const known = (name: string, item: { section: PolicySection; key: string }, i: number): void => {
    if (names.has(name)) return;
    const near = findings.problems.length < MAX_SUGGESTIONS ? didYouMean(name, names) : "";
    findings.problem(item, `.rules[${i}]`, `there is no rule "${name}"${near}`);
  };
  for (const rule of policy.rule) {
    const compiled = compileRule(rule, policy.settings);
    if (compiled.ok) continue;
    for (const problem of compiled.problems) {
      findings.problem({ section: "rule", key: rule.name }, `.${problem.field}`, problem.message);
    }
  }
  for (const domain of policy.domain) {
    for (const [i, name] of (domain.rules ?? []).entries())
      known(name, { section: "domain", key: domain.name }, i);
  }
  for (const sender of policy.sender) {
    for (const [i, name] of sender.rules.entries())
      known(name, { section: "sender", key: itemKey("sender", sender) }, i);
    checkExceptions(sender, names, findings);
  }
  for (const [name, consequence] of Object.entries(WEAKENED))
    if (policy.rule.some((rule) => rule.name === name && rule.mode !== "enforce"))
      findings.warnings.push(`rule ${name} is not enforced: ${consequence}`);
}

/** What it means when a rule that always holds is not enforced. */
const WEAKENED = {
  "check-failed": "mail passes unchecked while a check is broken",
  "bulk-beyond-doubt": "unsolicited bulk mail passes where bulk-lock and bulk-hold do not stop it",
};

/** Rules a sender is excepted from: they must exist, and what protects others from a broken check cannot be left out. */
function checkExceptions(sender: SenderSettings, names: ReadonlySet<string>, findings: FoundProblems): void {
  const item = { section: "sender", key: itemKey("sender", sender) } as const;
  for (const [i, name] of sender.except_rules.entries()) {
    const field = `.except_rules[${i}]`;
    if (!names.has(name))
      findings.problem(item, field, `there is no rule "${name}"${didYouMean(name, names)}`);
    else if (shippedRule(name)?.switchedOn === "always")
      findings.problem(item, field, `"${name}" holds for everybody; nobody can be excepted from it`);
    else if (shippedRule(name)?.kind === "virus" || shippedRule(name)?.kind === "spam")
      findings.warnings.push(
        `sender ${item.key}: is excepted from the rule ${name}: what it sends is not stopped by it`,
      );
  }
  if (["bulk-lock", "bulk-hold"].every((name) => sender.except_rules.includes(name)))
    findings.warnings.push(
      `sender ${item.key}: is excepted from bulk-lock and bulk-hold: its mail is not stopped, to however many strangers it goes`,
    );
}

function warnOfDomains(policy: Policy, findings: FoundProblems): void {
  for (const domain of policy.domain) {
    if (domain.enabled && domain.routes.length === 0) {
      findings.warnings.push(
        `domain ${domain.name}: has no routes, so ${policy.delivery.smarthost === null ? "its mail goes by MX, and waits here where that leads back to this gateway" : "mail that comes in for it waits here; what your own people write to it goes to the smart host"}`,
      );
    }
    if (domain.recipients.verify === "ldap") {
      findings.warnings.push(
        `domain ${domain.name}: recipients cannot be looked up by LDAP yet: they are verified by call-out`,
      );
    }
    if (domain.recipients.verify === "list" && domain.recipients.list.length === 0) {
      findings.warnings.push(
        `domain ${domain.name}: recipients are checked by a list that is empty: every recipient is refused`,
      );
    }
  }
}

function warnOfSmarthost({ delivery: { smarthost } }: Policy, findings: FoundProblems): void {
  if (smarthost === null || smarthost.user === undefined) return;
  const { host, tls, allow_unverified_tls: allowed } = smarthost;
  const bare = host.replace(/^\[(?:ipv6:)?|\]$/gi, "");
  const local = ipaddr.isValid(bare) && ipaddr.process(bare).range() === "loopback";
  if (local || host.toLowerCase() === "localhost") return;
  if (allowed) {
    findings.warnings.push(
      `delivery: allow_unverified_tls lets the password of the smart host go to whoever answers in place of ${host}`,
    );
  } else if (tls === "none") {
    findings.warnings.push(
      `delivery: the smart host ${host} has a password, but tls is none: it is not sent in clear text, so no mail goes there; set tls, or allow_unverified_tls = true`,
    );
  } else if (ipaddr.isValid(bare)) {
    findings.warnings.push(
      `delivery: the smart host is set by its address ${host}: its certificate must name that address, or the password is not sent; use its name`,
    );
  }
}

/** Checks a whole policy. `paths`: the items of the document that brought it about. */
export function crossCheck(policy: Policy, paths: DocumentPaths): CrossCheck {
  const findings = new FoundProblems(paths);
  checkListeners(policy, findings);
  checkNetworks(policy, findings);
  checkRules(policy, findings);
  checkSenders(policy, findings);
  checkNames(policy, findings);
  warnOfDomains(policy, findings);
  warnOfSmarthost(policy, findings);
  findings.warnings.push(...ownListenerWarnings(policy));
  checkSmall(policy, findings);
  warnOfContradictions(policy, findings);
  return { problems: findings.problems, warnings: findings.warnings };
}
