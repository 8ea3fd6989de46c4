// Is the envelope sender of a message from outside proven? Only then may anybody write back to it: else it is somebody else's address.
import { domainOf, type MailAddress } from "../message/address.ts";
import { sameOrganisation } from "../message/organisation.ts";
import type { Finding } from "../rules/fact.ts";

/**
 * True when SPF passes for the MAIL FROM domain, or a DKIM signature that holds is of the same organisation. What was not checked is
 * not proven.
 */
export function isProvenSender(reversePath: MailAddress | null, findings: readonly Finding[]): boolean {
  if (reversePath === null) return false;
  const domain = domainOf(reversePath).toLowerCase();
  const factValue = (fact: string) => findings.find((finding) => finding.fact === fact)?.value;
  if (factValue("spf.result") === "pass") {
    const passed = factValue("spf.domain");
    if (typeof passed === "string" && passed.toLowerCase() === domain) return true;
  }
  const signed = factValue("dkim.domains");
  return Array.isArray(signed) && signed.some((one) => sameOrganisation(String(one), domain));
}
