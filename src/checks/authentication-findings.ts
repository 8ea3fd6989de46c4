// What SPF, DKIM, DMARC and ARC came to, as findings with words for a mail administrator. No I/O.

import type { ARCResult, DKIMResult } from "mailauth";
import { domainKey } from "../message/address.ts";
import { sameOrganisation } from "../message/organisation.ts";
import type { Finding } from "../rules/fact.ts";
import type { SpfOutcome, SpfVerdict } from "./check-spf.ts";
import type { DmarcJudgement } from "./judge-dmarc.ts";

const SPF_WORDS: Partial<Readonly<Record<SpfVerdict, string>>> = {
  none: "has no SPF record",
  neutral: "says neither yes nor no to",
  softfail: "does not expect mail from",
  fail: "forbids mail from",
};

/** `ip` is the client's, `sender` the reverse-path; `author` as of `authorDomain`. */
export function spfFindings(
  outcome: SpfOutcome,
  { ip, sender }: { readonly ip: string; readonly sender: string },
  author: string | null,
): readonly Finding[] {
  const { result, domain } = outcome;
  const same = sameOrganisation(domain, author);
  return [
    { check: "spf", fact: "spf.result", value: result, words: spfWords(outcome, ip) },
    { check: "spf", fact: "spf.domain", value: domain },
    { check: "spf", fact: "spf.aligned", value: result === "pass" && same },
    // A bounce has no MAIL FROM that could differ; SPF looks at its HELO then.
    { check: "spf", fact: "spf.differs", value: sender !== "" && author !== null && !same },
    { check: "spf", fact: "spf.undecided", value: result === "temperror" && same },
  ];
}

function spfWords({ result, domain, record }: SpfOutcome, ip: string): string {
  switch (result) {
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
      return `SPF: ${domain} ${SPF_WORDS[result] ?? "answers strangely to"} ${ip}`;
  }
}

/** `invalid`: signature or key cannot be used. `permerror`: not examined. `policy`: it holds and yet proves nothing. */
export type SignatureResult = "none" | "pass" | "fail" | "policy" | "temperror" | "permerror" | "invalid";

export interface Signature {
  readonly domain: string;
  readonly selector: string;
  readonly algorithm: string;
  /** The start of the signature itself, by which it is told from others of the same domain (RFC 6008). */
  readonly start: string;
  readonly result: SignatureResult;
  readonly reason: string;
  readonly passes: boolean;
}

const RESULT_OF: Readonly<Record<string, SignatureResult>> = {
  none: "none",
  pass: "pass",
  fail: "fail",
  policy: "policy",
  temperror: "temperror",
};

/**
 * Fields of which a message may have one (RFC 5322 §3.6, RFC 2045 §3) and what mail programs show of one that stands twice differs:
 * a signature that covers one instance says nothing about what the reader sees. (RFC 6376 §8.15)
 */
export const SINGLE_FIELDS: ReadonlySet<string> = new Set(
  (
    "from sender reply-to to cc bcc subject date message-id in-reply-to references " +
    "mime-version content-type content-transfer-encoding"
  ).split(" "),
);

/** `counts`: how often each of `SINGLE_FIELDS` stands in the message. */
export function readSignature(row: DKIMResult, counts: ReadonlyMap<string, number>): Signature {
  const given = RESULT_OF[row.status.result] ?? "invalid";
  const result = given === "pass" && claimsTooMuch(row) ? "invalid" : given;
  const doubt = result === "pass" ? doubtOf(row, counts) : null;
  return {
    domain: domainKey(row.signingDomain ?? ""),
    selector: row.selector ?? "",
    algorithm: row.algo ?? "",
    start: (row.signature ?? "").slice(0, 8),
    result: doubt === null ? result : "policy",
    reason:
      result !== given
        ? TOO_MUCH
        : (doubt ?? (typeof row.status.comment === "string" ? row.status.comment : "")),
    passes: result === "pass" && doubt === null,
  };
}

const TOO_MUCH = "it covers more text than there is (l=)";

/** RFC 6376 §3.5: `l=` must not be larger than the body; what has been cut short is not what was signed. */
function claimsTooMuch({ canonBodyLengthLimit, canonBodyLengthTotal }: DKIMResult): boolean {
  return (canonBodyLengthLimit ?? 0) > (canonBodyLengthTotal ?? 0);
}

