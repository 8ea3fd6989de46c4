// What an identity or a sender is: its sender, domain, how it is told apart, when it locks by itself, since when it is known.
import type { Child } from "hono/jsx";
import type { ConsoleContext } from "../console-env.ts";
import type { KnownParty } from "../lock-actions.ts";
import { Address } from "../parts/foreign-text.tsx";
import { Moment } from "../parts/moment.tsx";
import { Card, Details } from "../parts/page-header.tsx";
import { identifiedBy, lockInWords, SENDER_KINDS } from "../words/sender-words.ts";
import { identityUrl } from "./identity-address.ts";

type Row = readonly [label: string, value: Child];

/** A sender that is not set: mail of a trusted network, or one that was removed. */
function kindUnset(network: string | null): string {
  return network === null ? "removed since" : `Trusted network ${network}`;
}

function DomainWords({ c, domain }: { readonly c: ConsoleContext; readonly domain: string }) {
  if (domain === "") return <>none: mail of other authors</>;
  const { policy } = c.get("services").settings.current();
  if (!policy.domain.some(({ name }) => name === domain)) return <>{domain}, not on this gateway any more</>;
  return <a href={`/domains/${encodeURIComponent(domain)}/outgoing`}>{domain}</a>;
}

/** `(forwards of 192.0.2.1)` and the like: all such mail of a server is one identity. */
function toldApart({ key, held, network, domain }: KnownParty): string {
  if (held === null) return "";
  if (typeof held.identify_by === "string" && /^\((forwards|bounces) of /.test(key.identity ?? ""))
    return "Not: all such mail of the server is one identity";
  if (network === null) return identifiedBy(held);
  return domain === "" ? "By the server that passes it on" : "By the envelope sender, else the author";
}

/** What is set for it; nothing when the settings have no such sender any more. */
function heldRows(party: KnownParty): readonly Row[] {
  const { held } = party;
  if (held === null) return [];
  return [
    ["Told apart", toldApart(party)],
    ["Automatic lock", lockInWords(held)],
  ];
}

function logRows({ key, sender }: KnownParty): readonly Row[] {
  const address = key.identity ?? (sender?.kind === "user" ? key.sender : "");
  if (!address.includes("@") || address.startsWith("@")) return [];
  const query = new URLSearchParams({ sender: address });
  return [["Messages", <a href={`/messages?${query}`}>in the message log</a>]];
}

/** The card on the page of one. */
export function About({ c, party }: { readonly c: ConsoleContext; readonly party: KnownParty }) {
  const { detail, key, sender, network, domain } = party;
  const whole = identityUrl({ sender: key.sender, identity: null });
  const name = <Address text={key.sender} />;
  const seen = (at: number): Child => (detail.firstSeen > 0 ? <Moment at={at} style="full" /> : "not yet");
  return (
    <Card title="About" id="about">
      <Details
        rows={[
          ["Sender", key.identity === null ? name : <a href={whole}>{name}</a>],
          ["Kind", sender === null ? kindUnset(network) : SENDER_KINDS[sender.kind].label],
          ["Domain", <DomainWords c={c} domain={domain} />],
          ...heldRows(party),
          ["First seen", seen(detail.firstSeen)],
          ["Last seen", seen(detail.lastSeen)],
          ...logRows(party),
        ]}
      />
    </Card>
  );
}

/** What the page is about, under its title. */
export function Lead({ party: { key, domain } }: { readonly party: KnownParty }) {
  if (key.identity === null && domain === "")
    return <>What servers of this trusted network send for no domain here: forwards and notices.</>;
  if (key.identity === null) return <>All that is sent through this sender of {domain}.</>;
  return (
    <>
      An identity of the sender{" "}
      <a href={identityUrl({ sender: key.sender, identity: null })}>
        <Address text={key.sender} />
      </a>
      .
    </>
  );
}
