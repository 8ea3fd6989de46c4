// What DMARC says of a message (RFC 7489, RFC 9989), and whether that can be said now: a look-up that failed for the moment never decides.
// Known is what proves the author whatever the missing answers would be, and what convicts when none of them could prove him.

import { evaluateDmarc } from "mailauth/lib/dmarc";
import { isOnlyShown } from "../message/author.ts";
import { sameOrganisation } from "../message/organisation.ts";
import { patientWithSuffixes } from "./above-organisation.ts";
import type { Resolve } from "./authenticate-message.ts";
import type { Signature } from "./authentication-findings.ts";
import type { SpfOutcome } from "./check-spf.ts";

export interface DmarcJudgement {
  readonly result: "none" | "pass" | "fail" | "temperror" | "permerror";
  /** `unknown`: the record, or which part of it holds, could not be looked up now. */
  readonly policy: "absent" | "none" | "quarantine" | "reject" | "unknown";
  readonly domain: string;
  /** True when an answer that is missing now could turn the decision. */
  readonly undecided: boolean;
  readonly words: string;
}

export interface Evidence {
  readonly headerFrom: readonly string[];
  /** Why others may read another author (`message/author.ts`); null: From is sound. */
  readonly flaw: string | null;
  readonly spf: SpfOutcome | null;
  readonly signatures: readonly Signature[];
  readonly resolve: Resolve;
}

type DmarcResponse = Exclude<Awaited<ReturnType<typeof evaluateDmarc>>["response"], false>;
type Proofs = { readonly spf: readonly string[]; readonly dkim: readonly string[] };

/** Authors of more domains than this are no letter; the policies of the others are not asked for. */
const MAX_AUTHOR_DOMAINS = 10;

/** Judges the author of a message. Rejects only when mailauth fails. */
export async function judgeDmarc(evidence: Evidence): Promise<DmarcJudgement> {
  if (evidence.flaw !== null) return failedAuthor(evidence, evidence.flaw);
  const proofs = proofsOf(evidence, "known");
  const { response, reason } = await evaluate(evidence, proofs);
  if (response === false)
    return failedAuthor(
      evidence,
      reason === "multiple-author-domains"
        ? "has authors of several domains"
        : "has no domain that can be judged",
    );
  const domain = response.status.header?.from ?? domainPart(evidence.headerFrom[0]);
  const policy = policyOf(response, domain);
  const said = (result: DmarcJudgement["result"], words: string, undecided = false): DmarcJudgement => ({
    result,
    policy,
    domain,
    undecided,
    words,
  });
  switch (response.status.result) {
    case "pass":
      return said("pass", `DMARC passes for ${domain}`);
    case "none":
    case "neutral":
      return said("none", `${domain} has no DMARC record`);
    case "permerror":
      return said("permerror", `the DMARC record of ${domain} is broken`);
    case "fail": {
      if (!(await couldStillPass(evidence, proofs))) {
        return said("fail", `DMARC fails: nothing proves ${domain} (its policy is ${policy})`);
      }
      const words = `nothing proves ${domain} yet, but what could prove it cannot be looked up now (its policy is ${policy})`;
      return said("temperror", words, policy !== "none");
    }
    default: {
      const words = `the DMARC record of ${domain} could not be looked up`;
      // A proof of the very domain in From holds whatever the record would say about alignment.
      const proven = [...proofs.spf, ...proofs.dkim].some((proof) => sameName(proof, domain));
      return proven
        ? said("temperror", `${words}, but ${domain} itself is proven`)
        : said("temperror", words, policy !== "none");
    }
  }
}

function evaluate(evidence: Evidence, proofs: Proofs): ReturnType<typeof evaluateDmarc> {
  return evaluateDmarc({
    headerFrom: [...evidence.headerFrom],
    fromFields: 1,
    spfDomains: [...proofs.spf],
    dkimDomains: proofs.dkim.map((domain) => ({ domain })),
    // mailauth's own type leaves MX records out, which nobody asks for here.
    resolver: patientWithSuffixes(evidence.resolve) as (
      name: string,
      rrtype: string,
    ) => Promise<string[] | string[][]>,
    strict: true,
  });
}

