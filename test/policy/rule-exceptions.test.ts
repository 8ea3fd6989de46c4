// A shipped rule that is switched off or changed for some stays as it is for all others; senders can be excepted; bulk is held by
// whatever rule of it is in force (O12).
import { describe, expect, test } from "bun:test";
import { crossCheck } from "../../src/policy/cross-check.ts";
import type { PolicySnapshot } from "../../src/policy/snapshot.ts";
import { address, CHEAP_HASH, policyFrom, snapshotOf } from "./policy-fixtures.ts";

const user = (login: string, more: object = {}) => ({
  login,
  domain: login.slice(login.indexOf("@") + 1),
  password_hash: CHEAP_HASH,
  ...more,
});

const SENDERS = {
  domain: [{ name: "a.test" }, { name: "b.test" }],
  sender: [
    user("news@a.test", { except_rules: ["bulk-lock", "bulk-hold", "bulk-slow"] }),
    user("ann@a.test"),
    user("bob@b.test"),
  ],
};

type Facts = Parameters<PolicySnapshot["decide"]>[0];

function outcome(on: PolicySnapshot, login: string, facts: Facts, to = "x@elsewhere.example"): string {
  const subject = {
    recipient: address(to),
    direction: "outbound",
    reversePath: address(login),
    login,
  } as const;
  const verdict = on.decide(facts, subject);
  return `${verdict.action} ${verdict.rule}`;
}

const level = (of: number): Facts => ({ "bulk.level": of, "bulk.waited": false });

describe("bulk", () => {
  const cases: readonly (readonly [string, readonly object[], number, string])[] = [
    ["as shipped", [], 3, "quarantine bulk-lock"],
    ["as shipped", [], 2, "quarantine bulk-hold"],
    ["as shipped", [], 1, "tempfail bulk-slow"],
    ["lock off", [{ name: "bulk-lock", mode: "off" }], 3, "quarantine bulk-hold"],
    ["lock observes", [{ name: "bulk-lock", mode: "observe" }], 3, "quarantine bulk-hold"],
    [
      "lock and hold off",
      [
        { name: "bulk-lock", mode: "off" },
        { name: "bulk-hold", mode: "off" },
      ],
      3,
      "quarantine bulk-beyond-doubt",
    ],
    [
      "lock and hold off",
      [
        { name: "bulk-lock", mode: "off" },
        { name: "bulk-hold", mode: "off" },
      ],
      2,
      "tempfail bulk-slow",
    ],
    [
      "all off",
      ["bulk-lock", "bulk-hold", "bulk-slow"].map((name) => ({ name, mode: "off" })),
      3,
      "quarantine bulk-beyond-doubt",
    ],
    [
      "all off",
      ["bulk-lock", "bulk-hold", "bulk-slow"].map((name) => ({ name, mode: "off" })),
      2,
      "accept null",
    ],
    [
      "lock observes, the others are off",
      [
        { name: "bulk-lock", mode: "observe" },
        { name: "bulk-hold", mode: "off" },
        { name: "bulk-slow", mode: "off" },
      ],
      3,
      "quarantine bulk-beyond-doubt",
    ],
    [
      "off for the domain",
      ["bulk-lock", "bulk-hold"].map((name) => ({ name, mode: "off", scope: { domains: ["a.test"] } })),
      3,
      "quarantine bulk-beyond-doubt",
    ],
    [
      "off for the sender by name",
      ["bulk-lock", "bulk-hold"].map((name) => ({ name, mode: "off", scope: { senders: ["ann@a.test"] } })),
      3,
      "tempfail bulk-slow",
    ],
    [
      "off for another sender",
      ["bulk-lock", "bulk-hold"].map((name) => ({ name, mode: "off", scope: { senders: ["bob@b.test"] } })),
      3,
      "quarantine bulk-lock",
    ],
    [
      "all off, and itself",
      ["bulk-lock", "bulk-hold", "bulk-slow", "bulk-beyond-doubt"].map((name) => ({ name, mode: "off" })),
      3,
      "accept null",
    ],
    ["hold observes", [{ name: "bulk-hold", mode: "observe" }], 2, "tempfail bulk-slow"],
  ];
  test.each(cases)("%s, level %#", async (_, rule, of, wanted) => {
    expect(outcome(await snapshotOf({ ...SENDERS, rule }), "ann@a.test", level(of))).toBe(wanted);
  });

  test("a domain that names its rules without those of bulk still has bulk beyond doubt held", async () => {
    const domain = [{ name: "a.test", rules: ["virus"] }, { name: "b.test" }];
    const on = await snapshotOf({ ...SENDERS, domain });
    expect(outcome(on, "ann@a.test", level(3))).toBe("quarantine bulk-beyond-doubt");
    expect(outcome(on, "ann@a.test", level(2))).toBe("accept null");
    expect(outcome(on, "news@a.test", level(3))).toBe("accept null");
  });

  test.each([
    [["bulk-lock"], "quarantine bulk-hold"],
    [["bulk-hold"], "quarantine bulk-lock"],
    [["bulk-slow"], "quarantine bulk-lock"],
    [["bulk-lock", "bulk-hold"], "tempfail bulk-slow"],
  ])("excepted from %j", async (except_rules, wanted) => {
    const on = await snapshotOf({ ...SENDERS, sender: [user("news@a.test", { except_rules })] });
    expect(outcome(on, "news@a.test", level(3))).toBe(wanted);
  });

  test("a sender can be excepted, and only that one", async () => {
    const on = await snapshotOf(SENDERS);
    for (const of of [1, 2, 3]) expect(outcome(on, "news@a.test", level(of))).toBe("accept null");
    expect(outcome(on, "ann@a.test", level(3))).toBe("quarantine bulk-lock");
    expect(outcome(on, "news@a.test", { "eicar.found": true })).toBe("quarantine virus");
  });

  test("what the domain's log-in is excepted from holds for nobody of the domain", async () => {
    const sender = [
      ...SENDERS.sender,
      { kind: "domain", domain: "b.test", except_rules: ["bulk-lock", "bulk-hold", "bulk-slow"] },
    ];
    const on = await snapshotOf({ ...SENDERS, sender });
    expect(outcome(on, "bob@b.test", level(3))).toBe("accept null");
    expect(outcome(on, "ann@a.test", level(3))).toBe("quarantine bulk-lock");
  });

  test("nobody is excepted from what always holds, or from a rule there is not", async () => {
    const wrong = (except_rules: readonly string[]) =>
      policyFrom({ ...SENDERS, sender: [user("ann@a.test", { except_rules })] });
    expect(wrong(["bulk-beyond-doubt"])).rejects.toThrow("holds for everybody");
    expect(wrong(["check-failed"])).rejects.toThrow("holds for everybody");
    expect(wrong(["bulk-lok"])).rejects.toThrow("there is no rule");
  });
});

