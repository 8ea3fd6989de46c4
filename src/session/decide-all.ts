// Asks the policy for each recipient's verdict, without stalling other sessions however many there are.
import type { DecisionSubject, PolicySnapshot } from "../policy/snapshot.ts";
import { type Finding, factsOf } from "../rules/fact.ts";
import type { Verdict } from "../rules/verdict.ts";
import type { Session, Transaction } from "./session.ts";

/** Decisions between two pauses: others get their turn. */
const BATCH = 200;

/** What the policy is asked for each recipient, in their order. */
export function decisionSubjects(session: Session, transaction: Transaction): readonly DecisionSubject[] {
  const { login, ip } = session.client;
  const { reversePath, party } = transaction;
  return transaction.recipients.map(({ address, direction }) => ({
    recipient: address,
    direction,
    reversePath,
    login,
    clientIp: ip,
    party,
  }));
}

/** One verdict per subject, in their order. */
export async function decideAll(
  snapshot: PolicySnapshot,
  subjects: readonly DecisionSubject[],
  findings: readonly Finding[],
): Promise<readonly Verdict[]> {
  const facts = factsOf(findings);
  const verdicts: Verdict[] = [];
  for (const subject of subjects) {
    verdicts.push(snapshot.decide(facts, subject));
    if (verdicts.length % BATCH === 0) await new Promise<void>((resolve) => setImmediate(resolve));
  }
  return verdicts;
}
