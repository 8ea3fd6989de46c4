// How items must fit together: what is refused with which words, and what is only warned of.
import { describe, expect, test } from "bun:test";
import { planText } from "../../src/policy/plan-text.ts";
import type { PlanResult } from "../../src/policy/settings.ts";
import { MemoryStore, settingsOn, TESTER } from "./policy-fixtures.ts";

function problems(result: PlanResult): readonly string[] {
  return result.ok ? [] : result.problems.map(({ path, message }) => `${path}: ${message}`);
}

const keep = { prune: false } as const;

describe("what does not fit together", () => {
  const cases: readonly (readonly [string, object, string])[] = [
    [
      "unknown rule of a domain",
      { domain: [{ name: "a.test", rules: ["virsu"] }] },
      'domain[0].rules[0]: there is no rule "virsu"; did you mean "virus"?',
    ],
    [
      "unknown rule of a sender",
      { sender: [{ kind: "domain", domain: "a.test", rules: ["x-y-z"] }] },
      'sender[0].rules[0]: there is no rule "x-y-z"',
    ],
    [
      "two listeners on one port",
      {
        listener: [
          { name: "a", listen: "0.0.0.0:2525" },
          { name: "b", listen: "127.0.0.1:2525" },
        ],
      },
      'listener[1].listen: "127.0.0.1:2525" is taken by listener a (0.0.0.0:2525)',
    ],
    [
      "port out of range",
      { listener: [{ name: "a", listen: "0.0.0.0:70000" }] },
      'listener[0].listen: "0.0.0.0:70000": the port must be 1 to 65535',
    ],
    [
      "the same item twice",
      { domain: [{ name: "a.test" }, { name: "A.test." }] },
      'domain[1]: is the second domain "a.test"; the first is domain[0]',
    ],
    [
      "two spellings of one login",
      {
        sender: [
          { login: "A@a.test", domain: "a.test" },
          { login: "a@a.test", domain: "a.test" },
        ],
      },
      'sender[1]: is the second sender "a@a.test"; the first is sender[0]',
    ],
    [
      "own rule without a condition",
      { rule: [{ name: "x", action: "reject" }] },
      "rule[0].when: is missing; write a condition",
    ],
    [
      "own rule without an action",
      { rule: [{ name: "x", when: "client.tls" }] },
      "rule[0].action: is missing; choose one of accept",
    ],
    [
      "a condition that does not parse",
      { rule: [{ name: "x", when: "client.tsl", action: "reject" }] },
      'rule[0].when: character 1: "client.tsl" is not a known fact; did you mean client.tls?',
    ],
    [
      "reject with 250",
      { rule: [{ name: "x", when: "client.tls", action: "reject", code: 250 }] },
      "rule[0].code: is 250; reject answers with 500 to 599",
    ],
    [
      "tempfail with 550",
      { rule: [{ name: "x", when: "client.tls", action: "tempfail", code: 550 }] },
      "rule[0].code: is 550; tempfail answers with 400 to 499",
    ],
    [
      "quarantine with 451",
      { rule: [{ name: "x", when: "client.tls", action: "quarantine", code: 451 }] },
      "rule[0].code: is 451; quarantine answers with 250 or 550",
    ],
    [
      "redirect to nowhere",
      { rule: [{ name: "x", when: "client.tls", action: "redirect" }] },
      "rule[0].to: is missing; redirect needs a mail address",
    ],
    [
      "mark with nothing",
      { rule: [{ name: "x", when: "client.tls", action: "mark" }] },
      "rule[0].action: is mark, but there is no header and no subject",
    ],
    [
      "the condition of a shipped rule",
      { rule: [{ name: "virus", when: "client.tls" }] },
      'rule[0].when: cannot be changed: "virus" is a rule of the product',
    ],
    [
      "the action of marks",
      { rule: [{ name: "subject-marks", action: "reject" }] },
      'rule[0].action: and code cannot be changed: "subject-marks" only marks',
    ],
    [
      "one code for parts that differ",
      { rule: [{ name: "spam", code: 250 }] },
      "rule[0].code: is 250; reject answers with 500 to 599",
    ],
    [
      "header lines in a header",
      {
        rule: [
          { name: "x", when: "client.tls", action: "mark", header: { name: "X-A", value: "a\r\nBcc: b" } },
        ],
      },
      "must be one line without control characters",
    ],
    [
      "lines in a reply",
      { rule: [{ name: "x", when: "client.tls", action: "reject", reply: "a\r\n250 ok" }] },
      "must be one line of plain ASCII characters",
    ],
  ];
  test.each(cases.map(([name, document, words]) => ({ name, document, words })))(
    "$name",
    async ({ document, words }) => {
      const settings = await settingsOn(new MemoryStore());
      const before = settings.current();
      const result = await settings.apply(document, { ...keep, actor: TESTER });
      expect(problems(result).join("\n")).toContain(words);
      expect(settings.current()).toBe(before);
      expect(planText(result)).toContain("nothing was changed.");
    },
  );

  test("is only warned of when the document did not bring it", async () => {
    const settings = await settingsOn(new MemoryStore(), {
      initial: { sender: [{ login: "a@a.test", domain: "nowhere.test" }] },
    });
    const result = await settings.plan({ networks: { trusted: ["198.51.0.0/12"] } }, keep);
    if (!result.ok) throw new Error("refused");
    expect(result.warnings).toContain("sender a@a.test: nowhere.test is not a domain of this gateway");
    expect(result.warnings).toContain("sender a@a.test: has no password, so it cannot log in");
    expect(result.warnings.join()).toContain("is a wide public range");
  });

  test("nested IP senders are warned of", async () => {
    const result = await (await settingsOn(new MemoryStore())).plan(
      {
        domain: [{ name: "a.test" }],
        sender: [
          { kind: "ip", range: "192.0.2.0/24", domain: "a.test" },
          { kind: "ip", range: "192.0.2.8/30", domain: "a.test" },
        ],
      },
      keep,
    );
    expect(result.ok && result.warnings).toContain(
      "sender 192.0.2.8/30 lies within sender 192.0.2.0/24: the narrower one counts",
    );
  });
});
