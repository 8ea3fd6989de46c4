// Names in settings that must not stand for something else: header fields with a meaning of their own, hosts that are none, addresses
// of the console with more than an address in them. No I/O.
import { isIPv4, isIPv6 } from "node:net";
import type { FoundProblems } from "./found-problems.ts";
import { itemKey } from "./policy-document.ts";
import type { Policy } from "./schema.ts";

/** Fields that say who wrote a message, to whom, when, how it is read, and by which way it came. (RFC 5322 §3.6, RFC 2045, 6376, 8601, 8617) */
const OWN_MEANING =
  /^(?:from|sender|reply-to|to|cc|bcc|subject|date|message-id|in-reply-to|references|comments|keywords|received|return-path|delivered-to|mime-version|content-.*|resent-.*|list-.*|arc-.*|dkim-signature|domainkey-signature|authentication-results|original-authentication-results|received-spf|autocrypt|disposition-notification-to|auto-submitted)$/i;

/** Has the header field a meaning of its own, so that it can be neither our note nor taken out? */
function hasOwnMeaning(name: string): boolean {
  return OWN_MEANING.test(name.trim());
}

const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/i;

/**
 * Labels of 1 to 63 letters, digits and inner dashes; the last is no number, decimal or hexadecimal: resolvers read such names as addresses,
 * and 0x7f000001 as this very machine. (RFC 1035 §2.3.4, RFC 1123 §2.1, inet_aton)
 */
function isHostName(text: string): boolean {
  const labels = text.replace(/\.$/, "").split(".");
  return labels.every((label) => LABEL.test(label)) && !/^(?:\d+|0x[0-9a-f]*)$/i.test(labels.at(-1) ?? "");
}

/** Why the text is no host, or null. `schema-fields.ts` has checked its characters. */
function hostProblem(text: string): string | null {
  const bare = text.startsWith("[") && text.endsWith("]") ? text.slice(1, -1) : text;
  if (isIPv6(bare.replace(/^ipv6:/i, ""))) return null;
  const colon = text.lastIndexOf(":");
  if (colon < 0)
    return isHostName(text) || isIPv4(bare) ? null : `"${text}" is not a host name or IP address`;
  const head = text.slice(0, colon);
  const tail = text.slice(colon + 1);
  if (/^mx$/i.test(head))
    return `"${text}" is not a host: without routes mail goes to the MX of the domain, and a route names one server`;
  if (/^\d{1,5}$/.test(tail) && !head.includes(":"))
    return `"${text}" has a port in it; write host = "${head}" and port = ${tail}`;
  return `"${text}" is not a host name or IP address`;
}

function checkHosts(policy: Policy, findings: FoundProblems): void {
  for (const { name, routes, outgoing } of policy.domain) {
    const item = { section: "domain", key: name } as const;
    for (const [i, { host }] of routes.entries()) {
      const why = hostProblem(host);
      if (why !== null) findings.problem(item, `.routes[${i}].host`, why);
    }
    const judge = outgoing.password_server === null ? null : hostProblem(outgoing.password_server.host);
    if (judge !== null) findings.problem(item, ".outgoing.password_server.host", judge);
  }
  for (const { name, address } of policy.hook) {
    const host = address.startsWith("unix:") ? null : address.slice(0, address.lastIndexOf(":"));
    const bad = host === null ? null : hostProblem(host);
    if (bad !== null) findings.problem({ section: "hook", key: name }, ".address", bad);
  }
  const { smarthost } = policy.delivery;
  const why = smarthost === null ? null : hostProblem(smarthost.host);
  if (why !== null) findings.problem({ section: "delivery", key: "" }, ".smarthost.host", why);
}

function checkHeaders(policy: Policy, findings: FoundProblems): void {
  const note = policy.settings.note_header;
  if (hasOwnMeaning(note))
    findings.problem(
      { section: "settings", key: "" },
      ".note_header",
      `"${note}" has a meaning of its own in mail; choose a name that begins with X-`,
    );
  for (const sender of policy.sender) {
    const by = typeof sender.identify_by === "string" ? [] : [sender.identify_by].flat();
    const list = Array.isArray(sender.identify_by);
    for (const [i, { header, remove }] of by.entries())
      if (remove && hasOwnMeaning(header))
        findings.problem(
          { section: "sender", key: itemKey("sender", sender) },
          list ? `.identify_by[${i}].header` : ".identify_by.header",
          `"${header}" cannot be taken out: the message needs it; leave remove off`,
        );
  }
}

/** Addresses that something is appended to: behind a query or fragment it would say nothing. */
function checkBaseAddresses({ settings }: Policy, findings: FoundProblems): void {
  const bases = [
    [".console_url", settings.console_url],
    [".domain_age.rdap", settings.domain_age.rdap],
  ] as const;
  for (const [path, url] of bases) {
    if (url === null) continue;
    if (/[?#]/.test(url))
      findings.problem(
        { section: "settings", key: "" },
        path,
        "has a ? or # in it; paths are appended to it, so write the address alone, like https://gate.example.com:8443",
      );
    const host = URL.canParse(url) ? hostProblem(new URL(url).hostname) : null;
    if (host !== null) findings.problem({ section: "settings", key: "" }, path, `names no host: ${host}`);
    if (/%(?:[01][0-9a-f]|7f)/i.test(url))
      findings.problem(
        { section: "settings", key: "" },
        path,
        "has an encoded control character in it (such as %0D); write it like https://gate.example.com:8443",
      );
  }
}

/** Checks them all. */
export function checkNames(policy: Policy, findings: FoundProblems): void {
  checkHosts(policy, findings);
  checkHeaders(policy, findings);
  checkBaseAddresses(policy, findings);
  const url = policy.settings.console_url;
  if (url !== null && /[\s\p{C}]/u.test(url))
    findings.problem(
      { section: "settings", key: "" },
      ".console_url",
      "has a space, a line break or a control character in it; links in mails would break; write it like https://gate.example.com:8443",
    );
}
