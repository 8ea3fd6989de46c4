// The one sentence that says why, made from what the rules really write.
import { expect, test } from "bun:test";
import {
  explainMessage,
  letInBecause,
  noRuleInWords,
  recipientSummary,
  recipientsNow,
} from "../../src/console/words/explain-message.ts";
import type { Facts } from "../../src/rules/fact.ts";
import { refusedState } from "../../src/store/log-record.ts";
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

/** What a mail server refused while the sender waited: the rules had nothing against it. */
const SERVER_WORDS = "554 5.7.1 we do not like this content";
function cutThrough(): LogMessage {
  const message = judged({});
  const recipients = message.record.recipients.map((one) => ({ ...one, state: "refused" as const }));
  const outcome = {
    n: 0,
    result: "failed",
    code: 554,
    enhanced: "5.7.1",
    text: SERVER_WORDS,
    server: "10.9.0.2 [10.9.0.2]:25",
    tls: null,
  } as const;
  const { id } = message.record;
  const times = { startedAt: 1, endedAt: 2, destination: "routes:example.test" };
  const cause = "refused by 10.9.0.2 [10.9.0.2]:25 while the sender waited";
  return {
    record: { ...message.record, recipients, reply: SERVER_WORDS, cause },
    states: [],
    attempts: [{ id: "a", messageId: id, ...times, outcomes: [outcome] }],
  };
}

test("a refusal of the mail server stands with its words in the head, and the rules were asked before", () => {
  expect(explainMessage(cutThrough()).sentence).toBe(
    `Refused by 10.9.0.2 [10.9.0.2]:25 while the sender waited: “${SERVER_WORDS}”`,
  );
  expect(noRuleInWords(cutThrough())).toStartWith("No rule objected;");
});

/** A transaction that ended before a message was taken. */
function stopped(replies: readonly string[], reply = replies.at(-1) ?? ""): LogMessage {
  const [sample] = sampleMessages();
  if (sample === undefined) throw new Error("there is no sample message");
  const recipients = replies.map((said, n) => ({
    n,
    address: `user${n}@example.test`,
    direction: "inbound" as const,
    grant: null,
    state: refusedState(Number.parseInt(said, 10)),
    verdict: null,
    reply: said,
  }));
  const record = { ...sample.record, recipients, size: 0, reply, cause: null, findings: [] };
  return { record, states: [], attempts: [] };
}

test.each([
  [["450 4.2.0 busy"], "Put off"],
  [["451 4.7.1 later"], "Put off"],
  [["452 4.2.2 full"], "Put off"],
  [["454 4.7.0 no TLS"], "Put off"],
  [["550 5.1.1 unknown"], "Refused"],
  [["552 5.3.4 too big"], "Refused"],
])("%j at RCPT is: %s", (replies, label) => {
  const message = stopped(replies);
  expect(explainMessage(message).sentence).toBe(`${label}: ${replies[0]}.`);
  expect(noRuleInWords(message)).toBe(`${label} in the SMTP dialogue, before any rule was asked`);
});

test("who was put off and who was refused are told apart, each with its own answer", () => {
  const message = stopped(["550 5.1.1 unknown", "451 4.7.1 later"]);
  expect(explainMessage(message).sentence).toBe(
    "Refused for user0@example.test: 550 5.1.1 unknown; put off for user1@example.test: 451 4.7.1 later.",
  );
  expect(recipientSummary(recipientsNow(message))).toBe("2 recipients: 1 refused, 1 put off");
});

test.each([
  ["451 4.3.0 later", "Put off before any recipient was accepted: 451 4.3.0 later."],
  ["550 5.7.1 never", "Refused before any recipient was accepted: 550 5.7.1 never."],
])("MAIL answered %s", (reply, sentence) => {
  expect(explainMessage(stopped([], reply)).sentence).toBe(sentence);
  expect(noRuleInWords(stopped([], reply))).toStartWith(sentence.split(" before")[0] ?? "");
});

test("an unknown recipient of our own domain was let in for that domain; relaying alone is a matter of permission", () => {
  const [recipient] = stopped(["550 5.1.1 unknown"]).record.recipients;
  if (recipient === undefined) throw new Error("there is no recipient");
  expect(letInBecause(recipient)).toBe("example.test is a domain of this gateway.");
  expect(letInBecause({ ...recipient, direction: "outbound" })).toBe("No permission to relay was given.");
});

test("mail of the gateway's own asks no rule", () => {
  const message = judged({});
  const { envelope } = message.record;
  const own = { ...envelope, listener: "", client: { ...envelope.client, ip: "" } };
  expect(noRuleInWords({ ...message, record: { ...message.record, envelope: own } })).toStartWith(
    "Written by the gateway itself",
  );
});
