// Enterprise mode (O14): which parts of the strict set are in force for a domain. Pure; what a part does is done where it belongs.
import type { DomainSettings } from "./schema.ts";
import type { OutgoingSettings } from "./schema-outgoing.ts";
import type { OutgoingParty } from "./snapshot.ts";

/** The parts of enterprise mode as they are in force. */
export interface EnterpriseParts {
  /** The From address must exist. */
  readonly fromMustExist: boolean;
  /** Mail of which no identity can be found is refused. */
  readonly knownIdentitiesOnly: boolean;
  /** Log-ins over TLS only, and mail leaves over TLS only. */
  readonly requireTls: boolean;
  /** Identities without limits of their own get the domain's `default_limits`. */
  readonly limitIdentities: boolean;
  /** Identities are locked automatically whatever their sender says. */
  readonly lockIdentities: boolean;
}

/** A part that says true or false holds as it says; one that says nothing is as `enterprise` is. */
export function enterpriseParts(outgoing: OutgoingSettings): EnterpriseParts {
  return {
    fromMustExist: outgoing.from_must_exist ?? outgoing.enterprise,
    knownIdentitiesOnly: outgoing.known_identities_only ?? outgoing.enterprise,
    requireTls: outgoing.require_tls ?? outgoing.enterprise,
    limitIdentities: outgoing.limit_identities ?? outgoing.enterprise,
    lockIdentities: outgoing.lock_identities ?? outgoing.enterprise,
  };
}

/** The domain that wants the part of what the party sends: its own, or another one that the message speaks for. null: none does. */
export function wantedBy(
  { domain, speaksFor = [] }: Pick<OutgoingParty, "domain" | "speaksFor">,
  part: keyof EnterpriseParts,
): DomainSettings | null {
  if (domain !== null && enterpriseParts(domain.outgoing)[part]) return domain;
  return speaksFor.find(({ outgoing }) => enterpriseParts(outgoing)[part]) ?? null;
}
