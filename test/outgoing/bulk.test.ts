// Bulk recognition as people would meet it: who writes to people they know is left alone, whoever mails strangers is slowed, held, stopped.
import { expect, test } from "bun:test";
import type { OutgoingParty } from "../../src/policy/snapshot.ts";
import { factsOf } from "../../src/rules/fact.ts";
import { address, CHEAP_HASH } from "../policy/policy-fixtures.ts";
import {
  type Bench,
  benchOf,
  CLEAN,
  DAY,
  HOUR,
  MINUTE,
  messageOf,
  partyOf,
  sendByRules,
  strangers,
} from "./outgoing-kit.ts";

const ALICE = "alice@example.test";
const sender = [{ kind: "user", login: ALICE, domain: "example.test", password_hash: CHEAP_HASH }];

function alice(bench: Bench): OutgoingParty {
  return partyOf(bench, ALICE);
}

/** Sends a message to each; what became of them, counted. */
function each(bench: Bench, recipients: readonly string[], everyMs = 0): Record<string, number> {
  const outcomes: Record<string, number> = {};
  for (const recipient of recipients) {
    const outcome = sendByRules(bench, messageOf(alice(bench), ALICE, [recipient]));
    const key = outcome.slice(0, 40);
    outcomes[key] = (outcomes[key] ?? 0) + 1;
    bench.clock.pass(everyMs);
  }
  return outcomes;
}

function factsFor(bench: Bench, recipients: readonly string[]) {
  return factsOf(bench.outgoing.findings(messageOf(alice(bench), ALICE, recipients)));
}

test("a newcomer with thirty ordinary mails a day is left alone", async () => {
  await using bench = await benchOf({ sender });
  for (let day = 0; day < 5; day++)
    expect(each(bench, strangers(30, `day${day}-`), DAY / 30)).toEqual({ taken: 30 });
});

test("writing to all of one's own people is not bulk", async () => {
  await using bench = await benchOf({ sender });
  const colleagues = Array.from({ length: 1500 }, (_, i) => `colleague${i}@example.test`);
  expect(each(bench, colleagues)).toEqual({ taken: 1500 });
  expect(factsFor(bench, ["late@example.test"])).toMatchObject({
    "bulk.level": 0,
    "bulk.new_recipients_hour": 0,
  });
});

test("transactional mail to people who are known is left alone at any volume", async () => {
  await using bench = await benchOf({ sender });
  const customers = strangers(3000, "customer");
  // They wrote to somebody else of the domain.
  for (const customer of customers)
    bench.outgoing.noteCorrespondent(address(customer), address("shop@example.test"));
  expect(each(bench, customers)).toEqual({ taken: 3000 });
  expect(factsFor(bench, ["customer1@example.net"])).toMatchObject({
    "bulk.level": 0,
    "bulk.reasons": [],
    "bulk.recipients_hour": 3001,
    "bulk.new_recipients_hour": 0,
  });
  // Who wrote to another domain is no correspondent of this one.
  bench.outgoing.noteCorrespondent(address("x@example.net"), address("shop@example.org"));
  bench.outgoing.noteCorrespondent(null, address("shop@example.test"));
  expect(factsFor(bench, ["x@example.net"])["bulk.new_recipients_hour"]).toBe(1);
});

test("correspondents are known after a restart", async () => {
  await using bench = await benchOf({ sender });
  for (const one of strangers(5000, "c"))
    bench.outgoing.noteCorrespondent(address(one), address("shop@example.test"));
  await bench.restart();
  expect(factsFor(bench, strangers(5000, "c"))["bulk.new_recipients_hour"]).toBe(0);
  bench.outgoing.noteCorrespondent(address("late@example.net"), address("shop@example.test"));
  await bench.restart();
  expect(factsFor(bench, ["late@example.net", "C4999@EXAMPLE.net"])["bulk.new_recipients_hour"]).toBe(0);
});

test("a newsletter that always goes to the same list is left alone", async () => {
  await using bench = await benchOf({ sender });
  const list = strangers(5000, "reader");
  // The list grows over weeks.
  for (let day = 0; day < 100; day++) each(bench, list.slice(day * 50, day * 50 + 50), 10 * MINUTE);
  for (let week = 0; week < 3; week++) {
    bench.clock.pass(7 * DAY);
    expect(each(bench, list)).toEqual({ taken: 5000 });
    await bench.restart();
  }
  expect(Number(factsFor(bench, ["reader1@example.net"])["bulk.usual_hour"])).toBeGreaterThan(1000);
});

