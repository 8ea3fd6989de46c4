// What mailauth's results mean, as findings with words for a mail administrator. No I/O.

import type { dkimVerify } from "mailauth/lib/dkim/verify";
import type { evaluateDmarc } from "mailauth/lib/dmarc";
import type { spf } from "mailauth/lib/spf";
import { sameOrganisation } from "../message/organisation.ts";
import type { Finding } from "../rules/fact.ts";

type SpfResult = Awaited<ReturnType<typeof spf>>;

const SPF_WORDS: Readonly<Record<string, string>> = {
  none: "has no SPF record",
  neutral: "says neither yes nor no to",
  softfail: "does not expect mail from",
  fail: "forbids mail from",
};

/** `ip` is the client's; `author` as of `authorDomain`. */
export function spfFindings(result: SpfResult, ip: string, author: string | null): readonly Finding[] {
  const verdict = result.status.result;
  const domain = result.domain || "";
  const aligned = verdict === "pass" && sameOrganisation(domain, author);
  return [
    {
      check: "spf",
      fact: "spf.result",
      value: verdict,
      words: spfWords(verdict, domain, ip, result.rr ?? ""),
    },
    { check: "spf", fact: "spf.domain", value: domain },
    { check: "spf", fact: "spf.aligned", value: aligned },
  ];
}

function spfWords(verdict: string, domain: string, ip: string, record: string): string {
  switch (verdict) {
    case "pass":
      return /(?:^|\s)\+?all(?:\s|$)/i.test(record)
        ? `SPF passes, but ${domain} lets every host in the world send (+all)`
        : `SPF passes: ${ip} may send for ${domain}`;
    case "none":
      return `${domain || "the sender"} ${SPF_WORDS.none}`;
    case "temperror":
      return `the SPF record of ${domain} could not be looked up`;
    case "permerror":
      return `the SPF record of ${domain} is broken`;
    default:
      return `SPF: ${domain} ${SPF_WORDS[verdict] ?? "answers strangely to"} ${ip}`;
  }
}

export interface Signature {
  readonly domain: string;
  readonly result: string;
  readonly reason: string;
  /** It signs only the first part of the body (`l=`): anything may have been added, so it proves nothing. */
  readonly partial: boolean;
  readonly passes: boolean;
}

type DkimResult = Awaited<ReturnType<typeof dkimVerify>>["results"][number];

export function readSignature(row: DkimResult): Signature {
  const partial = row.canonBodyLengthLimited === true;
  return {
    domain: (row.signingDomain ?? "").toLowerCase(),
    result: row.status.result,
    reason: typeof row.status.comment === "string" ? row.status.comment : "",
    partial,
    passes: row.status.result === "pass" && !partial,
  };
}

/** `all`: every signature; `dropped`: how many more were not looked at. */
export function dkimFindings(
  all: readonly Signature[],
  author: string | null,
  dropped: number,
): readonly Finding[] {
  const signatures = all.filter((signature) => signature.result !== "none");
  const domains = [
    ...new Set(signatures.filter((signature) => signature.passes).map(({ domain }) => domain)),
  ];
  const verdict = dkimVerdict(signatures);
  const surplus = dropped === 0 ? "" : `; ${dropped} more signatures were not looked at`;
  return [
    { check: "dkim", fact: "dkim.result", value: verdict, words: dkimWords(verdict, signatures) + surplus },
    { check: "dkim", fact: "dkim.domains", value: domains },
    {
      check: "dkim",
      fact: "dkim.aligned",
      value: domains.some((domain) => sameOrganisation(domain, author)),
    },
  ];
}

/** The best of all signatures. A signature with `l=` counts as none. */
function dkimVerdict(all: readonly Signature[]): string {
  const signatures = all.filter((signature) => !(signature.partial && signature.result === "pass"));
  if (signatures.length === 0) return "none";
  if (signatures.some((signature) => signature.passes)) return "pass";
  if (signatures.some((signature) => signature.result === "temperror")) return "temperror";
  return signatures.some((signature) => signature.result === "fail") ? "fail" : "invalid";
}

