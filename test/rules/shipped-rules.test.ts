// Every shipped rule, both ways, in each direction it speaks of.
import { describe, expect, test } from "bun:test";
import type { Direction } from "../../src/message/envelope.ts";
import type { PolicySnapshot } from "../../src/policy/snapshot.ts";
import { factsNamed } from "../../src/rules/evaluate.ts";
import type { Facts } from "../../src/rules/fact.ts";
import { knownFact } from "../../src/rules/known-facts.ts";
import { DEFAULT_RULES, rulesOfShipped, SHIPPED_RULES } from "../../src/rules/shipped-rules.ts";
import type { Verdict } from "../../src/rules/verdict.ts";
import { address, CHEAP_HASH, snapshotOf } from "../policy/policy-fixtures.ts";

function policy(rules: readonly string[] | null): Promise<PolicySnapshot> {
  return snapshotOf({
    domain: [{ name: "example.test", rules }],
    sender: [{ login: "alice@example.test", domain: "example.test", password_hash: CHEAP_HASH }],
  });
}

const byDefault = await policy(null);
const everything = await policy(SHIPPED_RULES.map((rule) => rule.name));

function judge(snapshot: PolicySnapshot, direction: Direction, facts: Facts): Verdict {
  return snapshot.decide(facts, {
    recipient: address(direction === "outbound" ? "x@elsewhere.example.org" : "user@example.test"),
    direction,
    reversePath: address("alice@example.test"),
    login: direction === "inbound" ? null : "alice@example.test",
  });
}

const PROVEN: Facts = {
  "spf.result": "pass",
  "spf.aligned": true,
  "dkim.result": "pass",
  "dkim.aligned": true,
  "dmarc.result": "pass",
  "dmarc.policy": "none",
};

test("the default set", () => {
  expect([...DEFAULT_RULES].sort()).toEqual([
    "bulk-hold",
    "bulk-lock",
    "bulk-slow",
    "dangerous-attachments",
    "dmarc",
    "spam",
    "virus",
  ]);
});

test("every condition names known facts, and each part can be asked", () => {
  for (const shipped of SHIPPED_RULES) {
    for (const rule of rulesOfShipped(shipped, { note_header: "X-Gatepost", subject_warnings: true })) {
      for (const fact of factsNamed(rule.condition)) expect(knownFact(fact)?.name).toBe(fact);
    }
  }
});

