// Whether an identity or a sender may send now, and what stops it if not: locks first, then settings, then limits.
import type { Child } from "hono/jsx";
import type { Lock } from "../../outgoing/outgoing.ts";
import type { ConsoleContext } from "../console-env.ts";
import type { KnownParty } from "../lock-actions.ts";
import { Foreign } from "../parts/foreign-text.tsx";
import { Icon, type IconName } from "../parts/icon.tsx";
import { Moment } from "../parts/moment.tsx";
import { counted } from "../words/amount.ts";
import { limitLabel } from "../words/sender-words.ts";
import { identityUrl } from "./identity-address.ts";

interface State {
  readonly tone: "good" | "warn" | "bad" | "quiet";
  readonly icon: IconName;
  readonly sentence: Child;
  readonly words: Child;
}

function lockedState(lock: Lock): State {
  return {
    tone: "bad",
    icon: "lock",
    sentence: (
      <>
        Locked: <Foreign text={lock.words} max={400} empty="no reason was given" />
      </>
    ),
    words: (
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
    ),
  };
}

/** What else of the sender is locked: the sender itself for one of its identities, identities for a whole sender. */
function otherLock(c: ConsoleContext, { key, sender }: KnownParty): State | null {
  const locks = c
    .get("services")
    .outgoing.locks()
    .filter((one) => one.sender === key.sender);
  if (key.identity !== null) {
    if (!locks.some((one) => one.identity === null)) return null;
    return {
      tone: "bad",
      icon: "lock",
      sentence: "May not send: its whole sender is locked.",
      words: (
        <>
          See <a href={identityUrl({ sender: key.sender, identity: null })}>the sender</a> for why and until
          when.
        </>
      ),
    };
  }
  const identities = locks.filter((one) => one.identity !== null);
  if (identities.length === 0) return null;
  const query = new URLSearchParams({ sender: key.sender, locked: "yes" });
  return {
    tone: sender?.kind === "user" ? "bad" : "warn",
    icon: "lock",
    sentence: `${counted(identities.length, "identity", "identities")} of it ${identities.length === 1 ? "is" : "are"} locked.`,
    words: (
      <>
        The sender itself is not. See <a href={`/identities?${query}`}>who is locked</a>.
      </>
    ),
  };
}

function offState(c: ConsoleContext, { sender, network, domain }: KnownParty): State | null {
  if (sender === null && network === null)
    return {
      tone: "quiet",
      icon: "quiet",
      sentence: "May not send: its sender was removed.",
      words: "What it sent before is still counted here.",
    };
  if (sender?.enabled === false)
    return {
      tone: "quiet",
      icon: "quiet",
      sentence: "Switched off.",
      words: "The settings of the sender say that it may not send.",
    };
  const settings = c
    .get("services")
    .settings.current()
    .policy.domain.find(({ name }) => name === domain);
  if (settings?.enabled === false)
    return {
      tone: "quiet",
      icon: "quiet",
      sentence: "May not send: its domain is switched off.",
      words: (
        <>
          Nothing is sent from {domain} meanwhile.{" "}
          <a href={`/domains/${encodeURIComponent(domain)}/outgoing`}>Outgoing mail of the domain</a>
        </>
      ),
    };
  if (settings?.outgoing.barred !== true) return null;
  return {
    tone: "bad",
    icon: "ban",
    sentence: "May not send: its domain is barred.",
    words: (
      <>
        Nothing may be sent from {domain}.{" "}
        <a href={`/domains/${encodeURIComponent(domain)}/outgoing`}>Outgoing mail of the domain</a>
      </>
    ),
  };
}

function limitState({ detail }: KnownParty): State | null {
  const reached = detail.limits.filter(({ freeAt }) => freeAt !== null);
  const [last] = reached.toSorted((a, b) => (b.freeAt ?? 0) - (a.freeAt ?? 0));
  if (last === undefined || last.freeAt === null) return null;
  return {
    tone: "warn",
    icon: "clock",
    sentence: `At its limit: ${limitLabel(last.limit).toLowerCase()}.`,
    words: (
      <>
        Its mail is put off, not lost. It may send again <Moment at={last.freeAt} style="relative" />.
      </>
    ),
  };
}

function stateOf(c: ConsoleContext, party: KnownParty): State {
  if (party.detail.lock !== null) return lockedState(party.detail.lock);
  return (
    offState(c, party) ??
    otherLock(c, party) ??
    limitState(party) ?? {
      tone: "good",
      icon: "good",
      sentence: "May send.",
      words: `${party.key.identity === null ? "The sender" : "The identity"} is not locked, and no limit is reached.`,
    }
  );
}

/** The head of the page: one sentence, and what is behind it. */
export function SendingState({ c, party }: { readonly c: ConsoleContext; readonly party: KnownParty }) {
  const { tone, icon, sentence, words } = stateOf(c, party);
  return (
    <section class={`why tone-${tone}`} aria-label="State">
      <span class="why-icon">
        <Icon name={icon} size={24} />
      </span>
      <div>
        <p class="why-sentence">{sentence}</p>
        <p class="why-rule">{words}</p>
      </div>
    </section>
  );
}
