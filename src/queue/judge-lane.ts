// The back-off of a destination as a whole: what one attempt says about everything that waits for it.
import type { Outcome } from "../delivery/outcome.ts";
import type { Destination } from "../delivery/route.ts";
import type { Statement } from "../store/database.ts";
import { forgetUnreachable, rememberUnreachable } from "../store/spool-writing.ts";
import { probeWaitMs } from "./back-off.ts";
import type { Lane } from "./lane.ts";
import { noProbes } from "./probe-place.ts";
import type { Reach } from "./reach.ts";

/** So many messages in a row that lost their connections, or met a server that was away and is not well yet, and the destination counts as unreachable. */
const STRIKES = 5;

/** The destination answers again: everything that waits for it may go. Returns what forgets the back-off on disk. */
export function openLane(lane: Lane, now: number): readonly Statement[] {
  const wasClosed = lane.failures > 0;
  lane.failures = 0;
  lane.strikes.clear();
  lane.closedUntil = 0;
  lane.lastFailure = null;
  if (!wasClosed) return [];
  lane.judgedAt = now;
  lane.probes = noProbes();
  return [forgetUnreachable(lane.key)];
}

/** A server of ours that was away is back when it does its work; that it takes connections is not enough. */
function isBack(lane: Lane, { reach, kind }: { reach: Reach; kind: Destination["kind"] }): boolean {
  return reach === "answered" || (reach === "unwell" && (lane.failures === 0 || kind === "mx"));
}

/** Changes the lane by an attempt's result. `closed` when nothing more may be tried for now; `statements` remember it on disk. */
export function judgeLane(
  lane: Lane,
  attempt: {
    readonly reach: Reach;
    readonly startedAt: number;
    readonly endedAt: number;
    readonly outcome: Outcome | undefined;
    readonly messageId: string;
    readonly kind: Destination["kind"];
  },
  options: { readonly retryMs: readonly number[]; readonly random: () => number },
): { readonly closed: boolean; readonly statements: readonly Statement[] } {
  if (isBack(lane, attempt) || attempt.outcome === undefined) {
    return { closed: false, statements: openLane(lane, attempt.endedAt) };
  }
  if (attempt.reach !== "unreachable" && lane.strikes.add(attempt.messageId).size < STRIKES)
    return { closed: false, statements: [] };
  // Twenty connections that fail together are one failure, not twenty. A judgement from the future was made by a clock that
  // has been set back since: it does not count, or the destination would be tried without a pause until then.
  const judgedMeanwhile = attempt.startedAt < lane.judgedAt && lane.judgedAt <= attempt.endedAt;
  if (lane.failures > 0 && judgedMeanwhile) return { closed: true, statements: [] };
  lane.failures++;
  // What a server was heard to say before counts no more: the next attempt is one alone again.
  lane.probes = noProbes();
  // The next time it greets, several messages may show that it is well, not only the one that failed last.
  if (attempt.kind !== "mx") lane.strikes.clear();
  lane.judgedAt = attempt.endedAt;
  lane.lastFailure = attempt.outcome;
  const wait = probeWaitMs(options.retryMs, lane.failures, { kind: attempt.kind, random: options.random });
  lane.closedUntil = attempt.endedAt + wait;
  const { key, failures, closedUntil: nextProbeAt } = lane;
  return {
    closed: true,
    statements: [rememberUnreachable({ key, failures, nextProbeAt, outcome: attempt.outcome })],
  };
}
