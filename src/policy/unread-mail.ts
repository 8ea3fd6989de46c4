// What an unread setting means for mail: who may write, where it waits, which rules stand in for those that cannot be asked. No I/O.
import type { Destination } from "../delivery/route.ts";
import { addressKey, type Domain, domainOf, type MailAddress } from "../message/address.ts";
import type { Client } from "../message/envelope.ts";
import type { Rule } from "../rules/rule.ts";
import { compileRule, unknownNames } from "./compile-rules.ts";
import { itemKey } from "./policy-document.ts";
import { type RelayFacts, standingGrant, standingUnread } from "./relay-control.ts";
import type { Reply } from "./reply.ts";
import type { ListenerSettings, Policy } from "./schema.ts";
import type { OwnerOf } from "./server-mail.ts";
import { type Unread, type UnreadItem, type UnreadRule, unreadReply } from "./unread.ts";

/**
 * Who writes as a domain that is not known, or may be one of ours and cannot be told from an outsider who claims to be. null: go on.
 */
export function refuseUnreadWriter(
  facts: RelayFacts,
  owner: OwnerOf,
): (listener: ListenerSettings, client: Client, writers: readonly MailAddress[]) => Reply | null {
  const { unread } = facts;
  if (unread.items.length === 0) return () => null;
  return (listener, client, writers) => {
    const ours = client.login !== null || standingGrant(facts, listener, client) !== null;
    const who = ours ? null : standingUnread(facts, listener, client);
    for (const address of writers) {
      const domain = unread.domainOver(domainOf(address));
      if (domain !== null && (ours || listener.refuse_outsiders_claiming_local))
        return unreadReply(`the stored setting of the domain ${domain}`);
      if (who !== null && (domain !== null || owner(domainOf(address)) !== null)) return unreadReply(who);
    }
    return null;
  };
}

/** Where mail waits whose way cannot be read; null: its way is known. */
export function unreadPlaces(unread: Unread): (domain: Domain) => Destination | null {
  const words = (what: string): string =>
    `Mail waits here: the stored setting "${what}" cannot be read by this version; save it anew`;
  const outside: Destination | null = unread.delivery
    ? { kind: "routes", key: "held:delivery", routes: [], held: words("delivery"), awaitsSettings: true }
    : null;
  return (domain) =>
    unread.isDomain(domain)
      ? {
          kind: "routes",
          key: `routes:${domain}`,
          routes: [],
          held: words(`domain ${domain}`),
          awaitsSettings: true,
        }
      : outside;
}

/**
 * What reads and cannot be carried out: a rule that does not compile here, the name of a rule that nobody has. A newer version knows them.
 */
export function unusable(policy: Policy, unreadRules: ReadonlySet<string>): readonly UnreadItem[] {
  const rules = policy.rule.flatMap((value): readonly UnreadItem[] => {
    const compiled = compileRule(value, policy.settings);
    if (compiled.ok) return [];
    const problems = compiled.problems.map(({ field, message }) => `${field} ${message}`);
    const idle = value.mode !== "enforce";
    const meanwhile = idle
      ? "It is off or only observes, and decides nothing."
      : "Mail the rule may hold for is put off with 451 meanwhile.";
    const partly = `${meanwhile} Save the rule anew, or remove it.`;
    return [{ section: "rule", key: value.name, value, problems, partly, ...(idle ? { idle } : {}) }];
  });
  const names = unknownNames(policy, unreadRules);
  if (names.size === 0) return rules;
  const naming = (section: string, key: string, value: { readonly rules?: readonly string[] | null }) => {
    const unknown = (value.rules ?? []).filter((name) => names.has(name));
    if (unknown.length === 0) return [];
    const problems = unknown.map((name) => `there is no rule "${name}"`);
    const partly =
      "Mail it would hold for is put off with 451 meanwhile. Take its name out, or write a rule of that name.";
    return [{ section, key, value, problems, partly }];
  };
  return [
    ...rules,
    ...policy.domain.flatMap((domain) => naming("domain", domain.name, domain)),
    ...policy.sender.flatMap((sender) => naming("sender", itemKey("sender", sender), sender)),
  ];
}

/** Stands in for a rule that cannot be asked: whatever it may hold for is put off. */
export function unreadRule({ name, priority, scope }: UnreadRule): Rule {
  return {
    name,
    description: "Its stored setting cannot be read by this version: mail it may hold for is put off.",
    shipped: false,
    kind: null,
    mode: "enforce",
    priority,
    scope: {
      ...scope,
      addresses: scope.addresses.map(addressKey),
      senders: scope.senders.map(addressKey),
    },
    when: 'recipient.address != ""',
    condition: { kind: "compare", fact: "recipient.address", sign: "!=", value: "" },
    action: "tempfail",
    replyCode: 451,
    replyText: "This gateway's settings are being mended, please try again later",
    edits: [],
    target: null,
    countsAsSpam: false,
    locks: false,
  };
}
