// What outgoing control is told of a judged message, and what its answer makes of the verdicts.
import { describe, expect, test } from "bun:test";
import type { StoppedMessage } from "../../src/notify/outgoing-notices.ts";
import { systemClock } from "../../src/observe/clock.ts";
import type { OutgoingResult } from "../../src/outgoing/outgoing.ts";
import { reply } from "../../src/policy/reply.ts";
import type { Facts } from "../../src/rules/fact.ts";
import type { Verdict } from "../../src/rules/verdict.ts";
import { combineVerdicts } from "../../src/session/combine-verdicts.ts";
import { answeredAsSet, identifySent, settleSent, tellStopped } from "../../src/session/outgoing-message.ts";
import { newSession, newTransaction } from "../../src/session/session.ts";
import { createTrialOutgoing } from "../listener/trial-outgoing.ts";
import { address, CHEAP_HASH, client, snapshotOf } from "../policy/policy-fixtures.ts";

const snapshot = await snapshotOf({
  listener: [{ name: "s", listen: "127.0.0.1:2525", auth: "required", relay: ["authenticated"] }],
  domain: [{ name: "example.test" }],
  sender: [
    { login: "alice@example.test", domain: "example.test", password_hash: CHEAP_HASH },
    {
      login: "quiet@example.test",
      domain: "example.test",
      password_hash: CHEAP_HASH,
      quarantine_response: "accepted",
    },
  ],
  rule: [{ name: "coded", when: "client.tls", action: "quarantine", code: 550, reply: "Ours" }],
});

function verdict(action: Verdict["action"], more: Partial<Verdict> = {}): Verdict {
  const code = action === "reject" ? 550 : action === "tempfail" ? 451 : 250;
  return {
    action,
    rule: action === "accept" ? null : "own",
    words: `${action} it`,
    replyCode: code,
    replyText: "Rule text",
    edits: [],
    redirectTo: null,
    copyTo: [],
    outcomes: [],
    ...more,
  };
}

/** What is told when the rules say this of a message to as many recipients. */
function told(
  verdicts: readonly Verdict[],
  options: { readonly facts?: Facts; readonly locks?: boolean; readonly login?: string } = {},
) {
  const listener = snapshot.listener("s");
  if (listener === null) throw new Error("no listener");
  const login = options.login ?? "alice@example.test";
  const session = newSession(listener, client({ login }));
  const party = snapshot.outgoingParty(listener, session.client);
  if (party === null) throw new Error("nobody");
  const services = { clock: systemClock } as Parameters<typeof newTransaction>[1];
  const transaction = newTransaction(
    {
      snapshot,
      party,
      reversePath: address(login),
      writer: login,
      smtpUtf8: false,
      body: "7bit",
      requireTls: false,
      dsnRet: null,
      dsnEnvid: null,
      declaredBytes: 0,
    },
    services,
  );
  verdicts.forEach((_, n) => {
    const grant = { by: "authenticated-sender", sender: login } as const;
    transaction.recipients.push({
      address: address(`r${n}@elsewhere.example.org`),
      dsn: null,
      direction: "outbound",
      grant,
    });
  });
  const results: OutgoingResult[] = [];
  const stopped: StoppedMessage[] = [];
  const outgoing = {
    ...createTrialOutgoing().outgoing,
    settle: (_: unknown, result: OutgoingResult) => {
      results.push(result);
      return options.locks === true ? reply(450, "7.1", "locked") : null;
    },
  };
  const header = Buffer.from(`From: ${login}\r\nX: ${"y".repeat(70_000)}\r\n\r\n`);
  const sent = identifySent(session, { transaction, party, header }, { outgoing });
  const answered = answeredAsSet(verdicts, party, snapshot);
  const judged = {
    sent,
    verdicts: answered,
    combined: combineVerdicts(answered),
    facts: options.facts ?? {},
  };
  const combined = settleSent(judged, { outgoing });
  tellStopped(
    { ...judged, combined },
    { transaction, clientIp: session.client.ip },
    { clock: systemClock, onStopped: (message) => stopped.push(message) },
  );
  const [result] = results;
  if (result === undefined) throw new Error("not settled");
  return { answered, combined, result, stopped };
}

const spam = { spam: true } as const;