/** `known`: what passes. `missing`: what cannot be looked up now. */
function proofsOf({ spf, signatures }: Evidence, which: "known" | "missing"): Proofs {
  const result = which === "known" ? "pass" : "temperror";
  return {
    spf: spf?.result === result && spf.domain !== "" ? [spf.domain] : [],
    dkim: signatures
      .filter((signature) => (which === "known" ? signature.passes : signature.result === result))
      .map((signature) => signature.domain),
  };
}

/** Would the answers that are missing prove the author, if they were the best possible? */
async function couldStillPass(evidence: Evidence, known: Proofs): Promise<boolean> {
  const missing = proofsOf(evidence, "missing");
  if (missing.spf.length + missing.dkim.length === 0) return false;
  const best = { spf: [...known.spf, ...missing.spf], dkim: [...known.dkim, ...missing.dkim] };
  const { response } = await evaluate(evidence, best);
  return response !== false && response.status.result !== "fail";
}

function policyOf(response: DmarcResponse, domain: string): DmarcJudgement["policy"] {
  if (response.status.result === "none" || response.status.result === "neutral") return "absent";
  const { policy, policyDomain, sp, np } = response;
  if (policy !== "none" && policy !== "quarantine" && policy !== "reject") {
    return response.status.result === "temperror" ? "unknown" : "absent";
  }
  // Between `sp` and `np` the existence of the name decides, which may be what could not be looked up.
  const certain = response.status.result !== "temperror" || policyDomain === domain || (np ?? sp) === sp;
  return certain ? policy : "unknown";
}

/**
 * Without a usable From, or with more than one author, DMARC cannot be evaluated: that is a failure, never an absence, or two From lines
 * would get around every policy. The strictest policy of the domains named holds; where none of them has a record there is no policy.
 */
async function failedAuthor(evidence: Evidence, flaw: string): Promise<DmarcJudgement> {
  const named = [...new Set(evidence.headerFrom.map(domainPart))].filter((domain) => domain !== "");
  const domain = named[0] ?? "";
  if (named.length === 0) {
    // No domain, no wish: the message is kept for a person to look at.
    const words = "DMARC fails: the message has no usable From";
    return { result: "fail", policy: "quarantine", domain, undecided: false, words };
  }
  // Contact forms and ticket systems show the customer's address before their own: who is proven breaks no wish of its own.
  const domains = isOnlyShown(flaw) ? named.filter((one) => !isProven(evidence, one)) : named;
  const fails = (policy: DmarcJudgement["policy"]): DmarcJudgement => ({
    result: "fail",
    policy,
    domain,
    undecided: false,
    words: `DMARC fails: From ${flaw}`,
  });
  // More than are asked hide one that wants its mail refused; nobody honest writes so.
  if (domains.length > MAX_AUTHOR_DOMAINS) return fails("reject");
  const policies = await Promise.all(domains.map((author) => publishedPolicy(evidence, author)));
  if (policies.includes("reject")) return fails("reject");
  if (policies.includes("unknown")) {
    const words = `From ${flaw}, and the DMARC record of one could not be looked up`;
    return { result: "temperror", policy: "unknown", domain, undecided: true, words };
  }
  if (policies.includes("quarantine")) return fails("quarantine");
  if (policies.includes("none")) return fails("none");
  const words = `From ${flaw}; no DMARC record says what to do with it`;
  return { result: "none", policy: "absent", domain, undecided: false, words };
}

function isProven(evidence: Evidence, domain: string): boolean {
  const { spf, dkim } = proofsOf(evidence, "known");
  return [...spf, ...dkim].some((proof) => sameOrganisation(proof, domain));
}

async function publishedPolicy(evidence: Evidence, domain: string): Promise<DmarcJudgement["policy"]> {
  const alone = { ...evidence, headerFrom: [`author@${domain}`], flaw: null };
  const { response } = await evaluate(alone, { spf: [], dkim: [] });
  return response === false ? "absent" : policyOf(response, domain);
}

function domainPart(address: string | undefined): string {
  return address === undefined ? "" : address.slice(address.lastIndexOf("@") + 1).toLowerCase();
}

function sameName(one: string, other: string): boolean {
  return one.toLowerCase().replace(/\.$/, "") === other.toLowerCase().replace(/\.$/, "");
}