test("an account that mails strangers is slowed from the hundredth on, with growing waits and an allowance after each", async () => {
  await using bench = await benchOf({ sender });
  expect(each(bench, strangers(99, "a"))).toEqual({ taken: 99 });
  expect(each(bench, ["b0@example.net"])).toEqual({ slowed: 1 });
  for (const [round, words] of [
    "60 seconds",
    "2 minutes",
    "4 minutes",
    "8 minutes",
    "16 minutes",
  ].entries()) {
    const told = sendByRules(bench, messageOf(alice(bench), ALICE, [`x${round}@example.net`]));
    expect(told).toBe(`450 4.7.1 Unusually many new recipients; wait ${words}, then try again`);
    // People who are known are written to meanwhile.
    expect(each(bench, ["a1@example.net"])).toEqual({ taken: 1 });
    bench.clock.pass(2 ** round * MINUTE - 1);
    expect(sendByRules(bench, messageOf(alice(bench), ALICE, ["y@example.net"]))).toStartWith("450 4.7.1 ");
    bench.clock.pass(1);
    expect(factsFor(bench, ["z@example.net"])).toMatchObject({ "bulk.level": 1, "bulk.waited": true });
    expect(each(bench, strangers(21, `after${round}-`))).toEqual({ taken: 20, slowed: 1 });
  }
  // A calm day, and the waits begin anew.
  bench.clock.pass(DAY);
  expect(each(bench, strangers(99, "next"))).toEqual({ taken: 99 });
  expect(each(bench, ["next100@example.net", "next101@example.net"])).toEqual({
    slowed: 1,
    "450 4.7.1 Unusually many new recipients;": 1,
  });
  bench.clock.pass(MINUTE);
  expect(each(bench, ["next100@example.net"])).toEqual({ taken: 1 });
});

test("no wait is longer than an hour", async () => {
  await using bench = await benchOf({ sender });
  const stranger = () => messageOf(alice(bench), ALICE, ["x@example.net"]);
  for (const minutes of [1, 2, 4, 8, 16, 32, 60, 60]) {
    const slowed = stranger();
    expect(bench.outgoing.admitMessage(slowed)).toBeNull();
    bench.outgoing.settle(slowed, { ...CLEAN, kind: "bulk", rule: "bulk-slow", counted: [] });
    bench.clock.pass(minutes * MINUTE - 1);
    expect(bench.outgoing.admitMessage(stranger())?.text).toContain("; wait 1 second, then try again");
    bench.clock.pass(1);
  }
});

test("a wait survives a restart", async () => {
  await using bench = await benchOf({ sender });
  each(bench, strangers(100, "a"));
  await bench.restart();
  expect(each(bench, ["b@example.net"])).toEqual({ "450 4.7.1 Unusually many new recipients;": 1 });
  bench.clock.pass(MINUTE);
  expect(each(bench, ["b@example.net"])).toEqual({ taken: 1 });
});

test("hundreds of strangers in one go are held, a thousand are stopped and the identity is locked", async () => {
  await using bench = await benchOf({ sender });
  expect(sendByRules(bench, messageOf(alice(bench), ALICE, strangers(299, "a")))).toBe("slowed");
  bench.clock.pass(DAY);
  expect(sendByRules(bench, messageOf(alice(bench), ALICE, strangers(300, "a")))).toBe("held");
  // Held mail makes nobody known.
  expect(factsFor(bench, strangers(300, "a"))).toMatchObject({
    "bulk.level": 2,
    "bulk.new_recipients_hour": 600,
  });
  bench.clock.pass(HOUR);
  expect(sendByRules(bench, messageOf(alice(bench), ALICE, strangers(1000, "b")))).toBe("stopped");
  expect(bench.outgoing.locks()).toMatchObject([{ sender: ALICE, identity: ALICE, domain: "example.test" }]);
  expect(sendByRules(bench, messageOf(alice(bench), ALICE, ["a1@example.net"]))).toStartWith(
    "450 4.7.1 This identity is locked",
  );
});

