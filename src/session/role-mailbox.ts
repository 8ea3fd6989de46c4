// Mail for the people who run this gateway and its domains: postmaster and abuse of every name of ours are always recipients (RFC 5321
// §4.5.1, RFC 2142 §4), whether a mail server of ours has such a mailbox or not.
import { addressKey, type Domain, domainOf, type MailAddress, parseAddress } from "../message/address.ts";
import type { DomainSettings } from "../policy/schema.ts";
import type { PolicySnapshot } from "../policy/snapshot.ts";

type Role = "postmaster" | "abuse";

/** Whom a role's mail goes to. */
export interface RoleMailbox {
  /** At once: no server of ours could have the mailbox. */
  readonly instead: MailAddress | null;
  /** When the domain's mail server does not know it. */
  readonly otherwise: MailAddress | null;
}

const NONE: RoleMailbox = { instead: null, otherwise: null };
const ROLE = /^"?(postmaster|abuse)"?(?:@(.*))?$/i;

/** Looks at a mailbox as the client wrote it. `hostname`: this gateway's own name. */
export function roleMailbox(mailbox: string, snapshot: PolicySnapshot, hostname: string): RoleMailbox {
  const match = ROLE.exec(mailbox);
  if (match === null) return NONE;
  const role = match[1]?.toLowerCase() === "abuse" ? "abuse" : "postmaster";
  const name = match[2];
  if (name === undefined)
    return role === "postmaster" ? { instead: ofGateway(snapshot, hostname), otherwise: null } : NONE;
  const asked = parseAddress(mailbox);
  if (!asked.ok) return NONE;
  const domain = snapshot.domain(domainOf(asked.value));
  if (domain === null)
    return domainOf(asked.value) === hostname.toLowerCase()
      ? { instead: ofGateway(snapshot, hostname), otherwise: null }
      : NONE;
  const contact = contactOf(domain, role, { snapshot, hostname });
  // Where nobody is named, the mail server's refusal brings it among the undeliverable mail, where administrators see it.
  return domain.routes.length === 0
    ? { instead: contact ?? ofGateway(snapshot, hostname), otherwise: null }
    : { instead: null, otherwise: contact ?? asked.value };
}

/** The postmaster of the settings, else that of the first domain whose mail server may have one. */
function ofGateway(snapshot: PolicySnapshot, hostname: string): MailAddress | null {
  const { settings, domain } = snapshot.policy;
  if (settings.postmaster !== null && isElsewhere(settings.postmaster, { snapshot, hostname }))
    return settings.postmaster;
  const on = domain.filter((candidate) => candidate.enabled);
  const first = on.find(({ routes }) => routes.length > 0) ?? on[0];
  const parsed = first === undefined ? null : parseAddress(`postmaster@${first.name}`);
  return parsed?.ok === true ? parsed.value : null;
}

function contactOf(
  { outgoing }: DomainSettings,
  role: Role,
  where: { readonly snapshot: PolicySnapshot; readonly hostname: string },
): MailAddress | null {
  const { postmaster } = where.snapshot.policy.settings;
  const [alerted = null] = outgoing.alerts.mail;
  const wanted =
    role === "abuse"
      ? [outgoing.abuse_contact, postmaster, alerted]
      : [postmaster, alerted, outgoing.abuse_contact];
  return wanted.find((one) => one !== null && isElsewhere(one, where)) ?? null;
}

/** Not itself a role of a name without a mail server: that would lead here again. */
function isElsewhere(
  address: MailAddress,
  { snapshot, hostname }: { readonly snapshot: PolicySnapshot; readonly hostname: string },
): boolean {
  if (!ROLE.test(addressKey(address))) return true;
  const name: Domain = domainOf(address);
  const domain = snapshot.domain(name);
  return domain === null ? name !== hostname.toLowerCase() : domain.routes.length > 0;
}
