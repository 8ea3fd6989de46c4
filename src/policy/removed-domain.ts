// What a domain that goes leaves behind in other items: who of others may send in its name, which loses that with it, and what names an
// address of it, which is told. No I/O.
import { domainOf, type MailAddress } from "../message/address.ts";
import { itemKey, type PolicyItem } from "./policy-document.ts";
import type { DomainSettings, Policy, SenderSettings } from "./schema.ts";

/** The domain of those that a name belongs to, itself or as a host below it; null: none. */
function ownerAmong(domains: ReadonlySet<string>, name: string): string | null {
  for (let rest = name; rest !== ""; rest = rest.slice(rest.indexOf(".") + 1)) {
    if (domains.has(rest)) return rest;
    if (!rest.includes(".")) return null;
  }
  return null;
}

function domainOfGrant(granted: string): string {
  return granted.slice(granted.lastIndexOf("@") + 1);
}

/** A range may write for a thousand domains. */
const MOST_NAMED = 8;

function few(names: readonly string[]): string {
  const more = names.length - MOST_NAMED;
  return `${names.slice(0, MOST_NAMED).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

/** Takes from senders of other domains that they may write for the domain: it would go on being sent for with nobody answering for it. */
export function withoutGrants(item: PolicyItem, domain: string, domains: ReadonlySet<string>): PolicyItem {
  if (item.section !== "sender") return item;
  const stays = (name: string): boolean => ownerAmong(domains, name) !== domain;
  const { send_as, domains: served } = item.value;
  const value = {
    ...item.value,
    send_as: send_as.filter((granted) => stays(domainOfGrant(granted))),
    domains: served.filter(stays),
  };
  const same = value.send_as.length === send_as.length && value.domains.length === served.length;
  return same ? item : { ...item, value };
}

/** What a sender may write besides its own domain, as an end of `it may …`; null: nothing. */
export function rightsElsewhere({ domain, domains, send_as }: SenderSettings): string | null {
  const elsewhere = [
    ...domains.filter((name) => name !== domain),
    ...send_as.filter((granted) => domainOfGrant(granted) !== domain),
  ];
  return elsewhere.length === 0 ? null : few(elsewhere);
}

interface Named {
  /** `settings.postmaster`. */
  readonly where: string;
  readonly address: MailAddress;
}

function addressesOfDomain({ name, outgoing }: DomainSettings): readonly Named[] {
  const { abuse_contact, alerts, report } = outgoing;
  const named = (field: string, addresses: readonly MailAddress[]): readonly Named[] =>
    addresses.map((address) => ({ where: `domain ${name}: outgoing.${field}`, address }));
  return [
    ...named("abuse_contact", abuse_contact === null ? [] : [abuse_contact]),
    ...named("alerts.mail", alerts.mail),
    ...named("report.to", report.to),
  ];
}

/** Every address that the gateway writes to by itself. */
function addressesIn({ settings, domain, rule }: Policy): readonly Named[] {
  const { postmaster } = settings;
  return [
    ...(postmaster === null ? [] : [{ where: "settings: postmaster", address: postmaster }]),
    ...domain.flatMap(addressesOfDomain),
    ...rule.flatMap(({ name, to }) => (to === undefined ? [] : [{ where: `rule ${name}: to`, address: to }])),
  ];
}

/** Whose mail in the name of a domain that is none here passes as that of other authors. */
function takersOfOthers({ networks, sender }: Policy): readonly string[] {
  return [
    ...(networks.trusted.length > 0 && networks.forwards === "allow"
      ? [
          "the trusted networks is still taken, as mail of other authors, because Settings, Networks allows that",
        ]
      : []),
    ...sender.flatMap(({ range, forwards, enabled }) =>
      range !== undefined && enabled && forwards === "allow"
        ? [
            `the address range ${range} is still taken, as mail of other authors, because its forwards allows that`,
          ]
        : [],
    ),
  ];
}

/** What stays although a domain goes, in sentences without their full stop; each begins with the item it is about. */
export function removalWarnings(before: Policy, after: Policy): readonly string[] {
  const names = new Set<string>(before.domain.map(({ name }) => name));
  const left = new Set<string>(after.domain.map(({ name }) => name));
  const gone = [...names].filter((name) => !left.has(name));
  if (gone.length === 0) return [];
  const goneOf = (name: string): string | null => {
    const owner = ownerAmong(names, name);
    return owner === null || left.has(owner) ? null : owner;
  };
  const granted = after.sender.flatMap((sender) => {
    const { send_as, domains, domain } = sender;
    // A sender of a domain that goes sends nothing, and is warned of already.
    if (!left.has(domain)) return [];
    const rights = [...domains, ...send_as].filter((right) => goneOf(domainOfGrant(right)) !== null);
    return rights.length === 0
      ? []
      : [
          `sender ${itemKey("sender", sender)}: may still write for ${few(rights)}, which is of a domain that goes: leave it out where nobody is to send for that domain any more`,
        ];
  });
  const addressed = addressesIn(after).flatMap(({ where, address }) =>
    goneOf(domainOf(address)) === null
      ? []
      : [
          `${where} is ${address}, of a domain that goes: what is sent there leaves by its MX, to whoever has it then, or is undeliverable; name another address`,
        ],
  );
  const takers = takersOfOthers(after);
  const goesOn = gone.flatMap((name) =>
    takers.map(
      (taker) => `domain ${name}: what its people send through ${taker}; it does not stop with the domain`,
    ),
  );
  return [...granted, ...addressed, ...goesOn];
}
