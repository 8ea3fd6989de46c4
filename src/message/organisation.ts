// Which domains belong together, by the Public Suffix List: mail.example.org speaks for example.org (relaxed alignment, RFC 7489 §3.1).
import { getDomain } from "tldts";

/** The organisation a domain belongs to; null: none, as of an address literal. */
export function organisation(domain: string): string | null {
  return getDomain(domain, { allowPrivateDomains: true });
}

/** Do both belong to one organisation? Never true when one is missing. */
export function sameOrganisation(domain: string, other: string | null): boolean {
  if (other === null || domain === "") return false;
  const lower = domain.toLowerCase();
  if (lower === other) return true;
  const organisation = getDomain(other, { allowPrivateDomains: true });
  return organisation !== null && organisation === getDomain(lower, { allowPrivateDomains: true });
}

/** A test for the organisation of any of the domains, for who asks about many names: each of the domains is looked up once. */
export function organisationTest(domains: readonly string[]): (domain: string) => boolean {
  const names = new Set(domains.map((domain) => domain.toLowerCase()));
  const organisations = new Set<string>();
  for (const name of names) {
    const organisation = getDomain(name, { allowPrivateDomains: true });
    if (organisation !== null) organisations.add(organisation);
  }
  return (domain) => {
    const lower = domain.toLowerCase();
    if (lower === "" || names.size === 0) return false;
    return names.has(lower) || organisations.has(getDomain(lower, { allowPrivateDomains: true }) ?? "");
  };
}
