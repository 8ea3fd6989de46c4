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
      { rule: [{ name: "dmarc", code: 250 }] },
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
      "spam counted by a rule that does not decide",
      {
        rule: [{ name: "x", when: "client.tls", action: "copy", to: "a@a.test", counts_as_spam: true }],
      },
      "rule[0].counts_as_spam: is only for rules that decide (quarantine, reject, tempfail, discard, accept), not for copy",
    ],
    [
      "a lock by a shipped rule that only marks",
      { rule: [{ name: "subject-marks", lock_identity: true }] },
      "rule[0].lock_identity: is only for rules that decide",
    ],
    [
      "re-authentication as nobody",
      { sender: [{ kind: "ip", range: "192.0.2.1", domain: "a.test", reauthenticate_as: "x@a.test" }] },
      'sender[0].reauthenticate_as: "x@a.test": there is no such sender, and none for its domain',
    ],
    [
      "a lock notice that does not exist",
      { sender: [{ login: "x@a.test", domain: "a.test", lock: { template: "our-notice" } }] },
      'sender[0].lock.template: there is no template "our-notice"; make it with [[template]]',
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
    expect(result.warnings).toContain(
      "sender a@a.test: nowhere.test is not a domain of this gateway, so it can neither log in nor send",
    );
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

describe("outgoing senders: what is only warned of", () => {
  const cases: readonly (readonly [string, object, string])[] = [
    [
      "re-authentication that is not permitted",
      {
        sender: [
          { login: "x@a.test", domain: "a.test" },
          { kind: "ip", range: "192.0.2.1", domain: "a.test", reauthenticate_as: "X@a.test" },
        ],
      },
      'sender 192.0.2.1/32: reauthenticate_as "X@a.test": that sender does not permit it; set its reauthentication_permitted',
    ],
    [
      "re-authentication as somebody switched off",
      {
        sender: [
          { login: "x@a.test", domain: "a.test", enabled: false, reauthentication_permitted: true },
          { kind: "ip", range: "192.0.2.1", domain: "a.test", reauthenticate_as: "x@a.test" },
        ],
      },
      'sender 192.0.2.1/32: reauthenticate_as "x@a.test": that sender is switched off, so the range sends as itself',
    ],
    [
      "a lock for everybody behind an address",
      { sender: [{ kind: "ip", range: "192.0.2.1", domain: "a.test", lock: { sender: true } }] },
      "sender 192.0.2.1/32: lock.sender is on for an address range: one who sends spam locks everybody behind it; lock the identity instead",
    ],
    [
      "limits that cannot work together",
      { sender: [{ login: "x@a.test", domain: "a.test", limits: { per_minute: 60, per_day: 50 } }] },
      "sender x@a.test: limits.per_minute is 60, but per_day is only 50: it is never reached",
    ],
    [
      "limits of identities that cannot work together",
      {
        sender: [
          {
            login: "x@a.test",
            domain: "a.test",
            identity_limits: { per_week: 9, per_month: 8, per_hour: 1 },
          },
        ],
      },
      "sender x@a.test: identity_limits.per_week is 9, but per_month is only 8: it is never reached",
    ],
    [
      "CRAM-MD5 for nobody",
      { listener: [{ name: "a", listen: "127.0.0.1:2525", auth: "optional", cram_md5: true }] },
      "listener a: cram_md5 is on, but no sender has a cram_password: nobody can log in that way",
    ],
    [
      "a password at a mail server nobody named",
      {
        domain: [{ name: "a.test" }],
        sender: [{ login: "x@a.test", domain: "a.test", verify: "mail-server" }],
      },
      "sender x@a.test: its password is checked at the mail server, but domain a.test has no outgoing.password_server: it cannot log in",
    ],
    [
      "enterprise mode that alerts nobody",
      { domain: [{ name: "a.test", outgoing: { enterprise: true } }] },
      "domain a.test: identities are locked automatically, but outgoing.alerts names nobody who is told",
    ],
    [
      "a login that names its own identity",
      {
        domain: [{ name: "a.test" }],
        sender: [{ login: "x@a.test", domain: "a.test", identify_by: { header: "X-Client-ID" } }],
      },
      "sender x@a.test: whoever has its password chooses the identity in the header, and so escapes every lock of one; switch lock.sender on",
    ],
    [
      "a report for nobody",
      { domain: [{ name: "a.test", outgoing: { report: { every: "daily" } } }] },
      "domain a.test: outgoing.report is daily, but neither report.to nor alerts.mail names anybody",
    ],
    [
      "a scope that names a domain sender who does not exist",
      { rule: [{ name: "x", when: "client.tls", action: "reject", scope: { senders: ["@a.test"] } }] },
      "rule x: scope names sender @a.test, who does not exist",
    ],
  ];
  test.each(cases)("%s", async (_, document, warning) => {
    const settings = await settingsOn(new MemoryStore());
    const result = await settings.plan(document, keep);
    expect(problems(result)).toEqual([]);
    expect(result.ok && result.warnings).toContain(warning);
  });

  test("what fits is not warned of", async () => {
    const settings = await settingsOn(new MemoryStore());
    const result = await settings.plan(
      {
        domain: [
          {
            name: "a.test",
            routes: [{ host: "192.0.2.25" }],
            outgoing: { password_server: { protocol: "imap", host: "192.0.2.25" } },
          },
        ],
        template: [{ name: "our-notice", subject: "You are locked", text: "Call {contact}." }],
        sender: [
          { login: "x@a.test", domain: "a.test", verify: "mail-server", lock: { template: "our-notice" } },
          { kind: "domain", domain: "a.test", reauthentication_permitted: true, lock: { template: "none" } },
          {
            kind: "ip",
            range: "192.0.2.1",
            domain: "a.test",
            reauthenticate_as: "anybody@a.test",
            limits: { per_minute: 60, per_hour: 60, per_month: 600 },
          },
        ],
        rule: [{ name: "x", when: "client.tls", action: "accept", scope: { senders: ["@A.test"] } }],
      },
      keep,
    );
    expect(result.ok && result.warnings.filter((warning) => /sender|domain a/.test(warning))).toEqual([]);
  });
});
