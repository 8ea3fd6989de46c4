// The head of a sender's or identity's page: whether it may send now, and what to know or do about what stops it.
import type { Child } from "hono/jsx";
import type { Lock } from "../../outgoing/outgoing.ts";
import type { SendingState as State } from "../../outgoing/sending-state.ts";
import type { ConsoleContext } from "../console-env.ts";
import type { KnownParty } from "../lock-actions.ts";
import { Foreign } from "../parts/foreign-text.tsx";
import { Icon, type IconName } from "../parts/icon.tsx";
import { Moment } from "../parts/moment.tsx";
import { counted } from "../words/amount.ts";
import { type SendingWords, sendingWords } from "../words/sending-words.ts";
import { identityUrl } from "./identity-address.ts";

const ICONS: Readonly<Record<SendingWords["tone"], IconName>> = {
  good: "good",
  warn: "clock",
  bad: "ban",
  quiet: "quiet",
};

function iconOf({ code }: State, { tone }: SendingWords): IconName {
  return code.endsWith("locked") ? "lock" : ICONS[tone];
}

function LockWords({ lock }: { readonly lock: Lock }) {
  return (
    <>
      Since <Moment at={lock.since} style="full" />, by <Foreign text={lock.by} max={100} />.{" "}
      {lock.until === null ? (
        "Only a person lifts it."
      ) : (
        <>
          Ends by itself <Moment at={lock.until} style="relative" />.
        </>
      )}
    </>
  );
}

/** Locks besides what stops it first: they hold when that is over. */
function AlsoLocked({ party, state }: { readonly party: KnownParty; readonly state: State }) {
  const { key, detail, identitiesLocked } = party;
  const query = new URLSearchParams({ sender: key.sender, locked: "yes" });
  return (
    <>
      {detail.lock !== null && state.code !== "locked" && (
        <>
          {" "}
          It is locked too: <Foreign text={detail.lock.words} max={400} />.
        </>
      )}
      {identitiesLocked > 0 && key.identity === null && (
        <>
          {state.code !== "identities-locked" &&
            ` ${counted(identitiesLocked, "identity", "identities")} of it ${identitiesLocked === 1 ? "is" : "are"} locked.`}{" "}
          See <a href={`/identities?${query}`}>who is locked</a>.
        </>
      )}
    </>
  );
}

function DomainLink({ c, domain }: { readonly c: ConsoleContext; readonly domain: string }) {
  const { policy } = c.get("services").settings.current();
  if (!policy.domain.some(({ name }) => name === domain)) return null;
  return <a href={`/domains/${encodeURIComponent(domain)}/outgoing`}>Outgoing mail of the domain</a>;
}

function wordsOf(c: ConsoleContext, party: KnownParty): Child {
  const { key, domain, detail } = party;
  const { code, until } = detail.sending;
  switch (code) {
    case "locked":
      return detail.lock === null ? <SenderLink party={party} /> : <LockWords lock={detail.lock} />;
    case "removed":
      return "What it sent before is still counted here.";
    case "sender-off":
      return "The settings of the sender say that it may not send.";
    case "domain-off":
    case "domain-barred":
    case "domain-removed":
      return (
        <>
          Nothing is sent from {domain} meanwhile. <DomainLink c={c} domain={domain} />
        </>
      );
    case "sender-locked":
    case "sender-at-limit":
    case "range-of-others":
      return <SenderLink party={party} />;
    case "identities-locked":
      return detail.sending.mail === "some" ? "The sender itself is not." : "Nobody else sends as it.";
    case "at-limit":
      return until === null ? (
        "Its mail is put off, not lost."
      ) : (
        <>
          Its mail is put off, not lost. It may send again <Moment at={until} style="relative" />.
        </>
      );
    case "slowed":
      return (
        <>
          It wrote to unusually many for the first time. Whom it knows it may write to; the others again{" "}
          {until !== null && <Moment at={until} style="relative" />}.
        </>
      );
    case "no-listener":
      return "Its client is not heard by any listener as the listeners are set.";
    case "unknown-refused":
      return <DomainLink c={c} domain={domain} />;
    case "not-controlled":
      return "Neither limits nor locks hold for it (Settings, Networks).";
    case "forwards-refused":
    case "forwards-signed":
    case "notices-only":
      return party.sender === null
        ? "So it is set for forwards (Settings, Networks)."
        : "So it is set for the forwards of the address range.";
    case "may-send":
      return `${key.identity === null ? "The sender" : "The identity"} is not locked, and no limit is reached.`;
  }
}

function SenderLink({ party: { key, detail } }: { readonly party: KnownParty }) {
  const sender = detail.sending.as?.sender ?? key.sender;
  return (
    <>
      See <a href={identityUrl({ sender, identity: null })}>the sender</a> for why and until when.
    </>
  );
}

/** The head of the page: one sentence, and what is behind it. */
export function SendingState({ c, party }: { readonly c: ConsoleContext; readonly party: KnownParty }) {
  const state = party.detail.sending;
  const words = sendingWords(state);
  return (
    <section class={`why tone-${words.tone}`} aria-label="State">
      <span class="why-icon">
        <Icon name={iconOf(state, words)} size={24} />
      </span>
      <div>
        <p class="why-sentence">
          {state.code === "locked" && state.as === null ? (
            <>
              Locked: <Foreign text={state.reason} max={400} empty="no reason was given" />
            </>
          ) : (
            <Foreign text={words.sentence} max={700} />
          )}
        </p>
        <p class="why-rule">
          {wordsOf(c, party)}
          <AlsoLocked party={party} state={state} />
        </p>
      </div>
    </section>
  );
}
