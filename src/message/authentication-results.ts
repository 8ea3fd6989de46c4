// The Authentication-Results field made of findings (RFC 8601). No I/O.
import type { Facts, FactValue, Finding } from "../rules/fact.ts";

/** As many as are examined. */
const MAX_SIGNATURES = 20;

/** The whole field with its CRLF, or "" when none of SPF, DKIM, DMARC and ARC was looked at. */
export function authenticationResults(
  findings: readonly Finding[],
  hostname: string,
  nullReversePath: boolean,
): string {
  const facts = authenticationFacts(findings);
  const results = [...spf(facts, nullReversePath), ...dkim(facts), ...dmarc(facts), ...arc(facts)];
  return results.length === 0
    ? ""
    : `Authentication-Results: ${hostname};\r\n\t${results.join(";\r\n\t")}\r\n`;
}

/** Only what is written here; a finding later in the list wins, as everywhere. */
function authenticationFacts(findings: readonly Finding[]): Facts {
  const facts: Record<string, FactValue> = Object.create(null);
  for (const { fact, value } of findings) facts[fact] = value;
  return facts;
}

function spf(facts: Facts, nullReversePath: boolean): string[] {
  const result = keyword(facts["spf.result"]);
  if (result === null) return [];
  // RFC 7208 §2.4: for the null reverse-path the HELO name is what was checked.
  const property = nullReversePath ? "smtp.helo" : "smtp.mailfrom";
  return [`spf=${result}${withValue(property, facts["spf.domain"])}`];
}

function dkim(facts: Facts): string[] {
  const result = keyword(facts["dkim.result"]);
  if (result === null) return [];
  const lines = facts["dkim.signatures"];
  if (Array.isArray(lines) && lines.length > 0) {
    // Failed ones too: what a later reader makes of them is his business (RFC 8601 §2.7.1).
    return lines.slice(0, MAX_SIGNATURES).flatMap((line: FactValue) => signature(line) ?? []);
  }
  const domains = facts["dkim.domains"];
  if (result === "pass" && Array.isArray(domains) && domains.length > 0) {
    return domains
      .slice(0, MAX_SIGNATURES)
      .map((domain: FactValue) => `dkim=pass${withValue("header.d", domain)}`);
  }
  return [`dkim=${dkimKeyword(result)}`];
}

/** One line of `dkim.signatures`: result, domain, selector, algorithm, start of the signature (RFC 6008 §4). */
function signature(line: FactValue): string | null {
  const [result, ...parts] = typeof line === "string" ? line.split(" ") : [];
  const word = keyword(result);
  if (word === null) return null;
  const names = ["header.d", "header.s", "header.a", "header.b"];
  const properties = names.map((name, at) => (parts[at] === "-" ? "" : withValue(name, parts[at])));
  return `dkim=${dkimKeyword(word)}${properties.join("")}`;
}

/** RFC 8601 §2.7.1 has no "invalid": a signature or key that cannot be used is a permanent error. */
function dkimKeyword(result: string): string {
  return result === "invalid" ? "permerror" : result;
}

function dmarc(facts: Facts): string[] {
  const result = keyword(facts["dmarc.result"]);
  if (result === null) return [];
  const policy = keyword(facts["dmarc.policy"]);
  const comment = policy === null || policy === "absent" || policy === "unknown" ? "" : ` (p=${policy})`;
  return [`dmarc=${result}${comment}${withValue("header.from", facts["dmarc.domain"])}`];
}

function arc(facts: Facts): string[] {
  const result = keyword(facts["arc.result"]);
  if (result === null) return [];
  const instance = facts["arc.instance"];
  const comment = typeof instance === "number" && instance > 0 ? ` (i=${Math.trunc(instance)})` : "";
  return [`arc=${result}${comment}${withValue("header.d", facts["arc.sealer"])}`];
}

function keyword(value: FactValue | undefined): string | null {
  return typeof value === "string" && /^[a-z]{1,20}$/.test(value) ? value : null;
}

function withValue(property: string, value: FactValue | undefined): string {
  if (typeof value !== "string" || value === "") return "";
  return /^[A-Za-z0-9._-]{1,253}$/.test(value)
    ? ` ${property}=${value}`
    : ` ${property}="${value.slice(0, 253).replace(/[^\x21\x23-\x5b\x5d-\x7e]/g, "?")}"`;
}
