// The parts of enterprise mode in words: what each does, and whether and why it is in force. No markup.
import { enterpriseParts } from "../../policy/enterprise-mode.ts";
import type { OutgoingSettings } from "../../policy/schema-outgoing.ts";

/** A part of enterprise mode by its setting. */
export interface Part {
  readonly name:
    | "from_must_exist"
    | "known_identities_only"
    | "require_tls"
    | "limit_identities"
    | "lock_identities";
  readonly inForce: keyof ReturnType<typeof enterpriseParts>;
  readonly label: string;
  readonly help: string;
}

/** The parts in the order of the form. */
export const PARTS: readonly Part[] = [
  {
    name: "from_must_exist",
    inForce: "fromMustExist",
    label: "The From address must exist",
    help: "Asked of the mail server as recipients are, or looked up in the list. The address in the envelope too.",
  },
  {
    name: "known_identities_only",
    inForce: "knownIdentitiesOnly",
    label: "Known identities only",
    help: "Mail is refused when nobody can be found behind it.",
  },
  {
    name: "require_tls",
    inForce: "requireTls",
    label: "TLS only",
    help: "Log-ins come over TLS, and mail is sent on over TLS or not at all. Who logged in for another domain without TLS cannot write for this one.",
  },
  {
    name: "limit_identities",
    inForce: "limitIdentities",
    label: "Limits for every identity",
    help: "Whoever has no limits of its own gets those below. Who sends for this domain by a sender of another domain has them as a ceiling, and all it sends counts. Not for forwards and bounces there, or what has no identity: many share these.",
  },
  {
    name: "lock_identities",
    inForce: "lockIdentities",
    label: "Automatic lock of every identity",
    help: "Also where the sender’s own settings say otherwise. By a sender of another domain: after as many spam messages as that sender is set to; nobody is locked there for forwards, bounces or what has no identity.",
  },
];

/** Which parts are in force, and why, in words. */
export function partsInForce(
  outgoing: OutgoingSettings,
): readonly { readonly part: Part; readonly on: boolean; readonly why: string }[] {
  const inForce = enterpriseParts(outgoing);
  return PARTS.map((part) => ({
    part,
    on: inForce[part.inForce],
    why: outgoing[part.name] === null ? "by enterprise mode" : "set on its own",
  }));
}
