// Which domains belong together, by the Public Suffix List: mail.example.org speaks for example.org (relaxed alignment, RFC 7489 §3.1).
import { getDomain } from "tldts";

/** Do both belong to one organisation? Never true when one is missing. */
export function sameOrganisation(domain: string, other: string | null): boolean {
  if (other === null || domain === "") return false;
  const lower = domain.toLowerCase();
  if (lower === other) return true;
  const organisation = getDomain(other, { allowPrivateDomains: true });
  return organisation !== null && organisation === getDomain(lower, { allowPrivateDomains: true });
}