function dkimWords(verdict: string, signatures: readonly Signature[]): string {
  const named = (signature: Signature) => signature.domain || "a signature without a domain";
  if (verdict === "pass") {
    return `signed by ${signatures
      .filter((signature) => signature.passes)
      .map(named)
      .join(", ")}`;
  }
  if (verdict === "none") {
    const partial = signatures.find((signature) => signature.partial);
    return partial === undefined
      ? "the message is not signed"
      : `the signature of ${named(partial)} covers only the start of the text (l=) and proves nothing`;
  }
  const reasons = signatures.map(
    ({ domain, reason, result }) => `${domain || "unnamed"}: ${reason || result}`,
  );
  return `no signature holds (${reasons.slice(0, 3).join("; ")})`;
}

/** `result` as mailauth says it; what is neither pass nor none is a failure. */
export function arcFindings(result: string): readonly Finding[] {
  const value = result === "pass" || result === "none" ? result : "fail";
  const words = {
    pass: "the forwarders' ARC chain holds",
    none: "no forwarder left an ARC chain",
    fail: "the forwarders' ARC chain is broken",
  };
  return [{ check: "arc", fact: "arc.result", value, words: words[value] }];
}

type DmarcResponse = Awaited<ReturnType<typeof evaluateDmarc>>["response"];

/**
 * Without a usable From, or with more than one, DMARC cannot be evaluated: that is a failure, never an absence, or two From lines would
 * get around every policy. As the domain's wish is unknown then, the strictest one is taken for several, `quarantine` for none.
 */
export function dmarcFindings(
  response: DmarcResponse,
  reason: string | null,
  headerFrom: readonly string[],
): readonly Finding[] {
  if (response === false) {
    const none = headerFrom.length === 0;
    const words = none
      ? "DMARC fails: the message has no usable From"
      : `DMARC fails: the message names ${reason === "multiple-from-fields" ? "its author in two From lines" : "authors of several domains or unreadable ones"}`;
    return dmarcFacts("fail", none ? "quarantine" : "reject", domainPart(headerFrom[0]), words);
  }
  const domain = response.status.header?.from ?? domainPart(headerFrom[0]);
  const result = response.status.result;
  const policy = typeof response.policy === "string" ? response.policy : "absent";
  switch (result) {
    case "pass":
      return dmarcFacts("pass", policy, domain, `DMARC passes for ${domain}`);
    case "none":
    case "neutral":
      return dmarcFacts("none", "absent", domain, `${domain} has no DMARC record`);
    case "fail":
      return dmarcFacts(
        "fail",
        policy,
        domain,
        `DMARC fails: nothing proves ${domain} (its policy is ${policy})`,
      );
    case "permerror":
      return dmarcFacts("permerror", policy, domain, `the DMARC record of ${domain} is broken`);
    default:
      return dmarcFacts("temperror", policy, domain, `the DMARC record of ${domain} could not be looked up`);
  }
}

function dmarcFacts(result: string, policy: string, domain: string, words: string): readonly Finding[] {
  return [
    { check: "dmarc", fact: "dmarc.result", value: result, words },
    { check: "dmarc", fact: "dmarc.policy", value: policy },
    { check: "dmarc", fact: "dmarc.domain", value: domain },
  ];
}

/** The one domain of the author, or null when there is none or more than one. */
export function authorDomain(fromFields: number, headerFrom: readonly string[]): string | null {
  const domains = new Set(headerFrom.map(domainPart));
  const [only] = domains;
  return fromFields === 1 && domains.size === 1 && only !== undefined && only !== "" ? only : null;
}

function domainPart(address: string | undefined): string {
  return address === undefined ? "" : address.slice(address.lastIndexOf("@") + 1).toLowerCase();
}
