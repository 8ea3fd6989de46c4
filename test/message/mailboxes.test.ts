// Addresses of a From field, as any reader could take them: the traps of address parsers, one by one.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { parseMailboxes } from "../../src/message/mailboxes.ts";
import { processorMs } from "./processor-time.ts";

const cases: readonly (readonly [name: string, value: string, addresses: readonly string[]])[] = [
  ["plain", "a@example.org", ["a@example.org"]],
  ["with a name", "Alice <a@example.org>", ["a@example.org"]],
  ["quoted name with a comma", '"Example, Alice" <a@example.org>', ["a@example.org"]],
  ["an address as the quoted name", '"boss@bank.example" <a@example.org>', ["a@example.org"]],
  [
    "an address as the bare name",
    "boss@bank.example <a@example.org>",
    ["a@example.org", "boss@bank.example"],
  ],
  [
    "an encoded word that holds an address",
    "=?utf-8?Q?boss=40bank.example?= <a@example.org>",
    ["a@example.org"],
  ],
  [
    "an encoded word with brackets",
    "=?utf-8?Q?=3Cboss=40bank.example=3E?= <a@example.org>",
    ["a@example.org"],
  ],
  ["a comment", "a@example.org (Alice (at home))", ["a@example.org"]],
  ["a comment with an address", "(boss@bank.example) a@example.org", ["a@example.org"]],
  ["comments inside", "a(x)@(y)example.org", ["a@example.org"]],
  ["obsolete white space", "a @ example . org", ["a@example.org"]],
  ["a route", "<@relay.example,@two.example:a@example.org>", ["a@example.org"]],
  ["a list", "a@example.org, B <b@example.org>", ["a@example.org", "b@example.org"]],
  ["a group", "Team: a@example.org, b@example.org;", ["a@example.org", "b@example.org"]],
  ["an empty group", "undisclosed-recipients:;", []],
  ["a quoted local part", '"a b"@example.org', ['"a b"@example.org']],
  ["a quoted at sign", '"boss@bank.example"@example.org', ['"boss@bank.example"@example.org']],
  ["two brackets", "<a@example.org> <b@example.org>", ["a@example.org", "b@example.org"]],
  ["an unclosed quote", '"Alice <a@example.org>', ["a@example.org"]],
  ["an unclosed comment", "(Alice <a@example.org>", ["a@example.org"]],
  ["an unclosed bracket", "Alice <a@example.org", ["a@example.org"]],
  ["words without brackets", "Alice a@example.org", ["a@example.org"]],
  ["a semicolon list", "a@example.org; b@example.org", ["a@example.org", "b@example.org"]],
  ["capitals in the domain", "A@EXAMPLE.ORG", ["A@example.org"]],
  [
    "an international domain",
    Buffer.from("a@bücher.example").toString("latin1"),
    ["a@xn--bcher-kva.example"],
  ],
  ["an obsolete local part in quotes", '<"boss".smith@example.org>', ["boss.smith@example.org"]],
  ["the same beside another", 'a@example.org, <"b"."c"@example.org>', ["a@example.org", "b.c@example.org"]],
  ["quotes with spaces and dots", '<"b c".d@example.org>', ["unreadable@example.org"]],
  ["two words in brackets", "<boss b@example.org>", ["b@example.org"]],
  ["a long local part", `<${"a".repeat(70)}@example.org>`, [`${"a".repeat(70)}@example.org`]],
  ["an address longer than a path", `<${"a".repeat(250)}@example.org>`, ["unreadable@example.org"]],
  ["the same bare", `${"a".repeat(5000)}@example.org`, ["unreadable@example.org"]],
  ["the same in octets alone", `<${"\u00c3\u00bc".repeat(130)}@example.org>`, ["unreadable@example.org"]],
  ["the same in quotes", `<"${"a b".repeat(100)}"@example.org>`, ["unreadable@example.org"]],
  [
    "the same beside a sound one",
    `b@example.net, ${"a".repeat(300)}@example.org`,
    ["b@example.net", "unreadable@example.org"],
  ],
  [
    "a domain of more labels than a name may have",
    `<a@${"a.".repeat(200)}example.org>`,
    [`a@${"a.".repeat(116)}example.org`],
  ],
  ["a long local part and a comment", `<${"x".repeat(300)}(c)@example.org>`, ["unreadable@example.org"]],
  ["and a blank", `<${"x".repeat(300)} @ example.org>`, ["unreadable@example.org"]],
  ["and a comment behind the sign", `<${"x".repeat(300)}@(c)example.org>`, ["unreadable@example.org"]],
  ["a label of 64", `<a@${"y".repeat(64)}.example.org>`, ["a@example.org"]],
  ["a label of 63", `<a@${"y".repeat(63)}.example.org>`, [`a@${"y".repeat(63)}.example.org`]],
  ["both", `<${"x".repeat(300)}@${"y".repeat(70)}.example.org>`, ["unreadable@example.org"]],
  ["an empty label", "<a@x..example.org>", ["a@example.org"]],
  ["an empty label, bare", "a@x..example.org", ["a@example.org"]],
  ["an empty label and a blank", "<a @x..example.org>", ["a@example.org"]],
  ["nothing but empty ones", "<a@...>", []],
  ["a dot at its end", "<a@example.org.>", ["a@example.org"]],
  ["one label of that length", `<a@${"a".repeat(300)}.example.org>`, ["a@example.org"]],
  [
    "that and quotes",
    `<"a b".c@${"a.".repeat(200)}example.org>`,
    [`unreadable@${"a.".repeat(116)}example.org`],
  ],
  [
    "dots side by side and at the end",
    "<a..b@example.org>, <.c.@example.org>",
    ["a..b@example.org", ".c.@example.org"],
  ],
  ["an address behind a NUL", "<b\u0000a@example.org>", ["a@example.org"]],
  ["a NUL behind an address", "a@example.org\u0000", ["a@example.org"]],
  [
    "an address behind many that are none",
    `"x ${"a@- ".repeat(200)}b@example.org`,
    ["unreadable@example.org", "b@example.org"],
  ],
  ["no address", "MAILER-DAEMON", []],
  ["nothing", "", []],
];
test.each(cases)("%s", (_, value, addresses) => {
  expect(parseMailboxes(value).map(String).sort()).toEqual([...addresses].sort());
});

test("time is bounded however the value is built", () => {
  const started = processorMs();
  for (const unit of ["<", "(", '"', "a@b,", "@", "<a@b>", "a".repeat(63), "\\", ":", "((a@b.example)"]) {
    parseMailboxes(unit.repeat(Math.ceil(200_000 / unit.length)));
  }
  expect(processorMs() - started).toBeLessThan(5000);
});

test.each([
  ["spaces in an address", `<a${" ".repeat(8000)}b@example.org>`],
  ["escaped quotes behind an address", `<a@example.org> ${'\\"'.repeat(4000)}`],
  ["at signs", "x@".repeat(4000)],
])("%s cost milliseconds", (_, value) => {
  const started = processorMs();
  for (let run = 0; run < 10; run++) parseMailboxes(value);
  expect(processorMs() - started).toBeLessThan(500);
});

test("never throws and gives only addresses", () => {
  const alphabet = fc.constantFrom(...'ab@.,;:<>()"\\ \t[]=?\u00e9');
  fc.assert(
    fc.property(fc.string({ unit: alphabet, maxLength: 60 }), (value) => {
      for (const found of parseMailboxes(value)) expect(found).toContain("@");
    }),
    { numRuns: 2000 },
  );
});
