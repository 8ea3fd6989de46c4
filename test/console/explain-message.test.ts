// The one sentence that says why, made from what the rules really write.
import { expect, test } from "bun:test";
import { explainMessage } from "../../src/console/words/explain-message.ts";
import type { Facts } from "../../src/rules/fact.ts";
import type { LogMessage } from "../../src/store/message-log.ts";
import { address, snapshotOf } from "../policy/policy-fixtures.ts";
import { sampleMessages } from "./sample-mail.ts";

const snapshot = await snapshotOf({ domain: [{ name: "example.test" }] });

/** A message to one of our users as the log keeps it, judged by the shipped rules. */
function judged(facts: Facts): LogMessage {
  const [sample] = sampleMessages();
  const recipient = sample?.record.recipients[0];
  if (sample === undefined || recipient === undefined) throw new Error("there is no sample message");
  const subject = { recipient: address("user@example.test"), reversePath: null, login: null };
  const verdict = snapshot.decide(facts, { ...subject, direction: "inbound" });
  const state = verdict.action === "quarantine" ? "quarantined" : "queued";
  const recipients = [{ ...recipient, verdict, state } as const];
  return { record: { ...sample.record, recipients, cause: null }, states: [], attempts: [] };
}

test("a rule's decision names rule and reason once", () => {
  const { sentence, rules } = explainMessage(judged({ "gtube.found": true }));
  expect(sentence).toBe("Quarantined by rule “spam”: gtube.found is true.");
  expect(rules).toEqual(["spam"]);
});

test("a message nothing objects to waits without a rule", () => {
  expect(explainMessage(judged({})).rules).toEqual([]);
});
