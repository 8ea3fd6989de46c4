// Who may be written back to: only an envelope sender that SPF or an aligned DKIM signature proves.
import { expect, test } from "bun:test";
import type { MailAddress } from "../../src/message/address.ts";
import type { FactValue, Finding } from "../../src/rules/fact.ts";
import { isProvenSender } from "../../src/session/proven-sender.ts";

const facts = (values: Readonly<Record<string, FactValue>>): readonly Finding[] =>
  Object.entries(values).map(([fact, value]) => ({ check: fact.split(".")[0] ?? "", fact, value }));

const CASES: readonly (readonly [string, string | null, Readonly<Record<string, FactValue>>, boolean])[] = [
  ["nothing was checked", "a@sender.test", {}, false],
  ["SPF passes for the domain", "a@sender.test", { "spf.result": "pass", "spf.domain": "sender.test" }, true],
  ["in any case", "a@Sender.TEST", { "spf.result": "pass", "spf.domain": "SENDER.test" }, true],
  ["SPF of another domain (HELO)", "a@sender.test", { "spf.result": "pass", "spf.domain": "mx.test" }, false],
  [
    "SPF of a domain above it",
    "a@x.sender.test",
    { "spf.result": "pass", "spf.domain": "sender.test" },
    false,
  ],
  ["SPF softfail", "a@sender.test", { "spf.result": "softfail", "spf.domain": "sender.test" }, false],
  ["SPF none", "a@sender.test", { "spf.result": "none", "spf.domain": "sender.test" }, false],
  ["SPF temperror", "a@sender.test", { "spf.result": "temperror", "spf.domain": "sender.test" }, false],
  ["a signature of the domain", "a@sender.example", { "dkim.domains": ["sender.example"] }, true],
  ["of the organisation", "a@bounces.sender.example", { "dkim.domains": ["sender.example"] }, true],
  ["of a part of it", "a@sender.example", { "dkim.domains": ["news.sender.example"] }, true],
  ["one of several", "a@sender.example", { "dkim.domains": ["esp.example", "sender.example"] }, true],
  ["of somebody else", "a@sender.example", { "dkim.domains": ["esp.example"] }, false],
  ["under the same public suffix", "a@one.co.uk", { "dkim.domains": ["two.co.uk"] }, false],
  ["no signature holds", "a@sender.example", { "dkim.domains": [], "dkim.result": "fail" }, false],
  [
    "aligned with From only",
    "a@sender.example",
    { "dkim.aligned": true, "dkim.domains": ["author.example"] },
    false,
  ],
  ["the null reverse-path", null, { "spf.result": "pass", "spf.domain": "sender.test" }, false],
];

for (const [name, path, values, proven] of CASES)
  test(name, () => {
    expect(isProvenSender(path as MailAddress | null, facts(values))).toBe(proven);
  });