test("what lets bulk beyond doubt pass is said as a warning", async () => {
  const warned = async (change: object) => {
    const policy = await policyFrom({ ...SENDERS, ...change });
    return crossCheck(policy, new Map()).warnings.filter((words) => words.includes("bulk"));
  };
  const sender = (...except_rules: string[]) => ({ sender: [user("news@a.test", { except_rules })] });
  expect(await warned(sender("bulk-lock", "bulk-slow"))).toEqual([]);
  expect(await warned(sender("bulk-lock", "bulk-hold"))).toEqual([
    expect.stringContaining("its mail is not stopped, to however many strangers it goes"),
  ]);
  expect(await warned({ sender: [], rule: [{ name: "bulk-beyond-doubt", mode: "observe" }] })).toEqual([
    expect.stringContaining("rule bulk-beyond-doubt is not enforced"),
  ]);
});

describe("a shipped rule with a scope", () => {
  const eicar: Facts = { "eicar.found": true };
  const by = async (rule: object, login: string, facts = eicar, to?: string) =>
    outcome(await snapshotOf({ ...SENDERS, rule: [rule] }), login, facts, to);

  test("switched off for one sender: others keep it", async () => {
    const rule = { name: "bulk-lock", mode: "off", scope: { senders: ["ann@a.test"] } };
    expect(await by(rule, "ann@a.test", level(3))).toBe("quarantine bulk-hold");
    expect(await by(rule, "bob@b.test", level(3))).toBe("quarantine bulk-lock");
  });

  test("switched off, or only observing, for one domain: others keep it", async () => {
    for (const mode of ["off", "observe"]) {
      const rule = { name: "virus", mode, scope: { domains: ["a.test"] } };
      expect(await by(rule, "ann@a.test")).toBe("accept null");
      expect(await by(rule, "bob@b.test")).toBe("quarantine virus");
    }
  });

  test("switched off for one recipient: others keep it", async () => {
    const rule = { name: "virus", mode: "off", scope: { addresses: ["lab@elsewhere.example"] } };
    expect(await by(rule, "ann@a.test", eicar, "lab@elsewhere.example")).toBe("accept null");
    expect(await by(rule, "ann@a.test", eicar, "x@elsewhere.example")).toBe("quarantine virus");
  });

  test("switched off for one direction: it holds in the others", async () => {
    const on = await snapshotOf({
      ...SENDERS,
      rule: [{ name: "virus", mode: "off", scope: { directions: ["outbound"] } }],
    });
    expect(outcome(on, "ann@a.test", eicar)).toBe("accept null");
    const subject = {
      recipient: address("ann@a.test"),
      direction: "inbound",
      reversePath: null,
      login: null,
    } as const;
    expect(on.decide(eicar, subject).rule).toBe("virus");
  });

  test("switched on by a scope it holds there; what it leaves is as the domain says", async () => {
    const rule = { name: "macros", scope: { domains: ["a.test"] } };
    const macros: Facts = { "attachments.macros": true };
    expect(await by(rule, "ann@a.test", macros)).toBe("quarantine macros");
    expect(await by(rule, "bob@b.test", macros)).toBe("accept null");
  });

  test("changed for some, it is as shipped for others", async () => {
    const rule = { name: "dangerous-attachments", action: "reject", scope: { domains: ["a.test"] } };
    const program: Facts = { "attachments.dangerous": true };
    expect(await by(rule, "ann@a.test", program)).toBe("reject dangerous-attachments");
    expect(await by(rule, "bob@b.test", program)).toBe("quarantine dangerous-attachments");
  });
});

describe("what counts toward a lock", () => {
  const cases: readonly (readonly [Facts, boolean, string | undefined])[] = [
    [{ "eicar.found": true }, true, "virus"],
    [{ "attachments.dangerous": true }, true, "program"],
    [{ "gtube.found": true }, true, "spam"],
    [{ "bulk.level": 2 }, false, "bulk"],
    [{ "attachments.macros": true }, true, "program"],
    [{ "attachments.encrypted": true }, false, "program"],
  ];
  test.each(cases)("%j", async (facts, counts, kind) => {
    const sender = [user("ann@a.test", { block: ["macros", "unwanted-attachments"] })];
    const on = await snapshotOf({ ...SENDERS, sender });
    for (const [direction, to] of [
      ["outbound", "x@elsewhere.example"],
      ["internal", "bob@b.test"],
    ] as const) {
      const subject = { recipient: address(to), direction, reversePath: null, login: "ann@a.test" };
      const verdict = on.decide(facts, subject);
      expect(`${direction} ${verdict.spam ?? false} ${verdict.kind}`).toBe(`${direction} ${counts} ${kind}`);
    }
  });
});
