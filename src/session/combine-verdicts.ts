// One reply for many recipients: combines the verdicts so that nothing needs a bounce to a stranger (design: Replies). Pure.
import { type Reply, reply } from "../policy/reply.ts";
import type { FinalAction, Verdict } from "../rules/verdict.ts";

/** What becomes of one recipient's copy. `refused`: the client was told, nothing is kept. */
export type Fate = "deliver" | "quarantine" | "discard" | "refused";

export interface Combined {
  /** null: accepted; the reply is the ordinary one, sent when the message is safe. */
  readonly refusal: Reply | null;
  /** True when something must be given to the queue (also beside a refusal: quarantine answered with 550). */
  readonly keep: boolean;
  /** In the order of the verdicts. */
  readonly fates: readonly Fate[];
}

/** Would this verdict alone be answered with 5xx? */
export function refuses(verdict: Verdict): boolean {
  return verdict.action === "reject" || (verdict.action === "quarantine" && verdict.replyCode >= 500);
}

/**
 * Any tempfail: the whole message is put off, nothing is kept, and the client sends it again to all.
 * All refuse: that reply; what was to be quarantined is kept none the less.
 * They disagree: accepted; those that refuse get their copy in quarantine, so that no bounce goes to a forged sender.
 */
export function combineVerdicts(verdicts: readonly Verdict[]): Combined {
  const putOff = verdicts.find((verdict) => verdict.action === "tempfail");
  if (putOff !== undefined)
    return { refusal: replyOf(putOff, 451, "7.1"), keep: false, fates: verdicts.map(() => "refused") };
  const first = verdicts.find(refuses);
  if (first !== undefined && verdicts.every(refuses)) {
    const fates = verdicts.map((verdict): Fate => (verdict.action === "reject" ? "refused" : "quarantine"));
    return { refusal: replyOf(first, 550, "7.1"), keep: fates.includes("quarantine"), fates };
  }
  return { refusal: null, keep: true, fates: verdicts.map((verdict) => fateOf(verdict.action)) };
}

function fateOf(action: FinalAction): Fate {
  switch (action) {
    case "accept":
      return "deliver";
    case "quarantine":
    case "reject":
      return "quarantine";
    case "discard":
      return "discard";
    case "tempfail":
      return "refused";
  }
}

/** The verdict's reply, with a code of the right class whatever the rule says. */
function replyOf(verdict: Verdict, fallback: 451 | 550, enhanced: string): Reply {
  const fits = Math.floor(verdict.replyCode / 100) === Math.floor(fallback / 100);
  const text = verdict.replyText === "" ? "Message refused" : verdict.replyText;
  const cause = verdict.rule === null ? verdict.words : `rule ${verdict.rule}: ${verdict.words}`;
  return reply(fits ? verdict.replyCode : fallback, enhanced, text, cause);
}