describe("decisions", () => {
  type Row = readonly [Direction, Facts, Verdict["action"], string | null, number];
  const rows: readonly Row[] = [
    ["inbound", {}, "accept", null, 250],
    ["inbound", { "scan.failed": true }, "tempfail", "check-failed", 451],
    ["outbound", { "scan.failed": true }, "tempfail", "check-failed", 451],
    ["internal", { "scan.failed": true }, "tempfail", "check-failed", 451],
    ["inbound", { "scan.failed": false }, "accept", null, 250],
    ["inbound", { "eicar.found": true }, "quarantine", "virus", 550],
    ["outbound", { "eicar.found": true }, "quarantine", "virus", 550],
    ["internal", { "clamd.found": true, "clamd.signature": "Win.Test.EICAR" }, "quarantine", "virus", 550],
    ["inbound", { "eicar.found": false, "clamd.found": false }, "accept", null, 250],
    ["inbound", { "gtube.found": true }, "quarantine", "spam", 250],
    ["internal", { "gtube.found": true }, "quarantine", "spam", 250],
    ["outbound", { "gtube.found": true }, "quarantine", "spam", 550],
    ["outbound", { "gtube.found": false }, "accept", null, 250],
    ["inbound", { "dmarc.result": "fail", "dmarc.policy": "reject" }, "reject", "dmarc", 550],
    ["inbound", { "dmarc.result": "fail", "dmarc.policy": "quarantine" }, "quarantine", "dmarc", 250],
    ["inbound", { "dmarc.result": "fail", "dmarc.policy": "none" }, "accept", null, 250],
    ["inbound", { "dmarc.result": "temperror", "dmarc.policy": "reject" }, "accept", null, 250],
    [
      "inbound",
      { "dmarc.result": "temperror", "dmarc.policy": "reject", "dmarc.undecided": true },
      "tempfail",
      "dmarc",
      451,
    ],
    [
      "inbound",
      { "dmarc.result": "temperror", "dmarc.policy": "unknown", "dmarc.undecided": true },
      "tempfail",
      "dmarc",
      451,
    ],
    ["outbound", { "dmarc.result": "temperror", "dmarc.undecided": true }, "accept", null, 250],
    ["inbound", { "dmarc.result": "pass", "dmarc.policy": "reject" }, "accept", null, 250],
    ["internal", { "dmarc.result": "fail", "dmarc.policy": "reject" }, "accept", null, 250],
    ["outbound", { "dmarc.result": "fail", "dmarc.policy": "reject" }, "accept", null, 250],
    ["inbound", { "attachments.dangerous": ["a.exe"] }, "quarantine", "dangerous-attachments", 250],
    ["outbound", { "attachments.dangerous": ["a.exe"] }, "quarantine", "dangerous-attachments", 550],
    ["inbound", { "attachments.dangerous": [] }, "accept", null, 250],
    ["outbound", { "bulk.level": 0 }, "accept", null, 250],
    ["outbound", { "bulk.level": 1, "bulk.waited": false }, "tempfail", "bulk-slow", 450],
    ["outbound", { "bulk.level": 1, "bulk.waited": true }, "accept", null, 250],
    ["outbound", { "bulk.level": 2, "bulk.waited": true }, "quarantine", "bulk-hold", 250],
    ["internal", { "bulk.level": 2 }, "quarantine", "bulk-hold", 250],
    ["outbound", { "bulk.level": 3 }, "quarantine", "bulk-lock", 550],
    ["inbound", { "bulk.level": 3 }, "accept", null, 250],
    ["outbound", { "bulk.level": 3, "eicar.found": true }, "quarantine", "virus", 550],
    ["outbound", { "bulk.level": 1, "gtube.found": true }, "quarantine", "spam", 550],
    // Only where a sender's `block` or a domain names them.
    ["outbound", { "attachments.macros": ["a.docm"] }, "accept", null, 250],
    ["outbound", { "domain_age.known": true, "domain_age.days": 0 }, "accept", null, 250],
    ["inbound", { "structure.ambiguous": ["two From lines"] }, "accept", null, 250],
    ["inbound", { "scan.failed": true, "eicar.found": true }, "tempfail", "check-failed", 451],
  ];
  test.each(rows.map(([direction, facts, action, rule, code]) => ({ direction, facts, action, rule, code })))(
    "$direction $facts → $action by $rule",
    ({ direction, facts, action, rule, code }) => {
      expect(judge(byDefault, direction, facts)).toMatchObject({ action, rule, replyCode: code });
    },
  );

  test("words", () => {
    expect(judge(byDefault, "inbound", { "gtube.found": true }).words).toBe(
      "Quarantined by rule spam: gtube.found is true",
    );
    expect(judge(byDefault, "inbound", { "clamd.found": true, "clamd.signature": "Eicar" }).words).toBe(
      "Quarantined by rule virus: clamd.found is true (clamd.signature: Eicar)",
    );
  });

  test("ambiguous-structure only observes, even where it is named", () => {
    const verdict = judge(everything, "inbound", { ...PROVEN, "structure.ambiguous": ["two From lines"] });
    expect(verdict.action).toBe("accept");
    expect(verdict.outcomes).toMatchObject([
      { rule: "ambiguous-structure", mode: "observe", applied: false },
    ]);
  });

  test("a domain that names no rules at all still has check-failed", async () => {
    const none = await policy([]);
    expect(judge(none, "inbound", { "eicar.found": true }).action).toBe("accept");
    expect(judge(none, "inbound", { "scan.failed": true }).rule).toBe("check-failed");
    expect(
      none.wantedFacts([
        { recipient: address("user@example.test"), direction: "inbound", reversePath: null, login: null },
      ]).size,
    ).toBe(0);
  });
});

describe("authenticated-senders-only (I8)", async () => {
  const only = await policy(["authenticated-senders-only"]);
  const rows: readonly (readonly [Facts, string])[] = [
    [PROVEN, "accept"],
    [{ ...PROVEN, "dkim.result": "none", "dkim.aligned": false }, "accept"],
    [{ ...PROVEN, "spf.result": "fail", "spf.aligned": false }, "accept"],
    [{ ...PROVEN, "spf.aligned": false, "dkim.aligned": false }, "reject"],
    [{ "spf.result": "fail", "dkim.result": "none" }, "reject"],
    [{ "spf.result": "fail", "spf.aligned": true, "dkim.result": "fail", "dkim.aligned": true }, "reject"],
    // What is missing counts when it could prove From, not when it is a stranger's.
    [{ "spf.result": "temperror", "spf.undecided": true, "dkim.result": "none" }, "tempfail"],
    [{ "spf.result": "fail", "dkim.result": "temperror", "dkim.undecided": true }, "tempfail"],
    [{ "spf.result": "fail", "dkim.result": "pass", "dkim.undecided": true }, "tempfail"],
    [{ "spf.result": "temperror", "spf.undecided": false, "dkim.result": "none" }, "reject"],
    [{ "spf.result": "fail", "dkim.result": "temperror", "dkim.undecided": false }, "reject"],
    [{ ...PROVEN, "dkim.result": "temperror", "dkim.undecided": true }, "accept"],
    [{}, "reject"],
  ];
  test.each(rows.map(([facts, action]) => ({ facts, action })))("$facts → $action", ({ facts, action }) => {
    expect(judge(only, "inbound", facts)).toMatchObject({ action });
    expect(judge(only, "internal", facts)).toMatchObject({ action: "accept" });
  });
});

