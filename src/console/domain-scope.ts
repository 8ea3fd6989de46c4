// Which domains whoever asks may see and change. Every page and operation that shows something of a domain asks here.
import type { Account } from "../store/accounts.ts";
import { accountOf, type ConsoleContext } from "./console-env.ts";

/** Domain names in lower case; null: all domains. */
export type DomainScope = readonly string[] | null;

/** The domains of an account: administrators have all, users none. */
function scopeOf(account: Account): DomainScope {
  switch (account.role) {
    case "administrator":
      return null;
    case "domain-administrator":
      return account.domains;
    case "user":
      return [];
  }
}

/** The domains of whoever asks; API tokens are the administrator's. */
export function ownDomains(c: ConsoleContext): DomainScope {
  return c.get("token") === null ? scopeOf(accountOf(c)) : null;
}

/** Does the scope hold the domain? */
export function inScope(scope: DomainScope, domain: string): boolean {
  return scope === null || scope.includes(domain.toLowerCase());
}

/** The domain behind the last `@`, in lower case; "" when there is none. */
export function domainPart(address: string): string {
  const at = address.lastIndexOf("@");
  return at < 0 ? "" : address.slice(at + 1).toLowerCase();
}

/**
 * The domain a list is about: the one asked for when it is in the scope, else the first of the scope; undefined: all domains
 * (administrators only). Null: there is none that may be shown.
 */
export function chosenDomain(scope: DomainScope, asked: string): string | undefined | null {
  const domain = asked.trim().toLowerCase();
  if (scope === null) return domain === "" ? undefined : domain;
  return scope.includes(domain) ? domain : (scope[0] ?? null);
}
