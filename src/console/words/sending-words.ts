// Whether somebody may send, in a badge for lists and a sentence for pages and the API: the same answer in both lengths. Pure.
import type { SendingCode, SendingState } from "../../outgoing/sending-state.ts";
import { counted } from "./amount.ts";
import { limitLabel } from "./sender-words.ts";
import type { Tone } from "./state.ts";

export interface SendingWords {
  readonly tone: Extract<Tone, "good" | "warn" | "bad" | "quiet">;
  readonly badge: string;
  readonly sentence: string;
}

function limitWords({ limit }: SendingState): string {
  return limit === null ? "a limit" : limitLabel(limit).toLowerCase();
}

function identitiesLocked({ locked, mail }: SendingState): SendingWords {
  const identities = counted(locked, "identity", "identities");
  // Where nobody else sends as it, the lock of the one is the sender's.
  return {
    tone: mail === "some" ? "warn" : "bad",
    badge: mail === "some" ? `${identities} locked` : "Identity locked",
    sentence: `${identities} of it ${locked === 1 ? "is" : "are"} locked.`,
  };
}

const WORDS: Readonly<Record<SendingCode, (state: SendingState) => SendingWords>> = {
  "may-send": () => ({ tone: "good", badge: "May send", sentence: "May send." }),
  "not-controlled": () => ({
    tone: "good",
    badge: "May send",
    sentence: "May send: its network is excepted from outgoing control.",
  }),
  removed: () => ({
    tone: "quiet",
    badge: "Sender removed",
    sentence: "May not send: its sender was removed.",
  }),
  "sender-off": () => ({
    tone: "quiet",
    badge: "Off",
    sentence: "May not send: the sender is switched off.",
  }),
  "domain-removed": () => ({
    tone: "quiet",
    badge: "Domain removed",
    sentence: "May not send: its domain is not on this gateway.",
  }),
  "domain-off": () => ({
    tone: "quiet",
    badge: "Domain off",
    sentence: "May not send: its domain is switched off.",
  }),
  "domain-barred": () => ({
    tone: "bad",
    badge: "Domain barred",
    sentence: "May not send: its domain is barred.",
  }),
  "range-of-others": () => ({
    tone: "quiet",
    badge: "Range of others",
    sentence: "May not send: the address range does not write for its domain.",
  }),
  "no-listener": () => ({
    tone: "bad",
    badge: "No listener",
    sentence: "May not send: no listener takes its mail.",
  }),
  locked: ({ reason }) => ({
    tone: "bad",
    badge: "Locked",
    sentence: `Locked: ${reason === "" ? "no reason was given" : reason}`,
  }),
  "sender-locked": () => ({
    tone: "bad",
    badge: "Sender locked",
    sentence: "May not send: its whole sender is locked.",
  }),
  "identities-locked": identitiesLocked,
  "at-limit": (state) => ({
    tone: "warn",
    badge: "At its limit",
    sentence: `At its limit: ${limitWords(state)}.`,
  }),
  "sender-at-limit": (state) => ({
    tone: "warn",
    badge: "Sender at its limit",
    sentence: `Its sender is at its limit: ${limitWords(state)}.`,
  }),
  slowed: () => ({
    tone: "warn",
    badge: "Slowed",
    sentence: "Slowed: messages with new recipients wait.",
  }),
  "unknown-refused": () => ({
    tone: "quiet",
    badge: "Refused",
    sentence: "May not send: its domain sends for known identities only.",
  }),
  "forwards-refused": () => ({
    tone: "quiet",
    badge: "Forwards refused",
    sentence: "May not send: mail of other authors is refused.",
  }),
  "forwards-signed": () => ({
    tone: "good",
    badge: "May send if signed",
    sentence: "May send what its author’s domain has signed (DKIM).",
  }),
  "notices-only": () => ({
    tone: "warn",
    badge: "Notices only",
    sentence: "May send notices of the mail server; mail of other authors is refused.",
  }),
};

/** All states, in the order of the table. */
export const SENDING_CODES = Object.keys(WORDS) as [SendingCode, ...SendingCode[]];

/** Where its mail counts for another sender: what comes before the sentence about that one. */
function elsewhere({ as }: SendingState): string {
  switch (as?.why) {
    case undefined:
      return "";
    case "re-authenticated":
      return `Sends as ${as?.sender}. `;
    case "address-range":
      return `Its servers are the address range ${as?.sender} now. `;
    case "domain-removed":
      // "example.org via 10.0.0.0/8": the domain here that it is a part of. A network alone: of none.
      return `Its domain was removed; what it sends counts for ${as?.sender}${as?.sender.includes(" ") ? "" : ", as mail of other authors"}. `;
  }
}

/** The state as lists, pages and the API say it. */
export function sendingWords(state: SendingState): SendingWords {
  const words = WORDS[state.code](state);
  const said = { ...words, sentence: `${elsewhere(state)}${words.sentence}` };
  if (state.as?.why !== "domain-removed" || state.mail === "refused") return said;
  return { ...said, tone: "warn", badge: "Domain removed" };
}