describe("changed by a [[rule]], what waits for an answer still waits", () => {
  const UNKNOWN: Facts = {
    "spf.result": "temperror",
    "spf.undecided": true,
    "dkim.result": "none",
    "dmarc.result": "temperror",
    "dmarc.policy": "reject",
    "dmarc.undecided": true,
  };
  const FAILED: Facts = {
    "spf.result": "fail",
    "dkim.result": "none",
    "dmarc.result": "fail",
    "dmarc.policy": "reject",
  };
  const rows = [
    ["authenticated-senders-only", { action: "discard" }, "tempfail", "discard", 250],
    ["authenticated-senders-only", { action: "quarantine" }, "tempfail", "quarantine", 250],
    ["authenticated-senders-only", { reply: "No." }, "tempfail", "reject", 550],
    ["authenticated-senders-only", { code: 554 }, "tempfail", "reject", 554],
    ["dmarc", { action: "quarantine" }, "tempfail", "quarantine", 250],
    ["dmarc", { action: "reject", code: 554, reply: "No." }, "tempfail", "reject", 554],
    ["dmarc", { action: "accept" }, "accept", "accept", 250],
    ["dmarc", { mode: "observe" }, "accept", "accept", 250],
  ] as const;
  test.each(rows)("%s with %p", async (name, change, unknown, failed, code) => {
    const changed = await snapshotOf({
      domain: [{ name: "example.test", rules: [name] }],
      rule: [{ name, ...change }],
    });
    const waiting = judge(changed, "inbound", UNKNOWN);
    expect(waiting.action).toBe(unknown);
    if (unknown === "tempfail") {
      expect(waiting).toMatchObject({
        replyCode: 451,
        replyText: expect.stringContaining("try again later"),
      });
    }
    expect(judge(changed, "inbound", FAILED)).toMatchObject({ action: failed, replyCode: code });
  });
});

