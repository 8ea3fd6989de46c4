// Whether somebody may send, as a badge of a list.
import type { SendingState } from "../../outgoing/sending-state.ts";
import { sendingWords } from "../words/sending-words.ts";
import { Badge } from "./badge.tsx";

export function SendingBadge({ state }: { readonly state: SendingState }) {
  const { tone, badge } = sendingWords(state);
  return <Badge tone={tone}>{badge}</Badge>;
}
