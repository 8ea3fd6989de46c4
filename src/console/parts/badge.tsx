// Badges for states, actions and verdicts. Colour never stands alone: the word is in it.
import type { Child } from "hono/jsx";
import type { FinalAction, RuleAction } from "../../rules/verdict.ts";
import type { RecipientState } from "../../store/log-record.ts";
import { ACTION_TONES, RECIPIENT_STATES, type Tone } from "../words/state.ts";
import { useView } from "./view-context.tsx";

export function Badge({ tone, children }: { readonly tone: Tone; readonly children?: Child }) {
  return <span class={`badge tone-${tone}`}>{children}</span>;
}

export function StateBadge({ state }: { readonly state: RecipientState }) {
  const { label, tone } = RECIPIENT_STATES[state];
  return <Badge tone={tone}>{label}</Badge>;
}

export function ActionBadge({ action }: { readonly action: RuleAction | FinalAction }) {
  return <Badge tone={ACTION_TONES[action]}>{action}</Badge>;
}

/** A rule's name, linked to the rules page for those who may open it. */
export function RuleName({ name }: { readonly name: string }) {
  if (!useView().administrator) return <span class="rule-name">{name}</span>;
  return (
    <a class="rule-name" href={`/rules#rule-${encodeURIComponent(name)}`}>
      {name}
    </a>
  );
}