describe("kinds", () => {
  const cases: readonly (readonly [string, Verdict, Facts, StoppedMessage["kind"]])[] = [
    ["spam by a rule that counts it", verdict("quarantine", spam), {}, "spam"],
    ["what only is unwanted", verdict("quarantine"), {}, null],
    ["the virus rule", verdict("quarantine", { rule: "virus", ...spam }), { "clamd.found": true }, "virus"],
    ["a virus stopped by another rule", verdict("reject"), { "eicar.found": true }, "virus"],
    ["a virus of any engine", verdict("reject"), { "icap.found": true }, "virus"],
    ["the test line of spam is none", verdict("quarantine", spam), { "gtube.found": true }, "spam"],
    ["a program", verdict("quarantine", { kind: "program", ...spam }), {}, "program"],
    ["a program with a virus", verdict("quarantine", { kind: "program" }), { "avscan.found": true }, "virus"],
    ["bulk", verdict("quarantine", { rule: "bulk-lock", kind: "bulk", ...spam }), {}, "bulk"],
    [
      "bulk that has a virus",
      verdict("quarantine", { rule: "bulk-hold", kind: "bulk" }),
      { "clamd.found": true },
      "bulk",
    ],
  ];
  test.each(cases)("%s", (_, one, facts, kind) => {
    const { result, stopped } = told([one], { facts });
    expect(result.kind).toBe(kind);
    expect(stopped.map((message) => message.kind)).toEqual([kind]);
    expect(stopped[0]?.quarantined).toBe(one.action === "quarantine");
    expect(stopped[0]?.header.length).toBe(65_536);
  });
});

test("what is put off is counted for nothing and told to nobody", () => {
  const { result, stopped, combined } = told([
    verdict("tempfail", { rule: "bulk-slow", kind: "bulk" }),
    verdict("quarantine", { ...spam, lock: true }),
  ]);
  expect(result).toMatchObject({ spam: false, lock: false, kind: "bulk", rule: "bulk-slow", counted: [] });
  expect(stopped).toEqual([]);
  expect(combined.refusal?.code).toBe(451);
});

test("recipients count when the message is taken", () => {
  const some = told([verdict("accept"), verdict("reject"), verdict("discard"), verdict("quarantine", spam)]);
  expect(some.result.counted.map(String)).toEqual([
    "r0@elsewhere.example.org",
    "r1@elsewhere.example.org",
    "r3@elsewhere.example.org",
  ]);
  expect(some.result).toMatchObject({ spam: true, lock: false, kind: "spam" });
  expect(some.stopped[0]).toMatchObject({
    recipients: ["r1@elsewhere.example.org", "r3@elsewhere.example.org"],
    sender: "alice@example.test",
    identity: "alice@example.test",
    domain: "example.test",
    reversePath: "alice@example.test",
    clientIp: "198.51.100.9",
  });
  expect(told([verdict("quarantine", spam)]).result.counted).toEqual([]);
  expect(told([verdict("quarantine", spam)], { login: "quiet@example.test" }).result.counted).toHaveLength(1);
  expect(told([verdict("accept")])).toMatchObject({
    stopped: [],
    result: { spam: false, kind: null, rule: null, words: "" },
  });
});

test("a lock the message brought is the answer; nothing of it is delivered, what was stopped is kept", () => {
  const { combined } = told(
    [verdict("accept"), verdict("quarantine", spam), verdict("reject"), verdict("discard")],
    {
      locks: true,
    },
  );
  expect(combined).toEqual({
    refusal: reply(450, "7.1", "locked"),
    keep: true,
    fates: ["refused", "quarantine", "quarantine", "refused"],
  });
  expect(told([verdict("reject", spam)], { locks: true }).combined).toMatchObject({
    keep: false,
    fates: ["refused"],
  });
});

test("the quarantine is answered as the sender is set, but for a code of the rule's own", () => {
  const code = (one: Verdict, login: string) => {
    const [answered] = told([one], { login }).answered;
    return `${answered?.replyCode} ${answered?.replyText}`;
  };
  const kept = verdict("quarantine");
  const refusing = verdict("quarantine", { replyCode: 554, replyText: "It is spam" });
  const coded = verdict("quarantine", { rule: "coded", replyCode: 550, replyText: "Ours" });
  expect(code(kept, "alice@example.test")).toBe("550 Message refused: it is held in quarantine");
  expect(code(refusing, "alice@example.test")).toBe("554 It is spam");
  expect(code(kept, "quiet@example.test")).toBe("250 Message accepted");
  expect(code(refusing, "quiet@example.test")).toBe("250 Message accepted");
  expect(code(coded, "quiet@example.test")).toBe("550 Ours");
  expect(code(verdict("reject"), "quiet@example.test")).toBe("550 Rule text");
});
