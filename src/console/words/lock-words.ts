// Locks and bulk recognition in words. Pure.
import type { LockEvent } from "../../outgoing/outgoing.ts";
import type { Finding } from "../../rules/fact.ts";
import { count, counted } from "./amount.ts";
import type { Tone } from "./state.ts";

/** What happened, and by whom: `locked by gatepost`. */
export function lockEventWords({ what, by, until }: LockEvent): string {
  switch (what) {
    case "locked":
      return `locked by ${by}${until === null ? ", until a person unlocks" : ""}`;
    case "unlocked":
      return `unlocked by ${by}`;
    case "timed-out":
      return "ended by itself";
  }
}

const LEVELS: readonly { readonly tone: Tone; readonly sentence: string }[] = [
  { tone: "good", sentence: "Not bulk" },
  { tone: "info", sentence: "Unusual" },
  { tone: "warn", sentence: "Suspicious" },
  { tone: "bad", sentence: "Beyond doubt" },
];

function numberOf(findings: readonly Finding[], fact: string): number {
  const value = findings.find((finding) => finding.fact === fact)?.value;
  return typeof value === "number" ? value : 0;
}

/** The figures bulk recognition goes by, those that say something: `12 recipients in the last hour, 3 of them new to it`. */
function bulkFigures(findings: readonly Finding[]): readonly string[] {
  const hour = numberOf(findings, "bulk.recipients_hour");
  const fresh = numberOf(findings, "bulk.new_recipients_hour");
  const usual = numberOf(findings, "bulk.usual_hour");
  const unknown = numberOf(findings, "bulk.unknown_percent");
  const refused = numberOf(findings, "bulk.refused_percent");
  return [
    ...(hour > 0 || fresh > 0
      ? [`${counted(hour, "recipient")} in the last hour, ${count(fresh)} of them new to it`]
      : []),
    ...(usual > 0 ? [`${count(usual)} in its busy hours`] : []),
    ...(unknown > 0 ? [`${unknown} % of the day’s recipients do not exist`] : []),
    ...(refused > 0 ? [`${refused} % of the day’s recipients were refused by the far side`] : []),
  ];
}

/** What bulk recognition thinks of an identity now: its level, the reasons, and the figures behind them. */
export function bulkInWords(findings: readonly Finding[]): {
  readonly tone: Tone;
  readonly sentence: string;
  readonly reasons: readonly string[];
  readonly figures: readonly string[];
} {
  const { tone, sentence } = LEVELS[numberOf(findings, "bulk.level")] ?? {
    tone: "good",
    sentence: "Not bulk",
  };
  const reasons = findings.find(({ fact }) => fact === "bulk.reasons")?.value;
  return {
    tone,
    sentence,
    reasons: typeof reasons === "object" ? reasons : [],
    figures: bulkFigures(findings),
  };
}