test("mail that is held though its sender hears a refusal counts: more of it is stopped", async () => {
  await using bench = await benchOf({ sender });
  const outcomes: unknown[] = [];
  for (let i = 0; i < 4; i++) {
    const message = messageOf(alice(bench), ALICE, strangers(300, `m${i}-`));
    expect(bench.outgoing.admitMessage(message)).toBeNull();
    outcomes.push(factsOf(bench.outgoing.findings(message))["bulk.level"]);
    bench.outgoing.settle(message, { ...CLEAN, kind: "bulk", rule: "bulk-hold", counted: [] });
  }
  expect(outcomes).toEqual([2, 2, 2, 3]);
  expect((await bench.outgoing.identity({ sender: ALICE, identity: ALICE }))?.recipientsDay).toBe(0);
});

test("asking for the facts of mail that is only thought of leaves no trace", async () => {
  await using bench = await benchOf({ sender });
  expect(factsFor(bench, strangers(500, "a"))["bulk.level"]).toBe(2);
  expect((await bench.outgoing.identities({ limit: 10, offset: 0 })).total).toBe(0);
  expect(await bench.outgoing.identity({ sender: ALICE, identity: ALICE })).toBeNull();
});

test("what the far side says: unknown recipients hold and stop, whatever the number of recipients", async () => {
  await using bench = await benchOf({ sender });
  const mail = (
    recipients: readonly string[],
    outcome: { delivered: number; rejected: number; unknown?: number },
  ) => {
    const message = messageOf(alice(bench), ALICE, recipients);
    expect(bench.outgoing.admitMessage(message)).toBeNull();
    bench.outgoing.settle(message, {
      spam: false,
      lock: false,
      kind: null,
      rule: null,
      words: "",
      counted: message.recipients,
    });
    bench.outgoing.noteOutcome(message.id, outcome);
  };
  mail(strangers(10, "a"), { delivered: 6, rejected: 4, unknown: 4 });
  // Ten recipients are too few to say anything.
  expect(factsFor(bench, ["x@example.net"])).toMatchObject({ "bulk.level": 0, "bulk.unknown_percent": 40 });
  mail(strangers(20, "b"), { delivered: 12, rejected: 8, unknown: 8 });
  expect(factsFor(bench, ["x@example.net"])).toMatchObject({
    "bulk.level": 2,
    "bulk.reasons": ["40 % of the day's 30 recipients do not exist"],
  });
  expect(factsFor(bench, ["a1@example.net"])["bulk.level"]).toBe(0);
  mail(strangers(30, "c"), { delivered: 0, rejected: 30, unknown: 30 });
  expect(factsFor(bench, ["x@example.net"])).toMatchObject({ "bulk.level": 3, "bulk.unknown_percent": 70 });
  // A person has looked into it.
  await bench.outgoing.lock({ sender: ALICE, identity: ALICE }, "admin", "x");
  await bench.outgoing.unlock({ sender: ALICE, identity: ALICE }, "admin");
  expect(factsFor(bench, ["x@example.net"])).toMatchObject({
    "bulk.level": 0,
    "bulk.new_recipients_hour": 1,
  });
  bench.outgoing.noteOutcome("no-such-message", { delivered: 1, rejected: 1 });
  bench.clock.pass(2 * DAY);
  expect(factsFor(bench, ["x@example.net"])).toMatchObject({ "bulk.unknown_percent": 0 });
});

test("a shop that writes to two hundred new customers an hour is slowed at first, then has its ways", async () => {
  await using bench = await benchOf({ sender });
  const slowedOn: number[] = [];
  for (let day = 0; day < 14; day++) {
    for (let hour = 0; hour < 8; hour++) {
      const outcomes = each(bench, strangers(200, `d${day}h${hour}-`), HOUR / 200);
      if (outcomes.taken !== 200) slowedOn.push(day);
    }
    bench.clock.pass(16 * HOUR);
  }
  expect(slowedOn[0]).toBe(0);
  expect(Math.max(...slowedOn)).toBeLessThan(10);
  // Hacked, it is recognised all the same.
  expect(each(bench, strangers(1200, "spam"), 10)).toMatchObject({ slowed: 1 });
});

test("mail without an identity is judged as that of one nobody", async () => {
  await using bench = await benchOf({ sender });
  const facts = factsOf(bench.outgoing.findings(messageOf(alice(bench), null)));
  expect(facts).toMatchObject({ "identity.found": false, "identity.sender": ALICE, "bulk.level": 0 });
  expect(facts["identity.name"]).toBeUndefined();
});