/** Why a signature that holds proves nothing, or null. */
function doubtOf(row: DKIMResult, counts: ReadonlyMap<string, number>): string | null {
  // A length that covers the whole body is as good as none (RFC 6376 §8.2).
  if ((row.status.underSized ?? 0) > 0) return "it covers only the start of the text (l=)";
  const covered = new Map<string, number>();
  for (const key of row.signingHeaders?.keys.split(":") ?? []) {
    const name = key.trim().toLowerCase();
    covered.set(name, (covered.get(name) ?? 0) + 1);
  }
  for (const [name, count] of counts) {
    const signed = covered.get(name) ?? 0;
    if (count > 1 && signed < count) return `it covers ${signed} of ${count} ${name} fields`;
  }
  return null;
}

/** A signature too long to be examined: its domain and selector as they stand, for the log. `field` is the start of the field. */
export function oversizedSignature(field: string, bytes: number): Signature {
  const tag = (name: string): string =>
    new RegExp(`[;:\\s]${name}\\s*=\\s*([A-Za-z0-9._-]{1,253})`).exec(field)?.[1] ?? "";
  return {
    domain: domainKey(tag("d")),
    selector: tag("s"),
    algorithm: tag("a"),
    start: "",
    result: "permerror",
    reason: `a signature of ${bytes} octets is too long`,
    passes: false,
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
  const missing = signatures.filter((signature) => signature.result === "temperror");
  return [
    { check: "dkim", fact: "dkim.result", value: verdict, words: dkimWords(verdict, signatures) + surplus },
    { check: "dkim", fact: "dkim.domains", value: domains },
    {
      check: "dkim",
      fact: "dkim.aligned",
      value: domains.some((domain) => sameOrganisation(domain, author)),
    },
    {
      check: "dkim",
      fact: "dkim.undecided",
      value: missing.some(({ domain }) => sameOrganisation(domain, author)),
    },
    { check: "dkim", fact: "dkim.signatures", value: signatures.map(signatureLine) },
  ];
}

/** One signature in a line: result, domain, selector, algorithm and start of the signature; "-" for what it does not say. */
function signatureLine({ result, domain, selector, algorithm, start }: Signature): string {
  return [result, domain, selector, algorithm, start]
    .map((part) => (/^[A-Za-z0-9._+/=-]{1,253}$/.test(part) ? part : "-"))
    .join(" ");
}

const BEST_FIRST = ["pass", "temperror", "fail", "policy", "permerror", "invalid"] as const;

/** The best of all signatures. */
function dkimVerdict(signatures: readonly Signature[]): SignatureResult {
  return BEST_FIRST.find((result) => signatures.some((signature) => signature.result === result)) ?? "none";
}

function dkimWords(verdict: SignatureResult, signatures: readonly Signature[]): string {
  if (verdict === "none") return "the message is not signed";
  if (verdict === "pass") {
    const named = signatures.filter((signature) => signature.passes);
    return `signed by ${named.map(({ domain }) => domain || "a signature without a domain").join(", ")}`;
  }
  const reasons = signatures.map(
    ({ domain, reason, result }) => `${domain || "unnamed"}: ${reason || result}`,
  );
  return `no signature holds (${reasons.slice(0, 3).join("; ")})`;
}

/** What is neither pass nor none is a failure. The sealer is the last of the forwarders. */
export function arcFindings(result: ARCResult): readonly Finding[] {
  const said = result.status.result;
  const value = said === "pass" || said === "none" ? said : "fail";
  const signature = result.signature === false ? undefined : result.signature;
  const sealer = value === "none" ? "" : domainKey(signature?.signingDomain ?? "");
  const words = {
    pass: `the forwarders' ARC chain holds; ${sealer || "nobody"} sealed it last`,
    none: "no forwarder left an ARC chain",
    fail: "the forwarders' ARC chain is broken",
  };
  return [
    { check: "arc", fact: "arc.result", value, words: words[value] },
    { check: "arc", fact: "arc.sealer", value: sealer },
    { check: "arc", fact: "arc.instance", value: typeof result.i === "number" ? result.i : 0 },
  ];
}

export function dmarcFindings(judgement: DmarcJudgement): readonly Finding[] {
  const { result, policy, domain, undecided, words } = judgement;
  return [
    { check: "dmarc", fact: "dmarc.result", value: result, words },
    { check: "dmarc", fact: "dmarc.policy", value: policy },
    { check: "dmarc", fact: "dmarc.domain", value: domain },
    { check: "dmarc", fact: "dmarc.undecided", value: undecided },
  ];
}

/** The one domain of an author that is sound, or null when there is none or more than one. */
export function authorDomain(headerFrom: readonly string[]): string | null {
  const domains = new Set(headerFrom.map(domainPart));
  const [only] = domains;
  return domains.size === 1 && only !== undefined && only !== "" ? only : null;
}

function domainPart(address: string | undefined): string {
  return address === undefined ? "" : address.slice(address.lastIndexOf("@") + 1).toLowerCase();
}