describe("subject-marks (I6)", () => {
  const pass = {
    spf: "pass",
    spfAligned: true,
    spfDiffers: false,
    dkim: "pass",
    dkimAligned: true,
    dmarc: "pass",
  };
  type Row = readonly [Partial<typeof pass>, { prefix: string; suffix?: string } | null, string | null];
  const rows: readonly Row[] = [
    [{}, null, null],
    [{ spf: "none" }, { prefix: "!! " }, ":: spf-none ::"],
    [{ spf: "softfail" }, { prefix: "!! " }, ":: spf-softfail ::"],
    [{ spf: "fail" }, { prefix: "!! " }, ":: spf-fail ::"],
    [{ spf: "permerror" }, { prefix: "!! " }, ":: spf-permerror ::"],
    [{ spf: "neutral" }, null, null],
    [{ dkim: "none", dkimAligned: false }, { prefix: "!! " }, ":: dkim-none ::"],
    [{ dkim: "fail", dkimAligned: false }, { prefix: "!! " }, ":: dkim-fail ::"],
    [{ dkim: "invalid", dkimAligned: false }, { prefix: "!! " }, ":: dkim-invalid ::"],
    [{ dkim: "permerror", dkimAligned: false }, { prefix: "!! " }, ":: dkim-invalid ::"],
    [{ dkim: "policy", dkimAligned: false }, { prefix: "!! " }, ":: dkim-invalid ::"],
    [{ dkim: "temperror", dkimAligned: false }, { prefix: "!! " }, ":: dkim-temperror ::"],
    [{ spfAligned: false }, { prefix: "~ " }, "~ | spf=pass (domain NOT aligned) | dkim=pass | ~"],
    [{ dkimAligned: false }, { prefix: "~ " }, "~ | spf=pass | dkim=pass (domain NOT aligned) | ~"],
    [
      { spfAligned: false, dkimAligned: false },
      { prefix: "!! :: spf-diff :: :: dkim-diff :: " },
      ":: spf-diff :: :: dkim-diff ::",
    ],
    [{ spf: "none", spfDiffers: true }, { prefix: "!! " }, ":: spf-none :: :: spf-diff ::"],
    [{ spf: "fail", spfDiffers: true }, { prefix: "!! " }, ":: spf-fail :: :: spf-diff ::"],
    [{ spf: "neutral", spfDiffers: true }, { prefix: "!! " }, ":: spf-diff ::"],
    [
      { spfAligned: false, spfDiffers: true },
      { prefix: "~ " },
      "~ | spf=pass (domain NOT aligned) | dkim=pass | ~",
    ],
    [
      { spf: "softfail", spfDiffers: true, dkimAligned: false, dmarc: "none" },
      { prefix: "!! :: spf-diff :: :: dkim-diff :: " },
      ":: spf-softfail :: :: spf-diff :: :: dkim-diff ::",
    ],
    [
      { spfAligned: false, dkim: "none", dkimAligned: false },
      { prefix: "!! " },
      ":: spf-diff :: :: dkim-none ::",
    ],
    [{ spf: "none", dkimAligned: false }, { prefix: "!! " }, ":: spf-none :: :: dkim-diff ::"],
    [
      { spf: "fail", dkim: "none", dkimAligned: false, dmarc: "fail" },
      { prefix: "[ SPAM ] !! ", suffix: " [ SPAM ]" },
      ":: spf-fail :: :: dkim-none ::",
    ],
    [
      { spf: "fail", dkim: "fail", dkimAligned: false, dmarc: "none" },
      { prefix: "[suspicious] !! " },
      ":: spf-fail :: :: dkim-fail ::",
    ],
    [
      { spf: "none", dkim: "none", dkimAligned: false, dmarc: "none" },
      { prefix: "!! " },
      ":: spf-none :: :: dkim-none ::",
    ],
    [
      { spfAligned: false, dkimAligned: false, dmarc: "fail" },
      { prefix: "[ SPAM ] !! :: spf-diff :: :: dkim-diff :: ", suffix: " [ SPAM ]" },
      ":: spf-diff :: :: dkim-diff ::",
    ],
  ];
  test.each(rows.map(([given, subject, note]) => ({ given, subject, note })))(
    "$given → $note",
    ({ given, subject, note }) => {
      const got = { ...pass, ...given };
      const facts: Facts = {
        "spf.result": got.spf,
        "spf.aligned": got.spfAligned,
        "spf.differs": got.spfDiffers,
        "dkim.result": got.dkim,
        "dkim.aligned": got.dkimAligned,
        "dmarc.result": got.dmarc,
        "dmarc.policy": got.dmarc === "none" ? "absent" : "none",
      };
      const verdict = judge(everythingButStrict, "inbound", facts);
      expect(verdict.action).toBe("accept");
      expect(verdict.edits.find((edit) => edit.kind === "subject") ?? null).toEqual(
        subject === null ? null : { kind: "subject", suffix: "", ...subject },
      );
      expect(verdict.edits.find((edit) => edit.kind === "add") ?? null).toEqual(
        note === null ? null : { kind: "add", name: "X-Gatepost", value: note },
      );
      expect(verdict.edits.length).toBe((subject === null ? 0 : 1) + (note === null ? 0 : 1));
      expect(judge(everythingButStrict, "internal", facts).edits).toEqual([]);
      expect(judge(everythingButStrict, "outbound", facts).edits).toEqual([]);
    },
  );

  test("warnings in the subject can be left out", async () => {
    const snapshot = await snapshotOf({
      domain: [{ name: "example.test", rules: ["subject-marks"] }],
      settings: { subject_warnings: false },
    });
    const facts: Facts = { "spf.result": "pass", "dkim.result": "pass", "spf.differs": true };
    expect(judge(snapshot, "inbound", facts).edits).toEqual([
      { kind: "subject", prefix: "!! ", suffix: "" },
      { kind: "add", name: "X-Gatepost", value: ":: spf-diff :: :: dkim-diff ::" },
    ]);
  });

  test.each(["off", "observe", "enforce"])(
    "a scope by address with mode %s leaves other addresses as they are",
    async (mode) => {
      const rule = { name: "subject-marks", mode, scope: { addresses: ["lab@example.test"] } };
      const facts: Facts = { "spf.result": "none" };
      const named = await snapshotOf({
        domain: [{ name: "example.test", rules: ["subject-marks"] }],
        rule: [rule],
      });
      expect(judge(named, "inbound", facts).edits).toHaveLength(2);
      const unnamed = await snapshotOf({ domain: [{ name: "example.test", rules: [] }], rule: [rule] });
      expect(judge(unnamed, "inbound", facts).edits).toHaveLength(0);
    },
  );

  test("the note header is configurable", async () => {
    const snapshot = await snapshotOf({
      domain: [{ name: "example.test", rules: ["subject-marks"] }],
      settings: { note_header: "X-Ours" },
    });
    expect(judge(snapshot, "inbound", { "spf.result": "none" }).edits).toContainEqual({
      kind: "add",
      name: "X-Ours",
      value: ":: spf-none ::",
    });
  });
});

const everythingButStrict = await policy(
  SHIPPED_RULES.map((rule) => rule.name).filter((name) => name !== "authenticated-senders-only"),
);
