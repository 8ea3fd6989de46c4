// States and actions as the console names and colours them. One word per idea, the same on every page.
import type { RuleAction } from "../../rules/verdict.ts";
import type { RecipientState } from "../../store/log-record.ts";

/** The colour of a badge, a chart bar or a notice. */
export type Tone = "good" | "warn" | "bad" | "info" | "held" | "quiet";

export interface StateWords {
  readonly label: string;
  readonly tone: Tone;
  /** Completes "alice@example.org: …". */
  readonly words: string;
}

export const RECIPIENT_STATES: Readonly<Record<RecipientState, StateWords>> = {
  delivered: { label: "Delivered", tone: "good", words: "was delivered" },
  queued: { label: "Queued", tone: "info", words: "waits in the queue for its next attempt" },
  held: { label: "Held", tone: "held", words: "is held in the queue until someone lets it go on" },
  quarantined: { label: "Quarantined", tone: "warn", words: "is in quarantine" },
  released: { label: "Released", tone: "good", words: "was released from quarantine" },
  refused: { label: "Refused", tone: "bad", words: "was refused in the SMTP dialogue" },
  "put-off": {
    label: "Put off",
    tone: "held",
    words: "was put off in the SMTP dialogue: its sender was asked to try again later",
  },
  failed: { label: "Failed", tone: "bad", words: "could not be delivered" },
  discarded: { label: "Discarded", tone: "quiet", words: "was accepted and thrown away" },
  dropped: { label: "Dropped", tone: "quiet", words: "was taken out of the queue by a person" },
};

/** In the order of the filter and the chart's legend. */
export const STATE_ORDER: readonly RecipientState[] = [
  "delivered",
  "released",
  "queued",
  "held",
  "quarantined",
  "refused",
  "put-off",
  "failed",
  "discarded",
  "dropped",
];

export function isRecipientState(text: string): text is RecipientState {
  return Object.hasOwn(RECIPIENT_STATES, text);
}

export const ACTION_TONES: Readonly<Record<RuleAction, Tone>> = {
  accept: "good",
  mark: "info",
  redirect: "info",
  copy: "info",
  quarantine: "warn",
  reject: "bad",
  tempfail: "held",
  discard: "quiet",
};

/** Past tense, for "would have …" and "…". */
export const ACTION_WORDS: Readonly<Record<RuleAction, string>> = {
  accept: "accepted it",
  mark: "marked it",
  redirect: "redirected it",
  copy: "sent a copy",
  quarantine: "quarantined it",
  reject: "refused it",
  tempfail: "put it off",
  discard: "discarded it",
};
